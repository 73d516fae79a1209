// Elementwise kernels: rectifier, constant factor, gate.

package lower

import "depthlab/nets/kernel"

func relu(e *emitter, in []value) []value {
	return []value{e.max(in[0], e.constant(0, in[0].elem, in[0].dims...))}
}

func reluGrad(e *emitter, in []value) []value {
	y, dy := in[0], in[1]
	zero := func(x value) value { return e.constant(0, x.elem, x.dims...) }
	return []value{e.pick(e.compare("GT", y, zero(y)), dy, zero(dy))}
}

// factor is what a gate multiplies by: sigmoid of z + bias, or of its negative.
func factor(e *emitter, k kernel.Gate, z, bias value) value {
	t := e.add(e.convert(z, f32), e.broadcast(bias, z.dims, 3))
	if k.Carry {
		t = e.elementwise("negate", t)
	}
	return e.elementwise("logistic", t)
}

func gate(e *emitter, k kernel.Gate, in []value) []value {
	return []value{e.mul(e.convert(in[0], f32), factor(e, k, in[1], in[2]))}
}

func gateGrad(e *emitter, k kernel.GateGrad, in []value) []value {
	g := factor(e, k.Gate, in[1], in[2])
	d := e.convert(in[3], f32)
	dx := e.mul(d, g)
	slope := e.mul(e.mul(dx, e.convert(in[0], f32)), e.sub(e.constant(1, f32, g.dims...), g))
	if k.Carry {
		slope = e.elementwise("negate", slope)
	}
	return []value{dx, slope, e.reduce("add", slope, 0, 1, 2)}
}
