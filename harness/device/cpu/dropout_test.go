// Test of dropout's inner loop, also of bfloat16, which the suite runs on few CPUs.

package cpu

import (
	"testing"

	"depthlab/nets/kernel"
)

func TestDrop(t *testing.T) {
	testDrop[uint16](t)
	testDrop[uint32](t)
}

func testDrop[T uint16 | uint32](t *testing.T) {
	x, y, places := make([]T, 300), make([]T, 300), make([]uint32, 300)
	for i := range x {
		x[i], places[i] = T(0x3f80+i), kernel.Mix(uint32(i))
	}
	for _, k := range []kernel.Dropout{{Rate: 0.001}, {Rate: 0.5, Layer: 1}, {Rate: 0.999, Layer: 2}} {
		key := k.Key(-77)
		drop(y, x, places, key, k.Threshold())
		for i := range y {
			want := x[i]
			if k.Drops(key, i) {
				want = 0
			}
			if y[i] != want {
				t.Fatalf("%T, %s: element %d is %#x, want %#x", y, k, i, y[i], want)
			}
		}
	}
}
