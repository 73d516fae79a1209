// The loss around a trained net (Li et al. 2018, arXiv:1712.09913).

package measure

import (
	"context"
	"hash/fnv"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"depthlab/experiments"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/nets"
)

// direction is a random direction for the weights of a net: for each parameter a Gaussian
// vector, in which each filter (output channel, or row of the classifier) is scaled to the
// norm of the filter's weights. Scales, shifts and biases stay the same, and are not in it.
func direction(params []*nets.Param, values map[string][]float32, seed uint64) map[string][]float32 {
	d := map[string][]float32{}
	for _, p := range params {
		if !p.Kind.IsWeight() {
			continue
		}
		h := fnv.New64a()
		h.Write([]byte(p.Name))
		random := rand.New(rand.NewPCG(seed, h.Sum64()))
		w := values[p.Name]
		v := make([]float32, len(w))
		for i := range v {
			v[i] = float32(random.NormFloat64())
		}
		filters := p.Node.Shape()[0]
		size := len(w) / filters
		for f := range filters {
			part := v[f*size:][:size]
			by := norm(w[f*size:][:size]) / (norm(part) + 1e-10)
			for i := range part {
				part[i] = float32(float64(part[i]) * by)
			}
		}
		d[p.Name] = v
	}
	return d
}

func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// cosine returns the cosine of the angle between two directions.
func cosine(a, b map[string][]float32) float64 {
	var ab, aa, bb float64
	for _, name := range slices.Sorted(maps.Keys(a)) { // a sum in another order has other bits
		for i, x := range a[name] {
			y := float64(b[name][i])
			ab, aa, bb = ab+float64(x)*y, aa+float64(x)*float64(x), bb+y*y
		}
	}
	return ab / math.Sqrt(aa*bb)
}

// along returns the weights, moved by a and b along two directions.
func along(values, first, second map[string][]float32, a, b float64) map[string][]float32 {
	moved := map[string][]float32{}
	for name, u := range first {
		v, w := second[name], make([]float32, len(u))
		for i, x := range values[name] {
			w[i] = float32(float64(x) + a*float64(u[i]) + b*float64(v[i]))
		}
		moved[name] = w
	}
	return moved
}

func landscapeCost(run experiments.Run, m experiments.Measurements) string {
	images := m.Landscape.Images
	if images == 0 {
		images = run.TrainImages()
	}
	return tests(m.Landscape.Grid*m.Landscape.Grid, images)
}

// landscape tests the net with moved weights on training images. Its values:
//
//	"at"             coordinates of the points on a side of the grid
//	"loss", "error"  at each point, with the first direction varying fastest; a loss is at most
//	                 the largest float32
//	"cosine"         cosine of the angle between the two directions
func landscape(n *net, m experiments.Measurements) (*work, error) {
	net, err := n.trained()
	if err != nil {
		return nil, err
	}
	params, _, err := n.arch.Leaves(model.Geometry(n.Data))
	if err != nil {
		return nil, err
	}
	o := m.Landscape
	first, second := direction(params, n.values, uint64(o.Seed)), direction(params, n.values, ^uint64(o.Seed))
	at := grid(o.Grid, o.Span)
	images := some(net.Images.Train, o.Images)
	return &work{
		points: o.Grid * o.Grid,
		point: func(ctx context.Context, i int) ([]float64, error) {
			if err := n.change(along(n.values, first, second, at[i%o.Grid], at[i/o.Grid])); err != nil {
				return nil, err
			}
			loss, percent, err := n.test(ctx, images)
			return []float64{loss, percent}, err
		},
		event: func(points [][]float64) (record.Event, error) {
			v := map[string][]float64{"at": at, "cosine": {digits(cosine(first, second))}}
			for _, p := range points {
				v["loss"], v["error"] = append(v["loss"], digits(p[0])), append(v["error"], digits(p[1]))
			}
			return values(v)
		},
	}, nil
}

// grid returns n equidistant points from -span to span; the middle one is exactly 0 if n is odd.
func grid(n int, span float64) []float64 {
	at := make([]float64, n)
	for i := range at {
		at[i] = span * float64(2*i-(n-1)) / float64(n-1)
	}
	return at
}
