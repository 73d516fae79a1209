// Generalisation gap: test error minus training error.

package plots

import (
	"fmt"
	"math"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// generalisationGap draws test error minus training error over the iterations.
func generalisationGap(title string, nets []*net) (*figure, error) {
	color, fs := palette(nets), familiesOf(nets)
	var drawn []*line
	lo, hi, end := 0.0, 1.0, 0.0
	for _, n := range nets {
		var gaps [][]record.Point
		for _, r := range n.shown() {
			gaps = append(gaps, r.GapCurve())
		}
		l := &line{net: n, entry: entry{fs.look(n, color(n)), lineName(n, nets)}, test: merge(gaps)}
		if len(l.test) == 0 {
			continue
		}
		l.note()
		for _, p := range l.test {
			lo, hi = min(lo, p.lo), max(hi, p.hi)
		}
		end = max(end, float64(n.Steps))
		drawn = append(drawn, l)
	}
	if len(drawn) == 0 {
		return nil, fmt.Errorf("generalisation_gap: %w: no run has been tested", errNothing)
	}
	names := numbered(entries(drawn))
	x := iterations(end)
	y := axis{label: testWord(nets) + " − training error (%)", ticks: ticks(lo, hi, 6, 1)}
	step := y.ticks[len(y.ticks)-1].at
	if n := len(y.ticks); n > 1 {
		step -= y.ticks[n-2].at
	}
	y.min, y.max = step*math.Floor(lo/step), step*math.Ceil(hi/step)
	y.ticks = ticks(y.min, y.max, 6, 1)
	fig := &figure{title: title, notes: notes(nets, leftOut(nets, (*net).hiddenRuns))}
	fig.panels = pair(x, y, drawn, (*line).named, func(p *panel, ls []*line) {
		p.paint = func(f frame) {
			f.line(dropGray, 0.6, nil, vg.Point{X: f.Min.X, Y: f.py(0)}, vg.Point{X: f.Max.X, Y: f.py(0)})
			var labels []label
			for _, l := range ls {
				if len(l.shown()) > 1 {
					f.band(l.test, fade(l.color, 0.2))
				}
				f.curve(l.test, l.color, testWidth, l.dash)
				last := l.last()
				labels = append(labels, label{l.name, l.color, vg.Point{X: f.px(last.step), Y: f.py(last.mean)}})
			}
			f.labels(labels)
		}
	})
	fig.legend = []key{{testWord(nets) + " error, less that of the mini-batches since the test before", straight(gray, testWidth, nil)}}
	fig.legend = append(fig.legend, seedsKey(nets, (*net).shownRuns, band)...)
	fig.legend = append(fig.legend, names...)
	return fig, nil
}
