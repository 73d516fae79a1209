// Tests of the optimizers: they compute what PyTorch's compute.

package kernel

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Parameters after each of twelve steps, and the state after the last, are PyTorch's
// (testdata/optimizers.py).
func TestOptimizers(t *testing.T) {
	text, err := os.ReadFile("testdata/optimizers.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		First []float32
		Grads [][]float32
		Cases map[string]struct {
			Rate  float32
			After [][]float64
			State map[string][]float64
		}
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	const bound = 2e-6 // relative to the largest value: float32 roundings of twelve steps
	near := func(what string, got []float32, want []float64) {
		t.Helper()
		size := 0.0
		for _, w := range want {
			size = max(size, math.Abs(w))
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d values, PyTorch has %d", what, len(got), len(want))
		}
		for i, w := range want {
			if e := math.Abs(float64(got[i]) - w); !(e <= bound*size) {
				t.Fatalf("%s: value %d is %v, PyTorch has %v", what, i, got[i], w)
			}
		}
	}
	for name, k := range map[string]Optimizer{
		"pytorch":  SGD{Momentum: 0.9, Decay: 0.01, Form: PyTorch},
		"nesterov": SGD{Momentum: 0.9, Decay: 0.01, Form: Nesterov},
		"adam":     Adam{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.01},
		"adamw":    Adam{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.01, Decoupled: true},
	} {
		c, ok := want.Cases[name]
		if !ok {
			t.Fatalf("PyTorch has no %s", name)
		}
		n := len(want.First)
		in := []Tensor{{Shape: Shape{n}, F32: append([]float32(nil), want.First...)}, New(Float32, n)}
		for _, s := range k.State() {
			if s.Single {
				in = append(in, New(Float32, 1))
			} else {
				in = append(in, New(Float32, n))
			}
		}
		rates := New(Float32, 2)
		in = append(in, rates)
		var shapes []Shape
		for _, x := range in {
			shapes = append(shapes, x.Shape)
		}
		if _, err := k.Shape(shapes); err != nil {
			t.Fatal(err)
		}
		var out []Tensor
		for _, i := range k.Updated(len(in)) {
			out = append(out, in[i])
		}
		for step, g := range want.Grads {
			copy(in[1].F32, g)
			rates.F32[0] = c.Rate
			if step >= 6 {
				rates.F32[0] = c.Rate / 10
			}
			k.Ref(out, in)
			near(name+"'s parameters", in[0].F32, c.After[step])
		}
		if len(c.State) != len(k.State()) {
			t.Errorf("%s keeps %d tensors, PyTorch's %d", name, len(k.State()), len(c.State))
		}
		for i, s := range k.State() {
			near(name+"'s "+s.Name, in[2+i].F32, c.State[s.Name])
		}
	}
}

// Operands that do not fit an optimizer are refused. WithoutDecay changes the decay only.
// State is known by name.
func TestOptimizerRules(t *testing.T) {
	p, one, two := Shape{5}, Shape{1}, Shape{2}
	for _, k := range []Optimizer{SGD{Momentum: 0.9, Decay: 1}, Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 1}} {
		in := []Shape{p, p}
		for _, s := range k.State() {
			if s.Single {
				in = append(in, one)
			} else {
				in = append(in, p)
			}
		}
		in = append(in, two)
		out, err := k.Shape(in)
		if err != nil || len(out) != 1+len(k.State()) {
			t.Errorf("%s: %v, %v", k, out, err)
		}
		for i := range in {
			bad := append([]Shape(nil), in...)
			bad[i] = Shape{7}
			if _, err := k.Shape(bad); err == nil {
				t.Errorf("%s: operand %d may have shape (7)", k, i)
			}
		}
		if again := k.WithoutDecay(); again == k || again.WithoutDecay() != again {
			t.Errorf("%s without decay is %s", k, again)
		}
	}
	for name, want := range map[string]bool{
		"momentum.conv1.weight": true, "exp_avg.conv1.weight": true, "exp_avg_sq.fc.bias": true, "step": true,
		"conv1.weight": false, "step.weight": false, "momentum": false, "bn1.running_mean": false,
	} {
		if IsState(name) != want {
			t.Errorf("%s is state: %v", name, !want)
		}
	}
}
