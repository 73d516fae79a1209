package lower

import "depthlab/nets/kernel"

func (e *emitter) sgd(k kernel.SGD, in []value) []value {
	w, g, v, rates := in[0], in[1], in[2], in[3]
	rate := e.spread(e.reshape(e.slice(rates, []int{0}, []int{1}, []int{1})), w.dims)
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
