// Operations on one element at a time.

package cpu

import "depthlab/nets/kernel"

// pointwise runs the definition of an operation that is the same for every element, in
// the layout that activations have: no reorder, and any order of elements will do.
func pointwise(c *compiler) error {
	if c.dtype != f32 {
		return translateReference(c)
	}
	instr, s := c.instr, c.outShape(0)
	x, err := c.act(s)
	if err != nil {
		return err
	}
	var ms []mem
	for i := range instr.In {
		m, err := c.in(i, x)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	y, err := c.out(0, x)
	if err != nil {
		return err
	}
	c.host(func() func() {
		flat := func(m mem) kernel.Tensor { return kernel.Tensor{Shape: s, F32: floats(m, s.Len())} }
		var in []kernel.Tensor
		for _, m := range ms {
			in = append(in, flat(m))
		}
		out := []kernel.Tensor{flat(y)}
		return func() { instr.Kernel.Ref(out, in) }
	})
	return nil
}
