// Fuzz test of decoding and cropping.

package photo

import (
	"bytes"
	"image/png"
	"testing"
)

// Any file is refused or gives a complete crop. Cut writes nothing outside the crop, and
// the result does not depend on earlier photos.
func FuzzCut(f *testing.F) {
	whole := encode(f, scene(40, 24), 90)
	f.Add(whole, 16, 8, 0.5, 0.5)
	f.Add(whole[:len(whole)/2], 16, 8, 0.0, 1.0)
	f.Add(encode(f, scene(64, 64), 10), 8, 8, 1.0, 0.0)
	var b bytes.Buffer
	if err := png.Encode(&b, scene(24, 40)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), 20, 16, 0.3, 0.7)
	f.Add([]byte{}, 1, 1, 0.0, 0.0)
	f.Add([]byte("\xff\xd8\xff\xd9"), 8, 8, 0.0, 0.0)
	libs := decoders(f)
	f.Fuzz(func(t *testing.T, file []byte, side, crop int, x, y float64) {
		if crop < 1 || crop > 32 || side < crop || side > 64 || !(x >= 0 && x <= 1 && y >= 0 && y <= 1) {
			return // a question's file cannot ask for this
		}
		v := View{Side: side, W: crop, H: crop/2 + 1, X: x, Y: y}
		for _, lib := range libs {
			c, err := NewCutter(lib)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			n := 3 * v.W * v.H
			dst := bytes.Repeat([]byte{7}, n+64)
			failed := c.Cut(dst[:n], file, v)
			if !bytes.Equal(dst[n:], bytes.Repeat([]byte{7}, 64)) {
				t.Fatalf("%s: wrote beyond the crop", lib)
			}
			other := make([]byte, 3*8*8)
			if err := c.Cut(other, whole, View{Side: 16, W: 8, H: 8, X: 0.5, Y: 0.5}); err != nil {
				t.Fatalf("%s: a sound photo after this one: %v", lib, err)
			}
			again := make([]byte, n)
			if err := c.Cut(again, file, v); (err == nil) != (failed == nil) {
				t.Fatalf("%s: first %v, then %v", lib, failed, err)
			}
			if failed == nil && !bytes.Equal(dst[:n], again) {
				t.Fatalf("%s: another crop the second time", lib)
			}
		}
	})
}
