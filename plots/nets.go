// Groups records into nets with their seeds, and describes the conditions of the runs.

package plots

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// net is one net of a question, trained with one recipe, with all its seeds.
type net struct {
	record.Start                     // of its first seed
	identity     bool                // its errors of the paper of 2016 are shown (citeIdentity)
	done         []*record.RunRecord // finished
	open         []*record.RunRecord // stopped, interrupted or still running

	options map[string]map[string]float64 // of measurements, as the question asks for them
}

// group groups records into nets: plain before residual, then by depth and name. Fails if
// the records cannot belong to one question.
func group(recs []*record.RunRecord) ([]*net, error) {
	recs = slices.Clone(recs)
	record.Sort(recs)
	var nets []*net
	for _, r := range recs {
		s := r.Start
		var n *net
		if last := len(nets) - 1; last >= 0 && nets[last].Net == s.Net && nets[last].Variant == s.Variant {
			n = nets[last]
		} else {
			n = &net{Start: s}
			nets = append(nets, n)
		}
		if s.Steps != n.Steps || s.Batch != n.Batch || s.Data != n.Data {
			return nil, fmt.Errorf("%s: %d steps of %d images of %s, but seed %d of the same net has %d of %d of %s: not records of one question",
				r.Path, s.Steps, s.Batch, s.Data, n.Seed, n.Steps, n.Batch, n.Data)
		}
		for _, o := range slices.Concat(n.done, n.open) {
			if o.Start.Seed == s.Seed {
				return nil, fmt.Errorf("%s: seed %d of %s is in %s, too", r.Path, s.Seed, n.Label(), o.Path)
			}
		}
		if r.Finished() {
			n.done = append(n.done, r)
		} else {
			n.open = append(n.open, r)
		}
	}
	citeIdentity(nets)
	return nets, nil
}

// tags are the words that tell the net from others of its depth and shortcut: the parts
// after the slashes of its name, and its variant.
func (n *net) tags() []string {
	tags := strings.Split(n.Net, "/")[1:]
	if n.Variant != "" {
		tags = append(tags, n.Variant)
	}
	return slices.DeleteFunc(tags, func(t string) bool { return t == n.Shortcut })
}

// shown lists the records to draw: the finished ones, or all if none is finished.
func (n *net) shown() []*record.RunRecord {
	if len(n.done) > 0 {
		return n.done
	}
	return n.open
}

// The numbers of its runs, for seedCount and leftOut.
func (n *net) finishedRuns() int { return len(n.done) }
func (n *net) openRuns() int     { return len(n.open) }
func (n *net) shownRuns() int    { return len(n.shown()) }
func (n *net) hiddenRuns() int   { return len(n.done) + len(n.open) - len(n.shown()) }

// values collects one number from each finished run that has it.
func (n *net) values(of func(*record.RunRecord) (float64, bool)) []float64 {
	var xs []float64
	for _, r := range n.done {
		if x, ok := of(r); ok {
			xs = append(xs, x)
		}
	}
	return xs
}

func mean(xs []float64) float64 {
	var sum float64
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs)) // NaN if empty
}

// std is the sample standard deviation, NaN for fewer than two values.
func std(xs []float64) float64 {
	if len(xs) < 2 {
		return math.NaN()
	}
	m, sum := mean(xs), 0.0
	for _, x := range xs {
		sum += (x - m) * (x - m)
	}
	return math.Sqrt(sum / float64(len(xs)-1))
}

// shortcuts lists the shortcut options of the residual nets, in alphabetical order.
func shortcuts(nets []*net) []string {
	var all []string
	for _, n := range nets {
		if n.Residual && !slices.Contains(all, n.Shortcut) {
			all = append(all, n.Shortcut)
		}
	}
	sort.Strings(all)
	return all
}

// depths lists the depths in ascending order.
func depths(nets []*net) []int {
	var all []int
	for _, n := range nets {
		if !slices.Contains(all, n.Depth) {
			all = append(all, n.Depth)
		}
	}
	slices.Sort(all)
	return all
}

// maxSeeds is the largest number of runs of one net, of those that count counts.
func maxSeeds(nets []*net, count func(*net) int) int {
	most := 0
	for _, n := range nets {
		most = max(most, count(n))
	}
	return most
}

// seedCount is "5", or "3 to 5" if nets have different numbers of runs. It ignores nets
// without any.
func seedCount(nets []*net, count func(*net) int) string {
	least, most := 0, maxSeeds(nets, count)
	for _, n := range nets {
		if k := count(n); k > 0 && (least == 0 || k < least) {
			least = k
		}
	}
	if least == most {
		return fmt.Sprint(most)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// seedsKey explains means over seeds and their range in a legend. It is nil if no net has
// several seeds.
func seedsKey(nets []*net, count func(*net) int, sample func(s sheet, x, y, w vg.Length)) []key {
	if maxSeeds(nets, count) < 2 {
		return nil
	}
	return []key{{"mean, and lowest to highest of " + seedCount(nets, count) + " seeds", sample}}
}

// allPaper reports whether all runs used the paper's recipe and data.
func allPaper(nets []*net) bool {
	for _, n := range nets {
		for _, r := range n.shown() {
			if !r.Start.Paper {
				return false
			}
		}
	}
	return true
}

// testWord is the name of the held-out set: "test" or "validation".
func testWord(nets []*net) string {
	words := distinct(nets, (*record.RunRecord).TestSet)
	if len(words) == 0 {
		return "test"
	}
	return strings.Join(words, "/")
}

// distinct lists the different non-empty values of the records, in their order.
func distinct(nets []*net, of func(*record.RunRecord) string) []string {
	var all []string
	for _, n := range nets {
		for _, r := range n.shown() {
			if s := of(r); s != "" && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// conditions is a line on the conditions of the runs: data, steps, precision, device. It
// contains no date and no speed.
func conditions(nets []*net) string {
	steps := distinct(nets, func(r *record.RunRecord) string {
		return fmt.Sprintf("%s steps of %d images", thousands(r.Start.Steps), r.Start.Batch)
	})
	parts := []string{
		strings.Join(distinct(nets, func(r *record.RunRecord) string { return r.Start.Data }), " and "),
		strings.Join(steps, " or "),
	}
	if maxSeeds(nets, (*net).finishedRuns) > 1 {
		parts = append(parts, seedCount(nets, (*net).finishedRuns)+" seeds")
	}
	parts = append(parts,
		strings.Join(distinct(nets, func(r *record.RunRecord) string { return r.Start.Precision }), " and "),
		strings.Join(distinct(nets, func(r *record.RunRecord) string { return r.Start.Device }), " and "))
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return capital(strings.Join(parts, "; ")) + "."
}

// paperRecipe reports whether the recipe of all runs is the paper's, so that its errors can be drawn
// beside theirs. The device, the precision and the copy of the data may be others.
func paperRecipe(nets []*net) bool {
	for _, n := range nets {
		for _, r := range n.shown() {
			recipe := func(caveat string) bool {
				return caveat != "CPU" && caveat != r.Start.Precision && caveat != r.Start.Data
			}
			if !r.Start.Paper && (len(r.Start.Caveats) == 0 || slices.ContainsFunc(r.Start.Caveats, recipe)) {
				return false
			}
		}
	}
	return true
}

// caveat says whether the recipe was the paper's and, if not, how it differs.
func caveat(nets []*net) string {
	if allPaper(nets) {
		return "The paper's recipe and data."
	}
	var all []string
	for _, n := range nets {
		for _, r := range n.shown() {
			for _, c := range r.Start.Caveats {
				if !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
		}
	}
	if len(all) == 0 {
		return "Not the paper's recipe."
	}
	if paperRecipe(nets) {
		return "The paper's recipe, but: " + strings.Join(all, "; ") + "."
	}
	return "Not the paper's recipe: " + strings.Join(all, "; ") + "."
}

// leftOut says how many unfinished runs are not shown; "" if none.
func leftOut(nets []*net, count func(*net) int) string {
	k := 0
	for _, n := range nets {
		k += count(n)
	}
	switch k {
	case 0:
		return ""
	case 1:
		return "1 unfinished run is not shown."
	}
	return fmt.Sprintf("%d unfinished runs are not shown.", k)
}

// thousands formats 64000 as "64,000".
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
