// Which kernel computes an instruction. Batches and shortcut A, in Go.

package cpu

import (
	"cmp"
	"slices"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// translateInstr appends the ops of the current instruction.
func translateInstr(c *compiler) error {
	switch k := c.instr.Kernel.(type) {
	case kernel.Conv:
		return conv(c, k)
	case kernel.ConvGradInput:
		return convGradInput(c, k)
	case kernel.ConvGradWeight:
		return convGradWeight(c, k)
	case kernel.BatchNorm:
		return batchNorm(c, k)
	case kernel.BatchNormGrad:
		return batchNormGrad(c, k)
	case kernel.BatchNormInfer:
		return batchNormInfer(c, k)
	case kernel.Add:
		return add(c)
	case kernel.ReLU, kernel.ReLUGrad, kernel.Scale:
		return pointwise(c)
	case kernel.Dropout:
		return dropout(c, k)
	case kernel.MaxPool:
		return maxPool(c, k)
	case kernel.MaxPoolGrad:
		return maxPoolGrad(c, k)
	case kernel.AvgPool:
		return avgPool(c)
	case kernel.AvgPoolGrad:
		return avgPoolGrad(c)
	case kernel.Linear:
		return linear(c, k)
	case kernel.LinearGradInput:
		return linearGradInput(c)
	case kernel.LinearGradWeight:
		return linearGradWeight(c)
	case kernel.Pad:
		return pad(c, k, 0, 0, c.inShape(0), c.outShape(0), false)
	case kernel.PadGrad:
		return pad(c, k.Pad, 0, 0, c.outShape(0), c.inShape(0), true)
	case kernel.Batch:
		return loadBatch(c, k)
	case kernel.Optimizer:
		return update(c, k)
	}
	// The loss and the statistics take less than 1 % of a step: their definitions are fast
	// enough.
	return translateReference(c)
}

// translateReference computes the instruction by its definition, on operands in plain layout.
func translateReference(c *compiler) error {
	instr := c.instr
	out, err := plainAll(c, instr.Out, c.out)
	if err != nil {
		return err
	}
	in, err := plainAll(c, instr.In, c.in)
	if err != nil {
		return err
	}
	c.host(func() func() {
		o, i := tensors(c, instr.Out, out), tensors(c, instr.In, in)
		return func() { instr.Kernel.Ref(o, i) }
	})
	return nil
}

// plainAll returns operands in plain layout. get is c.in or c.out.
func plainAll(c *compiler, ids []program.BufID, get func(int, *desc) (mem, error)) ([]mem, error) {
	var ms []mem
	for i, id := range ids {
		want := c.home[id]
		if want != nil {
			var err error
			if want, err = plainDesc(c.d, c.shape(id)); err != nil {
				return nil, err
			}
		}
		m, err := get(i, want)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func tensors(c *compiler, ids []program.BufID, ms []mem) []kernel.Tensor {
	var ts []kernel.Tensor
	for i, id := range ids {
		b := &c.prog.Buffers[id]
		ts = append(ts, ms[i].block.tensor(b.Type, b.Shape))
	}
	return ts
}

// batch: images, labels, rows, mean, scale, fill -> input, label, noise.
func loadBatch(c *compiler, k kernel.Batch) error {
	instr := c.instr
	out, err := plainAll(c, instr.Out, c.out)
	if err != nil {
		return err
	}
	in, err := plainAll(c, instr.In, c.in)
	if err != nil {
		return err
	}
	c.host(func() func() {
		o, i := tensors(c, instr.Out, out), tensors(c, instr.In, in)
		return c.d.each(len(o[1].I32), func(n int) { loadImage(k, o, i, n) })
	})
	return nil
}

// loadImage computes kernel.Batch for image n, row by row: a row of the crop is a part of a
// row of the image between two margins of padding.
func loadImage(k kernel.Batch, out, in []kernel.Tensor, n int) {
	images, labels, rows := in[0], in[1].I32, in[2].I32[k.First*4:]
	mean, scale, fill := in[3].F32, in[4].F32, in[5].F32
	C, H, W := images.Shape[1], images.Shape[2], images.Shape[3]
	x, label := out[0].F32, out[1].I32
	area := k.H * k.W
	row := rows[n*4:][:4]
	if k.Noise {
		out[2].I32[n] = row[3]
	}
	d := int(row[0])
	if d < 0 {
		label[n] = -1
		clear(x[n*C*area:][:C*area])
		return
	}
	label[n] = labels[d]
	left := int(row[2]) - k.Pad // image column of the crop's column 0
	begin, end := min(max(0, -left), k.W), max(0, min(k.W, W-left))
	for c := range C {
		s, f := scale[c], fill[c]
		for h := range k.H {
			dst := x[((n*C+c)*k.H+h)*k.W:][:k.W]
			iy := h + int(row[1]) - k.Pad
			if iy < 0 || iy >= H || begin >= end {
				fillRow(dst, f)
				continue
			}
			at := (c*H+iy)*W + left + begin
			pixels := images.U8[d*C*H*W+at:][:end-begin]
			average := mean[at:][:end-begin]
			fillRow(dst[:begin], f)
			fillRow(dst[end:], f)
			inside := dst[begin:end]
			for i, p := range pixels {
				inside[i] = (float32(p) - average[i]) * s
			}
			if row[3]&1 != 0 {
				slices.Reverse(dst)
			}
		}
	}
}

func fillRow(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// pad copies the pixels of x (N, C, H, W) that shortcut A connects to those of y
// (N, Out, H', W'), or back, and sets the rest of the destination to 0.
func pad(c *compiler, k kernel.Pad, in, out int, x, y kernel.Shape, back bool) error {
	xd, err := c.act(x)
	if err != nil {
		return err
	}
	yd, err := c.act(y)
	if err != nil {
		return err
	}
	fromDesc, toDesc := xd, yd
	if back {
		fromDesc, toDesc = yd, xd
	}
	from, err := c.in(in, fromDesc)
	if err != nil {
		return err
	}
	to, err := c.out(out, toDesc)
	if err != nil {
		return err
	}
	xs, ys := stridesIn(c, x), stridesIn(c, y)
	size := xs.size
	first := k.First(x[1])
	run := gcd(gcd(xs.block, ys.block), first) // channels that are contiguous in both
	c.host(func() func() {
		src := slice[byte](from.block, from.offset, int(fromDesc.size))
		dst := slice[byte](to.block, to.offset, int(toDesc.size))
		image := len(dst) / x[0]
		return c.d.each(x[0], func(n int) {
			clear(dst[n*image:][:image])
			for ch := 0; ch < x[1]; ch += run {
				for h := range y[2] {
					xi, yi := xs.at(n, ch, h*k.Stride), ys.at(n, first+ch, h)
					for range y[3] {
						if back {
							copy(dst[xi:xi+run*size], src[yi:])
						} else {
							copy(dst[yi:yi+run*size], src[xi:])
						}
						xi += xs.block * size * k.Stride
						yi += ys.block * size
					}
				}
			}
		})
	})
	return nil
}

// copyActivation returns a function that copies between two layouts, and rounds if they have
// different types.
func copyActivation(c *compiler, from, to mem) func() {
	s := from.desc.shape
	f, t := from.desc.strides(), to.desc.strides()
	src, dst := bitsOf(from), bitsOf(to)
	return c.d.each(s[0], func(n int) {
		for ch := range s[1] {
			for h := range s[2] {
				i, j := f.at(n, ch, h), t.at(n, ch, h)
				for range s[3] {
					dst.set(j, src.at(i))
					i += f.block
					j += t.block
				}
			}
		}
	})
}

// bits are the elements of a tensor as the bits of float32 numbers; either of the two.
type bits struct {
	floats []uint32
	halves []uint16
}

func bitsOf(m mem) bits {
	n := m.desc.shape.Len()
	if m.desc.dtype == bf16 {
		return bits{halves: slice[uint16](m.block, m.offset, n)}
	}
	return bits{floats: slice[uint32](m.block, m.offset, n)}
}

func (b bits) at(i int) uint32 {
	if b.floats != nil {
		return b.floats[i]
	}
	return uint32(b.halves[i]) << 16
}

func (b bits) set(i int, v uint32) {
	if b.floats != nil {
		b.floats[i] = v
		return
	}
	b.halves[i] = half(v)
}

// half rounds a float32 to bfloat16, to the nearest, and to an even number between two. NaN
// stays NaN.
func half(v uint32) uint16 {
	if v&0x7fffffff > 0x7f800000 {
		return uint16(v>>16) | 0x40
	}
	return uint16((v + 0x7fff + v>>16&1) >> 16)
}

// strides locates the elements of an activation: each image is a list of blocks of channels,
// each block a plane of pixels, each pixel the channels of the block. size is the bytes of an
// element.
type strides struct{ block, c, h, w, size int }

func stridesIn(c *compiler, s kernel.Shape) strides {
	if c.layout.fits(s) {
		return stridesOf(s, cmp.Or(c.layout.block, s[1]), c.own.number)
	}
	return stridesOf(s, 1, c.own.number)
}

// stridesOf returns the strides of shape s in blocks of channels.
func stridesOf(s kernel.Shape, block, size int) strides {
	return strides{block: block, c: s[1], h: s[2], w: s[3], size: size}
}

// blockStrides returns the bytes between pixels, and between blocks of as many channels as a
// vector has lanes, of an activation of shape s.
func blockStrides(c *compiler, s kernel.Shape) (pixel, block int64) {
	st := stridesIn(c, s)
	pixel, block = int64(st.block*st.size), int64(c.own.lanes*st.size) // channels-last
	if st.block == c.own.lanes {
		block = pixel * int64(s[2]*s[3])
	}
	return pixel, block
}

// at is the byte offset of channel c of the first pixel of row h of image n.
func (s strides) at(n, c, h int) int {
	return ((((n*s.c+c)/s.block*s.h+h)*s.w)*s.block + c%s.block) * s.size
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
