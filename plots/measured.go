// What is measured of trained nets: tables, and files for programs.

package plots

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"

	"depthlab/harness/record"
	"depthlab/plots/report"
)

// measurement is what figures share that draw the same measurement of trained nets.
type measurement struct {
	name    string // in records
	figures []string
	summary func(nets []*net) summary
	head    []string                            // of the file, behind net and seed
	lines   func(m *record.Measured) [][]string // of the file: every number
}

// measurements is the table of them, in the order of the tables for people.
var measurements = []measurement{
	{"lesion", []string{"lesion"}, lesionSummary, []string{"deleted", "block", "error"}, lesionLines},
	{"gradient_correlation", []string{"gradient_correlation"}, correlationSummary, []string{"of", "at", "correlation"}, correlationLines},
	{"landscape", []string{"landscape_1d", "landscape_2d"}, landscapeSummary, []string{"first", "second", "loss", "error"}, landscapeLines},
}

// measurements are those that a question's figures draw.
func (q Question) measurements() []measurement {
	return slices.DeleteFunc(slices.Clone(measurements), func(m measurement) bool {
		return !slices.ContainsFunc(q.Figures, func(f string) bool { return slices.Contains(m.figures, f) })
	})
}

// summary is a table of the most important numbers, as text.
type summary struct {
	title string
	head  []string
	rows  [][]string
	note  string // what the columns mean, and where published numbers come from
}

// summaries are those of the question's figures; none while nothing is measured.
func summaries(q Question, nets []*net) (all []summary) {
	for _, m := range q.measurements() {
		if s := m.summary(nets); len(s.rows) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// measuredPage are the figures and tables for the browser.
func measuredPage(q Question, nets []*net) (all []report.Measured, err error) {
	for _, m := range q.measurements() {
		s := m.summary(nets)
		if len(s.rows) == 0 {
			continue
		}
		one := report.Measured{Table: report.Table{Title: s.title, Head: s.head, Rows: s.rows}, Note: s.note}
		for _, name := range m.figures {
			if !slices.Contains(q.Figures, name) {
				continue
			}
			fig, err := figures[name](q.Title, nets)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", q.Name, name, err)
			}
			svg, err := fig.svg()
			if err != nil {
				return nil, err
			}
			one.Pictures = append(one.Pictures, report.Picture{Name: name, SVG: svg})
		}
		all = append(all, one)
	}
	return all, nil
}

// measured is what was measured of the net's finished runs with the question's options, in
// the order of the seeds.
func (n *net) measured(name string) (all []*record.Measured) {
	for _, r := range n.done {
		if m := r.Measured(name, n.options[name]); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// measuredSeeds counts the runs that have a measurement.
func measuredSeeds(name string) func(*net) int {
	return func(n *net) int { return len(n.measured(name)) }
}

// measuredFiles are the files for programs, by name: a line for each number.
func measuredFiles(q Question, nets []*net) map[string][]byte {
	files := map[string][]byte{}
	for _, m := range q.measurements() {
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Write(append([]string{"net", "seed"}, m.head...))
		for _, n := range nets {
			for _, r := range n.done {
				if one := r.Measured(m.name, n.options[m.name]); one != nil {
					for _, l := range m.lines(one) {
						w.Write(append([]string{n.Label(), strconv.FormatUint(r.Start.Seed, 10)}, l...))
					}
				}
			}
		}
		w.Flush() // a Buffer never fails
		files[m.name+".csv"] = b.Bytes()
	}
	return files
}

// number is x as text, with all its digits.
func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// quantile is the q-th quantile of ascending numbers, between two of them by their
// distances.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func median(xs []float64) float64 { return quantile(slices.Sorted(slices.Values(xs)), 0.5) }

// unmeasured is the error of a figure whose measurement no record has.
func unmeasured(figure string) error {
	return fmt.Errorf("%s: %w: no finished run has been measured", figure, errNothing)
}
