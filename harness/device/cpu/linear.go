// The linear layer and its gradients: matrix products, in float32 in every precision.

package cpu

import (
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// fitsMatmul reports whether the direct kernel supports a matrix product with this many rows.
func fitsMatmul(c *compiler, rows int) bool {
	return c.own.floats.direct != 0 && rows >= c.own.tileRows()
}

// linear: x (N,I), w (Out,I), b (Out) -> y (N,Out).
func linear(c *compiler, k kernel.Linear) error {
	x := c.inShape(0)
	switch {
	case fitsMatmul(c, x[0]):
	case c.d.lib != nil:
		return libraryLinear(c, k)
	default:
		return translateReference(c)
	}
	return matmul(c, 0, x[0], int64(x[1]*4), 4, 1, matrix(k.Out, x[1], false), c.instr.In[2:])
}

// linearGradInput: w (Out,I), dy (N,Out) -> dx (N,I).
func linearGradInput(c *compiler) error {
	w, dy := c.inShape(0), c.inShape(1)
	switch {
	case fitsMatmul(c, dy[0]):
	case c.d.lib != nil:
		return libraryLinearGradInput(c)
	default:
		return translateReference(c)
	}
	return matmul(c, 1, dy[0], int64(dy[1]*4), 4, 0, matrix(w[0], w[1], true), nil)
}

// linearGradWeight: x (N,I), dy (N,Out) -> dw (Out,I).
func linearGradWeight(c *compiler) error {
	x, dy := c.inShape(0), c.inShape(1)
	switch {
	case fitsMatmul(c, dy[1]):
	case c.d.lib != nil:
		return libraryLinearGradWeight(c)
	default:
		return translateReference(c)
	}
	return matmul(c, 1, dy[1], 4, int64(dy[1]*4), 0, matrix(x[0], x[1], true), nil)
}

// matmul appends output 0 = input i x input j + bias. Input i has rows rows, with strides of
// rowStep and step bytes; p is the packing of input j. bias holds one buffer, or none.
func matmul(c *compiler, i, rows int, rowStep, step int64, j int, p packing, bias []program.BufID) error {
	a, err := plainIn(c, i)
	if err != nil {
		return err
	}
	w, err := packed(c, j, p)
	if err != nil {
		return err
	}
	y, err := plainOut(c, 0)
	if err != nil {
		return err
	}
	product, columns, err := product(c, a, rows, rowStep, step, w, p)
	if err != nil {
		return err
	}
	c.host(func() func() {
		from, to, shift := floats(product, rows*columns), floats(y, rows*p.outs), make([]float32, p.outs)
		if bias != nil {
			shift = vector(c, bias[0])
		}
		return func() {
			for r := range rows {
				for o, v := range from[r*columns:][:p.outs] {
					to[r*p.outs+o] = v + shift[o]
				}
			}
		}
	})
	return nil
}
