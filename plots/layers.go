// Responses and gradient norms by layer.

package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
)

// layerResponses draws Figure 7 of the paper: the standard deviation of each layer's
// response after batch norm, in the order of the layers on the left and sorted on the
// right, together with the paper's values.
func layerResponses(title string, nets []*net) (*figure, error) {
	fs := familiesOf(nets)
	color := fs.shades(nets)
	var ours, paper []profile
	most, deepest := 0.0, 0
	for _, n := range nets {
		seeds := responses(n)
		if len(seeds) == 0 {
			continue
		}
		p := profile{entry: entry{fs.look(n, color(n)), n.Label()}, middle: byLayer(seeds, mean)}
		if len(seeds) > 1 {
			p.lo, p.hi = byLayer(seeds, slices.Min), byLayer(seeds, slices.Max)
		}
		ours = append(ours, p)
		most, deepest = max(most, slices.Max(byLayer(seeds, slices.Max))), max(deepest, len(p.middle))
		if points := paperResponses()[n.Label()]; points != nil && n.paperData() == "cifar10" {
			q := profile{entry: entry{look: look{color: fade(color(n), 0.5)}}}
			for _, p := range points {
				q.layers, q.middle = append(q.layers, p.Step), append(q.middle, p.Error)
			}
			paper = append(paper, q)
			most = max(most, slices.Max(q.middle))
		}
	}
	if len(ours) == 0 {
		return nil, fmt.Errorf("layer_responses: %w: no run has recorded any", errNothing)
	}
	var entries []*entry
	for i := range ours {
		entries = append(entries, &ours[i].entry)
	}
	long := numbered(entries)
	yMax := 0.5 * math.Ceil(most/0.5*1.02)
	y := axis{label: "standard deviation of the response", max: yMax, ticks: ticks(0, yMax, 6, 1)}
	fig := &figure{title: title, notes: notes(nets, leftOut(nets, (*net).openRuns))}
	for _, sorted := range []bool{false, true} {
		p := &panel{heading: "By layer, from the image on", x: layerAxis(deepest), y: y}
		if sorted {
			p.heading, p.x.label, p.y.label = "Sorted by size", "layers, the largest first", ""
			p.right, p.labels = labelRoom(names(ours)), len(ours)
		}
		p.paint = func(f frame) {
			for _, q := range paper {
				f.profile(q.sorted(sorted), trainWidth, nil)
			}
			var labels []label
			for _, q := range ours {
				q = q.sorted(sorted)
				f.profile(q, 1.4, q.dash)
				labels = append(labels, f.endLabel(q))
			}
			if sorted {
				f.labels(labels)
			}
		}
		fig.panels = append(fig.panels, p)
	}
	fig.legend = append([]key{{"ours, at the end of training", straight(gray, 1.4, nil)}}, seedsKey(nets, func(n *net) int { return len(responses(n)) }, band)...)
	if len(paper) > 0 {
		fig.legend = append(fig.legend, key{"He et al. 2015, Figure 7, CIFAR-10", straight(fade(gray, 0.4), trainWidth, nil)})
	}
	fig.legend = append(fig.legend, long...)
	return fig, nil
}

// responses are those of the finished runs that have recorded them.
func responses(n *net) (seeds [][]float64) {
	for _, r := range n.done {
		if v := r.Responses(); v != nil {
			seeds = append(seeds, v)
		}
	}
	return seeds
}

// gradientNorms draws the norm of each layer's gradient, at the first and at the last
// record of a run, and the band of all records. For several seeds it draws the means and
// the band of all seeds.
func gradientNorms(title string, nets []*net) (*figure, error) {
	color, fs := palette(nets), familiesOf(nets)
	type drawn struct {
		*net
		first, last profile
	}
	var all []drawn
	lo, hi, deepest := math.Inf(1), math.Inf(-1), 0
	for _, n := range nets {
		var first, last, every [][]float64
		for _, r := range n.shown() {
			g := r.Gradients()
			if len(g) == 0 {
				continue
			}
			first, last = append(first, logs(g[0].Norms)), append(last, logs(g[len(g)-1].Norms))
			for _, l := range g {
				every = append(every, logs(l.Norms))
			}
		}
		if len(every) == 0 {
			continue
		}
		l := fs.look(n, color(n))
		d := drawn{n, profile{entry: entry{look: l}, middle: byLayer(first, mean)}, profile{entry: entry{l, lineName(n, nets)}, middle: byLayer(last, mean)}}
		d.last.lo, d.last.hi = byLayer(every, slices.Min), byLayer(every, slices.Max)
		lo, hi = min(lo, slices.Min(d.last.lo)), max(hi, slices.Max(d.last.hi))
		deepest = max(deepest, len(d.last.middle))
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("gradient_norms: %w: no run has recorded any", errNothing)
	}
	var entries []*entry
	for i := range all {
		entries = append(entries, &all[i].last.entry)
	}
	long := numbered(entries)
	y := axis{label: "norm of the gradient", min: math.Floor(lo), max: max(math.Ceil(hi), math.Floor(lo)+1)}
	for e := y.min; e <= y.max; e++ {
		y.ticks = append(y.ticks, tick{e, strings.Replace(strconv.FormatFloat(math.Pow(10, e), 'g', -1, 64), "e-0", "e-", 1)})
	}
	fig := &figure{title: title, notes: notes(nets, leftOut(nets, (*net).hiddenRuns))}
	named := func(d drawn) (*net, string) { return d.net, d.last.name }
	fig.panels = pair(layerAxis(deepest), y, all, named, func(p *panel, ds []drawn) {
		p.paint = func(f frame) {
			var labels []label
			for _, d := range ds {
				f.profile(d.first, trainWidth, trainDash)
				f.profile(d.last, testWidth, d.last.dash)
				labels = append(labels, f.endLabel(d.last))
			}
			f.labels(labels)
		}
	})
	fig.legend = []key{
		{"at the end", straight(gray, testWidth, nil)},
		{"at the first test", straight(gray, trainWidth, trainDash)},
		{"lowest to highest at any test", band},
	}
	fig.legend = append(fig.legend, long...)
	return fig, nil
}

// profile is one number for each layer of a net.
type profile struct {
	entry
	layers []int // nil means 1, 2, 3 and so on
	middle []float64
	lo, hi []float64 // nil means no band
}

// sorted sorts each list of numbers separately, largest first, if yes.
func (p profile) sorted(yes bool) profile {
	if !yes {
		return p
	}
	p.layers = nil
	for _, v := range []*[]float64{&p.middle, &p.lo, &p.hi} {
		*v = slices.Clone(*v)
		slices.Sort(*v)
		slices.Reverse(*v)
	}
	return p
}

func (p profile) points() []point {
	ps := make([]point, len(p.middle))
	for i, v := range p.middle {
		ps[i] = point{step: float64(i + 1), mean: v, lo: v, hi: v}
		if p.lo != nil {
			ps[i].lo, ps[i].hi = p.lo[i], p.hi[i]
		}
		if p.layers != nil {
			ps[i].step = float64(p.layers[i])
		}
	}
	return ps
}

func (f frame) profile(p profile, w vg.Length, dash []vg.Length) {
	if p.lo != nil {
		f.band(p.points(), fade(p.color, bandShade))
	}
	f.curve(p.points(), p.color, w, dash)
}

// endLabel labels a profile at its last layer.
func (f frame) endLabel(p profile) label {
	n := len(p.middle)
	return label{p.name, p.color, vg.Point{X: f.px(float64(n)), Y: f.py(p.middle[n-1])}}
}

func names(ps []profile) []string {
	var all []string
	for _, p := range ps {
		all = append(all, p.name)
	}
	return all
}

// byLayer combines the values of several records into one value for each layer.
func byLayer(rows [][]float64, of func([]float64) float64) []float64 {
	all := make([]float64, len(rows[0]))
	for i := range all {
		var xs []float64
		for _, r := range rows {
			if len(r) == len(all) {
				xs = append(xs, r[i])
			}
		}
		all[i] = of(xs)
	}
	return all
}

// logs returns decimal logarithms. It replaces a norm of 0 by the smallest positive
// float32.
func logs(xs []float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = math.Log10(max(x, math.SmallestNonzeroFloat32))
	}
	return out
}

func layerAxis(deepest int) axis {
	return axis{label: "layer", min: 1, max: max(float64(deepest), 2), ticks: slices.DeleteFunc(ticks(0, float64(deepest), 6, 1), func(t tick) bool { return t.at < 1 || t.at != math.Trunc(t.at) })}
}
