// Package photo cuts the crops that nets see out of photo files. It decodes JPEG (with
// libjpeg-turbo if available) and PNG, resizes as Pillow does, and crops. As far as the
// format allows, it decodes and resizes only what ends up in the crop.
package photo

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"math"
)

// View is a crop of a photo: the photo is resized until its shorter side has Side pixels,
// then W x H pixels are cut out.
type View struct {
	Side, W, H int
	X, Y       float64 // position of the crop between left and right, top and bottom: 0 to 1
	Exact      bool    // for tests: decode in full, and place the crop as torchvision does
	Shift      [3]int  // added to red, green and blue
}

// mostPixels bounds the size that a header may claim; the largest photo of ImageNet has
// 10^8 pixels. mostDense bounds it by the file's size: a JPEG of a single colour needs
// about one byte for some hundred pixels.
const (
	mostPixels = 1 << 28
	mostDense  = 1 << 10
)

// Layout is the order of the bytes of a crop.
type Layout uint8

const (
	Planar      Layout = iota // (3, H, W)
	Interleaved               // (H, W, 3)
)

// Cutter decodes and crops. It reuses its buffers. It is not safe for concurrent use.
type Cutter struct {
	Layout       Layout  // of the crops
	turbo        *turbo  // nil means Go's decoder
	across, down taps    // resize weights of the current view
	pixels       []uint8 // decoded, rows of RGBX
	narrow       []uint8 // resized horizontally
	row          []uint8 // resized vertically, too
}

// NewCutter makes a cutter that decodes with lib; nil means Go's decoder.
func NewCutter(lib *Library) (*Cutter, error) {
	c := &Cutter{}
	var err error
	if lib != nil {
		c.turbo, err = lib.new()
	}
	return c, err
}

// Close frees the library's memory.
func (c *Cutter) Close() {
	if c.turbo != nil {
		c.turbo.close()
		c.turbo = nil
	}
}

// Size is the width and height of a photo, from its header.
func (c *Cutter) Size(file []byte) (w, h int, err error) {
	if c.turbo != nil {
		if w, h, _, ok := c.turbo.open(file); ok {
			return w, h, nil
		}
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(file))
	return config.Width, config.Height, err
}

type rectangle struct{ x, y, w, h int }

// Cut writes the view of a photo to dst, in the cutter's layout.
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

// cutTurbo decodes as little as the view needs. In training it decodes at a half, a
// quarter or an eighth of the size if that is still as large as the view, and only the
// MCUs (blocks) under the crop.
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
	if v.Exact || c.turbo.entire || mcu == 0 {
		region = rectangle{0, 0, w, h}
	} else {
		// At the edges of the decoded region the library lacks neighbours to interpolate
		// chroma from.
		const margin = 2
		right, below := min(w, region.x+region.w+margin), min(h, region.y+region.h+margin)
		region.x = max(0, region.x-margin) / (mcu / min(shrink, mcu)) * (mcu / min(shrink, mcu))
		region.y = max(0, region.y-margin)
		region.w, region.h = right-region.x, below-region.y
	}
	c.pixels = grow(c.pixels, c.pixelBytes(region))
	clear(c.pixels[:4*region.w*region.h]) // a damaged file may leave pixels unwritten; they must not show the previous photo
	if err := c.turbo.decode(file, shrink, mcu, region, c.pixels); err != nil {
		return err
	}
	c.resize(dst, region, v)
	return nil
}

// check refuses a photo whose size w x h is implausible, or one too small for the view.
func (v View) check(w, h int, file []byte) error {
	if w < 1 || h < 1 || w > min(mostPixels, mostDense*len(file))/h {
		return fmt.Errorf("an image of %d x %d pixels in %d bytes", w, h, len(file))
	}
	if width, height := Resized(w, h, v.Side); width < v.W || height < v.H {
		return fmt.Errorf("a crop of %d x %d from %d x %d pixels", v.W, v.H, width, height)
	}
	return nil
}

// Resized is the size of a photo of w x h after its shorter side is resized to side. The
// longer one is rounded down, as in torchvision.
func Resized(w, h, side int) (width, height int) {
	if w < h {
		return side, side * h / w
	}
	return side * w / h, side
}

// aim computes which pixels the view needs of a photo of w x h that is decoded at
// 1/shrink.
func (c *Cutter) aim(v View, w, h, shrink int) rectangle {
	width, height := Resized(w, h, v.Side)
	x := c.across.set((w+shrink-1)/shrink, width, v.place(v.X, width-v.W), v.W)
	y := c.down.set((h+shrink-1)/shrink, height, v.place(v.Y, height-v.H), v.H)
	return rectangle{x.from, y.from, x.to - x.from, y.to - y.from}
}

// place is the left (or top) of a crop that can be moved by n pixels.
func (v View) place(at float64, n int) int {
	if v.Exact {
		return int(math.RoundToEven(at * float64(n)))
	}
	return min(n, int(at*float64(n+1)))
}

// copyPixels writes a region of an image as rows of RGBX. Transparent pixels are on
// black. CMYK is converted by the image package.
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

// grow returns a buffer of at least n bytes: s if it is large enough.
func grow(s []uint8, n int) []uint8 {
	if cap(s) < n {
		return make([]uint8, n+n/4)
	}
	return s[:cap(s)]
}
