// Emitters of optimizers.

package lower

import (
	"math"

	"depthlab/nets/kernel"
)

// hasOptimizer reports whether there is an emitter for optimizer k.
func hasOptimizer(k kernel.Optimizer) bool {
	switch k.(type) {
	case kernel.SGD, kernel.Adam:
		return true
	}
	return false
}

func optimizer(e *emitter, k kernel.Optimizer, in []value) []value {
	w, g, state, rates := kernel.OptimizerOperands(in)
	rate := e.broadcast(e.reshape(e.slice(rates, []int{0}, []int{1}, []int{1})), w.dims)
	switch k := k.(type) {
	case kernel.SGD:
		return sgd(e, k, w, g, state[0], rate)
	case kernel.Adam:
		return adam(e, k, w, g, state, rate)
	}
	panic("lower: an optimizer without emitter") // Lower asks Supports first
}

func sgd(e *emitter, k kernel.SGD, w, g, v, rate value) []value {
	d := g
	if k.Decay != 0 {
		d = e.add(g, e.times(w, float64(k.Decay)))
	}
	v = e.times(v, float64(k.Momentum))
	if k.Form == kernel.Caffe {
		v = e.add(v, e.mul(rate, d))
		return []value{e.sub(w, v), v}
	}
	v = e.add(v, d)
	step := v
	if k.Form == kernel.Nesterov {
		step = e.add(d, e.times(v, float64(k.Momentum)))
	}
	return []value{e.sub(w, e.mul(rate, step)), v}
}

func adam(e *emitter, k kernel.Adam, w, g value, state []value, rate value) []value {
	m, v, step := state[0], state[1], e.add(state[2], e.constant(1, f32, 1))
	switch {
	case k.Decay == 0:
	case k.Decoupled:
		w = e.sub(w, e.mul(rate, e.times(w, float64(k.Decay))))
	default:
		g = e.add(g, e.times(w, float64(k.Decay)))
	}
	m = e.add(e.times(m, k.Beta1), e.times(g, 1-k.Beta1))
	v = e.add(e.times(v, k.Beta2), e.times(e.mul(g, g), 1-k.Beta2))
	root := e.elementwise("sqrt", e.elementwise("divide", v, oneMinusPower(e, k.Beta2, step, v.dims)))
	mean := e.elementwise("divide", m, oneMinusPower(e, k.Beta1, step, m.dims))
	return []value{e.sub(w, e.elementwise("divide", e.mul(rate, mean), e.add(root, e.constant(k.Eps, f32, v.dims...)))), m, v, step}
}

// oneMinusPower returns 1 - beta^step, broadcast to dims, as -expm1(step*log(beta)): in the
// first steps the power is near 1, and the difference would lose digits.
func oneMinusPower(e *emitter, beta float64, step value, dims []int) value {
	share := e.times(e.elementwise("exponential_minus_one", e.times(step, math.Log(beta))), -1)
	return e.broadcast(e.reshape(share), dims)
}
