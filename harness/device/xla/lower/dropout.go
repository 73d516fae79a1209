// Emitter of Dropout.

package lower

import "depthlab/nets/kernel"

// dropout hashes noise, layer and the element's place in the image as kernel.Dropout does.
// StableHLO multiplies and shifts int32 as it does unsigned numbers.
func (e *emitter) dropout(k kernel.Dropout, in []value) []value {
	x, noise := in[0], in[1]
	key := e.mix(e.elementwise("xor", e.mix(noise), e.constant(float64(k.Layer), i32, noise.dims...)))
	h, w, c := x.dims[1], x.dims[2], x.dims[3]
	image := []int{h, w, c}
	number := func(v int) value { return e.constant(float64(v), i32, image...) }
	place := e.add(e.mul(e.iota(i32, 2, image...), number(h*w)), e.add(e.mul(e.iota(i32, 0, image...), number(w)), e.iota(i32, 1, image...)))
	hash := e.mix(e.elementwise("xor", e.broadcast(e.mix(place), x.dims, 1, 2, 3), e.broadcast(key, x.dims, 0)))
	kept := e.compare("GE", e.shift(hash, 8), e.constant(float64(k.Threshold()), i32, x.dims...))
	return []value{e.pick(kept, x, e.constant(0, x.elem, x.dims...))}
}

// mix is kernel.Mix of each element.
func (e *emitter) mix(h value) value {
	times := func(x value, factor uint32) value { return e.times(x, float64(int32(factor))) }
	h = times(e.elementwise("xor", h, e.shift(h, 16)), kernel.Mix1)
	h = times(e.elementwise("xor", h, e.shift(h, 13)), kernel.Mix2)
	return e.elementwise("xor", h, e.shift(h, 16))
}

// shift shifts each element by so many bits to the right, and zeros into it.
func (e *emitter) shift(x value, bits int) value {
	return e.elementwise("shift_right_logical", x, e.constant(float64(bits), x.elem, x.dims...))
}
