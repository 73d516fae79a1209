// Emitter of Dropout.

package lower

import "depthlab/nets/kernel"

// dropout hashes noise, layer and the element's place in the image as kernel.Dropout does.
// StableHLO multiplies and shifts int32 as it does unsigned numbers.
func dropout(e *emitter, k kernel.Dropout, in []value) []value {
	x, noise := in[0], in[1]
	key := mix(e, e.elementwise("xor", mix(e, noise), e.constant(float64(k.Layer), i32, noise.dims...)))
	h, w, c := x.dims[1], x.dims[2], x.dims[3]
	image := []int{h, w, c}
	number := func(v int) value { return e.constant(float64(v), i32, image...) }
	place := e.add(e.mul(e.iota(i32, 2, image...), number(h*w)), e.add(e.mul(e.iota(i32, 0, image...), number(w)), e.iota(i32, 1, image...)))
	hash := mix(e, e.elementwise("xor", e.broadcast(mix(e, place), x.dims, 1, 2, 3), e.broadcast(key, x.dims, 0)))
	kept := e.compare("GE", shiftRight(e, hash, 8), e.constant(float64(k.Threshold()), i32, x.dims...))
	return []value{e.pick(kept, x, e.constant(0, x.elem, x.dims...))}
}

// mix is kernel.Mix of each element.
func mix(e *emitter, h value) value {
	times := func(x value, factor uint32) value { return e.times(x, float64(int32(factor))) }
	h = times(e.elementwise("xor", h, shiftRight(e, h, 16)), kernel.Mix1)
	h = times(e.elementwise("xor", h, shiftRight(e, h, 13)), kernel.Mix2)
	return e.elementwise("xor", h, shiftRight(e, h, 16))
}

// shiftRight shifts each element by so many bits to the right, and zeros into it.
func shiftRight(e *emitter, x value, bits int) value {
	return e.elementwise("shift_right_logical", x, e.constant(float64(bits), x.elem, x.dims...))
}
