// The linear layer and its gradients by oneDNN: matrix products of plain buffers, which a
// descriptor may transpose.

package cpu

import (
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// libraryMatmul appends dst = a b + bias. bias is one row; there is none if its block is nil.
func libraryMatmul(c *compiler, a, b, bias, dst mem) error {
	type key struct{ a, b, bias, dst *desc }
	l := c.d.lib
	p, err := newPrim(c.d, key{a.desc, b.desc, bias.desc, dst.desc}, func(pd *uintptr) (status, error) {
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
func transposed(c *compiler, id program.BufID) (mem, error) {
	m, s := keptMem(c, id), c.shape(id)
	var err error
	m.desc, err = describeLayout(c.d, kernel.Shape{s[1], s[0]}, f32, tagTransposed)
	return m, err
}

// libraryLinear: x (N,I), w (Out,I), b (Out) -> y (N,Out).
func libraryLinear(c *compiler, k kernel.Linear) error {
	w, err := transposed(c, c.instr.In[1])
	if err != nil {
		return err
	}
	b := keptMem(c, c.instr.In[2])
	if b.desc, err = plainDesc(c.d, kernel.Shape{1, k.Out}); err != nil {
		return err
	}
	return libraryMatmul(c, keptMem(c, c.instr.In[0]), w, b, keptMem(c, c.instr.Out[0]))
}

// libraryLinearGradInput: w (Out,I), dy (N,Out) -> dx (N,I).
func libraryLinearGradInput(c *compiler) error {
	return libraryMatmul(c, keptMem(c, c.instr.In[1]), keptMem(c, c.instr.In[0]), mem{}, keptMem(c, c.instr.Out[0]))
}

// libraryLinearGradWeight: x (N,I), dy (N,Out) -> dw (Out,I).
func libraryLinearGradWeight(c *compiler) error {
	dy, err := transposed(c, c.instr.In[1])
	if err != nil {
		return err
	}
	return libraryMatmul(c, dy, keptMem(c, c.instr.In[0]), mem{}, keptMem(c, c.instr.Out[0]))
}
