package lower

import "depthlab/nets/kernel"

// optimizes reports whether there is an emitter for an optimizer.
func optimizes(k kernel.Optimizer) bool {
	switch k.(type) {
	case kernel.SGD:
		return true
	}
	return false
}

func (e *emitter) optimizer(k kernel.Optimizer, in []value) []value {
	w, g, state, rates := kernel.OptimizerOperands(in)
	rate := e.spread(e.reshape(e.slice(rates, []int{0}, []int{1}, []int{1})), w.dims)
	switch k := k.(type) {
	case kernel.SGD:
		return e.sgd(k, w, g, state[0], rate)
	}
	panic("lower: an optimizer without emitter") // Lower asks Supports first
}

func (e *emitter) sgd(k kernel.SGD, w, g, v, rate value) []value {
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
	return []value{e.sub(w, e.mul(rate, v)), v}
}
