// How alike gradients are at two inputs.

package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// theories are what Balduzzi et al. 2017 derive for scalar nets of L layers at the start.
// The one for residual nets without batch norm is a consequence of their assumptions that
// was derived again for this program.
var theories = []struct {
	name string
	dash []vg.Length
	of   func(layers float64) float64
}{
	{"2^−L", []vg.Length{1, 1.6}, func(l float64) float64 { return math.Pow(2, -l) }},
	{"(3/4)^L", []vg.Length{6, 2.5}, func(l float64) float64 { return math.Pow(0.75, l) }},
	{"1/√L", nil, func(l float64) float64 { return 1 / math.Sqrt(l) }},
}

const theoryWidth = vg.Length(1)

// leastCorrelation is the lower end of the logarithmic axis: below it the means of a few
// scalar nets are noise.
const leastCorrelation = 1e-3

// correlated is what is drawn of a net: its correlations at some distances, before and
// after training.
type correlated struct {
	entry
	start, trained profile
}

// gradientCorrelation draws scalar nets at the start on the left, by the number of layers,
// and the question's own nets on the right, by the distance of two inputs.
func gradientCorrelation(title string, nets []*net) (*figure, error) {
	fs := familiesOf(nets)
	color := fs.shades(nets)
	var all []correlated
	var entries []*entry
	var lags []float64
	for _, n := range nets {
		if ms := n.measured("gradient_correlation"); len(ms) > 0 {
			lags = ms[0].Values["lag"]
			e := entry{fs.look(n, color(n)), n.Label()}
			all = append(all, correlated{e, overSeeds(e, ms, "start"), overSeeds(e, ms, "trained")})
		}
	}
	if len(all) == 0 {
		return nil, unmeasured("gradient_correlation")
	}
	for i := range all {
		entries = append(entries, &all[i].entry)
	}
	long := numbered(entries)
	fig := &figure{
		title:  title,
		notes:  append(notes(nets, leftOut(nets, (*net).openRuns)), correlationNote),
		panels: []*panel{scalarPanel(scalarNets(nets)), linePanel(all, lags)},
	}
	for _, t := range theories { // two of them leave the frame close together, where labels could not tell them apart
		fig.legend = append(fig.legend, key{"left: theory, " + t.name, straight(black, theoryWidth, t.dash)})
	}
	fig.legend = append(fig.legend, key{"right: trained", straight(gray, testWidth, nil)}, key{"right: before training", straight(gray, trainWidth, trainDash)})
	fig.legend = append(fig.legend, seedsKey(nets, measuredSeeds("gradient_correlation"), band)...)
	fig.legend = append(fig.legend, long...)
	return fig, nil
}

// scalarPanel shows scalar nets and what theory says of them.
func scalarPanel(scalars []profile) *panel {
	deepest := 0
	for _, s := range scalars {
		deepest = max(deepest, len(s.middle))
	}
	x := layerAxis(deepest)
	x.label = "layers, L"
	y := axis{label: "correlation of the gradients", min: math.Log10(leastCorrelation), max: 0}
	for e := y.min; e <= 0; e++ {
		y.ticks = append(y.ticks, tick{e, strconv.FormatFloat(math.Pow(10, e), 'g', -1, 64)})
	}
	p := &panel{heading: "Scalar nets before training", x: x, y: y, right: labelRoom(names(scalars)), labels: len(scalars)}
	p.paint = func(f frame) {
		var labels []label
		for _, t := range theories {
			p := profile{entry: entry{look: look{color: black}}}
			for l := 1; l <= deepest; l++ {
				p.middle = append(p.middle, logCorrelation(t.of(float64(l))))
			}
			f.profile(p, theoryWidth, t.dash)
		}
		for _, s := range scalars {
			f.profile(s, 1.6, s.dash)
			labels = append(labels, f.leaving(s))
		}
		f.labels(labels)
	}
	return p
}

// linePanel shows the question's own nets, at multiples of the first of the distances.
func linePanel(all []correlated, lags []float64) *panel {
	step, far, lowest := lags[0], lags[len(lags)-1], 0.0
	var labels []string
	for _, c := range all {
		lowest = min(lowest, slices.Min(c.start.middle), slices.Min(c.trained.middle))
		labels = append(labels, c.name)
	}
	y := axis{min: math.Floor(lowest*5) / 5, max: 1}
	y.ticks = ticks(y.min, y.max, 6, 1)
	p := &panel{heading: "Our nets along a line", x: axis{label: "distance of two inputs (deviations of a pixel)", max: far, ticks: ticks(0, far, 5, 1)}, y: y, right: labelRoom(labels), labels: len(labels)}
	p.paint = func(f frame) {
		var labels []label
		for _, c := range all {
			f.curve(scaled(c.start.points(), step), c.color, trainWidth, trainDash)
			at := scaled(c.trained.points(), step)
			if c.trained.lo != nil {
				f.band(at, fade(c.color, bandShade))
			}
			f.curve(at, c.color, testWidth, c.dash)
			last := at[len(at)-1]
			labels = append(labels, label{c.name, c.color, vg.Point{X: f.px(last.step), Y: f.py(last.mean)}})
		}
		f.labels(labels)
	}
	return p
}

const correlationNote = "Left: theory and random scalar nets as in Balduzzi et al. 2017; means over the nets and over all pairs of inputs on a grid. Right, not in their paper: slopes of the logits at points of lines through test images, with batch norm's running statistics; fp32."

// scalarNets are the curves of the deepest plain and residual net, without and with batch
// norm, on a logarithmic axis.
func scalarNets(nets []*net) (all []profile) {
	for _, residual := range []bool{false, true} {
		var deepest *net
		for _, n := range nets {
			if n.Residual == residual && len(n.measured("gradient_correlation")) > 0 && (deepest == nil || n.Depth > deepest.Depth) {
				deepest = n
			}
		}
		if deepest == nil {
			continue
		}
		name, c := "plain", familyColors["B"]
		if residual {
			name, c = "residual", familyColors["A"]
		}
		for _, kind := range []struct {
			values, name string
			dash         []vg.Length
		}{{"scalar", name, trainDash}, {"scalar_norm", name + ", batch norm", nil}} {
			p := overSeeds(entry{look{c, kind.dash}, kind.name}, deepest.measured("gradient_correlation"), kind.values)
			p.lo, p.hi = nil, nil
			for i, v := range p.middle {
				p.middle[i] = logCorrelation(v)
			}
			all = append(all, p)
		}
	}
	return all
}

// logCorrelation is the decimal logarithm, a little below the axis for what is too small
// or negative.
func logCorrelation(x float64) float64 { return math.Log10(max(x, leastCorrelation*0.9)) }

// leaving labels a curve where it leaves the frame at the bottom, or at its end.
func (f frame) leaving(p profile) label {
	at := slices.IndexFunc(p.middle, func(v float64) bool { return v < f.p.y.min })
	if at < 0 {
		at = len(p.middle) - 1
	}
	return label{p.name, p.color, vg.Point{X: f.px(float64(at + 1)), Y: max(f.Min.Y, f.py(p.middle[at]))}}
}

// overSeeds is the mean of the seeds' values, and their band if there are several.
func overSeeds(e entry, ms []*record.Measured, values string) profile {
	var seeds [][]float64
	for _, m := range ms {
		seeds = append(seeds, m.Values[values])
	}
	p := profile{entry: e, middle: byLayer(seeds, mean)}
	if len(seeds) > 1 {
		p.lo, p.hi = byLayer(seeds, slices.Min), byLayer(seeds, slices.Max)
	}
	return p
}

// scaled moves points to multiples of a step.
func scaled(ps []point, step float64) []point {
	for i := range ps {
		ps[i].step *= step
	}
	return ps
}

// correlationSummary has a row for each net: of the scalar nets at some depths, and its own
// at the least and at some other distance.
func correlationSummary(nets []*net) summary {
	s := summary{
		title: "Correlations of gradients",
		note: correlationNote + " Theory for scalar nets of L layers: plain 2^−L (their Theorem 1); residual without batch norm (3/4)^L (derived from the same assumptions); residual with batch norm about 1/√L (Theorem 3). " +
			"They hold where two inputs share a quarter of the active units, which batch norm brings about.",
	}
	for _, n := range nets {
		ms := n.measured("gradient_correlation")
		if len(ms) == 0 {
			continue
		}
		lags := ms[0].Values["lag"]
		near, far := 0, len(lags)-1
		if s.head == nil {
			s.head = []string{"net", "scalar net, 5 layers", "with batch norm", "scalar net, all layers", "with batch norm"}
			for _, at := range []int{near, far} {
				d := strconv.FormatFloat(lags[at], 'g', 3, 64)
				s.head = append(s.head, "its own at a distance of "+d+", before training", "trained")
			}
		}
		row := []string{n.Label()}
		depth := len(ms[0].Values["scalar"])
		for _, at := range []int{min(5, depth) - 1, depth - 1} {
			for _, kind := range []string{"scalar", "scalar_norm"} {
				row = append(row, fmt.Sprintf("%.3g", overSeeds(entry{}, ms, kind).middle[at]))
			}
		}
		for _, at := range []int{near, far} {
			for _, kind := range []string{"start", "trained"} {
				row = append(row, fmt.Sprintf("%.2f", overSeeds(entry{}, ms, kind).middle[at]))
			}
		}
		s.rows = append(s.rows, row)
	}
	return s
}

// correlationLines has a line for each depth of the scalar nets, and for each distance.
func correlationLines(m *record.Measured) (all [][]string) {
	for _, kind := range []string{"scalar", "scalar_norm"} {
		for i, v := range m.Values[kind] {
			all = append(all, []string{kind, strconv.Itoa(i + 1), number(v)})
		}
	}
	for _, kind := range []string{"start", "trained"} {
		for i, v := range m.Values[kind] {
			all = append(all, []string{kind, number(m.Values["lag"][i]), number(v)})
		}
	}
	return all
}
