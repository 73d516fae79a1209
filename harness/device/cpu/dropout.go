// Dropout, in the layout that activations have.

package cpu

import "depthlab/nets/kernel"

// dropout computes kernel.Dropout of activations of any type: it keeps or clears bits. The
// hashes of the places of an image's elements are computed once, in the order of memory.
func dropout(c *compiler, k kernel.Dropout) error {
	s := c.outShape(0)
	x, err := c.act(s)
	if err != nil {
		return err
	}
	from, to, err := inOut(c, 0, 0, x)
	if err != nil {
		return err
	}
	noise, err := c.in(1, nil)
	if err != nil {
		return err
	}
	places := hashedPlaces(c, stridesIn(c, s))
	c.host(func() func() {
		bits := slice[int32](noise.block, noise.offset, s[0])
		if c.dtype == bf16 {
			return dropEach[uint16](c.d, k, from, to, places, bits)
		}
		return dropEach[uint32](c.d, k, from, to, places, bits)
	})
	return nil
}

// hashedPlaces returns the hash of the place of each element of an image (C,H,W), in the
// order of memory.
func hashedPlaces(c *compiler, s strides) []uint32 {
	if known, ok := c.places[s]; ok {
		return known
	}
	all := make([]uint32, s.c*s.h*s.w)
	for ch := range s.c {
		for h := range s.h {
			at := s.at(0, ch, h) / s.size
			for w := range s.w {
				all[at+w*s.block] = kernel.Mix(uint32((ch*s.h+h)*s.w + w))
			}
		}
	}
	c.places[s] = all
	return all
}

func dropEach[T uint16 | uint32](d *Device, k kernel.Dropout, from, to mem, places []uint32, noise []int32) func() {
	size := len(places)
	x, y := slice[T](from.block, from.offset, len(noise)*size), slice[T](to.block, to.offset, len(noise)*size)
	return d.each(len(noise), func(n int) {
		drop(y[n*size:][:size], x[n*size:][:size], places, k.Key(noise[n]), k.Threshold())
	})
}

// drop computes the mask without a branch, which no CPU could predict.
func drop[T uint16 | uint32](y, x []T, places []uint32, key, threshold uint32) {
	x, y = x[:len(places)], y[:len(places)]
	for i, place := range places {
		dropped := int32(kernel.Mix(place^key)>>8-threshold) >> 31 // all ones, or 0
		y[i] = x[i] &^ T(dropped)
	}
}
