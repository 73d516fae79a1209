package onednn

import (
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// instruction turns the instruction in work into ops.
func (c *compiler) instruction() error {
	switch k := c.instr.Kernel.(type) {
	case kernel.Conv:
		return c.conv(k)
	case kernel.ConvGradInput:
		return c.convGradInput(k)
	case kernel.ConvGradWeight:
		return c.convGradWeight(k)
	case kernel.BatchNorm:
		return c.batchNorm(k)
	case kernel.BatchNormGrad:
		return c.batchNormGrad(k)
	case kernel.BatchNormInfer:
		return c.batchNormInfer(k)
	case kernel.Add:
		return c.add()
	case kernel.MaxPool:
		return c.maxPool(k)
	case kernel.MaxPoolGrad:
		return c.maxPoolGrad(k)
	case kernel.AvgPool:
		return c.avgPool()
	case kernel.AvgPoolGrad:
		return c.avgPoolGrad()
	case kernel.Linear:
		return c.linear(k)
	case kernel.LinearGradInput:
		return c.linearGradInput()
	case kernel.LinearGradWeight:
		return c.linearGradWeight()
	case kernel.Pad:
		return c.pad(k, 0, 0, c.inShape(0), c.outShape(0), false)
	case kernel.PadGrad:
		return c.pad(k.Pad, 0, 0, c.outShape(0), c.inShape(0), true)
	case kernel.Batch:
		return c.batch(k)
	}
	// The loss and the updates are below a hundredth of a step: their
	// definition is fast enough.
	return c.reference()
}

// reference runs the instruction's definition on its buffers, which are all
// kept in plain layout.
func (c *compiler) reference() error {
	instr := c.instr
	out, err := c.plainAll(instr.Out, c.out)
	if err != nil {
		return err
	}
	in, err := c.plainAll(instr.In, c.in)
	if err != nil {
		return err
	}
	c.host(func() func() {
		o, i := c.tensors(instr.Out, out), c.tensors(instr.In, in)
		return func() { instr.Kernel.Ref(o, i) }
	})
	return nil
}

// plainAll gives operands in plain layout.
func (c *compiler) plainAll(ids []program.BufID, get func(int, *desc) (mem, error)) ([]mem, error) {
	var ms []mem
	for i, id := range ids {
		want := c.home[id]
		if want != nil {
			var err error
			if want, err = c.d.plain(c.shape(id)); err != nil {
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

func (c *compiler) tensors(ids []program.BufID, ms []mem) []kernel.Tensor {
	var ts []kernel.Tensor
	for i, id := range ids {
		b := &c.prog.Buffers[id]
		ts = append(ts, ms[i].block.tensor(b.Type, b.Shape))
	}
	return ts
}

// batch: images, labels, rows, mean, scale, fill -> input, label. One thread
// does: half a millisecond at CIFAR's sizes, and oneDNN's idle workers may
// still hold the other cores.
func (c *compiler) batch(k kernel.Batch) error {
	instr := c.instr
	out, err := c.plainAll(instr.Out, c.out)
	if err != nil {
		return err
	}
	in, err := c.plainAll(instr.In, c.in)
	if err != nil {
		return err
	}
	c.host(func() func() {
		o, i := c.tensors(instr.Out, out), c.tensors(instr.In, in)
		return func() { loadBatch(k, o, i) }
	})
	return nil
}

// loadBatch is kernel.Batch row by row: a row of the crop is a piece of the
// image's row between two margins.
func loadBatch(k kernel.Batch, out, in []kernel.Tensor) {
	images, labels, rows := in[0], in[1].I32, in[2].I32[k.First*4:]
	mean, scale, fill := in[3].F32, in[4].F32, in[5].F32
	C, H, W := images.Shape[1], images.Shape[2], images.Shape[3]
	x, label := out[0].F32, out[1].I32
	area := k.H * k.W
	for n := range label {
		row := rows[n*4:][:4]
		d := int(row[0])
		if d < 0 {
			label[n] = -1
			clear(x[n*C*area:][:C*area])
			continue
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
				if row[3] != 0 {
					for i, j := 0, k.W-1; i < j; i, j = i+1, j-1 {
						dst[i], dst[j] = dst[j], dst[i]
					}
				}
			}
		}
	}
}

func fillRow(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// pad copies between the pixels x (N,C,H,W) and y (N,Out,H',W') that shortcut
// A connects, forward or back, and zeroes the rest of the destination.
func (c *compiler) pad(k kernel.Pad, in, out int, x, y kernel.Shape, back bool) error {
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
	xs, ys := c.strides(x), c.strides(y)
	size := xs.size
	first := k.First(x[1])
	run := gcd(gcd(xs.block, ys.block), first) // channels that lie together on both sides
	c.host(func() func() {
		src := slice[byte](from.block, from.offset, int(fromDesc.size))
		dst := slice[byte](to.block, to.offset, int(toDesc.size))
		return func() {
			clear(dst)
			for n := range x[0] {
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
			}
		}
	})
	return nil
}

// strides locates elements of an activation of shape s: blocks of channels,
// each a plane of pixels, each with the block's channels together.
type strides struct{ block, c, h, w, size int }

func (c *compiler) strides(s kernel.Shape) strides {
	st := strides{block: 1, c: s[1], h: s[2], w: s[3], size: 4}
	if c.dtype == bf16 {
		st.size = 2
	}
	if c.layout.fits(s) {
		st.block = c.layout.block
		if st.block == 0 {
			st.block = s[1]
		}
	}
	return st
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
