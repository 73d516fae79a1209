// Training curves: error over iterations.

package plots

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// trainingCurves draws Figure 6 of the paper: error over iterations, plain nets on the
// left and residual nets on the right with the same axes. Training error is thin and
// dashed, test error bold.
func trainingCurves(title string, nets []*net) (*figure, error) {
	var drawn []*line
	end := 0.0
	color, fs := palette(nets), familiesOf(nets)
	for _, n := range nets {
		l := &line{net: n, entry: entry{fs.look(n, color(n)), lineName(n, nets)}}
		var train, test [][]record.Point
		for _, r := range n.shown() {
			train = append(train, r.TrainCurve())
			test = append(test, r.TestCurve())
		}
		l.train, l.test = merge(train), merge(test)
		if len(l.train)+len(l.test) == 0 {
			continue
		}
		l.note()
		end = max(end, float64(n.Steps))
		drawn = append(drawn, l)
	}
	if len(drawn) == 0 {
		return nil, fmt.Errorf("training_curves: %w: no run has logged an error", errNothing)
	}

	names := numbered(entries(drawn))
	x := iterations(end)
	yMax := errorTop(drawn, end)
	y := axis{label: "error (%)", max: yMax, ticks: ticks(0, yMax, 6, 1)}
	paper := paperRecipe(nets) && slices.ContainsFunc(drawn, func(l *line) bool {
		train, test := paperCurve(l.net)
		return len(train)+len(test) > 0
	})

	fig := &figure{title: title, notes: notes(nets, leftOut(nets, (*net).hiddenRuns))}
	fig.panels = pair(x, y, drawn, (*line).named, func(p *panel, ls []*line) { curves(p, ls, paper) })
	fig.legend = append(curveLegend(nets, paper), names...)
	return fig, nil
}

// pair makes a panel of the plain nets and one of the residual nets, with the same axes;
// a panel without nets is left out. named returns an item's net and the name beside its
// line. fill draws the items of one panel.
func pair[T any](x, y axis, all []T, named func(T) (*net, string), fill func(p *panel, these []T)) (panels []*panel) {
	for _, residual := range []bool{false, true} {
		var these []T
		var names []string
		for _, t := range all {
			if n, name := named(t); n.Residual == residual {
				these, names = append(these, t), append(names, name)
			}
		}
		if len(these) == 0 {
			continue
		}
		p := &panel{heading: "Plain nets", x: x, y: y, right: labelRoom(names), labels: len(names)}
		if residual {
			p.heading = "Residual nets"
		}
		fill(p, these)
		panels = append(panels, p)
		y.label = "" // labelled once
	}
	return panels
}

// lineName is a net's name beside its line. It contains only what tells it from the other
// nets of its panel.
func lineName(n *net, nets []*net) string {
	fs, name := familiesOf(nets), fmt.Sprintf("%d layers", n.Depth)
	if fs.shortcuts && n.Residual {
		name += ", shortcut " + n.Shortcut
	}
	return strings.Join(append([]string{name}, fs.tags(n)...), ", ")
}

// iterations makes the x axis up to step end.
func iterations(end float64) axis {
	if end >= 5000 {
		return axis{label: "iterations (× 1,000)", max: end, ticks: ticks(0, end, 8, 1000)}
	}
	return axis{label: "iterations", max: end, ticks: ticks(0, end, 7, 1)}
}

// line is the curve of one net.
type line struct {
	*net
	entry
	stopped     bool
	train, test []point
}

func (l *line) named() (*net, string) { return l.net, l.name }

func entries(ls []*line) []*entry {
	var all []*entry
	for _, l := range ls {
		all = append(all, &l.entry)
	}
	return all
}

// note adds to the name of a net that it did not reach its end.
func (l *line) note() {
	if len(l.done) > 0 {
		return
	}
	for _, r := range l.open {
		if r.Stopped() != "" {
			l.name += ", stopped"
			l.stopped = true
			return
		}
	}
	l.name += ", unfinished" // a record does not tell if its run is still going on
}

// last is where the net's curves end: the end of the test error, or of the training error
// if that goes further.
func (l *line) last() point {
	if n := len(l.test); n > 0 && (len(l.train) == 0 || l.test[n-1].step >= l.train[len(l.train)-1].step) {
		return l.test[n-1]
	}
	return l.train[len(l.train)-1]
}

// labelled is the point that the label belongs to: the end of the test error, so that the
// labels of all nets can be compared. Before the first test it is the end of the training error.
func (l *line) labelled() point {
	if n := len(l.test); n > 0 {
		return l.test[n-1]
	}
	return l.last()
}

// errorTop chooses the upper end of the error axis. All final errors fit. As in the
// paper, the curves need to fit only after a quarter of the steps: the first steps, with
// errors at chance level, would compress all the rest.
func errorTop(ls []*line, end float64) float64 {
	most := 0.0
	for _, l := range ls {
		most = max(most, 1.4*l.last().mean)
		for _, ps := range [][]point{l.train, l.test} {
			for _, p := range ps {
				if p.step >= 0.25*end {
					most = max(most, p.mean*0.9)
					break
				}
			}
		}
		if n := len(l.test); n > 0 {
			most = max(most, 1.1*l.test[n-1].hi)
		}
	}
	return top(min(most, 100))
}

// curves draws lines over the iterations, and marks where the learning rate was lowered.
func curves(p *panel, ls []*line, paper bool) {
	x, y := p.x, p.y
	drops := rateDrops(ls)
	for _, d := range drops {
		p.above = append(p.above, mark{float64(d.Step), "rate ÷ " + strconv.FormatFloat(d.From/d.To, 'g', 3, 64)})
	}
	p.paint = func(f frame) {
		for _, d := range drops {
			at := f.px(float64(d.Step))
			f.line(dropGray, 0.6, []vg.Length{1, 2}, vg.Point{X: at, Y: f.Min.Y}, vg.Point{X: at, Y: f.Max.Y})
		}
		columns := int((f.Max.X - f.Min.X) * 2) // each is half a point wide, less than a line
		for _, l := range ls {
			if len(l.shown()) > 1 {
				f.band(thin(l.train, x.max, columns), fade(l.color, 0.10))
				f.band(thin(l.test, x.max, columns), fade(l.color, 0.20))
			}
		}
		if paper {
			for _, l := range ls {
				train, test := paperCurve(l.net)
				f.curve(merge([][]record.Point{train}), fade(l.color, 0.35), trainWidth, nil)
				f.curve(merge([][]record.Point{test}), fade(l.color, 0.35), trainWidth, nil)
			}
		}
		for _, l := range ls {
			f.curve(thin(l.train, x.max, columns), l.color, trainWidth, trainDash)
		}
		var labels []label
		for _, l := range ls {
			f.curve(thin(l.test, x.max, columns), l.color, testWidth, l.dash)
			place := func(p point) vg.Point { return vg.Point{X: f.px(p.step), Y: f.py(min(p.mean, y.max))} }
			if len(l.test) == 1 { // a single point makes no line
				f.marker(place(l.test[0]), l.color, true, false)
			}
			switch {
			case l.stopped:
				f.cross(place(l.last()), l.color)
			case len(l.done) == 0:
				f.marker(place(l.last()), l.color, true, false)
			}
			labels = append(labels, label{l.name, l.color, place(l.labelled())})
		}
		f.labels(labels)
	}
}

// rateDrops lists the steps at which the learning rate of any net was lowered.
func rateDrops(ls []*line) []record.RateChange {
	var drops []record.RateChange
	seen := map[int]bool{}
	for _, l := range ls {
		for _, r := range l.shown() {
			for _, c := range r.RateChanges() {
				if c.To < c.From && !seen[c.Step] {
					seen[c.Step] = true
					drops = append(drops, c)
				}
			}
		}
	}
	return drops
}

// cross marks the end of a failed run.
func (f frame) cross(at vg.Point, c rgba) {
	const r = vg.Length(3)
	for _, s := range []vg.Length{-1, 1} {
		f.line(c, 1.2, nil, vg.Point{X: at.X - r, Y: at.Y - s*r}, vg.Point{X: at.X + r, Y: at.Y + s*r})
	}
}

// straight draws a sample of a line for the legend.
func straight(c rgba, w vg.Length, dash []vg.Length) func(sheet, vg.Length, vg.Length, vg.Length) {
	return func(s sheet, x, y, n vg.Length) {
		s.line(c, w, dash, vg.Point{X: x, Y: y}, vg.Point{X: x + n, Y: y})
	}
}

// band draws a sample of a line with its band for the legend.
func band(s sheet, x, y, w vg.Length) {
	s.FillPolygon(fade(gray, 0.25), []vg.Point{{X: x, Y: y - 4}, {X: x + w, Y: y - 4}, {X: x + w, Y: y + 4}, {X: x, Y: y + 4}})
	s.line(gray, testWidth, nil, vg.Point{X: x, Y: y}, vg.Point{X: x + w, Y: y})
}

func curveLegend(nets []*net, paper bool) []key {
	keys := []key{
		{testWord(nets) + " error", straight(gray, testWidth, nil)},
		{"training error, of the mini-batches", straight(gray, trainWidth, trainDash)},
	}
	keys = append(keys, seedsKey(nets, (*net).shownRuns, band)...)
	if paper {
		source := "He et al. 2015, Figure 6"
		if slices.ContainsFunc(nets, func(n *net) bool { return n.inPaper("imagenet") }) {
			source = "He et al. 2015, Figure 4"
		}
		keys = append(keys, key{source, straight(fade(gray, 0.4), trainWidth, nil)})
	}
	return keys
}

// notes are the lines under the title: conditions, caveats and what is missing.
func notes(nets []*net, missing string) []string {
	second := caveat(nets)
	if missing != "" {
		second += " " + missing
	}
	return []string{conditions(nets), second}
}
