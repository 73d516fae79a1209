// Dropout.

package kernel

import "fmt"

// Dropout sets each element to 0 with the probability Rate and leaves the others as they
// are (Hinton et al. 2012, arXiv:1207.0580): x (N,C,H,W), noise int32 (N) -> y. In tests
// the factor 1 - Rate stands in for it (Scale). (PyTorch's dropout divides by 1 - Rate in
// training instead.) It is its own gradient.
//
// noise are random bits of each image, from its row of the batch. The masks are a hash of
// noise, Layer and the element's place in the image. So they need no generator state, and
// are the same on every device, however the batch is divided.
type Dropout struct {
	Rate  float32 // from 0 to 1, rounded down to a multiple of 2^-24
	Layer int     // the dropouts of a net are numbered, so that each has masks of its own
}

func (k Dropout) String() string { return fmt.Sprintf("dropout %g #%d", k.Rate, k.Layer) }

func (k Dropout) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4, 1); err != nil {
		return nil, err
	}
	if in[1][0] != in[0][0] {
		return nil, fmt.Errorf("%s: %d images but noise for %d", k, in[0][0], in[1][0])
	}
	return in[:1], nil
}

func (k Dropout) Cost(in []Shape) (flops, bytes int64) {
	return 16 * int64(in[0].Len()), bytesOf(in, in[:1])
}

func (k Dropout) Ref(out, in []Tensor) {
	if is64(in) {
		dropoutRef[float64](k, out[0], in)
	} else {
		dropoutRef[float32](k, out[0], in)
	}
}

func dropoutRef[T Float](k Dropout, yt Tensor, in []Tensor) {
	y, x := floats[T](yt), floats[T](in[0])
	size := len(x) / len(in[1].I32)
	parallel(len(in[1].I32), func(n int) {
		key := k.Key(in[1].I32[n])
		for i := range size {
			v := x[n*size+i]
			if k.Drops(key, i) {
				v = 0
			}
			y[n*size+i] = v
		}
	})
}

// Key is what the mask of an image depends on, given the image's noise.
func (k Dropout) Key(noise int32) uint32 { return Mix(Mix(uint32(noise)) ^ uint32(k.Layer)) }

// Drops reports whether element i of an image (C,H,W) becomes 0, given the image's key.
func (k Dropout) Drops(key uint32, i int) bool {
	return Mix(Mix(uint32(i))^key)>>8 < k.Threshold()
}

// Threshold is Rate as a multiple of 2^-24: an element becomes 0 if the upper 24 bits of
// its hash are below it.
func (k Dropout) Threshold() uint32 { return uint32(float64(k.Rate) * (1 << 24)) }

// The multipliers of Mix.
const (
	Mix1 = 0x85ebca6b
	Mix2 = 0xc2b2ae35
)

// Mix is MurmurHash3's finaliser fmix32 (Appleby, github.com/aappleby/smhasher): a
// permutation of the 32-bit numbers that changes half of the bits if one bit changes.
func Mix(h uint32) uint32 {
	h = (h ^ h>>16) * Mix1
	h = (h ^ h>>13) * Mix2
	return h ^ h>>16
}
