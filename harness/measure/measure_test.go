// Tests of the definitions: directions, scalar nets, correlations.

package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"depthlab/experiments"
	"depthlab/nets"
)

// In a direction each filter has the norm of the filter of the weights, two directions are nearly
// orthogonal, and scales, shifts and biases stay the same.
func TestDirection(t *testing.T) {
	arch, err := nets.ParseArch("resnet-20/B")
	if err != nil {
		t.Fatal(err)
	}
	params, _, err := arch.Leaves(nets.Config{Channels: 3, Size: 32, Classes: 10, Eps: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for _, p := range params {
		values[p.Name] = nets.Init(p, 1, false)
	}
	first, second := direction(params, values, 123), direction(params, values, ^uint64(123))
	for _, p := range params {
		d := first[p.Name]
		if (d != nil) != p.Kind.IsWeight() {
			t.Errorf("%s: %d numbers of the direction", p.Name, len(d))
		}
		if d == nil {
			continue
		}
		w, filters := values[p.Name], p.Node.Shape()[0]
		size := len(w) / filters
		for f := range filters {
			if got, want := norm(d[f*size:][:size]), norm(w[f*size:][:size]); math.Abs(got-want) > 1e-5*want {
				t.Errorf("%s, filter %d: norm %g, want %g", p.Name, f, got, want)
			}
		}
	}
	if c := cosine(first, second); math.Abs(c) > 0.02 || c == 0 {
		t.Errorf("the cosine between the directions is %g", c)
	}
	if c := cosine(first, first); math.Abs(c-1) > 1e-6 {
		t.Errorf("the cosine of a direction with itself is %g", c)
	}
	for name, w := range along(values, first, second, 0, 0) {
		if !slices.Equal(w, values[name]) {
			t.Errorf("%s is moved by 0", name)
		}
	}
	moved := along(values, first, second, 0.5, -2)["fc.weight"][7]
	if want := values["fc.weight"][7] + 0.5*first["fc.weight"][7] - 2*second["fc.weight"][7]; math.Abs(float64(moved-want)) > 1e-6 {
		t.Errorf("moved to %g, want %g", moved, want)
	}
}

func TestGrid(t *testing.T) {
	if got := grid(5, 2); !slices.Equal(got, []float64{-2, -1, 0, 1, 2}) {
		t.Error(got)
	}
	if got := grid(51, 1); got[25] != 0 || got[0] != -1 || got[50] != 1 {
		t.Error(got)
	}
}

// After one layer with batch norm a unit is active on one side of the mean input. So two
// inputs on the same side have correlation 1; on different sides 0 in a plain net, and in
// a residual one the share of the shortcut, 1 / (1 + 1/s^2), where s is the inputs'
// standard deviation.
func TestScalarOneLayer(t *testing.T) {
	inputs := grid(256, 2)
	var square float64
	for _, x := range inputs {
		square += x * x / 256
	}
	same := 127.0 / 255 // of the pairs
	for _, c := range []struct {
		residual bool
		want     float64
	}{{false, same}, {true, same + (1-same)/(1+1/square)}} {
		s := scalar{residual: c.residual, norm: true, width: 200}
		var all []float64
		for draw := range uint64(20) {
			all = append(all, s.correlations(inputs, 1, rand.New(rand.NewPCG(draw, 1)))[0])
		}
		got, deviation := statistics(all)
		if math.Abs(got-c.want) > 4*deviation || deviation > 0.02 {
			t.Errorf("residual %v: %.4f ± %.4f, want %.4f", c.residual, got, deviation, c.want)
		}
	}
}

// Theorem 1 of Balduzzi et al. 2017 says 2^-L for plain nets whose units are active for
// half of the inputs, and for two inputs together in a quarter of the cases. That holds for
// independent inputs with batch norm.
func TestScalarTheory(t *testing.T) {
	const inputs, width, layers, draws = 64, 200, 6, 12
	s := scalar{norm: true, width: width}
	var all [layers][]float64
	for draw := range uint64(draws) {
		random := rand.New(rand.NewPCG(draw, 2))
		x, dx := mat.NewDense(inputs, width, nil), mat.NewDense(inputs, width, nil)
		for unit := range width {
			w := random.NormFloat64()
			for i := range inputs {
				x.Set(i, unit, random.NormFloat64())
				dx.Set(i, unit, w) // the same for all inputs: correlation 1 before the first layer
			}
		}
		for l, c := range s.through(x, dx, layers, random) {
			all[l] = append(all[l], c)
		}
	}
	for l := range layers {
		got, deviation := statistics(all[l])
		// With 64 inputs a normalised unit has a correlation of -1/63 at two of them.
		want := math.Pow(2, -float64(l+1))
		if math.Abs(got-want) > 4*deviation+0.02*want*float64(l+1) {
			t.Errorf("%d layers: %.4f ± %.4f, want %.4f", l+1, got, deviation, want)
		}
	}
}

// statistics are the mean and its standard error.
func statistics(xs []float64) (mean, deviation float64) {
	n := float64(len(xs))
	for _, x := range xs {
		mean += x / n
	}
	for _, x := range xs {
		deviation += (x - mean) * (x - mean) / (n - 1)
	}
	return mean, math.Sqrt(deviation / n)
}

func TestMeanCosine(t *testing.T) {
	rows := mat.NewDense(3, 2, []float64{2, 0, 0, 5, 1, 0}) // orthogonal, equal, orthogonal
	if got := meanCosine(rows); math.Abs(got-1.0/3) > 1e-12 {
		t.Error(got)
	}
}

// Slopes that are the same everywhere have correlation 1, those that change sign at every
// point 1 and -1 in turn, whatever their size; of two functions the steeper counts more.
func TestAlike(t *testing.T) {
	slopes := [][]float64{{3, 2, 1}, {3, -2, 1}, {3, 2, 1}, {3, -2, 1}}
	for _, c := range []struct {
		first, functions, lag int
		want                  float64
	}{{0, 1, 1, 1}, {0, 1, 3, 1}, {1, 1, 1, -1}, {1, 1, 2, 1}, {1, 2, 1, (1 - 4) / 5.0}, {0, 3, 1, (9 - 4 + 1) / 14.0}} {
		if got := slopeCorrelation(slopes, c.first, c.functions, c.lag); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("functions %d to %d, %d apart: %g, want %g", c.first, c.first+c.functions-1, c.lag, got, c.want)
		}
	}
}

// Each draw has the right number of different blocks, none of them the first of a stage.
func TestLesions(t *testing.T) {
	for net, want := range map[string]struct{ single, most int }{"resnet-20": {9, 6}, "plain-20": {7, 6}, "plain-8": {1, 0}} {
		arch, err := nets.ParseArch(net)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := arch.BlockList(nets.Config{Channels: 3, Size: 32, Classes: 10})
		if err != nil {
			t.Fatal(err)
		}
		o := experiments.Lesion{Most: 20, Draws: 3, Seed: 5}
		l := lesionsOf(blocks, o)
		if len(l.single) != want.single || len(l.drawn) != 3*want.most || l.points() != 1+want.single+3*want.most {
			t.Errorf("%s: %d single blocks, %d draws", net, len(l.single), len(l.drawn))
		}
		for i, d := range l.drawn {
			if len(d) != i/3+1 || len(slices.Compact(slices.Clone(d))) != len(d) {
				t.Errorf("%s: draw %d is %v", net, i, d)
			}
			for _, b := range d {
				if blocks[b].First {
					t.Errorf("%s: draw %d has %s, the first of its stage", net, i, blocks[b].Name)
				}
			}
		}
		if again := lesionsOf(blocks, o); fmt.Sprint(again.drawn) != fmt.Sprint(l.drawn) {
			t.Errorf("%s: other draws with the same seed", net)
		}
		if without := l.without(0); len(without) != 0 {
			t.Errorf("%s: all blocks, and %d values", net, len(without))
		}
		if net != "resnet-20" {
			continue
		}
		for name := range l.without(2) {
			if !strings.HasPrefix(name, "layer1.1.") {
				t.Errorf("the second block is deleted by %s", name)
			}
		}
	}
}
