// Sums, rectifiers and average pooling by oneDNN.

package cpu

import "depthlab/nets/kernel"

// sumPrim returns the primitive y = a + b in layout x, followed by a rectifier if relu.
func sumPrim(c *compiler, x *desc, relu bool) (*prim, error) {
	type key struct {
		x    *desc
		relu bool
	}
	l := c.d.lib
	return newPrim(c.d, key{x, relu}, func(pd *uintptr) (s status, err error) {
		var attr uintptr
		if relu {
			var ops uintptr
			if err := check(l.attrCreate(&attr), "attributes"); err != nil {
				return 0, err
			}
			defer l.attrDestroy(attr)
			if err := check(l.postOpsCreate(&ops), "post-ops"); err != nil {
				return 0, err
			}
			defer l.postOpsDestroy(ops)
			if err := check(l.postOpsEltwise(ops, algRelu, 0, 0), "post-op relu"); err != nil {
				return 0, err
			}
			if err := check(l.attrSetPostOps(attr, ops), "post-ops"); err != nil {
				return 0, err
			}
		}
		return l.binary(pd, c.d.engine, algAdd, x.handle, x.handle, x.handle, attr), nil
	})
}

// addTo appends y += input i, followed by a rectifier if relu.
func addTo(c *compiler, y mem, i int, relu bool) error {
	p, err := sumPrim(c, y.desc, relu)
	if err != nil {
		return err
	}
	b, err := c.in(i, y.desc)
	if err != nil {
		return err
	}
	c.call(p, arg{argSrc, y}, arg{argSrc1, b}, arg{argDst, y})
	return nil
}

// libraryAdd: a, b -> y.
func libraryAdd(c *compiler) error {
	x, err := natural(c, c.outShape(0))
	if err != nil {
		return err
	}
	p, err := sumPrim(c, x, false)
	if err != nil {
		return err
	}
	a, y, err := inOut(c, 0, 0, x)
	if err != nil {
		return err
	}
	b, err := c.in(1, x)
	if err != nil {
		return err
	}
	c.call(p, arg{argSrc, a}, arg{argSrc1, b}, arg{argDst, y})
	return nil
}

// reluBackward appends d = dy where y is above 0, else 0.
func reluBackward(c *compiler, y, dy, d mem) error {
	type key struct {
		x        *desc
		backward bool
	}
	l, e, x := c.d.lib, c.d.engine, d.desc
	hint, err := newPrim(c.d, key{x, false}, func(pd *uintptr) (status, error) {
		return l.eltForward(pd, e, propTraining, algReluUseDst, x.handle, x.handle, 0, 0, 0), nil
	})
	if err != nil {
		return err
	}
	p, err := newPrim(c.d, key{x, true}, func(pd *uintptr) (status, error) {
		return l.eltBackward(pd, e, algReluUseDst, x.handle, x.handle, x.handle, 0, 0, hint.pd, 0), nil
	})
	if err != nil {
		return err
	}
	c.call(p, arg{argDst, y}, arg{argDiffDst, dy}, arg{argDiffSrc, d})
	return nil
}

// avgPoolPrim returns the primitive of global average pooling of shape s, or of its gradient.
func avgPoolPrim(c *compiler, s kernel.Shape, backward bool) (*prim, error) {
	type key struct {
		x        *desc
		backward bool
		pool     struct{}
	}
	x, err := c.act(s)
	if err != nil {
		return nil, err
	}
	y, err := c.act(kernel.Shape{s[0], s[1], 1, 1})
	if err != nil {
		return nil, err
	}
	var hint *prim
	if backward {
		if hint, err = avgPoolPrim(c, s, false); err != nil {
			return nil, err
		}
	}
	l, e := c.d.lib, c.d.engine
	window, stride, none := dims{int64(s[2]), int64(s[3])}, dims{1, 1}, dims{}
	return newPrim(c.d, key{x: x, backward: backward}, func(pd *uintptr) (status, error) {
		if backward {
			return l.poolBackward(pd, e, algPoolAverage, x.handle, y.handle, &stride, &window, &none, &none, &none, hint.pd, 0), nil
		}
		return l.poolForward(pd, e, propTraining, algPoolAverage, x.handle, y.handle, &stride, &window, &none, &none, &none, 0), nil
	})
}

// pooled returns a pooled activation (N, C, 1, 1) in the primitive's layout, and in plain
// float32, which is that of its buffer (N, C). In float32 both are the same memory.
func pooled(c *compiler, s kernel.Shape, m mem) (prims, plain mem, same bool, err error) {
	s = kernel.Shape{s[0], s[1], 1, 1}
	x, err := c.act(s)
	if err != nil {
		return
	}
	if c.dtype == f32 {
		m.desc = x
		return m, m, true, nil
	}
	p, err := plainDesc(c.d, s)
	m.desc = p
	return c.temp(x), m, false, err
}

// libraryAvgPool: x (N,C,H,W) -> y (N,C).
func libraryAvgPool(c *compiler) error {
	s := c.inShape(0)
	p, err := avgPoolPrim(c, s, false)
	if err != nil {
		return err
	}
	x, err := p.query(querySrc)
	if err != nil {
		return err
	}
	src, err := c.in(0, x)
	if err != nil {
		return err
	}
	y, plain, same, err := pooled(c, s, keptMem(c, c.instr.Out[0]))
	if err != nil {
		return err
	}
	c.call(p, arg{argSrc, src}, arg{argDst, y})
	if same {
		return nil
	}
	o, err := c.reorder(y, plain)
	c.ops = append(c.ops, o)
	return err
}

// libraryAvgPoolGrad: dy (N,C) -> dx (N,C,H,W).
func libraryAvgPoolGrad(c *compiler) error {
	s := c.outShape(0)
	p, err := avgPoolPrim(c, s, true)
	if err != nil {
		return err
	}
	x, err := p.query(queryDiffSrc)
	if err != nil {
		return err
	}
	dy, plain, same, err := pooled(c, s, keptMem(c, c.instr.In[0]))
	if err != nil {
		return err
	}
	if !same {
		o, err := c.reorder(plain, dy)
		if err != nil {
			return err
		}
		c.ops = append(c.ops, o)
	}
	dx, err := c.out(0, x)
	if err != nil {
		return err
	}
	c.call(p, arg{argDiffDst, dy}, arg{argDiffSrc, dx})
	return nil
}
