// Batch norm by oneDNN.

package cpu

import (
	"depthlab/nets/kernel"
)

// normKey identifies a batch norm primitive for one group of images.
type normKey struct {
	backward bool
	x        *desc
	eps      float32
	flags    uint32
	prop     int32
}

// normPrim returns the primitive of a batch norm on images in layout x, or of its gradient.
func normPrim(c *compiler, backward bool, x *desc, eps float32, flags uint32, prop int32) (*prim, error) {
	l, e := c.d.lib, c.d.engine
	flags |= normScale | normShift
	var hint *prim
	if backward {
		var err error
		if hint, err = normPrim(c, false, x, eps, flags, propTraining); err != nil {
			return nil, err
		}
	}
	return newPrim(c.d, normKey{backward, x, eps, flags, prop}, func(pd *uintptr) (status, error) {
		if backward {
			return l.normBackward(pd, e, prop, x.handle, x.handle, x.handle, eps, flags, hint.pd, 0), nil
		}
		return l.normForward(pd, e, prop, x.handle, x.handle, eps, flags, 0), nil
	})
}

// groups divides an activation into groups of images, which are contiguous in all layouts.
type groups struct {
	count    int
	images   *desc // layout of one group
	vector   *desc // layout of (C) float32
	channels int64
}

// groupsOf divides an activation of shape s into groups of group images; 0 means all.
func groupsOf(c *compiler, s kernel.Shape, group int) (g groups, err error) {
	if group == 0 {
		group = s[0]
	}
	g = groups{count: s[0] / group, channels: int64(s[1])}
	if g.images, err = c.act(kernel.Shape{group, s[1], s[2], s[3]}); err != nil {
		return g, err
	}
	g.vector, err = plainDesc(c.d, kernel.Shape{s[1]})
	return g, err
}

// of returns group i of an activation.
func (g groups) of(m mem, i int) mem {
	return mem{m.block, m.offset + int64(i)*g.images.size, g.images}
}

// row returns row i of a (G, C) matrix.
func (g groups) row(m mem, i int) mem {
	return mem{m.block, m.offset + int64(i)*g.channels*4, g.vector}
}

// libraryNorm: x, scale, shift [, add] -> y, mean, variance. oneDNN applies the rectifier in
// the same pass, and keeps one bit for each element as a mask for the gradient. A shortcut is
// added and rectified in a second pass over y.
func libraryNorm(c *compiler, k kernel.BatchNorm) error {
	s := c.inShape(0)
	full, err := c.act(s)
	if err != nil {
		return err
	}
	g, err := groupsOf(c, s, k.Group)
	if err != nil {
		return err
	}
	x, y, err := inOut(c, 0, 0, full)
	if err != nil {
		return err
	}
	scale, shift := keptMem(c, c.instr.In[1]), keptMem(c, c.instr.In[2])
	mean, variance := keptMem(c, c.instr.Out[1]), keptMem(c, c.instr.Out[2])
	var flags uint32
	masked := k.ReLU && !k.Add
	if masked {
		flags = normRelu
	}
	p, err := normPrim(c, false, g.images, k.Eps, flags, propTraining)
	if err != nil {
		return err
	}
	var masks []mem
	for i := range g.count {
		args := []arg{{argSrc, g.of(x, i)}, {argDst, g.of(y, i)}, {argScale, scale}, {argShift, shift},
			{argMean, g.row(mean, i)}, {argVariance, g.row(variance, i)}}
		if masked {
			w, err := p.query(queryWorkspace)
			if err != nil {
				return err
			}
			m := c.temp(w)
			masks = append(masks, m)
			args = append(args, arg{argWorkspace, m})
		}
		c.call(p, args...)
	}
	c.masks[c.instr.Out[0]] = masks
	if k.Add {
		if err := addTo(c, y, 3, k.ReLU); err != nil {
			return err
		}
	}
	if k.ReLU {
		poison(c, y, g, s, scale, shift, mean, variance)
	}
	return nil
}

// poison restores NaN that oneDNN's rectifier turned into 0. It sets a whole channel to NaN
// if its statistics, scale or shift are NaN. A NaN anywhere in the channel makes the mean
// NaN, so none is missed.
func poison(c *compiler, y mem, g groups, s kernel.Shape, scale, shift, mean, variance mem) {
	st, images := stridesIn(c, s), s[0]/g.count
	c.host(func() func() {
		a, b := slice[float32](scale.block, 0, s[1]), slice[float32](shift.block, 0, s[1])
		m, v := slice[float32](mean.block, 0, g.count*s[1]), slice[float32](variance.block, 0, g.count*s[1])
		out := slice[byte](y.block, y.offset, int(y.desc.size))
		return func() {
			for i, sum := range m {
				ch := i % s[1]
				if sum += v[i] + a[ch] + b[ch]; sum == sum {
					continue
				}
				for n := i / s[1] * images; n < (i/s[1]+1)*images; n++ {
					at := st.at(n, ch, 0)
					for range s[2] * s[3] {
						copy(out[at:at+st.size], quietNaN[4-st.size:])
						at += st.block * st.size
					}
				}
			}
		}
	})
}

// quietNaN is NaN as float32; its upper half is NaN as bfloat16.
var quietNaN = [4]byte{0, 0, 0xc0, 0x7f}

// libraryNormInfer: x, scale, shift, mean, variance [, add] -> y. The rectifier is a pass in
// Go, because oneDNN's would turn NaN into 0, and there are no batch statistics to detect
// it.
func libraryNormInfer(c *compiler, k kernel.BatchNormInfer) error {
	full, err := c.act(c.inShape(0))
	if err != nil {
		return err
	}
	x, y, err := inOut(c, 0, 0, full)
	if err != nil {
		return err
	}
	scale, shift := keptMem(c, c.instr.In[1]), keptMem(c, c.instr.In[2])
	mean, variance := keptMem(c, c.instr.In[3]), keptMem(c, c.instr.In[4])
	p, err := normPrim(c, false, full, k.Eps, normGlobalStats, propInference)
	if err != nil {
		return err
	}
	c.call(p, arg{argSrc, x}, arg{argDst, y}, arg{argScale, scale}, arg{argShift, shift}, arg{argMean, mean}, arg{argVariance, variance})
	if k.Add {
		if err := addTo(c, y, 5, false); err != nil {
			return err
		}
	}
	if k.ReLU {
		rectifyBuffer(c, y)
	}
	return nil
}

// libraryNormGrad: x, scale, mean, variance [, y], dy -> dx, dscale, dshift
// [, dadd].
func libraryNormGrad(c *compiler, k kernel.BatchNormGrad) error {
	s := c.inShape(0)
	full, err := c.act(s)
	if err != nil {
		return err
	}
	g, err := groupsOf(c, s, k.Group)
	if err != nil {
		return err
	}
	x, dx, err := inOut(c, 0, 0, full)
	if err != nil {
		return err
	}
	scale := keptMem(c, c.instr.In[1])
	dy, err := c.in(len(c.instr.In)-1, full)
	if err != nil {
		return err
	}
	var masks []mem
	if k.ReLU && !k.Add {
		masks = c.masks[c.instr.In[4]]
	}
	switch {
	case len(masks) == g.count: // the forward primitive is in this program and kept its mask
	case k.ReLU || k.Add:
		if dy, err = maskedGradient(c, k, full, dy); err != nil {
			return err
		}
		masks = nil
	}
	var flags uint32
	if masks != nil {
		flags = normRelu
	}
	p, err := normPrim(c, true, g.images, k.Eps, flags, propBackward)
	if err != nil {
		return err
	}
	mean, variance := keptMem(c, c.instr.In[2]), keptMem(c, c.instr.In[3])
	dscale, dshift := keptMem(c, c.instr.Out[1]), keptMem(c, c.instr.Out[2])
	ds, db := dscale, dshift
	if g.count > 1 {
		rows, err := plainDesc(c.d, kernel.Shape{g.count, s[1]})
		if err != nil {
			return err
		}
		ds, db = c.temp(rows), c.temp(rows)
	}
	for i := range g.count {
		args := []arg{{argSrc, g.of(x, i)}, {argDiffDst, g.of(dy, i)}, {argDiffSrc, g.of(dx, i)}, {argScale, scale},
			{argMean, g.row(mean, i)}, {argVariance, g.row(variance, i)}, {argDiffScale, g.row(ds, i)}, {argDiffShift, g.row(db, i)}}
		if masks != nil {
			masks[i].block.last = c.at
			args = append(args, arg{argWorkspace, masks[i]})
		}
		c.call(p, args...)
	}
	if g.count > 1 {
		sumRows(c, ds, dscale, g.count, s[1])
		sumRows(c, db, dshift, g.count, s[1])
	}
	return nil
}

// maskedGradient returns dy where y is above 0, and 0 elsewhere. It is written to dadd if the
// instruction has that output.
func maskedGradient(c *compiler, k kernel.BatchNormGrad, full *desc, dy mem) (mem, error) {
	var d mem
	var err error
	if k.Add {
		if d, err = c.out(3, full); err != nil {
			return mem{}, err
		}
	} else {
		d = c.temp(full)
	}
	if !k.ReLU {
		o, err := c.reorder(dy, d)
		c.ops = append(c.ops, o)
		return d, err
	}
	y, err := c.in(4, full)
	if err != nil {
		return mem{}, err
	}
	return d, reluBackward(c, y, dy, d)
}

// sumRows appends the sum of the rows of a matrix, in their order.
func sumRows(c *compiler, from, to mem, rows, columns int) {
	c.host(func() func() {
		src, dst := slice[float32](from.block, from.offset, rows*columns), slice[float32](to.block, to.offset, columns)
		return func() {
			for j := range dst {
				var sum float64
				for i := range rows {
					sum += float64(src[i*columns+j])
				}
				dst[j] = float32(sum)
			}
		}
	})
}

// rectifyBuffer sets negative elements of y to 0 and keeps NaN, which oneDNN's rectifier would turn
// into 0.
func rectifyBuffer(c *compiler, y mem) {
	const exponent, sign = 0x7f800000, 1 << 31
	c.host(func() func() {
		if c.dtype == bf16 {
			x := slice[uint16](y.block, y.offset, int(y.desc.size/2))
			return func() { rectify(x, exponent>>16, sign>>16) }
		}
		x := slice[uint32](y.block, y.offset, int(y.desc.size/4))
		return func() { rectify(x, exponent, sign) }
	})
}

// rectify sets negative floats, given as their bits, to 0. exponent and sign are the masks of
// the format.
func rectify[T uint16 | uint32](bits []T, exponent, sign T) {
	for i, v := range bits {
		if v&sign != 0 && v&^sign <= exponent {
			bits[i] = 0
		}
	}
}
