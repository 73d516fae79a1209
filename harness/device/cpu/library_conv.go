// Convolutions by oneDNN.

package cpu

import "depthlab/nets/kernel"

// convKey identifies a convolution primitive; n, c, h, w are the shape of its input.
type convKey struct {
	kind       byte // 'f'orward, 'd'ata gradient, 'w'eight gradient
	conv       kernel.Conv
	n, c, h, w int
	x, y       *desc
	dtype      int32
}

// convPrim returns the primitive of a convolution of x (N, C, H, W) to y (N, Out, H', W')
// or of its gradient. x and y are in the layout of activations, the weight in the layout that
// oneDNN chooses.
func convPrim(c *compiler, kind byte, k kernel.Conv, x, y kernel.Shape) (*prim, error) {
	xd, err := c.act(x)
	if err != nil {
		return nil, err
	}
	yd, err := c.act(y)
	if err != nil {
		return nil, err
	}
	ws := kernel.Shape{k.Out, x[1], k.Size, k.Size}
	wd, err := describeLayout(c.d, ws, c.dtype, tagAny)
	if err != nil {
		return nil, err
	}
	var hint *prim
	if kind != 'f' {
		if hint, err = convPrim(c, 'f', k, x, y); err != nil {
			return nil, err
		}
	}
	// The weight gradient is float32 in every precision.
	gd, err := describeLayout(c.d, ws, f32, tagAny)
	if err != nil {
		return nil, err
	}
	stride, pad, none := dims{int64(k.Stride), int64(k.Stride)}, dims{int64(k.Pad), int64(k.Pad)}, dims{}
	l, e := c.d.lib, c.d.engine
	return newPrim(c.d, convKey{kind, k, x[0], x[1], x[2], x[3], xd, yd, c.dtype}, func(pd *uintptr) (status, error) {
		switch kind {
		case 'd':
			return l.convBackData(pd, e, algConvDirect, xd.handle, wd.handle, yd.handle, &stride, &none, &pad, &pad, hint.pd, 0), nil
		case 'w':
			return l.convBackWeights(pd, e, algConvDirect, xd.handle, gd.handle, 0, yd.handle, &stride, &none, &pad, &pad, hint.pd, 0), nil
		}
		return l.convForward(pd, e, propTraining, algConvDirect, xd.handle, wd.handle, 0, yd.handle, &stride, &none, &pad, &pad, 0), nil
	})
}

// libraryConv: x, w -> y.
func libraryConv(c *compiler, k kernel.Conv) error {
	p, err := convPrim(c, 'f', k, c.inShape(0), c.outShape(0))
	if err != nil {
		return err
	}
	return bindPrim(c, p,
		operand{argSrc, 0, false, querySrc}, operand{argWeights, 1, false, queryWeights}, operand{argDst, 0, true, queryDst})
}

// libraryConvGradInput: w, dy -> dx.
func libraryConvGradInput(c *compiler, k kernel.ConvGradInput) error {
	p, err := convPrim(c, 'd', k.Conv, c.outShape(0), c.inShape(1))
	if err != nil {
		return err
	}
	return bindPrim(c, p,
		operand{argWeights, 0, false, queryWeights}, operand{argDiffDst, 1, false, queryDiffDst}, operand{argDiffSrc, 0, true, queryDiffSrc})
}

// libraryConvGradWeight: x, dy -> dw.
func libraryConvGradWeight(c *compiler, k kernel.ConvGradWeight) error {
	p, err := convPrim(c, 'w', k.Conv, c.inShape(0), c.inShape(1))
	if err != nil {
		return err
	}
	return bindPrim(c, p,
		operand{argSrc, 0, false, querySrc}, operand{argDiffDst, 1, false, queryDiffDst}, operand{argDiffWeights, 0, true, queryDiffWeights})
}

// operand is an operand of the instruction as an argument of a primitive. query is the
// primitive's descriptor with its layout.
type operand struct {
	arg   int32
	index int
	out   bool
	query int32
}

// bindPrim appends a call of p on operands of the instruction, in the layouts that p wants.
func bindPrim(c *compiler, p *prim, operands ...operand) error {
	var args []arg
	for _, o := range operands {
		want, err := p.query(o.query)
		if err != nil {
			return err
		}
		get := c.in
		if o.out {
			get = c.out
		}
		m, err := get(o.index, want)
		if err != nil {
			return err
		}
		args = append(args, arg{o.arg, m})
	}
	c.call(p, args...)
	return nil
}
