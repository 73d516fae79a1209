// The loss around trained nets.

package plots

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// mostLoss is where losses are cut off for drawing.
const mostLoss = 100

const landscapeNote = "Training loss of trained nets whose weights move in random directions, filter-normalised (Li et al. 2018). At distance 1 each filter has moved by its own norm. Biases and batch norm's parameters and statistics stay fixed; fp32."

// lossAlongDirections draws the loss along the two directions.
func lossAlongDirections(title string, nets []*net) (*figure, error) {
	type drawn struct {
		*net
		entry
		first, second []point
	}
	color, fs := palette(nets), familiesOf(nets)
	var all []drawn
	lo, hi, span := math.Inf(1), math.Inf(-1), 0.0
	for _, n := range nets {
		ms := n.measured("landscape")
		if len(ms) == 0 {
			continue
		}
		d := drawn{n, entry{fs.look(n, color(n)), lineName(n, nets)}, lossAlong(ms, false), lossAlong(ms, true)}
		for _, p := range slices.Concat(d.first, d.second) {
			lo, hi, span = min(lo, p.lo), max(hi, p.hi), max(span, p.step)
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, unmeasured("landscape_1d")
	}
	var entries []*entry
	for i := range all {
		entries = append(entries, &all[i].entry)
	}
	long := numbered(entries)
	y := axis{label: "training loss", min: math.Floor(lo), max: min(max(math.Ceil(hi), math.Floor(lo)+1), math.Log10(mostLoss))}
	for e := y.min; e <= y.max; e++ {
		y.ticks = append(y.ticks, tick{e, strconv.FormatFloat(math.Pow(10, e), 'g', -1, 64)})
	}
	x := axis{label: "distance along the direction", min: -span, max: span, ticks: ticks(-span, span, 4, 1)}
	note := landscapeNote
	if hi > y.max {
		note += fmt.Sprintf(" Losses above %d are cut off.", mostLoss)
	}
	fig := &figure{title: title, notes: append(notes(nets, leftOut(nets, (*net).openRuns)), note)}
	fig.panels = pair(x, y, all, func(d drawn) (*net, string) { return d.net, d.name }, func(p *panel, ds []drawn) {
		p.paint = func(f frame) {
			var labels []label
			for _, d := range ds {
				f.curve(d.second, d.color, trainWidth, trainDash)
				if len(d.measured("landscape")) > 1 {
					f.band(d.first, fade(d.color, bandShade))
				}
				f.curve(d.first, d.color, testWidth, d.dash)
				last := d.first[len(d.first)-1]
				labels = append(labels, label{d.name, d.color, vg.Point{X: f.px(last.step), Y: min(f.Max.Y, f.py(last.mean))}})
			}
			f.labels(labels)
		}
	})
	fig.legend = []key{{"first direction", straight(gray, testWidth, nil)}, {"second direction", straight(gray, trainWidth, trainDash)}}
	fig.legend = append(fig.legend, seedsKey(nets, measuredSeeds("landscape"), band)...)
	fig.legend = append(fig.legend, long...)
	return fig, nil
}

// lossAlong is the decimal logarithm of the loss along the first or the second direction:
// mean, lowest and highest of the seeds.
func lossAlong(ms []*record.Measured, second bool) (ps []point) {
	at := ms[0].Values["at"]
	n := len(at)
	for i := range at {
		k := n/2*n + i
		if second {
			k = i*n + n/2
		}
		var xs []float64
		for _, m := range ms {
			xs = append(xs, logLoss(m.Values["loss"][k]))
		}
		ps = append(ps, point{at[i], mean(xs), slices.Min(xs), slices.Max(xs)})
	}
	return ps
}

func logLoss(x float64) float64 { return math.Log10(max(x, 1e-9)) }

// lossEdges are the losses between the colours of the surface.
var lossEdges = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10}

// lossColors are those of the bands, the lowest first: plasma with its yellow end, as there
// is no text on them.
var lossColors = []rgba{hex(0x0d0887), hex(0x5402a3), hex(0x8b0aa5), hex(0xb93289), hex(0xdb5c68), hex(0xf48849), hex(0xfebd2a), hex(0xf0f921)}

// lossSurface draws the loss over both directions, a panel for each net, of its first
// seed that was measured.
func lossSurface(title string, nets []*net) (*figure, error) {
	fig := &figure{title: title, notes: append(notes(nets, leftOut(nets, (*net).openRuns)), landscapeNote), square: true}
	for _, n := range nets {
		first := slices.IndexFunc(n.done, func(r *record.RunRecord) bool { return r.Measured("landscape", n.options["landscape"]) != nil })
		if first < 0 {
			continue
		}
		m := n.done[first].Measured("landscape", n.options["landscape"])
		at := m.Values["at"]
		span := at[len(at)-1]
		name := n.Label()
		if len(n.done) > 1 {
			name += fmt.Sprintf(", seed %d", n.done[first].Start.Seed)
		}
		a := axis{min: -span, max: span, ticks: ticks(-span, span, 2, 1)}
		p := &panel{heading: name, x: a, y: a, paint: func(f frame) { f.surface(m) }}
		p.x.label = "first direction"
		fig.panels = append(fig.panels, p)
	}
	if len(fig.panels) == 0 {
		return nil, unmeasured("landscape_2d")
	}
	for i := 0; i < len(fig.panels); i += fig.perRow() {
		fig.panels[i].y.label = "second direction" // once in each row
	}
	for i := range len(lossEdges) + 1 {
		fig.legend = append(fig.legend, key{bandName(i), func(s sheet, x, y, w vg.Length) {
			s.FillPolygon(lossColors[i], rectangle(x, y-4, x+w, y+4))
		}})
	}
	return fig, nil
}

func bandName(i int) string {
	edge := func(i int) string { return strconv.FormatFloat(lossEdges[i], 'g', -1, 64) }
	switch i {
	case 0:
		return "loss below " + edge(0)
	case len(lossEdges):
		return "above " + edge(i-1)
	}
	return edge(i-1) + " to " + edge(i)
}

func rectangle(x0, y0, x1, y1 vg.Length) []vg.Point {
	return []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
}

// surface paints the bands of the loss. Between the points of the grid the logarithm of the
// loss is interpolated.
func (f frame) surface(m *record.Measured) {
	n := len(m.Values["at"])
	const cells = 96 // on a side
	value := func(i, j int) float64 { return min(logLoss(m.Values["loss"][j*n+i]), math.Log10(mostLoss)) }
	at := func(k int) (int, float64) { // cell -> point before its middle, and the way to the next
		x := (float64(k) + 0.5) / cells * float64(n-1)
		i := min(int(x), n-2)
		return i, x - float64(i)
	}
	band := func(col, row int) int {
		i, s := at(col)
		j, t := at(row)
		v := (1-t)*((1-s)*value(i, j)+s*value(i+1, j)) + t*((1-s)*value(i, j+1)+s*value(i+1, j+1))
		b, _ := slices.BinarySearch(lossEdges, math.Pow(10, v))
		return b
	}
	w, h := (f.Max.X-f.Min.X)/cells, (f.Max.Y-f.Min.Y)/cells
	const overlap = vg.Length(0.3) // no seams between neighbours
	for row := range cells {
		for from := 0; from < cells; {
			b, to := band(from, row), from+1
			for to < cells && band(to, row) == b {
				to++
			}
			x0, y0 := f.Min.X+w*vg.Length(from), f.Min.Y+h*vg.Length(row)
			f.FillPolygon(lossColors[b], rectangle(x0, y0, min(f.Max.X, f.Min.X+w*vg.Length(to)+overlap), min(f.Max.Y, y0+h+overlap)))
			from = to
		}
	}
	c := vg.Point{X: f.px(0), Y: f.py(0)}
	for _, d := range []vg.Point{{X: 4}, {Y: 4}} { // the trained net
		f.line(white, 1.2, nil, vg.Point{X: c.X - d.X, Y: c.Y - d.Y}, vg.Point{X: c.X + d.X, Y: c.Y + d.Y})
	}
}

// landscapeSummary has a row for each net: means over the seeds.
func landscapeSummary(nets []*net) summary {
	s := summary{
		title: "Loss around the trained nets",
		head:  []string{"net", "loss of the net", "error of the net (%)", "lowest loss", "below 1: share of the grid (%)", "below ln 10", "local minima", "highest loss"},
		note:  landscapeNote + " Means over seeds. Local minima are points of the grid that are lower than their eight neighbours.",
	}
	onCIFAR := false
	for _, n := range nets {
		ms := n.measured("landscape")
		if len(ms) == 0 {
			continue
		}
		onCIFAR = onCIFAR || n.paperData() == "cifar10"
		of := func(number func(m *record.Measured) float64) float64 {
			var xs []float64
			for _, m := range ms {
				xs = append(xs, number(m))
			}
			return mean(xs)
		}
		below := func(most float64) func(*record.Measured) float64 {
			return func(m *record.Measured) float64 {
				k := 0
				for _, x := range m.Values["loss"] {
					if x < most {
						k++
					}
				}
				return 100 * float64(k) / float64(len(m.Values["loss"]))
			}
		}
		middle := func(values string) func(*record.Measured) float64 {
			return func(m *record.Measured) float64 { return m.Values[values][len(m.Values[values])/2] }
		}
		s.rows = append(s.rows, []string{
			n.Label(), fmt.Sprintf("%.3g", of(middle("loss"))), percent(of(middle("error")), ""),
			fmt.Sprintf("%.3g", of(func(m *record.Measured) float64 { return slices.Min(m.Values["loss"]) })),
			fmt.Sprintf("%.1f", of(below(1))), fmt.Sprintf("%.1f", of(below(math.Log(10)))),
			fmt.Sprintf("%.3g", of(func(m *record.Measured) float64 { return float64(minima(m)) })),
			fmt.Sprintf("%.3g", of(func(m *record.Measured) float64 { return slices.Max(m.Values["loss"]) })),
		})
	}
	if onCIFAR {
		s.note += " " + liSource
	}
	return s
}

// liSource is what is published beside pictures.
const liSource = "Li et al. 2018 (arXiv:1712.09913) give test errors of their nets (shortcuts B, weight decay 5e-4, 300 epochs), with shortcuts and without: 20 layers 7.37 and 8.18 %, 56 layers 5.89 and 13.31 %, 110 layers 5.79 and 16.44 %."

// minima counts the points of the grid, without its border, that are lower than their
// eight neighbours.
func minima(m *record.Measured) (count int) {
	n, loss := len(m.Values["at"]), m.Values["loss"]
	for j := 1; j < n-1; j++ {
		for i := 1; i < n-1; i++ {
			lowest := true
			for dj := -1; dj <= 1; dj++ {
				for di := -1; di <= 1; di++ {
					if (di != 0 || dj != 0) && loss[(j+dj)*n+i+di] <= loss[j*n+i] {
						lowest = false
					}
				}
			}
			if lowest {
				count++
			}
		}
	}
	return count
}

// landscapeLines has a line for each point of the grid.
func landscapeLines(m *record.Measured) (all [][]string) {
	at := m.Values["at"]
	for i, loss := range m.Values["loss"] {
		all = append(all, []string{number(at[i%len(at)]), number(at[i/len(at)]), number(loss), number(m.Values["error"][i])})
	}
	return all
}
