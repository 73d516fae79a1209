// Labels beside the frame, moved apart so that they do not overlap.

package plots

import (
	"slices"
	"strconv"

	"gonum.org/v1/plot/vg"
)

// label is a text beside the frame that belongs to a point in the frame.
type label struct {
	text  string
	color rgba
	from  vg.Point // the point that it names
}

const (
	labelGap    = vg.Length(10.5) // minimum distance of two lines of labels
	labelIndent = vg.Length(14)   // distance from the frame to the text
	labelEdge   = vg.Length(6)    // part of the frame's height that stays without labels
	labelWidest = width / 5       // maximum width of a label's text
)

// labelRoom is the width that labels need beside a frame.
func labelRoom(texts []string) vg.Length {
	var w vg.Length
	for _, t := range texts {
		w = max(w, textWidth(textSize, true, t))
	}
	return w + labelIndent
}

// entry is the style of a line and its name beside the frame.
type entry struct {
	look
	name string
}

// numbered replaces all names by numbers if one of them is too long to stand beside a
// frame. It returns legend entries that explain the numbers; nil if all names fit.
func numbered(entries []*entry) (keys []key) {
	if !slices.ContainsFunc(entries, func(e *entry) bool { return textWidth(textSize, true, e.name) > labelWidest }) {
		return nil
	}
	for i, e := range entries {
		number := strconv.Itoa(i + 1)
		keys = append(keys, key{number + ": " + e.name, straight(e.color, testWidth, e.dash)})
		e.name = number
	}
	return keys
}

// labels writes each label as near to the height of its point as the others allow, with a
// thin leader line.
func (f frame) labels(ls []label) {
	slices.SortStableFunc(ls, func(a, b label) int {
		switch {
		case a.from.Y < b.from.Y:
			return -1
		case a.from.Y > b.from.Y:
			return 1
		}
		return 0
	})
	want := make([]float64, len(ls))
	for i, l := range ls {
		want[i] = float64(l.from.Y)
	}
	ys := spread(want, float64(labelGap), float64(f.Min.Y+labelEdge/2), float64(f.Max.Y-labelEdge/2))
	for i, l := range ls {
		y, x := vg.Length(ys[i]), f.Max.X
		var dash []vg.Length
		if l.from.X < x-20 {
			dash = []vg.Length{0.8, 2.4} // the curve ends before the frame does
		}
		f.line(fade(l.color, 0.7), 0.6, dash, l.from, vg.Point{X: max(x, l.from.X) + 3, Y: l.from.Y}, vg.Point{X: x + labelIndent - 3, Y: y})
		f.text(x+labelIndent, y-3.1, textSize, true, legible(l.color), 0, l.text)
	}
}

// spread moves ascending positions apart to a distance of at least gap, with the least
// sum of squared moves, and keeps them in lo..hi if they fit.
func spread(want []float64, gap, lo, hi float64) []float64 {
	// Blocks of touching labels. Each block is at the mean of its members' wanted
	// positions minus their offsets in the block. (Pool adjacent violators.)
	type block struct {
		sum float64 // sum of want - offset
		n   int
	}
	var blocks []block
	at := func(b block) float64 { // position of its first member
		room := hi - lo - gap*float64(b.n-1)
		return min(max(b.sum/float64(b.n), lo), lo+max(room, 0))
	}
	for _, w := range want {
		blocks = append(blocks, block{w, 1})
		for len(blocks) > 1 {
			a, b := blocks[len(blocks)-2], blocks[len(blocks)-1]
			if at(a)+gap*float64(a.n) <= at(b) {
				break
			}
			blocks = append(blocks[:len(blocks)-2], block{a.sum + b.sum - gap*float64(a.n*b.n), a.n + b.n})
		}
	}
	var ys []float64
	for _, b := range blocks {
		for i := range b.n {
			ys = append(ys, at(b)+gap*float64(i))
		}
	}
	return ys
}
