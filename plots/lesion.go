// Errors of trained nets without some of their blocks.

package plots

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gonum.org/v1/plot/vg"

	"depthlab/harness/record"
)

// lesioned is what is drawn of a net.
type lesioned struct {
	entry
	single  profile // the error without each block
	several profile // without 0, 1, 2, ... blocks at random
	whole   float64
	veit    []float64 // published errors without each block; nil for none
}

// lesions draws the error without each single block on the left, and without several
// blocks, drawn at random, on the right.
func lesions(title string, nets []*net) (*figure, error) {
	fs := familiesOf(nets)
	color := fs.shades(nets)
	var all []lesioned
	var entries []*entry
	deepest, most := 1, 1
	published, drawn := false, false // of Veit et al.: errors without one block; without several
	for _, n := range nets {
		ms := n.measured("lesion")
		if len(ms) == 0 {
			continue
		}
		l := lesioned{entry: entry{fs.look(n, color(n)), n.Label()}, whole: wholeError(ms), veit: veitOf(n)}
		l.single.layers, l.single.middle, l.single.lo, l.single.hi = byBlock(ms)
		l.several.layers, l.several.middle, l.several.lo, l.several.hi = byNumber(ms)
		deepest, most = max(deepest, slices.Max(l.single.layers)), max(most, slices.Max(l.several.layers))
		published, drawn = published || l.veit != nil, drawn || l.veit != nil && n.Depth == 110
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, unmeasured("lesion")
	}
	for i := range all {
		entries = append(entries, &all[i].entry)
	}
	long := numbered(entries)
	var labels []string
	for i, l := range all {
		all[i].single.entry, all[i].several.entry = l.entry, l.entry
		labels = append(labels, l.name)
	}
	y := axis{max: 100, ticks: ticks(0, 100, 5, 1), label: "error (%)"}
	one := &panel{heading: "One block deleted", x: blockAxis(deepest), y: y, paint: func(f frame) { f.singleBlocks(all) }}
	y.label = ""
	x := axis{label: "number of deleted blocks", max: float64(most), ticks: wholeTicks(most)}
	some := &panel{heading: "Several blocks deleted at random, none the first of a stage", x: x, y: y, right: labelRoom(labels), labels: len(labels), paint: func(f frame) {
		if drawn {
			f.profile(veitDraws(most), trainWidth, trainDash)
		}
		f.severalBlocks(all)
	}}
	return &figure{
		title:  title,
		notes:  append(notes(nets, leftOut(nets, (*net).openRuns)), lesionNote),
		panels: []*panel{one, some},
		legend: append(lesionLegend(nets, published), long...),
	}, nil
}

func (f frame) singleBlocks(all []lesioned) {
	for _, l := range all {
		if l.veit != nil {
			f.profile(profile{entry: entry{look: look{color: veitColor}}, middle: l.veit}, trainWidth, trainDash)
		}
	}
	for _, l := range all {
		for _, ps := range unbroken(l.single.points()) {
			if l.single.lo != nil {
				f.band(ps, fade(l.color, bandShade))
			}
			f.curve(ps, l.color, 1.2, l.dash)
		}
		for _, p := range l.single.points() {
			f.dot(vg.Point{X: f.px(p.step), Y: f.py(p.mean)}, 2, l.color)
		}
		end := f.px(float64(slices.Max(l.single.layers)))
		f.line(fade(l.color, 0.8), 0.7, wholeDash, vg.Point{X: f.Min.X, Y: f.py(l.whole)}, vg.Point{X: end, Y: f.py(l.whole)})
	}
}

// unbroken divides points into parts without a missing step: a line through a block that
// cannot be deleted would look measured there.
func unbroken(ps []point) (parts [][]point) {
	from := 0
	for i := range ps {
		if i+1 == len(ps) || ps[i+1].step > ps[i].step+1 {
			parts, from = append(parts, ps[from:i+1]), i+1
		}
	}
	return parts
}

func (f frame) severalBlocks(all []lesioned) {
	var labels []label
	for _, l := range all {
		p := l.several
		f.profile(p, testWidth, l.dash)
		last := len(p.middle) - 1
		labels = append(labels, label{l.name, l.color, vg.Point{X: f.px(float64(p.layers[last])), Y: f.py(p.middle[last])}})
	}
	f.labels(labels)
}

var (
	veitColor = fade(gray, 0.75)
	wholeDash = []vg.Length{1, 2}
)

func lesionLegend(nets []*net, published bool) []key {
	keys := []key{
		{"error without a block; median of the draws", straight(gray, testWidth, nil)},
		{"middle half of the draws", band},
		{"with all blocks", straight(gray, 0.7, wholeDash)},
	}
	if seeds := measuredSeeds("lesion"); maxSeeds(nets, seeds) > 1 {
		keys[0].label = "error without a block, mean of " + seedCount(nets, seeds) + " seeds; median of the draws"
		keys[1].label = "lowest to highest seed; middle half of the draws"
	}
	if published {
		keys = append(keys, key{"Veit et al. 2016, pre-activation nets of the same depth", straight(veitColor, trainWidth, trainDash)})
	}
	return keys
}

const lesionNote = "Trained nets, tested without blocks: a residual block loses its branch; a plain block (two layers) becomes the identity, if it keeps the size. Statistics of batch norm not re-estimated; fp32."

// dot draws a small disc.
func (s sheet) dot(at vg.Point, r vg.Length, c rgba) {
	var path vg.Path
	path.Move(vg.Point{X: at.X + r, Y: at.Y})
	path.Arc(at, r, 0, 2*math.Pi)
	path.Close()
	s.SetColor(c)
	s.Fill(path)
}

// blockAxis has a tick at the first block, the one that nets need most.
func blockAxis(deepest int) axis {
	later := slices.DeleteFunc(wholeTicks(deepest), func(t tick) bool { return t.at <= 1 })
	return axis{label: "deleted block, from the image on", min: 0.5, max: float64(deepest) + 0.5, ticks: append([]tick{{1, "1"}}, later...)}
}

// wholeTicks are ticks at whole numbers up to n.
func wholeTicks(n int) []tick {
	return slices.DeleteFunc(ticks(0, float64(max(n, 1)), 8, 1), func(t tick) bool { return t.at != math.Trunc(t.at) })
}

// byBlock gives the blocks that can be deleted and the error without each: mean, lowest and
// highest of the seeds (nil for one seed).
func byBlock(ms []*record.Measured) (blocks []int, middle, lo, hi []float64) {
	var seeds [][]float64
	for _, m := range ms {
		seeds = append(seeds, m.Values["error"])
	}
	for _, b := range ms[0].Values["block"] {
		blocks = append(blocks, int(b))
	}
	middle = byLayer(seeds, mean)
	if len(ms) > 1 {
		lo, hi = byLayer(seeds, slices.Min), byLayer(seeds, slices.Max)
	}
	return blocks, middle, lo, hi
}

// byNumber gives the median and the quartiles of the draws of all seeds for each number of
// deleted blocks, from 0 on.
func byNumber(ms []*record.Measured) (numbers []int, middle, lo, hi []float64) {
	draws := map[int][]float64{}
	for _, m := range ms {
		draws[0] = append(draws[0], m.Values["whole"]...)
		for i, k := range m.Values["deleted"] {
			draws[int(k)] = append(draws[int(k)], m.Values["drawn_error"][i])
		}
	}
	for k := 0; draws[k] != nil; k++ {
		xs := slices.Sorted(slices.Values(draws[k]))
		numbers = append(numbers, k)
		middle, lo, hi = append(middle, quantile(xs, 0.5)), append(lo, quantile(xs, 0.25)), append(hi, quantile(xs, 0.75))
	}
	return numbers, middle, lo, hi
}

func wholeError(ms []*record.Measured) float64 {
	var all []float64
	for _, m := range ms {
		all = append(all, m.Values["whole"]...)
	}
	return mean(all)
}

//go:embed paper/veit_lesion.csv
var veitText []byte

// veitErrors are the errors (percent) of pre-activation nets without blocks.
type veitErrors struct {
	whole  map[int]float64   // by depth: with all blocks
	single map[int][]float64 // by depth: without each of its blocks
	drawn  []float64         // 110 layers, without 1, 2, ... blocks: medians of random draws
}

var veit = sync.OnceValue(func() veitErrors {
	v := veitErrors{whole: map[int]float64{}, single: map[int][]float64{}}
	for _, row := range table(veitText)[1:] {
		depth, err1 := strconv.Atoi(row[0])
		e, err2 := strconv.ParseFloat(row[2], 64)
		switch block := row[1]; {
		case err1 != nil || err2 != nil:
			panic(fmt.Sprintf("paper/veit_lesion.csv: %q", row))
		case block == "0":
			v.whole[depth] = e
		case strings.HasPrefix(block, "drawn"):
			v.drawn = append(v.drawn, e)
		default:
			v.single[depth] = append(v.single[depth], e)
		}
	}
	return v
})

// veitOf are the published errors without each block of a net of the same depth; nil for
// other data and other kinds of nets.
func veitOf(n *net) []float64 {
	if !n.Residual || n.paperData() != "cifar10" || strings.Contains(n.Net, "bottleneck") || strings.Contains(n.Net, "single") {
		return nil
	}
	return veit().single[n.Depth]
}

// veitDraws are the published errors without 0 to most blocks of the net of 110 layers.
func veitDraws(most int) (p profile) {
	p.color = veitColor
	for k, e := range append([]float64{veit().whole[110]}, veit().drawn...) {
		if k <= most {
			p.layers, p.middle = append(p.layers, k), append(p.middle, e)
		}
	}
	return p
}

// lesionSummary has a row for each net, and one for the published net of the same depth.
func lesionSummary(nets []*net) summary {
	s := summary{
		title: "Errors without blocks, percent",
		head:  []string{"net", "all blocks", "without block 1", "without the first of stages 2, 3", "without one other: median", "lowest to highest", "without 5 at random", "without 10"},
		note:  lesionNote + " Medians and ranges are over all blocks and seeds; of random draws, over all draws and seeds.",
	}
	published := map[int]bool{} // depths
	for _, n := range nets {
		ms := n.measured("lesion")
		if len(ms) == 0 {
			continue
		}
		ours := withoutBlocks{whole: wholeError(ms), firsts: ms[0].Values["first"]}
		for _, m := range ms {
			ours.block, ours.error = append(ours.block, m.Values["block"]...), append(ours.error, m.Values["error"]...)
		}
		_, ours.drawn, _, _ = byNumber(ms)
		s.rows = append(s.rows, append([]string{n.Label()}, ours.cells()...))
		if v := veitOf(n); v != nil && !published[n.Depth] {
			theirs := withoutBlocks{whole: veit().whole[n.Depth], firsts: ours.firsts, error: v}
			for i := range v {
				theirs.block = append(theirs.block, float64(i+1))
			}
			if n.Depth == 110 {
				theirs.drawn = veitDraws(len(veit().drawn)).middle
			}
			s.rows = append(s.rows, append([]string{fmt.Sprintf("Veit et al., %d layers", n.Depth)}, theirs.cells()...))
			published[n.Depth] = true
		}
	}
	if len(published) > 0 {
		s.note += " " + veitSource
	}
	return s
}

const veitSource = "Published: Veit, Wilber and Belongie 2016 (arXiv:1605.06431), one trained pre-activation net of each depth on CIFAR-10, from the raw results of github.com/gcr/fb.resnet.torch-lesion-study."

// withoutBlocks are the errors of one net, percent.
type withoutBlocks struct {
	whole        float64
	firsts       []float64 // the first blocks of the stages, counted from 1
	block, error []float64 // a block, of one or several seeds, and the error without it
	drawn        []float64 // without 0, 1, 2, ... blocks at random
}

// cells are those of a row of the table, behind the name.
func (w withoutBlocks) cells() []string {
	var others []float64
	first := make([][]float64, len(w.firsts)) // by stage
	for i, b := range w.block {
		if stage := slices.Index(w.firsts, b); stage >= 0 {
			first[stage] = append(first[stage], w.error[i])
		} else {
			others = append(others, w.error[i])
		}
	}
	var later []string
	for _, xs := range first[1:] {
		if len(xs) > 0 { // a plain net cannot do without these blocks
			later = append(later, percent(mean(xs), ""))
		}
	}
	row := []string{percent(w.whole, ""), percent(mean(first[0]), ""), strings.Join(later, ", "), "", "", "", ""}
	if len(others) > 0 {
		row[3], row[4] = percent(median(others), ""), percent(slices.Min(others), "")+" to "+percent(slices.Max(others), "")
	}
	for i, k := range []int{5, 10} {
		if k < len(w.drawn) {
			row[5+i] = percent(w.drawn[k], "")
		}
	}
	return row
}

// lesionLines has a line for the whole net, each block and each draw.
func lesionLines(m *record.Measured) (all [][]string) {
	for _, e := range m.Values["whole"] {
		all = append(all, []string{"0", "", number(e)})
	}
	for i, b := range m.Values["block"] {
		all = append(all, []string{"1", number(b), number(m.Values["error"][i])})
	}
	for i, k := range m.Values["deleted"] {
		all = append(all, []string{number(k), "", number(m.Values["drawn_error"][i])})
	}
	return all
}
