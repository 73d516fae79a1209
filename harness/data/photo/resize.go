// Resizing as Pillow does it: antialiased bilinear, horizontally, then vertically.

package photo

import "math"

// taps are the resize weights along one axis. Each output pixel of the crop is a weighted
// sum of neighbouring input pixels. The filter is a triangle as wide as two pixels of the
// coarser of the two images (the antialiased bilinear filter of Pillow and torchvision).
// Weights are in units of 2^-14.
type taps struct {
	n       int // number of taps of each output, even; unused ones have weight 0
	offset  []int32
	weight  []int16 // n weights for each output
	exact   []float64
	touched span
}

// span is the range of input pixels that the taps read.
type span struct{ from, to int }

const (
	weightBits = 14
	// slack is the number of bytes that whole vectors may read or write after the last
	// pixel.
	slack = 64
	// together is the number of rows that are resized in one call of a kernel, which cannot be
	// preempted.
	together = 16
)

// set computes the taps of the outputs first to first+n-1, for an axis of in pixels that
// is resized to out pixels.
func (t *taps) set(in, out, first, n int) span {
	scale := float64(in) / float64(out)
	support := max(scale, 1)
	t.n = (int(math.Ceil(support))*2 + 1 + 1) / 2 * 2
	t.offset, t.weight = t.offset[:0], t.weight[:0]
	t.touched = span{in, 0}
	for i := range n {
		centre := (float64(first+i) + 0.5) * scale
		from, to := max(0, int(centre-support+0.5)), min(in, int(centre+support+0.5))
		t.exact = t.exact[:0]
		sum := 0.0
		for j := from; j < to; j++ {
			w := max(0, 1-math.Abs((float64(j)-centre+0.5)/support))
			t.exact = append(t.exact, w)
			sum += w
		}
		for j := range t.n {
			w := 0.0
			if j < to-from {
				w = t.exact[j] / sum
			}
			t.weight = append(t.weight, int16(math.Round(w*(1<<weightBits))))
		}
		t.offset = append(t.offset, int32(from))
		t.touched.from, t.touched.to = min(t.touched.from, from), max(t.touched.to, to)
	}
	return t.touched
}

// pixelBytes is the size of the buffer for a decoded region. Taps of weight 0 are read,
// too, so up to n pixels after the last one are read.
func (c *Cutter) pixelBytes(region rectangle) int {
	return 4*(region.w*region.h+c.across.n) + slack
}

// narrowBytes is the size of the buffer for the horizontally resized rows, including the
// rows of weight 0 after the last.
func (c *Cutter) narrowBytes(v View) int {
	return (c.down.touched.to-c.down.touched.from+c.down.n)*4*v.W + slack
}

// rowBytes is the size of the buffer for one row of a view.
func rowBytes(v View) int { return 4*v.W + slack }

// resize makes the view from the decoded region: horizontally, then vertically, with
// rounding to bytes in between, as in Pillow.
func (c *Cutter) resize(dst []uint8, region rectangle, v View) {
	pitch := 4 * v.W
	rows := span{c.down.touched.from - region.y, c.down.touched.to - region.y}
	c.narrow = grow(c.narrow, c.narrowBytes(v))
	c.row = grow(c.row, rowBytes(v))
	for y := rows.from; y < rows.to; y += together {
		n := min(together, rows.to-y)
		across(c.narrow[(y-rows.from)*pitch:][:n*pitch], c.pixels[4*y*region.w:], 4*region.w, &c.across, region.x)
	}
	shifted := shifts(v.Shift)
	area := v.W * v.H
	for y := range v.H {
		from := int(c.down.offset[y]) - c.down.touched.from
		down(c.row[:pitch], c.narrow[from*pitch:], pitch, c.down.weight[y*c.down.n:][:c.down.n])
		at := y * v.W
		if c.Layout == Interleaved {
			interleave(dst[3*at:][:3*v.W], c.row, &shifted)
			continue
		}
		split(dst[at:][:v.W], dst[area+at:][:v.W], dst[2*area+at:][:v.W], c.row, v.Shift)
	}
}

func across(dst, src []uint8, pitch int, t *taps, left int) {
	if vector {
		vectors.acrossRows(dst, src, pitch, t, left)
	} else {
		acrossGo(dst, src, pitch, t, left)
	}
}

func down(dst, src []uint8, pitch int, weight []int16) {
	if vector {
		vectors.downRow(dst, src, pitch, weight)
	} else {
		downGo(dst, src, pitch, weight)
	}
}

// split splits a row of RGBX into three rows and adds a shift to each.
func split(r, g, b, src []uint8, shift [3]int) {
	if vector && len(r) >= leastSplit {
		vectors.splitRow(r, g, b, src, shift)
	} else {
		splitGo(r, g, b, src, shift)
	}
}

// shifts lists what becomes of each value of each colour.
func shifts(shift [3]int) (table [3][256]uint8) {
	for k := range table {
		for v := range table[k] {
			table[k][v] = uint8(min(max(v+shift[k], 0), 255))
		}
	}
	return table
}

// interleave drops the X of a row of RGBX and shifts the colours.
func interleave(dst, src []uint8, shifted *[3][256]uint8) {
	for ; len(dst) >= 3; dst, src = dst[3:], src[4:] {
		dst[0], dst[1], dst[2] = shifted[0][src[0]], shifted[1][src[1]], shifted[2][src[2]]
	}
}

func splitGo(r, g, b, src []uint8, shift [3]int) {
	for k, dst := range [3][]uint8{r, g, b} {
		for i := range dst {
			dst[i] = uint8(min(max(int(src[4*i+k])+shift[k], 0), 255))
		}
	}
}

// acrossGo computes pixels as weighted sums of neighbours in a row, for as many rows as dst
// has. Rows of src are pitch bytes apart, and begin with pixel left.
func acrossGo(dst, src []uint8, pitch int, t *taps, left int) {
	for row := 0; len(dst) > 0; row += pitch {
		for i, from := range t.offset {
			pixels := src[row+4*(int(from)-left):]
			for k := range 4 {
				sum := int32(1) << (weightBits - 1)
				for j, w := range t.weight[i*t.n:][:t.n] {
					if w != 0 {
						sum += int32(w) * int32(pixels[4*j+k])
					}
				}
				dst[4*i+k] = clamp(sum >> weightBits)
			}
		}
		dst = dst[4*len(t.offset):]
	}
}

// downGo computes a row as a weighted sum of rows.
func downGo(dst, src []uint8, pitch int, weight []int16) {
	for i := range dst {
		sum := int32(1) << (weightBits - 1)
		for j, w := range weight {
			if w != 0 {
				sum += int32(w) * int32(src[j*pitch+i])
			}
		}
		dst[i] = clamp(sum >> weightBits)
	}
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
