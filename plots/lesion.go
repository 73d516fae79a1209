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

// lesions draws the error without each single block on the left, and without several
// blocks, drawn at random, on the right.
func lesions(title string, nets []*net) (*figure, error) {
	fs := familiesOf(nets)
	color := fs.shades(nets)
	var single, several []profile
	var whole []float64
	deepest, most := 0, 0
	published := false
	for _, n := range nets {
		ms := n.measured("lesion")
		if len(ms) == 0 {
			continue
		}
		l := entry{fs.look(n, color(n)), n.Label()}
		one := profile{entry: l}
		one.layers, one.middle, one.lo, one.hi = byBlock(ms)
		some := profile{entry: l}
		some.layers, some.middle, some.lo, some.hi = byNumber(ms)
		single, several = append(single, one), append(several, some)
		whole = append(whole, wholeError(ms))
		deepest, most = max(deepest, slices.Max(one.layers)), max(most, slices.Max(some.layers))
		published = published || veitOf(n) != nil
	}
	if len(single) == 0 {
		return nil, unmeasured("lesion")
	}
	var entries []*entry
	for i := range single {
		entries = append(entries, &single[i].entry)
	}
	long := numbered(entries)
	for i := range several {
		several[i].entry = single[i].entry
	}
	y := axis{max: 100, ticks: ticks(0, 100, 5, 1), label: "error (%)"}
	right := y
	right.label = ""
	theirs := fade(gray, 0.75)
	fig := &figure{title: title, notes: append(notes(nets, leftOut(nets, func(n *net) int { return len(n.open) })), lesionNote)}
	fig.panels = []*panel{
		{heading: "One block deleted", x: blockAxis(deepest), y: y, paint: func(f frame) {
			for _, n := range nets {
				if v := veitOf(n); v != nil && len(n.measured("lesion")) > 0 {
					f.profile(profile{entry: entry{look: look{color: theirs}}, middle: v}, trainWidth, trainDash)
				}
			}
			for i, p := range single {
				f.profile(p, 1.2, p.dash)
				for _, q := range p.points() {
					f.dot(vg.Point{X: f.px(q.step), Y: f.py(q.mean)}, 2, p.color)
				}
				end := f.px(float64(slices.Max(p.layers)))
				f.line(fade(p.color, 0.8), 0.7, []vg.Length{1, 2}, vg.Point{X: f.Min.X, Y: f.py(whole[i])}, vg.Point{X: end, Y: f.py(whole[i])})
			}
		}},
		{heading: "Several blocks deleted at random, none the first of a stage", x: axis{label: "number of deleted blocks", max: float64(most), ticks: wholeTicks(most)}, y: right,
			right: labelRoom(names(several)), labels: len(several), paint: func(f frame) {
				if published && most > 0 && slices.ContainsFunc(nets, func(n *net) bool { return n.Depth == 110 && veitOf(n) != nil }) {
					f.profile(veitDraws(most), trainWidth, trainDash)
				}
				var labels []label
				for _, p := range several {
					f.profile(p, testWidth, p.dash)
					last := len(p.middle) - 1
					labels = append(labels, label{p.name, p.color, vg.Point{X: f.px(float64(p.layers[last])), Y: f.py(p.middle[last])}})
				}
				f.labels(labels)
			}},
	}
	fig.legend = []key{
		{"error without a block; median of the draws", straight(gray, testWidth, nil)},
		{"middle half of the draws", band},
		{"with all blocks", straight(gray, 0.7, []vg.Length{1, 2})},
	}
	if maxSeeds(nets) > 1 {
		fig.legend[0].label = "error without a block, mean of " + seedCount(nets) + " seeds; median of the draws"
		fig.legend[1].label = "lowest to highest seed; middle half of the draws"
	}
	if published {
		fig.legend = append(fig.legend, key{"Veit et al. 2016, pre-activation nets of the same depth", straight(theirs, trainWidth, trainDash)})
	}
	fig.legend = append(fig.legend, long...)
	return fig, nil
}

const lesionNote = "Trained nets, in tests: residual blocks without their branch, plain ones of two layers replaced by the identity where they keep the size. Statistics of batch norm not re-estimated; fp32."

// dot draws a small disc.
func (s sheet) dot(at vg.Point, r vg.Length, c rgba) {
	var path vg.Path
	path.Move(vg.Point{X: at.X + r, Y: at.Y})
	path.Arc(at, r, 0, 2*math.Pi)
	path.Close()
	s.SetColor(c)
	s.Fill(path)
}

func blockAxis(deepest int) axis {
	return axis{label: "deleted block, from the image on", min: 0.5, max: float64(deepest) + 0.5, ticks: slices.DeleteFunc(wholeTicks(deepest), func(t tick) bool { return t.at < 1 })}
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
	p.color = fade(gray, 0.75)
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
	published := false
	for _, n := range nets {
		ms := n.measured("lesion")
		if len(ms) == 0 {
			continue
		}
		blocks := 0 // of a stage
		for _, b := range ms[0].Values["first"] {
			blocks = max(blocks, int(b))
		}
		var others []float64
		firsts := map[int][]float64{}
		for _, m := range ms {
			for i, b := range m.Values["block"] {
				if slices.Contains(m.Values["first"], b) {
					firsts[int(b)] = append(firsts[int(b)], m.Values["error"][i])
				} else {
					others = append(others, m.Values["error"][i])
				}
			}
		}
		_, draws, _, _ := byNumber(ms)
		s.rows = append(s.rows, lesionRow(n.Label(), wholeError(ms), firsts, ms[0].Values["first"], others, draws))
		if v := veitOf(n); v != nil {
			published = true
			firsts, others = map[int][]float64{}, nil
			for i, e := range v {
				if slices.Contains(ms[0].Values["first"], float64(i+1)) {
					firsts[i+1] = []float64{e}
				} else {
					others = append(others, e)
				}
			}
			var draws []float64
			if n.Depth == 110 {
				draws = veitDraws(len(veit().drawn)).middle
			}
			s.rows = append(s.rows, lesionRow(fmt.Sprintf("Veit et al., %d layers", n.Depth), veit().whole[n.Depth], firsts, ms[0].Values["first"], others, draws))
		}
	}
	if published {
		s.note += " " + veitSource
	}
	return s
}

const veitSource = "Published: Veit, Wilber and Belongie 2016 (arXiv:1605.06431), one trained pre-activation net of each depth on CIFAR-10, from the raw results of github.com/gcr/fb.resnet.torch-lesion-study."

func lesionRow(name string, whole float64, firsts map[int][]float64, first []float64, others, draws []float64) []string {
	row := []string{name, percent(whole, "")}
	var later []string
	at := func(b float64) string {
		if xs := firsts[int(b)]; len(xs) > 0 {
			return percent(mean(xs), "")
		}
		return ""
	}
	for _, b := range first[min(1, len(first)):] {
		if text := at(b); text != "" {
			later = append(later, text)
		}
	}
	one := ""
	if len(first) > 0 {
		one = at(first[0])
	}
	row = append(row, one, strings.Join(later, ", "))
	if len(others) == 0 {
		row = append(row, "", "")
	} else {
		row = append(row, percent(median(others), ""), percent(slices.Min(others), "")+" to "+percent(slices.Max(others), ""))
	}
	for _, k := range []int{5, 10} {
		text := ""
		if k < len(draws) {
			text = percent(draws[k], "")
		}
		row = append(row, text)
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
