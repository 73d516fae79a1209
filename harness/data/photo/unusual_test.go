// Tests of JPEGs that Go's decoder does not read.

package photo

import (
	"bytes"
	"image"
	"testing"
)

// plainJPEG is a grey JPEG of 48x48 pixels whose colours are sampled as sampling says, a
// byte for each of Y, Cb and Cr. All blocks are empty, so that they are coded alike.
// testdata/unusual.jpg is one with 22, 11, 12.
func plainJPEG(t testing.TB, sampling [3]byte) []byte {
	t.Helper()
	head := encode(t, image.NewRGBA(image.Rect(0, 0, 8, 8)), 90)
	frame, scan := bytes.Index(head, []byte{0xff, 0xc0}), bytes.Index(head, []byte{0xff, 0xda})
	b := bytes.Clone(head[:scan])
	b[frame+6], b[frame+8] = 48, 48 // height, width
	across, down, blocks := 1, 1, 0
	for i, s := range sampling {
		b[frame+11+3*i], b[frame+12+3*i] = s, 0
		across, down, blocks = max(across, int(s>>4)), max(down, int(s&15)), blocks+int(s>>4)*int(s&15)
	}
	b = append(b, 0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0)
	blocks *= (48 + 8*across - 1) / (8 * across) * ((48 + 8*down - 1) / (8 * down))
	var bits []byte
	for range blocks {
		bits = append(bits, 0, 0, 1, 0, 1, 0) // no change of DC, no AC
	}
	for len(bits)%8 != 0 {
		bits = append(bits, 1)
	}
	for i := 0; i < len(bits); i += 8 {
		var x byte
		for _, bit := range bits[i : i+8] {
			x = x<<1 | bit
		}
		b = append(b, x)
	}
	return append(b, 0xff, 0xd9)
}

// Any sampling of the colours is read by libjpeg-turbo, in training and in tests.
func TestUnusualSampling(t *testing.T) {
	l := library(t)
	for _, sampling := range [][3]byte{{0x22, 0x11, 0x12}, {0x31, 0x11, 0x11}, {0x11, 0x21, 0x21}, {0x14, 0x11, 0x11}, {0x22, 0x11, 0x11}} {
		file := plainJPEG(t, sampling)
		c, err := NewCutter(l)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if w, h, err := c.Size(file); w != 48 || h != 48 || err != nil {
			t.Errorf("%x: %d x %d pixels, %v", sampling, w, h, err)
		}
		for _, v := range []View{{Side: 24, W: 20, H: 20, X: 0.9, Y: 0.2}, {Side: 40, W: 20, H: 20, Exact: true}} {
			dst := make([]uint8, 3*v.W*v.H)
			if err := c.Cut(dst, file, v); err != nil {
				t.Errorf("%x: %v", sampling, err)
				continue
			}
			for i, u := range dst {
				if u < 127 || u > 129 {
					t.Fatalf("%x: byte %d is %d, want grey", sampling, i, u)
				}
			}
		}
	}
}
