// The speed of resizing.

package photo

import "testing"

// A photo of ImageNet's usual size to the crop of tests.
func BenchmarkResize(b *testing.B) {
	v := View{Side: 256, W: 224, H: 224, X: 0.5, Y: 0.5}
	var c Cutter
	region := c.aim(v, 500, 375, 1)
	c.pixels = grow(nil, c.pixelBytes(region))
	for i := range c.pixels {
		c.pixels[i] = uint8(i*i>>5 ^ i)
	}
	dst := make([]uint8, 3*v.W*v.H)
	for b.Loop() {
		c.resize(dst, region, v)
	}
}
