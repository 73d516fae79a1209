// Elementwise kernels: rectifier, constant factor, gate.

package lower

import "depthlab/nets/kernel"

func (e *emitter) relu(in []value) []value {
	return []value{e.max(in[0], e.constant(0, in[0].elem, in[0].dims...))}
}

func (e *emitter) reluGrad(in []value) []value {
	y, dy := in[0], in[1]
	zero := func(x value) value { return e.constant(0, x.elem, x.dims...) }
	return []value{e.pick(e.compare("GT", y, zero(y)), dy, zero(dy))}
}

// factor is what a gate multiplies by: sigmoid of z + bias, or of its negative.
func (e *emitter) factor(k kernel.Gate, z, bias value) value {
	t := e.add(e.convert(z, f32), e.broadcast(bias, z.dims, 3))
	if k.Carry {
		t = e.elementwise("negate", t)
	}
	return e.elementwise("logistic", t)
}

func (e *emitter) gate(k kernel.Gate, in []value) []value {
	return []value{e.mul(e.convert(in[0], f32), e.factor(k, in[1], in[2]))}
}

func (e *emitter) gateGrad(k kernel.GateGrad, in []value) []value {
	g := e.factor(k.Gate, in[1], in[2])
	d := e.convert(in[3], f32)
	dx := e.mul(d, g)
	slope := e.mul(e.mul(dx, e.convert(in[0], f32)), e.sub(e.constant(1, f32, g.dims...), g))
	if k.Carry {
		slope = e.elementwise("negate", slope)
	}
	return []value{dx, slope, e.reduce("add", slope, 0, 1, 2)}
}
