// Curves over several seeds, and thinning of long curves.

package plots

import (
	"sort"

	"depthlab/harness/record"
)

// point is one point of a curve over several seeds. Errors are in percent.
type point struct {
	step         float64
	mean, lo, hi float64
}

// merge makes one curve of the curves of several seeds. It leaves out points that some
// seeds lack, because the mean would jump there.
func merge(curves [][]record.Point) []point {
	at := map[int][]float64{}
	most := 0
	for _, c := range curves {
		for _, p := range c {
			at[p.Step] = append(at[p.Step], p.Error)
			most = max(most, len(at[p.Step]))
		}
	}
	var ps []point
	for step, xs := range at {
		if len(xs) < most {
			continue
		}
		p := point{step: float64(step), mean: mean(xs), lo: xs[0], hi: xs[0]}
		for _, x := range xs {
			p.lo, p.hi = min(p.lo, x), max(p.hi, x)
		}
		ps = append(ps, p)
	}
	sort.Slice(ps, func(i, j int) bool { return ps[i].step < ps[j].step })
	return ps
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
