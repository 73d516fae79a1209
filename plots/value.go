// Final errors over a value that a question varies.

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

// finalErrorVsValue draws final errors over the value of a varied key, training error on
// the left and test error on the right. If several keys vary, the x axis is the first one
// with several values, if possible one with numbers. Each net has a line for every
// combination of the other keys.
func finalErrorVsValue(title string, nets []*net) (*figure, error) {
	done := slices.DeleteFunc(slices.Clone(nets), func(n *net) bool { return len(n.done) == 0 || len(n.Varied) == 0 })
	if len(done) == 0 {
		return nil, fmt.Errorf("final_error_vs_value: %w: no run of a varied key is finished", errNothing)
	}
	at := xKey(done)
	x, place := valueAxis(done, at)
	fig := &figure{title: title, notes: notes(done, leftOut(nets, (*net).openRuns))}
	lines := byOthers(done, at)
	for _, k := range []struct {
		heading string
		of      func(*record.RunRecord) (float64, bool)
	}{
		{"Training error at the end", (*record.RunRecord).FinalTrain},
		{capital(testWord(done)) + " error at the end", (*record.RunRecord).FinalTest},
	} {
		var trends []trend
		most := 0.0
		for _, l := range lines {
			t := trend{name: l.name, look: l.look, round: !l.nets[0].Residual}
			for _, n := range l.nets {
				if xs := n.values(k.of); len(xs) > 0 {
					t.points = append(t.points, point{place(n), mean(xs), slices.Min(xs), slices.Max(xs)})
					most = max(most, slices.Max(xs))
				}
			}
			slices.SortFunc(t.points, func(a, b point) int { return int(math.Copysign(1, a.step-b.step)) })
			trends = append(trends, t)
		}
		end := top(min(max(1.08*most, 0.5), 100))
		y := axis{max: end, ticks: ticks(0, end, 6, 1)}
		if len(fig.panels) == 0 {
			y.label = "error (%)"
		}
		fig.panels = append(fig.panels, &panel{heading: k.heading, x: x, y: y, paint: func(f frame) {
			for _, t := range trends {
				f.trend(t)
			}
		}})
	}
	for _, l := range lines {
		round := !l.nets[0].Residual
		fig.legend = append(fig.legend, key{l.name, func(s sheet, x, y, w vg.Length) {
			s.line(l.color, 1.6, l.dash, vg.Point{X: x, Y: y}, vg.Point{X: x + w, Y: y})
			s.marker(vg.Point{X: x + w/2, Y: y}, l.color, round, false)
		}})
	}
	fig.legend = append(fig.legend, seedsKey(done, (*net).finishedRuns, spanSample)...)
	return fig, nil
}

// spanSample draws a sample of a bar from the lowest to the highest seed.
func spanSample(s sheet, x, y, w vg.Length) {
	x += w / 2
	s.line(gray, 1, nil, vg.Point{X: x, Y: y - 5}, vg.Point{X: x, Y: y + 5})
	for _, y := range []vg.Length{y - 5, y + 5} {
		s.line(gray, 1, nil, vg.Point{X: x - 3, Y: y}, vg.Point{X: x + 3, Y: y})
	}
}

// xKey returns the index of the key of the x axis.
func xKey(nets []*net) int {
	several := -1
	for i := range nets[0].Varied {
		values := valuesAt(nets, i)
		if len(values) < 2 {
			continue
		}
		if _, _, numbers := numbersOf(values); numbers {
			return i
		}
		if several < 0 {
			several = i
		}
	}
	return max(several, 0)
}

// valuesAt lists the different values of a key, in the order of the nets.
func valuesAt(nets []*net, key int) (all []string) {
	for _, n := range nets {
		if v := n.Varied[key].Value; !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// numbersOf parses values that are numbers with one common unit, or without a unit: "80
// %", "1 step" and "2 steps".
func numbersOf(values []string) (numbers []float64, unit string, ok bool) {
	for i, v := range values {
		number, rest, _ := strings.Cut(v, " ")
		x, err := strconv.ParseFloat(number, 64)
		if err != nil || i > 0 && strings.TrimSuffix(rest, "s") != strings.TrimSuffix(unit, "s") {
			return nil, "", false
		}
		numbers, unit = append(numbers, x), max(rest, unit)
	}
	return numbers, unit, true
}

// valueAxis makes the x axis of a key's values and returns each net's place on it. If the
// values are not numbers, each has a column.
func valueAxis(nets []*net, key int) (axis, func(*net) float64) {
	values := valuesAt(nets, key)
	of := func(n *net) int { return slices.Index(values, n.Varied[key].Value) }
	x := axis{label: nets[0].Varied[key].Key}
	numbers, unit, ok := numbersOf(values)
	if !ok || len(values) < 2 {
		x.min, x.max = -0.6, float64(len(values))-0.4
		for i, v := range values {
			x.ticks = append(x.ticks, tick{float64(i), columnLabel(v)})
		}
		return x, func(n *net) float64 { return float64(of(n)) }
	}
	if unit != "" {
		x.label += " (" + unit + ")"
	}
	scale := func(v float64) float64 { return v }
	if lo := slices.Min(numbers); lo > 0 && slices.Max(numbers) >= 8*lo {
		scale = math.Log
		x.label += ", logarithmic"
	}
	lo, hi := scale(slices.Min(numbers)), scale(slices.Max(numbers))
	const edge = 0.07 // part of the axis that stays free on each side
	place := func(v float64) float64 { return edge + (1-2*edge)*(scale(v)-lo)/(hi-lo) }
	x.max = 1
	last := math.Inf(-1)
	for _, v := range slices.Sorted(slices.Values(numbers)) {
		t := tick{at: place(v)}
		if t.at-last >= 0.06 { // room for the label
			t.label, last = strconv.FormatFloat(v, 'g', -1, 64), t.at
		}
		x.ticks = append(x.ticks, t)
	}
	return x, func(n *net) float64 { return place(numbers[of(n)]) }
}

// valueLine groups nets that differ only in the value of one key.
type valueLine struct {
	look
	name string
	nets []*net
}

// byOthers groups nets into lines: all nets of a line differ only in this key.
func byOthers(nets []*net, key int) (lines []valueLine) {
	var heads []*net // one net for each line; its variant names the values of the other keys
	for _, n := range nets {
		head := &net{Start: n.Start}
		var others []string
		for i, v := range n.Varied {
			if i != key && len(valuesAt(nets, i)) > 1 {
				others = append(others, v.Key[strings.IndexByte(v.Key, '.')+1:]+" "+v.Value) // "warmup.for 400 steps"
			}
		}
		head.Variant = strings.Join(others, ", ")
		i := slices.IndexFunc(heads, func(h *net) bool { return h.Label() == head.Label() })
		if i < 0 {
			i = len(heads)
			heads = append(heads, head)
			lines = append(lines, valueLine{name: head.Label()})
		}
		lines[i].nets = append(lines[i].nets, n)
	}
	fs := familiesOf(heads)
	color := fs.shades(heads)
	for i := range lines {
		lines[i].look = fs.look(heads[i], color(heads[i]))
	}
	return lines
}
