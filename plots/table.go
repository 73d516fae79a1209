// The tables: Markdown, CSV and LaTeX.

package plots

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"depthlab/harness/record"
)

// tables maps a file name to the function that writes it.
var tables = map[string]func(Question, []*net) []byte{
	"table.md":  markdown,
	"table.csv": commaSeparated,
	"table.tex": latex,
}

// row is what is known of a net at the end. Errors are in percent, NaN if unknown.
type row struct {
	*net
	train, trainStd, full float64
	test, testStd, best   float64
	paperTrain, paperTest float64
}

func rows(nets []*net) []row {
	var rs []row
	for _, n := range nets {
		train := n.values((*record.RunRecord).FinalTrain)
		test := n.values((*record.RunRecord).FinalTest)
		r := row{
			net:   n,
			train: mean(train), trainStd: std(train),
			full: mean(n.values((*record.RunRecord).FullTrain)),
			test: mean(test), testStd: std(test),
			best: mean(n.values((*record.RunRecord).BestTest)),
		}
		r.paperTrain, r.paperTest = n.paper()
		rs = append(rs, r)
	}
	return rs
}

// percent formats x with two decimals; unknown if NaN.
func percent(x float64, unknown string) string {
	if math.IsNaN(x) {
		return unknown
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// meanStd formats "9.69", or "9.69 ± 0.12" for several seeds.
func meanStd(m, s float64, plusMinus, unknown string) string {
	if math.IsNaN(m) || math.IsNaN(s) {
		return percent(m, unknown)
	}
	return percent(m, "") + plusMinus + percent(s, "")
}

// meaning explains the columns.
func meaning(nets []*net) string {
	test := testWord(nets)
	s := fmt.Sprintf("Errors in percent, after the last step. "+
		"\"train\" is the running error of the mini-batches, a mean over the last %g %% of the steps; "+
		"\"full train\" is a pass over the whole training set in eval mode; "+
		"\"best %s\" is the lowest %s error at any time, which the paper does not report.", 100*record.FinalShare, test, test)
	if maxSeeds(nets, (*net).finishedRuns) > 1 {
		s += " Means over seeds ± sample standard deviation."
	}
	return s + " Paper: " + paperSource(nets)
}

// tableHead names the columns of the tables for people.
func tableHead(nets []*net) []string {
	test := testWord(nets)
	return []string{"net", "params", "seeds", "steps", "train", "full train", test, "best " + test, "paper train", "paper test"}
}

func (r row) cells(plusMinus, unknown string) []string {
	return []string{
		r.Label(), thousands(int(r.Params)), strconv.Itoa(len(r.done)), thousands(r.Steps),
		meanStd(r.train, r.trainStd, plusMinus, unknown), percent(r.full, unknown),
		meanStd(r.test, r.testStd, plusMinus, unknown), percent(r.best, unknown),
		percent(r.paperTrain, unknown), paperPercent(r.paperTest, unknown),
	}
}

// markdown is for people. Its cells are padded, because people also read it as plain
// text.
func markdown(q Question, nets []*net) []byte {
	grid := [][]string{tableHead(nets)}
	for _, r := range rows(nets) {
		grid = append(grid, r.cells(" ± ", "–"))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "**%s** %s %s\n\n", oneLine(q.Title), conditions(nets), caveat(nets))
	writeGrid(&b, grid)
	b.WriteString("\n" + meaning(nets) + "\n")
	if all := begun(nets); len(all) > 0 {
		b.WriteString("\nBegun as a trained net, extended by layers that compute the identity:\n\n- " + strings.Join(all, "\n- ") + "\n")
	}
	for _, s := range summaries(q, nets) {
		fmt.Fprintf(&b, "\n%s:\n\n", s.title)
		grid := [][]string{s.head}
		for _, row := range s.rows {
			for i := range row {
				row[i] = cmp.Or(row[i], "–")
			}
			grid = append(grid, row)
		}
		writeGrid(&b, grid)
		b.WriteString("\n" + s.note + "\n")
	}
	if open := unfinished(nets); len(open) > 0 {
		b.WriteString("\nNot finished, and not counted:\n\n")
		for _, l := range open {
			b.WriteString("- " + l + "\n")
		}
	}
	if all := warnings(nets); len(all) > 0 {
		b.WriteString("\nWarnings:\n\n- " + strings.Join(all, "\n- ") + "\n")
	}
	if len(q.Made) > 0 {
		b.WriteString("\nMade with:\n\n- " + strings.Join(q.Made, "\n- ") + "\n")
	}
	return b.Bytes()
}

// writeGrid writes a table with padded cells; the first row is its head.
func writeGrid(b *bytes.Buffer, grid [][]string) {
	wide := make([]int, len(grid[0]))
	for _, cells := range grid {
		for i, c := range cells {
			wide[i] = max(wide[i], len([]rune(c)))
		}
	}
	for k, cells := range grid {
		for i, c := range cells {
			pad := strings.Repeat(" ", wide[i]-len([]rune(c)))
			if i == 0 {
				b.WriteString("| " + c + pad)
			} else {
				b.WriteString(" | " + pad + c)
			}
		}
		b.WriteString(" |\n")
		if k == 0 {
			for i, w := range wide {
				if i == 0 {
					b.WriteString("|" + strings.Repeat("-", w+2))
				} else {
					b.WriteString("|" + strings.Repeat("-", w+1) + ":")
				}
			}
			b.WriteString("|\n")
		}
	}
}

// warnings lists the warnings in the runs' records, at most about a page.
func warnings(nets []*net) []string {
	const most = 40
	var ls []string
	for _, n := range nets {
		for _, r := range slices.Concat(n.done, n.open) {
			for _, e := range r.Warnings() {
				ls = append(ls, fmt.Sprintf("%s, seed %d, step %s: %s", n.Label(), r.Start.Seed, thousands(e.Step), oneLine(e.Text)))
			}
		}
	}
	if more := len(ls) - most; more > 0 {
		ls = append(ls[:most], fmt.Sprintf("and %d more, in runs/*/record.jsonl", more))
	}
	return ls
}

// begun lists the errors that runs began with that extend other runs, together with the
// final errors of those.
func begun(nets []*net) []string {
	if !slices.ContainsFunc(nets, func(n *net) bool { return n.Extends != "" }) {
		return nil
	}
	ends := map[string]string{}
	for _, n := range nets {
		for _, r := range n.done {
			test, _ := r.FinalTest()
			train, _ := r.FullTrain()
			ends[r.Start.ID] = fmt.Sprintf("%s %% %s error and %s %% on the whole training set", percent(test, ""), testWord(nets), percent(train, ""))
		}
	}
	var ls []string
	for _, n := range nets {
		for _, r := range slices.Concat(n.done, n.open) {
			if from := r.Start.Extends; from != "" {
				e := r.Began()
				ls = append(ls, fmt.Sprintf("%s, seed %d: %s %% and %s %% before its first step; %s ended with %s", n.Label(), r.Start.Seed, percent(e.Test, ""), percent(e.Train, ""), from, ends[from]))
			}
		}
	}
	return ls
}

// unfinished lists the runs that did not reach their end, and why.
func unfinished(nets []*net) []string {
	var ls []string
	for _, n := range nets {
		for _, r := range n.open {
			l := fmt.Sprintf("%s, seed %d: at step %s of %s", n.Label(), r.Start.Seed, thousands(r.Step()), thousands(n.Steps))
			if why := r.Stopped(); why != "" {
				l = fmt.Sprintf("%s, seed %d: stopped at step %s: %s", n.Label(), r.Start.Seed, thousands(r.Step()), oneLine(why))
			}
			ls = append(ls, l)
		}
	}
	return ls
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// latex is a plain tabular for use in the author's own table and caption. The conditions
// that the caption should mention are above it as a comment.
func latex(q Question, nets []*net) []byte {
	var b bytes.Buffer
	for _, s := range []string{q.Title, conditions(nets), caveat(nets), meaning(nets)} {
		fmt.Fprintf(&b, "%% %s\n", oneLine(s))
	}
	for _, l := range begun(nets) {
		fmt.Fprintf(&b, "%% Begun as a trained net: %s\n", l)
	}
	for _, l := range unfinished(nets) {
		fmt.Fprintf(&b, "%% Not finished: %s\n", l)
	}
	for _, l := range warnings(nets) {
		fmt.Fprintf(&b, "%% Warning: %s\n", l)
	}
	for _, l := range q.Made {
		fmt.Fprintf(&b, "%% %s\n", oneLine(l))
	}
	head := tableHead(nets)
	fmt.Fprintf(&b, "\\begin{tabular}{l%s}\n\\hline\n%s \\\\\n\\hline\n", strings.Repeat("r", len(head)-1), strings.Join(head, " & "))
	for _, r := range rows(nets) {
		cells := r.cells(" $\\pm$ ", "--")
		for _, i := range []int{0, len(cells) - 1} { // the net, and "> 20" for a net of the paper that failed
			cells[i] = texEscape.Replace(cells[i])
		}
		b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
	}
	b.WriteString("\\hline\n\\end{tabular}\n")
	return b.Bytes()
}

var texEscape = strings.NewReplacer(`\`, `\textbackslash{}`, `_`, `\_`, `%`, `\%`, `&`, `\&`, `#`, `\#`, `$`, `\$`, `{`, `\{`, `}`, `\}`,
	`<`, `$<$`, `>`, `$>$`, `|`, `$|$`, `^`, `\textasciicircum{}`, `~`, `\textasciitilde{}`)
