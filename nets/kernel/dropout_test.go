// Tests of dropout's masks.

package kernel

import (
	"math"
	"slices"
	"testing"
)

// mask is what becomes of a tensor of ones.
func mask(t *testing.T, k Dropout, shape Shape, noise ...int32) []float32 {
	t.Helper()
	x := New(Float32, shape...)
	for i := range x.F32 {
		x.F32[i] = 1
	}
	return apply(t, k, x, labels(noise...))[0].F32
}

// These bits are part of every result: the hash of MurmurHash3 (its finaliser takes 1 to
// 0x514e28b7), and the masks that are made with it.
func TestMaskBits(t *testing.T) {
	for in, want := range map[uint32]uint32{0: 0, 1: 0x514e28b7, 2: 0x30f4c306, 0xffffffff: 0x81f16f39} {
		if got := Mix(in); got != want {
			t.Errorf("Mix(%#x) is %#x, want %#x", in, got, want)
		}
	}
	got := mask(t, Dropout{Rate: 0.5, Layer: 2}, Shape{2, 2, 2, 4}, 1, -7)
	if want := []float32{1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("masks %v, want %v", got, want)
	}
}

// Each image, each layer and each noise has a mask of its own, which drops the share Rate.
// Any two masks agree where chance makes them agree.
func TestMasks(t *testing.T) {
	const size, rate = 16 * 32 * 32, 0.3
	var masks [][]float32
	for layer := range 3 {
		// Noise of the same image in consecutive steps, and the same with another flip.
		all := mask(t, Dropout{Rate: rate, Layer: layer}, Shape{6, 16, 32, 32}, 0, 1, 2, 3, -1, math.MinInt32)
		for m := range slices.Chunk(all, size) {
			masks = append(masks, m)
		}
	}
	for i, m := range masks {
		var kept float64
		for _, v := range m {
			kept += float64(v)
		}
		if deviation := (kept/size - (1 - rate)) / math.Sqrt(rate*(1-rate)/size); math.Abs(deviation) > 4 {
			t.Errorf("mask %d keeps %.4f, which is %.1f standard deviations from %g", i, kept/size, deviation, 1-rate)
		}
		for j, other := range masks[:i] {
			var same float64
			for n := range m {
				if m[n] == other[n] {
					same++
				}
			}
			const p = rate*rate + (1-rate)*(1-rate)
			if deviation := (same/size - p) / math.Sqrt(p*(1-p)/size); math.Abs(deviation) > 4.5 {
				t.Errorf("masks %d and %d agree in %.4f, which is %.1f standard deviations from %.4f", j, i, same/size, deviation, p)
			}
		}
	}
}

// An image's mask does not depend on the other images of the batch.
func TestMaskOfImage(t *testing.T) {
	k, shape := Dropout{Rate: 0.5}, Shape{3, 2, 3, 4}
	all := mask(t, k, shape, 5, -6, 7)
	for n, noise := range []int32{5, -6, 7} {
		if one := mask(t, k, Shape{1, 2, 3, 4}, noise); !slices.Equal(one, all[n*24:][:24]) {
			t.Errorf("image %d alone has the mask %v, in the batch %v", n, one, all[n*24:][:24])
		}
	}
}

// A dropped element is 0 even if it was not finite.
func TestDropsNaN(t *testing.T) {
	x := New(Float32, 1, 1, 8, 8)
	for i := range x.F32 {
		x.F32[i] = float32(math.NaN())
	}
	for i, v := range apply(t, Dropout{Rate: 0.5}, x, labels(3))[0].F32 {
		if kept := mask(t, Dropout{Rate: 0.5}, x.Shape, 3)[i]; (kept == 0) != (v == 0) {
			t.Errorf("element %d is %v, its mask %v", i, v, kept)
		}
	}
}
