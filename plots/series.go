// Curves over several seeds, and thinning of long curves.

package plots

import (
	"math"
	"slices"

	"depthlab/harness/record"
)

// point is one point of a curve over several seeds. Errors are in percent.
type point struct {
	step         float64
	mean, lo, hi float64
}

// merge makes one curve of the curves of several seeds, in the steps that all of them reach. At a
// step at which a seed has no point, such as a test at other intervals, its value is interpolated.
func merge(curves [][]record.Point) []point {
	curves = slices.DeleteFunc(slices.Clone(curves), func(c []record.Point) bool { return len(c) == 0 })
	if len(curves) == 0 {
		return nil
	}
	var steps []int
	first, last := 0, math.MaxInt
	for _, c := range curves {
		for _, p := range c {
			steps = append(steps, p.Step)
		}
		first, last = max(first, c[0].Step), min(last, c[len(c)-1].Step)
	}
	slices.Sort(steps)
	var ps []point
	for _, step := range slices.Compact(steps) {
		if step < first || step > last {
			continue
		}
		var xs []float64
		for _, c := range curves {
			xs = append(xs, errorAt(c, step))
		}
		ps = append(ps, point{float64(step), mean(xs), slices.Min(xs), slices.Max(xs)})
	}
	return ps
}

// errorAt is the error of a curve at a step between its first and last, interpolated between its
// points.
func errorAt(c []record.Point, step int) float64 {
	i, exact := slices.BinarySearchFunc(c, step, func(p record.Point, step int) int { return p.Step - step })
	if exact {
		return c[i].Error
	}
	a, b := c[i-1], c[i]
	return a.Error + (b.Error-a.Error)*float64(step-a.Step)/float64(b.Step-a.Step)
}

// thin divides the x axis into n equal columns and keeps the lowest and the highest point
// in each, and the very last point. More cannot be seen in a picture of n columns. Short
// curves stay unchanged; nothing is averaged.
func thin(ps []point, end float64, n int) []point {
	if len(ps) <= 2*n {
		return ps
	}
	var out []point
	for i := 0; i < len(ps); {
		column := int(ps[i].step / end * float64(n))
		lo, hi, j := i, i, i
		for ; j < len(ps) && int(ps[j].step/end*float64(n)) == column; j++ {
			if ps[j].mean < ps[lo].mean {
				lo = j
			}
			if ps[j].mean > ps[hi].mean {
				hi = j
			}
		}
		a, b := ps[min(lo, hi)], ps[max(lo, hi)]
		for _, p := range ps[i:j] { // the band keeps its full height
			for _, q := range []*point{&a, &b} {
				q.lo, q.hi = min(q.lo, p.lo), max(q.hi, p.hi)
			}
		}
		out = append(out, a)
		if lo != hi {
			out = append(out, b)
		}
		i = j
	}
	if last := ps[len(ps)-1]; out[len(out)-1].step != last.step {
		out = append(out, last)
	}
	return out
}
