// The linear layer and its gradients by oneDNN: matrix products of plain buffers, which a
// descriptor may transpose.

package cpu

import (
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// libraryMatmul appends dst = a b + bias. bias is one row; there is none if its block is nil.
func (c *compiler) libraryMatmul(a, b, bias, dst mem) error {
	type key struct{ a, b, bias, dst *desc }
	l := c.d.lib
	p, err := c.d.prim(key{a.desc, b.desc, bias.desc, dst.desc}, func(pd *uintptr) (status, error) {
		var row uintptr
		if bias.block != nil {
			row = bias.desc.handle
		}
		return l.matmul(pd, c.d.engine, a.desc.handle, b.desc.handle, row, dst.desc.handle, 0), nil
	})
	if err != nil {
		return err
	}
	args := []arg{{argSrc, a}, {argWeights, b}, {argDst, dst}}
	if bias.block != nil {
		args = append(args, arg{argBias, bias})
	}
	c.call(p, args...)
	return nil
}

// transposed is a matrix (R, C) as its transpose (C, R), without copying.
func (c *compiler) transposed(id program.BufID) (mem, error) {
	m, s := c.kept(id), c.shape(id)
	var err error
	m.desc, err = c.d.desc(kernel.Shape{s[1], s[0]}, f32, tagTransposed)
	return m, err
}

// libraryLinear: x (N,I), w (Out,I), b (Out) -> y (N,Out).
func (c *compiler) libraryLinear(k kernel.Linear) error {
	w, err := c.transposed(c.instr.In[1])
	if err != nil {
		return err
	}
	b := c.kept(c.instr.In[2])
	if b.desc, err = c.d.plain(kernel.Shape{1, k.Out}); err != nil {
		return err
	}
	return c.libraryMatmul(c.kept(c.instr.In[0]), w, b, c.kept(c.instr.Out[0]))
}

// libraryLinearGradInput: w (Out,I), dy (N,Out) -> dx (N,I).
func (c *compiler) libraryLinearGradInput() error {
	return c.libraryMatmul(c.kept(c.instr.In[1]), c.kept(c.instr.In[0]), mem{}, c.kept(c.instr.Out[0]))
}

// libraryLinearGradWeight: x (N,I), dy (N,Out) -> dw (Out,I).
func (c *compiler) libraryLinearGradWeight() error {
	dy, err := c.transposed(c.instr.In[1])
	if err != nil {
		return err
	}
	return c.libraryMatmul(dy, c.kept(c.instr.In[0]), mem{}, c.kept(c.instr.Out[0]))
}
