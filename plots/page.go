// The page for the browser, made from the records.

package plots

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
	"depthlab/plots/report"
)

// Reporter makes a question's page for the browser from the records of its runs. It
// caches the result for each net: the next time it only processes nets with a changed
// record (another pointer). The zero value is ready for use. It is not safe for
// concurrent use.
type Reporter struct{ known map[string]known }

// known is the cached result of a net's records.
type known struct {
	runs     []*record.RunRecord
	columns  int
	identity bool // depends on the other nets
	row      report.Row
	net      report.Net
	table    []report.Run
	drops    []record.RateChange
	open     []string // unfinished runs
	warned   []string
	held     string // held-out set that it was tested on; "" before the first test
}

// Page makes the page from the records. The caller adds recipe, provenance and commands.
// Without records the page has only a title. epoch returns the number of steps in an
// epoch of the run id, 0 if unknown.
func (r *Reporter) Page(q Question, records []*record.RunRecord, epoch func(id string) float64) (report.Page, error) {
	p := report.Page{Title: cmp.Or(q.Title, q.Name), Name: q.Name, Held: "test"}
	if len(records) == 0 {
		return p, nil
	}
	nets, err := asked(q, records)
	if err != nil {
		return p, err
	}
	p.Conditions, p.Caveat, p.Meaning = conditions(nets), caveat(nets), columnsMean(nets)
	p.Plot.Paper = paperRecipe(nets)
	color, fs := palette(nets), familiesOf(nets)
	columns := columnsFor(nets)
	now := map[string]known{}
	var open, warned, held []string
	for i, n := range nets {
		k := r.known[n.Label()]
		runs := slices.Concat(n.done, n.open)
		if k.columns != columns || k.identity != n.identity || !slices.Equal(k.runs, runs) {
			one := []*net{n}
			k = known{runs, columns, n.identity, answer(n), forBrowser(n, columns, epoch), runTable(n), rateDrops([]*line{{net: n}}), unfinished(one), warnings(one), strings.Join(distinct(one, (*record.RunRecord).TestSet), "/")}
		}
		now[n.Label()] = k
		look := fs.look(n, color(n))
		k.net.Order, k.net.Color, k.net.DarkColor, k.net.Dash = i, css(look.color), css(onDark(look.color)), dashes(look.dash)
		p.Answer = append(p.Answer, k.row)
		p.Runs = append(p.Runs, k.table...)
		p.Plot.Nets = append(p.Plot.Nets, k.net)
		open, warned = append(open, k.open...), append(warned, k.warned...)
		if k.held != "" && !slices.Contains(held, k.held) {
			held = append(held, k.held)
		}
		for _, d := range k.drops {
			if !slices.Contains(p.Plot.Drops, d.Step) && len(p.Plot.Drops) < 20 {
				p.Plot.Drops = append(p.Plot.Drops, d.Step)
			}
		}
	}
	r.known = now
	for _, g := range []report.Group{
		{Title: "Begun as a trained net, extended by layers that compute the identity", Lines: begun(nets)},
		{Title: "Not finished, and not counted", Lines: open}, {Title: "Warnings", Lines: warned[:min(len(warned), 100)]},
	} {
		if len(g.Lines) > 0 {
			p.Notes = append(p.Notes, g)
		}
	}
	p.Held = cmp.Or(strings.Join(held, "/"), p.Held)
	p.Plot.Held = p.Held
	p.Behind = behind(p.Plot)
	p.Measured, err = measuredPage(q, nets)
	if err != nil {
		return p, err
	}
	return p, nil
}

// columnsFor is the number of columns to which curves are thinned, so that a page of many
// nets and seeds stays below 3 MB. Each net has three curves: its mean and its band.
func columnsFor(nets []*net) int {
	curves := 0
	for _, n := range nets {
		curves += 3 + len(n.done) + len(n.open)
	}
	return max(20, min(600, 30000/curves))
}

// columnsMean explains the columns of the table of the answer.
func columnsMean(nets []*net) string {
	s := fmt.Sprintf("Training errors are running errors of the mini-batches, a mean over the last %g %% of the steps.", 100*record.FinalShare)
	if maxSeeds(nets, (*net).finishedRuns) > 1 {
		s += " Ours: means over seeds ± sample standard deviation; below, the lowest to the highest seed."
	}
	return s + " Paper: " + paperSource(nets)
}

func answer(n *net) report.Row {
	r := rows([]*net{n})[0]
	compared := func(paper, ours, std float64, of func(*record.RunRecord) (float64, bool)) report.Compared {
		c := report.Compared{Paper: paperPercent(paper, ""), Ours: meanStd(ours, std, " ± ", "")}
		if d := ours - paper; !math.IsNaN(d) && paper != failed {
			c.Difference = strings.Replace(fmt.Sprintf("%+.2f", d), "-", "−", 1)
			if percent(math.Abs(d), "") == "0.00" {
				c.Difference = "0.00"
			}
		}
		if xs := n.values(of); len(xs) > 1 {
			c.Spread = percent(slices.Min(xs), "") + " to " + percent(slices.Max(xs), "")
		}
		return c
	}
	return report.Row{
		Net: n.Label(), Params: thousands(int(n.Params)), Seeds: strconv.Itoa(len(n.done)), Steps: thousands(n.Steps),
		Train: compared(r.paperTrain, r.train, r.trainStd, (*record.RunRecord).FinalTrain),
		Test:  compared(r.paperTest, r.test, r.testStd, (*record.RunRecord).FinalTest),
	}
}

// stateOf is the state of a run that is not finished.
func stateOf(r *record.RunRecord) string {
	switch {
	case r.Finished():
		return ""
	case r.Stopped() != "":
		return "stopped"
	}
	return "unfinished"
}

func runTable(n *net) (all []report.Run) {
	for _, r := range slices.Concat(n.done, n.open) {
		run := report.Run{ID: r.Start.ID, State: cmp.Or(stateOf(r), "finished"), Step: thousands(r.Step()) + " of " + thousands(n.Steps), Problem: r.Stopped()}
		for text, of := range map[*string]func() (float64, bool){&run.Train: r.FinalTrain, &run.Full: r.FullTrain, &run.Test: r.FinalTest} {
			if x, ok := of(); ok {
				*text = percent(x, "") + " %"
			}
		}
		if s := r.Seconds(); s > 0 {
			run.Time = fmt.Sprintf("%.2f hours", s/3600)
			if n := r.Beside(); n > 0 {
				run.Time += fmt.Sprintf(", %d at a time", 1+n)
			}
		}
		all = append(all, run)
	}
	return all
}

// forBrowser makes the page's data of a net, except for its colour.
func forBrowser(n *net, columns int, epoch func(id string) float64) report.Net {
	b := report.Net{Name: n.Label(), Residual: n.Residual, Epoch: epoch(n.ID)}
	if len(n.done) == 0 {
		b.State = "unfinished"
		if slices.ContainsFunc(n.open, func(r *record.RunRecord) bool { return r.Stopped() != "" }) {
			b.State = "stopped"
		}
	}
	b.Curves = curvesOf(n.shown(), float64(n.Steps), columns)
	for _, r := range slices.Concat(n.done, n.open) {
		s := report.Seed{Seed: r.Start.Seed, State: stateOf(r)}
		if len(n.done)+len(n.open) > 1 { // with a single run the net's curves are the run's
			s.Curves = curvesOf([]*record.RunRecord{r}, float64(n.Steps), columns)
		} else {
			s.Curves = b.Curves
		}
		b.Seeds = append(b.Seeds, s)
	}
	if train, test := paperCurve(n); train != nil {
		b.Paper = &report.Curves{TrainError: curve(merge([][]record.Point{train}), 64000, columns), TestError: curve(merge([][]record.Point{test}), 64000, columns)}
	}
	b.Responses = layersOf(n.done, (*record.RunRecord).Responses)
	if points := paperResponses()[n.Label()]; b.Responses != nil && points != nil && n.paperData() == "cifar10" {
		b.Figure7 = &report.Layers{}
		for _, p := range points {
			b.Figure7.At, b.Figure7.Values = append(b.Figure7.At, p.Step), append(b.Figure7.Values, p.Error)
		}
	}
	b.First, b.Last = gradientsOf(n.shown())
	return b
}

// curvesOf are the means of the records' curves.
func curvesOf(runs []*record.RunRecord, end float64, columns int) report.Curves {
	var train, test [][]record.Point
	for _, r := range runs {
		train, test = append(train, r.TrainCurve()), append(test, r.TestCurve())
	}
	return report.Curves{
		TrainError: curve(merge(train), end, columns), TestError: curve(merge(test), end, columns),
		TrainLoss: curve(merge(losses(train)), end, columns), TestLoss: curve(merge(losses(test)), end, columns),
		Clock: clock(runs),
	}
}

// losses replaces the errors of curves by the losses.
func losses(curves [][]record.Point) (all [][]record.Point) {
	for _, c := range curves {
		var ps []record.Point
		for _, p := range c {
			if !math.IsNaN(p.Loss) {
				ps = append(ps, record.Point{Step: p.Step, Error: p.Loss})
			}
		}
		all = append(all, ps)
	}
	return all
}

// curve thins a curve for the page; nil if it has no points.
func curve(ps []point, end float64, columns int) *report.Curve {
	if len(ps) == 0 {
		return nil
	}
	c := &report.Curve{}
	several := slices.ContainsFunc(ps, func(p point) bool { return p.lo != p.hi })
	for _, p := range thinWhole(ps, end, columns) {
		c.Steps, c.Values = append(c.Steps, int(p.step)), append(c.Values, p.mean)
		if several {
			c.Lo, c.Hi = append(c.Lo, p.lo), append(c.Hi, p.hi)
		}
	}
	return c
}

// thinWhole thins like thin, for a page that shows the numbers at each point: it does not
// change points. In each column it keeps those with the lowest and highest mean, the
// lowest lo and the highest hi.
func thinWhole(ps []point, end float64, n int) []point {
	if len(ps) <= 2*n {
		return ps
	}
	var out []point
	for i := 0; i < len(ps); {
		column, j := int(ps[i].step/end*float64(n)), i
		keep := [4]int{i, i, i, i}
		for ; j < len(ps) && int(ps[j].step/end*float64(n)) == column; j++ {
			for k, better := range [4]bool{ps[j].mean < ps[keep[0]].mean, ps[j].mean > ps[keep[1]].mean, ps[j].lo < ps[keep[2]].lo, ps[j].hi > ps[keep[3]].hi} {
				if better {
					keep[k] = j
				}
			}
		}
		slices.Sort(keep[:])
		for k, at := range keep {
			if k == 0 || at != keep[k-1] {
				out = append(out, ps[at])
			}
		}
		i = j
	}
	if last := ps[len(ps)-1]; out[len(out)-1].step != last.step {
		out = append(out, last)
	}
	return out
}

// clock returns the training time at which steps were finished, as a mean over the runs;
// nil if a run does not record it.
func clock(runs []*record.RunRecord) *report.Clock {
	const most = 128
	at := map[int][]float64{}
	for _, r := range runs {
		for _, e := range r.Events {
			if e.Kind == "train" && e.Seconds > 0 {
				at[e.Step] = append(at[e.Step], e.Seconds)
			}
		}
	}
	var steps []int
	for step, seconds := range at {
		if len(seconds) == len(runs) {
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 {
		return nil
	}
	slices.Sort(steps)
	c := &report.Clock{Steps: report.Steps{0}, Seconds: report.Steps{0}}
	for i := range steps {
		if every := (len(steps)-1)/most + 1; i%every == 0 || i == len(steps)-1 {
			c.Steps, c.Seconds = append(c.Steps, steps[i]), append(c.Seconds, int(math.Round(mean(at[steps[i]]))))
		}
	}
	return c
}

// layersOf are the means over the runs, and the band if there are several.
func layersOf(runs []*record.RunRecord, of func(*record.RunRecord) []float64) *report.Layers {
	var seeds [][]float64
	for _, r := range runs {
		if v := of(r); v != nil {
			seeds = append(seeds, v)
		}
	}
	if len(seeds) == 0 {
		return nil
	}
	l := &report.Layers{Values: byLayer(seeds, mean)}
	if len(seeds) > 1 {
		l.Lo, l.Hi = byLayer(seeds, slices.Min), byLayer(seeds, slices.Max)
	}
	return l
}

// gradientsOf are the gradient norms at the first and the last test. The last one has the
// band of all tests.
func gradientsOf(runs []*record.RunRecord) (first, last *report.Layers) {
	var firsts, lasts, every [][]float64
	for _, r := range runs {
		g := r.Gradients()
		if len(g) == 0 {
			continue
		}
		firsts, lasts = append(firsts, g[0].Norms), append(lasts, g[len(g)-1].Norms)
		for _, l := range g {
			every = append(every, l.Norms)
		}
	}
	if len(every) == 0 {
		return nil, nil
	}
	return &report.Layers{Values: byLayer(firsts, geometric)}, &report.Layers{Values: byLayer(lasts, geometric), Lo: byLayer(every, slices.Min), Hi: byLayer(every, slices.Max)}
}

// geometric is the mean on a logarithmic axis.
func geometric(xs []float64) float64 { return math.Pow(10, mean(logs(xs))) }

// behind lists the numbers of the figures as tables.
func behind(p report.Plot) (all []report.Table) {
	const parts = 10
	end := 0
	for _, n := range p.Nets {
		for _, c := range []*report.Curve{n.Curves.TrainError, n.Curves.TestError} {
			if c != nil {
				end = max(end, c.Steps[len(c.Steps)-1])
			}
		}
	}
	t := report.Table{Title: "Errors over the iterations, percent", Head: []string{"net"}}
	for i := range parts {
		t.Head = append(t.Head, "at "+thousands(end*(i+1)/parts))
	}
	for _, n := range p.Nets {
		for _, line := range []struct {
			name string
			*report.Curve
		}{{"training", n.Curves.TrainError}, {p.Held, n.Curves.TestError}} {
			if line.Curve == nil {
				continue
			}
			row := []string{n.Name + ", " + line.name}
			for i := range parts {
				row = append(row, valueAt(line.Curve, end*i/parts, end*(i+1)/parts))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	if len(t.Rows) > 0 {
		all = append(all, t)
	}
	all = append(all, layerTable("Standard deviations of the layers' responses", p.Nets, func(n report.Net) *report.Layers { return n.Responses })...)
	all = append(all, layerTable("Norms of the layers' gradients at the first test", p.Nets, func(n report.Net) *report.Layers { return n.First })...)
	return append(all, layerTable("Norms of the layers' gradients at the last test", p.Nets, func(n report.Net) *report.Layers { return n.Last })...)
}

// valueAt is the last value of a curve in the steps after+1 to until; "" if there is
// none.
func valueAt(c *report.Curve, after, until int) string {
	i, exact := slices.BinarySearch(c.Steps, until)
	if !exact {
		i--
	}
	if i < 0 || c.Steps[i] <= after {
		return ""
	}
	return percent(c.Values[i], "")
}

func layerTable(title string, nets []report.Net, of func(report.Net) *report.Layers) []report.Table {
	t := report.Table{Title: title, Head: []string{"layer"}}
	var columns []report.Values
	deepest := 0
	for _, n := range nets {
		if l := of(n); l != nil {
			t.Head, columns, deepest = append(t.Head, n.Name), append(columns, l.Values), max(deepest, len(l.Values))
		}
	}
	for i := range deepest {
		row := []string{strconv.Itoa(i + 1)}
		for _, c := range columns {
			cell := ""
			if i < len(c) {
				cell = strconv.FormatFloat(c[i], 'g', 4, 64)
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return []report.Table{t}
}

func css(c rgba) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// onDark lightens a colour until its contrast to the dark page's background is 3, WCAG's
// minimum for graphics.
func onDark(c rgba) rgba {
	for t := 0.0; ; t += 0.05 {
		if d := mix(c, white, t); t >= 1 || (luminance(d)+0.05)/(luminance(hex(0x15181c))+0.05) >= 3 {
			return d
		}
	}
}

func dashes(ds []vg.Length) (all []float64) {
	for _, d := range ds {
		all = append(all, 2*float64(d)) // one point of a figure is about two pixels here
	}
	return all
}
