// Package photo makes the crops that nets see from files of photographs: it
// decodes JPEG (by libjpeg-turbo where that is at hand) and PNG, resizes as
// Pillow does, and cuts out. Only what ends up in the crop is decoded and
// resized, as far as the format allows.
package photo

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"math"
)

// View is a crop of a photo: the photo is resized until its shorter side has
// Side pixels, and W x H of them are cut out.
type View struct {
	Side, W, H int
	X, Y       float64 // where the crop lies between left and right, top and bottom: 0 to 1
	Exact      bool    // for tests: decoded in full, and placed as torchvision does
	Shift      [3]int  // added to red, green and blue
}

// mostPixels bounds what a header may claim; the largest photo of ImageNet has
// 10^8. mostDense bounds it by the size of the file: one colour all over takes
// a JPEG a byte for some hundred pixels.
const (
	mostPixels = 1 << 28
	mostDense  = 1 << 10
)

// Cutter decodes and cuts, for one goroutine. It keeps its memory from photo to
// photo.
type Cutter struct {
	turbo        *turbo  // nil: Go's decoder
	across, down taps    // of the view at hand
	pixels       []uint8 // decoded, rows of RGBX
	narrow       []uint8 // resized across
	row          []uint8 // resized down, too
}

// NewCutter makes a cutter that decodes with lib; nil for Go's decoder.
func NewCutter(lib *Library) (*Cutter, error) {
	c := &Cutter{}
	var err error
	if lib != nil {
		c.turbo, err = lib.new()
	}
	return c, err
}

// Close frees what the library holds.
func (c *Cutter) Close() {
	if c.turbo != nil {
		c.turbo.close()
		c.turbo = nil
	}
}

type rectangle struct{ x, y, w, h int }

// Cut writes the view of a photo to dst, planar (3, H, W).
func (c *Cutter) Cut(dst []uint8, file []byte, v View) error {
	if min(v.W, v.H) < 1 || len(dst) != 3*v.W*v.H {
		return fmt.Errorf("a crop of %d x %d into %d bytes", v.W, v.H, len(dst))
	}
	if c.turbo != nil {
		if w, h, mcu, ok := c.turbo.open(file); ok {
			return c.cutTurbo(dst, file, v, w, h, mcu)
		}
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return err
	}
	if err := v.check(config.Width, config.Height, file); err != nil {
		return err
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return err
	}
	region := c.aim(v, config.Width, config.Height, 1)
	c.pixels = grow(c.pixels, c.pixelBytes(region))
	copyPixels(c.pixels, img, region)
	c.resize(dst, region, v)
	return nil
}

// cutTurbo decodes as little as the view needs: in training at a half, a
// quarter or an eighth where that is still as large as the view, and then only
// the MCUs under the crop.
func (c *Cutter) cutTurbo(dst []uint8, file []byte, v View, w, h, mcu int) error {
	if err := v.check(w, h, file); err != nil {
		return err
	}
	shrink := 1
	for !v.Exact && shrink < 8 && 2*shrink*v.Side <= min(w, h) {
		shrink *= 2
	}
	region := c.aim(v, w, h, shrink)
	w, h = (w+shrink-1)/shrink, (h+shrink-1)/shrink
	if v.Exact || c.turbo.entire {
		region = rectangle{0, 0, w, h}
	} else {
		// At the edges of what it decodes the library has no neighbours to
		// interpolate chroma from.
		const margin = 2
		right, below := min(w, region.x+region.w+margin), min(h, region.y+region.h+margin)
		region.x = max(0, region.x-margin) / (mcu / min(shrink, mcu)) * (mcu / min(shrink, mcu))
		region.y = max(0, region.y-margin)
		region.w, region.h = right-region.x, below-region.y
	}
	c.pixels = grow(c.pixels, c.pixelBytes(region))
	clear(c.pixels[:4*region.w*region.h]) // a damaged file may leave some unwritten: not what the photo before had there
	if err := c.turbo.decode(file, shrink, region, c.pixels); err != nil {
		return err
	}
	c.resize(dst, region, v)
	return nil
}

// check refuses a photo of w x h that can not be, and one too small for the view.
func (v View) check(w, h int, file []byte) error {
	if w < 1 || h < 1 || w > min(mostPixels, mostDense*len(file))/h {
		return fmt.Errorf("an image of %d x %d pixels in %d bytes", w, h, len(file))
	}
	if width, height := Resized(w, h, v.Side); width < v.W || height < v.H {
		return fmt.Errorf("a crop of %d x %d from %d x %d pixels", v.W, v.H, width, height)
	}
	return nil
}

// Resized is what a photo of w x h becomes when its shorter side is resized to
// side: the longer one is rounded down, as by torchvision.
func Resized(w, h, side int) (width, height int) {
	if w < h {
		return side, side * h / w
	}
	return side * w / h, side
}

// aim works out which pixels of a photo of w x h, shrunk, the view is made of.
func (c *Cutter) aim(v View, w, h, shrink int) rectangle {
	width, height := Resized(w, h, v.Side)
	x := c.across.set((w+shrink-1)/shrink, width, v.place(v.X, width-v.W), v.W)
	y := c.down.set((h+shrink-1)/shrink, height, v.place(v.Y, height-v.H), v.H)
	return rectangle{x.from, y.from, x.to - x.from, y.to - y.from}
}

// place is the left of a crop that can be moved by n pixels.
func (v View) place(at float64, n int) int {
	if v.Exact {
		return int(math.RoundToEven(at * float64(n)))
	}
	return min(n, int(at*float64(n+1)))
}

// copyPixels writes a region of an image as rows of RGBX. What shines through
// is on black; CMYK is as the image package converts it.
func copyPixels(dst []uint8, img image.Image, r rectangle) {
	at := img.Bounds().Min
	for y := range r.h {
		for x := range r.w {
			red, green, blue, _ := img.At(at.X+r.x+x, at.Y+r.y+y).RGBA()
			dst[0], dst[1], dst[2] = uint8(red>>8), uint8(green>>8), uint8(blue>>8)
			dst = dst[4:]
		}
	}
}

// grow gives n bytes, of s if they suffice.
func grow(s []uint8, n int) []uint8 {
	if cap(s) < n {
		return make([]uint8, n+n/4)
	}
	return s[:cap(s)]
}
