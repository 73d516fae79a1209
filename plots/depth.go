// Final errors over depth.

package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// errorByDepth draws final errors over depth, training error on the left and test error
// on the right, with a line for each family of nets. If there is only one depth, it draws
// a column for each family instead.
func errorByDepth(title string, nets []*net) (*figure, error) {
	done := slices.DeleteFunc(slices.Clone(nets), func(n *net) bool { return len(n.done) == 0 })
	if len(done) == 0 {
		return nil, fmt.Errorf("error_by_depth: %w: no run is finished", errNothing)
	}
	fs := familiesOf(done)
	looks := map[string]look{}
	for _, n := range done {
		looks[fs.name(n)] = fs.look(n, fs.color(n))
	}
	x, place := depthAxis(done, fs)
	fig := &figure{title: title, notes: notes(done, leftOut(nets, (*net).openRuns))}
	fromPaper, cited := paperRecipe(done), false
	for _, k := range []struct {
		heading string
		of      func(*record.RunRecord) (float64, bool)
		paper   func(*net) float64
	}{
		{"Training error at the end", (*record.RunRecord).FinalTrain, func(n *net) float64 { e, _ := n.paper(); return e }},
		{capital(testWord(done)) + " error at the end", (*record.RunRecord).FinalTest, func(n *net) float64 { _, e := n.paper(); return e }},
	} {
		var runs []trend
		most := 0.0
		for i, name := range fs.names {
			t := trend{name: name, look: looks[name], round: strings.HasPrefix(name, "plain")}
			if len(depths(done)) > 1 && maxSeeds(done, (*net).finishedRuns) > 1 {
				// Shift the error bars sideways: otherwise they hide each other.
				t.shift = (vg.Length(i) - vg.Length(len(fs.names)-1)/2) * min(4, 24/vg.Length(len(fs.names)))
			}
			for _, n := range done {
				xs := n.values(k.of)
				if fs.name(n) != name || len(xs) == 0 {
					continue
				}
				p := point{place(n), mean(xs), slices.Min(xs), slices.Max(xs)}
				t.points = append(t.points, p)
				most = max(most, p.hi)
				// The medians of the paper of 2016 are in the tables only.
				if e := k.paper(n); fromPaper && !n.identity && !math.IsNaN(e) {
					cited = true
					t.paper = append(t.paper, point{step: place(n), mean: e})
					most = max(most, e)
				}
			}
			runs = append(runs, t)
		}
		yMax := top(min(max(1.08*most, 0.5), 100))
		y := axis{max: yMax, ticks: ticks(0, yMax, 6, 1)}
		if len(fig.panels) == 0 {
			y.label = "error (%)"
		}
		p := &panel{heading: k.heading, x: x, y: y}
		p.paint = func(f frame) {
			for _, t := range runs {
				f.trend(t)
			}
		}
		fig.panels = append(fig.panels, p)
	}
	fig.legend = depthLegend(done, fs.names, looks, cited)
	return fig, nil
}

// depthAxis makes the x axis and returns each net's place on it.
func depthAxis(nets []*net, fs families) (axis, func(*net) float64) {
	ds := depths(nets)
	if len(ds) == 1 {
		x := axis{label: fmt.Sprintf("%d layers", ds[0]), min: -0.6, max: float64(len(fs.names)) - 0.4}
		for i, f := range fs.names {
			label := columnLabel(f)
			if !columnsFit(fs.names) { // then the legend has the names
				const most = 18 // numbers that fit in a row
				label = ""
				if i%((len(fs.names)+most-1)/most) == 0 {
					label = strconv.Itoa(i + 1)
				}
			}
			x.ticks = append(x.ticks, tick{float64(i), label})
		}
		return x, func(n *net) float64 { return float64(slices.Index(fs.names, fs.name(n))) }
	}
	scale := func(d int) float64 { return float64(d) }
	x := axis{label: "layers"}
	if ds[len(ds)-1] > 8*ds[0] { // for example 1,202 and 20
		scale = func(d int) float64 { return math.Log2(float64(d)) }
		x.label = "layers (logarithmic)"
	}
	lo, hi := scale(ds[0]), scale(ds[len(ds)-1])
	x.min, x.max = lo-0.07*(hi-lo), hi+0.07*(hi-lo)
	last := math.Inf(-1)
	for _, d := range ds {
		t := tick{scale(d), strconv.Itoa(d)}
		if t.at-last < 0.05*(hi-lo) {
			t.label = "" // no room for the label
		} else {
			last = t.at
		}
		x.ticks = append(x.ticks, t)
	}
	return x, func(n *net) float64 { return scale(n.Depth) }
}

// columnLabel is the text under a family's column.
func columnLabel(family string) string { return strings.ReplaceAll(family, ", ", ",\n") }

// columnsFit reports whether the families' names fit under their columns.
func columnsFit(families []string) bool {
	const panel = width/2 - margin - 40 // approximately
	for _, f := range families {
		for _, l := range strings.Split(columnLabel(f), "\n") {
			if textWidth(textSize, false, l)+4 > panel/vg.Length(len(families)) {
				return false
			}
		}
	}
	return true
}

// trend holds one family's errors over depth, in data units.
type trend struct {
	name string
	look
	round  bool      // marker: disc if true, else square
	shift  vg.Length // sideways shift
	points []point
	paper  []point
}

func (f frame) trend(t trend) {
	pts := func(ps []point) []vg.Point {
		out := make([]vg.Point, len(ps))
		for i, p := range ps {
			out[i] = vg.Point{X: f.px(p.step) + t.shift, Y: f.py(p.mean)}
		}
		return out
	}
	columns := f.p.x.min < 0 // only one depth: no line to draw
	if ref := pts(t.paper); len(ref) > 0 {
		if !columns {
			f.line(fade(t.color, 0.45), 0.8, []vg.Length{3, 2}, ref...)
		}
		for _, p := range ref {
			f.marker(p, fade(t.color, 0.55), t.round, true)
		}
	}
	ours := pts(t.points)
	if !columns {
		f.line(t.color, 1.6, t.dash, ours...)
	}
	const cap = vg.Length(3)
	for i, p := range ours {
		if lo, hi := f.py(t.points[i].lo), f.py(t.points[i].hi); lo < hi {
			f.line(t.color, 1, nil, vg.Point{X: p.X, Y: lo}, vg.Point{X: p.X, Y: hi})
			for _, y := range []vg.Length{lo, hi} {
				f.line(t.color, 1, nil, vg.Point{X: p.X - cap, Y: y}, vg.Point{X: p.X + cap, Y: y})
			}
		}
		f.marker(p, t.color, t.round, false)
	}
}

// marker draws a disc or a square. It is hollow for the paper's results.
func (s sheet) marker(at vg.Point, c rgba, round, hollow bool) {
	r := vg.Length(3.4)
	var path vg.Path
	if round {
		path.Move(vg.Point{X: at.X + r, Y: at.Y})
		path.Arc(at, r, 0, 2*math.Pi)
	} else {
		r *= 0.9
		path.Move(vg.Point{X: at.X - r, Y: at.Y - r})
		path.Line(vg.Point{X: at.X + r, Y: at.Y - r})
		path.Line(vg.Point{X: at.X + r, Y: at.Y + r})
		path.Line(vg.Point{X: at.X - r, Y: at.Y + r})
	}
	path.Close()
	if hollow {
		s.SetColor(white)
		s.Fill(path)
		s.SetColor(c)
		s.SetLineWidth(1)
		s.SetLineDash(nil, 0)
		s.Stroke(path)
		return
	}
	s.SetColor(c)
	s.Fill(path)
}

func depthLegend(nets []*net, families []string, looks map[string]look, paper bool) []key {
	var keys []key
	numbered := len(depths(nets)) == 1 && !columnsFit(families)
	for i, name := range families {
		l, label := looks[name], name
		if numbered {
			label = fmt.Sprintf("%d: %s", i+1, name)
		}
		keys = append(keys, key{label, func(s sheet, x, y, w vg.Length) {
			s.line(l.color, 1.6, l.dash, vg.Point{X: x, Y: y}, vg.Point{X: x + w, Y: y})
			s.marker(vg.Point{X: x + w/2, Y: y}, l.color, strings.HasPrefix(name, "plain"), false)
		}})
	}
	keys = append(keys, seedsKey(nets, (*net).finishedRuns, spanSample)...)
	if paper {
		keys = append(keys, key{"He et al. 2015", func(s sheet, x, y, w vg.Length) {
			s.line(fade(gray, 0.6), 0.8, []vg.Length{3, 2}, vg.Point{X: x, Y: y}, vg.Point{X: x + w, Y: y})
			s.marker(vg.Point{X: x + w/2, Y: y}, fade(gray, 0.7), true, true)
		}})
	}
	return keys
}
