// The figure of which classes a net takes for which.

package plots

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot/vg"
)

// DrawConfusion writes confusion.png and confusion.svg into dir. counts are images by
// label (row) and predicted class (column); names may be nil.
func DrawConfusion(dir, title string, notes []string, names []string, counts [][]int) error {
	if len(counts) == 0 {
		return errors.New("confusion: there are no classes")
	}
	return confusion(title, notes, names, counts).write(filepath.Join(dir, "confusion"), nil)
}

// mostNamed is the most classes whose names, and numbers, have room.
const mostNamed = 20

func confusion(title string, notes []string, names []string, counts [][]int) *figure {
	n := len(counts)
	x := axis{label: "predicted class", max: float64(n)}
	y := axis{label: "class", max: float64(n)}
	every := (n-1)/mostNamed + 1
	for i := 0; i < n; i += every {
		name := strconv.Itoa(i)
		if i < len(names) && every == 1 {
			name = names[i]
		}
		x.ticks = append(x.ticks, tick{float64(i) + 0.5, shortened(textSize, false, name, width/vg.Length(n+4))})
		y.ticks = append(y.ticks, tick{float64(n-i) - 0.5, name}) // the first row is at the top
	}
	p := &panel{heading: "Images of each class, and what they are taken for", x: x, y: y, labels: 2 * min(n, mostNamed)}
	p.paint = func(f frame) {
		f.FillPolygon(white, []vg.Point{f.Min, {X: f.Max.X, Y: f.Min.Y}, f.Max, {X: f.Min.X, Y: f.Max.Y}}) // no grid
		for row, cells := range counts {
			sum := 0
			for _, c := range cells {
				sum += c
			}
			for column, c := range cells {
				if c == 0 {
					continue
				}
				share := float64(c) / float64(sum)
				color := mix(white, familyColors["B"], min(1, 0.1+3*share)) // a mistake of a third is as dark as any
				if row == column {
					color = mix(white, familyColors["A"], share)
				}
				x0, x1, y0, y1 := f.px(float64(column)), f.px(float64(column+1)), f.py(float64(n-row-1)), f.py(float64(n-row))
				f.FillPolygon(color, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
				if n <= mostNamed {
					ink := black
					if luminance(color) < 0.25 {
						ink = white
					}
					f.text((x0+x1)/2, (y0+y1)/2-3, smallSize, false, ink, 0.5, fmt.Sprint(c))
				}
			}
		}
	}
	return &figure{title: title, notes: notes, panels: []*panel{p}}
}
