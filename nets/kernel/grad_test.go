// Tests of the gradients: each equals finite differences in float64, and the float32 path
// is the float64 path rounded.

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// random fills a float64 tensor with values of about unit size around mean.
func random(r *rand.Rand, mean float64, shape ...int) Tensor {
	x := New(Float64, shape...)
	for i := range x.F64 {
		x.F64[i] = mean + r.NormFloat64()
	}
	return x
}

func labels(l ...int32) Tensor { return Tensor{Shape: Shape{len(l)}, I32: l} }

func f32(shape Shape, v ...float32) Tensor { return Tensor{Shape: shape, F32: v} }

func clone(x Tensor) Tensor {
	x.F32 = append([]float32(nil), x.F32...)
	x.F64 = append([]float64(nil), x.F64...)
	return x
}

// to32 rounds float64 tensors to float32 and leaves the others.
func to32(xs []Tensor) []Tensor {
	out := make([]Tensor, len(xs))
	for i, x := range xs {
		out[i] = x
		if x.F64 != nil {
			out[i] = New(Float32, x.Shape...)
			for j, v := range x.F64 {
				out[i].F32[j] = float32(v)
			}
		}
	}
	return out
}

// apply runs the reference on in. Outputs have the same float type and start as NaN, so
// that an element that Ref does not write is noticed.
func apply(t testing.TB, k Kernel, in ...Tensor) []Tensor {
	t.Helper()
	var shapes []Shape
	for _, x := range in {
		shapes = append(shapes, x.Shape)
	}
	outs, err := k.Shape(shapes)
	if err != nil {
		t.Fatal(err)
	}
	var out []Tensor
	for i, s := range outs {
		dt := Float32
		if is64(in) {
			dt = Float64
		} else if tk, ok := k.(Types); ok {
			dt = tk.Types()[i]
		}
		y := New(dt, s...)
		for j := range y.F32 {
			y.F32[j] = float32(math.NaN())
		}
		for j := range y.F64 {
			y.F64[j] = math.NaN()
		}
		out = append(out, y)
	}
	k.Ref(out, in)
	return out
}

// gradCase is a kernel with the kernels of its gradients.
type gradCase struct {
	name string
	k    Kernel
	in   []Tensor
	// grads returns the gradients of sum(dy * y) with respect to the first operands.
	grads func(t testing.TB, in, y []Tensor, dy Tensor) []Tensor
}

func gradCases() []gradCase {
	r := rand.New(rand.NewPCG(1, 2))
	var cases []gradCase

	for _, c := range []struct {
		conv       Conv
		n, c, h, w int
	}{
		{Conv{3, 1, 1, 4}, 2, 3, 5, 7},
		{Conv{3, 2, 1, 4}, 2, 3, 8, 8},
		{Conv{3, 2, 1, 4}, 2, 3, 7, 5},
		{Conv{1, 2, 0, 4}, 2, 3, 6, 6},
		{Conv{1, 2, 0, 4}, 2, 3, 7, 5},
		{Conv{1, 1, 0, 2}, 1, 1, 3, 2},
		{Conv{3, 1, 1, 2}, 1, 1, 1, 1}, // all taps except one lie in the padding
		{Conv{3, 1, 0, 2}, 2, 2, 4, 3},
		{Conv{5, 3, 2, 2}, 1, 2, 9, 8},
		{Conv{7, 2, 3, 2}, 1, 3, 4, 4}, // an image smaller than the kernel
	} {
		k := c.conv
		cases = append(cases, gradCase{
			name: fmt.Sprintf("%s of %dx%d", k, c.h, c.w), k: k,
			in: []Tensor{random(r, 0, c.n, c.c, c.h, c.w), random(r, 0, k.Out, c.c, k.Size, k.Size)},
			grads: func(t testing.TB, in, _ []Tensor, dy Tensor) []Tensor {
				dx := apply(t, ConvGradInput{Conv: k, H: c.h, W: c.w}, in[1], dy)
				return append(dx, apply(t, ConvGradWeight{Conv: k}, in[0], dy)...)
			},
		})
	}

	for _, k := range []BatchNorm{
		{}, {ReLU: true}, {Add: true}, {Add: true, ReLU: true},
		{Group: 2}, {Group: 2, Add: true, ReLU: true}, {Group: 1, ReLU: true},
	} {
		k.Eps = 1e-5
		in := []Tensor{random(r, 3, 4, 3, 3, 2), random(r, 1, 3), random(r, 0, 3)}
		if k.Add {
			in = append(in, random(r, 0, 4, 3, 3, 2))
		}
		cases = append(cases, gradCase{
			name: k.String(), k: k, in: in,
			grads: func(t testing.TB, in, y []Tensor, dy Tensor) []Tensor {
				operands := []Tensor{in[0], in[1], y[1], y[2]}
				if k.ReLU {
					operands = append(operands, y[0])
				}
				return apply(t, BatchNormGrad{k}, append(operands, dy)...)
			},
		})
	}

	for _, k := range []Pad{{2, 5, Trailing}, {2, 5, Split}, {1, 6, Split}, {2, 3, Trailing}} {
		cases = append(cases, gradCase{
			name: k.String(), k: k, in: []Tensor{random(r, 0, 2, 3, 5, 4)},
			grads: func(t testing.TB, _, _ []Tensor, dy Tensor) []Tensor {
				return apply(t, PadGrad{Pad: k, C: 3, H: 5, W: 4}, dy)
			},
		})
	}

	for _, k := range []MaxPool{{3, 2, 0, 1}, {3, 2, 1, 1}, {2, 2, 0, 0}, {3, 1, 2, 0}} {
		cases = append(cases, gradCase{
			name: k.String(), k: k, in: []Tensor{random(r, 0, 2, 3, 6, 5)},
			grads: func(t testing.TB, in, _ []Tensor, dy Tensor) []Tensor {
				return apply(t, MaxPoolGrad{k}, in[0], dy)
			},
		})
	}

	cases = append(cases, gradCase{
		name: "avgpool", k: AvgPool{}, in: []Tensor{random(r, 0, 2, 3, 3, 4)},
		grads: func(t testing.TB, _, _ []Tensor, dy Tensor) []Tensor {
			return apply(t, AvgPoolGrad{H: 3, W: 4}, dy)
		},
	}, gradCase{
		name: "linear", k: Linear{Out: 4}, in: []Tensor{random(r, 0, 3, 5), random(r, 0, 4, 5), random(r, 0, 4)},
		grads: func(t testing.TB, in, _ []Tensor, dy Tensor) []Tensor {
			g := apply(t, LinearGradInput{}, in[1], dy)
			g = append(g, apply(t, LinearGradWeight{}, in[0], dy)...)
			return append(g, apply(t, LinearGradBias{}, dy)...)
		},
	}, gradCase{
		name: "add", k: Add{}, in: []Tensor{random(r, 0, 2, 3), random(r, 0, 2, 3)},
		grads: func(t testing.TB, _, _ []Tensor, dy Tensor) []Tensor { return []Tensor{dy, dy} },
	}, gradCase{
		name: "relu", k: ReLU{}, in: []Tensor{random(r, 0, 2, 3, 4, 3)},
		grads: func(t testing.TB, _, y []Tensor, dy Tensor) []Tensor { return apply(t, ReLUGrad{}, y[0], dy) },
	}, gradCase{
		name: "scale", k: Scale{0.3}, in: []Tensor{random(r, 0, 2, 3, 4, 3)},
		grads: func(t testing.TB, _, _ []Tensor, dy Tensor) []Tensor { return apply(t, Scale{0.3}, dy) },
	})
	for _, k := range []Dropout{{Rate: 0.5}, {Rate: 0.2, Layer: 3}} {
		noise := labels(7, -123456789)
		cases = append(cases, gradCase{
			name: k.String(), k: k, in: []Tensor{random(r, 0, 2, 3, 4, 3), noise},
			grads: func(t testing.TB, _, _ []Tensor, dy Tensor) []Tensor { return apply(t, k, dy, noise) },
		})
	}
	for _, k := range []Gate{{}, {Carry: true}} {
		cases = append(cases, gradCase{
			name: k.String(), k: k, in: []Tensor{random(r, 0, 2, 3, 4, 3), random(r, 0, 2, 3, 4, 3), random(r, -1, 3)},
			grads: func(t testing.TB, in, _ []Tensor, dy Tensor) []Tensor {
				return apply(t, GateGrad{k}, in[0], in[1], in[2], dy)
			},
		})
	}

	for name, l := range map[string]Tensor{
		"full": labels(0, 3, 1, 3), "empty slots": labels(-1, 2, -1, 0), "all empty": labels(-1, -1, -1, -1),
	} {
		for _, s := range []float64{0, 0.3} {
			cases = append(cases, gradCase{
				name: fmt.Sprintf("cross entropy, %s, smoothing %g", name, s), k: CrossEntropy{Smoothing: s}, in: []Tensor{random(r, 0, 4, 5), l},
				grads: func(t testing.TB, in, _ []Tensor, dy Tensor) []Tensor {
					g := apply(t, CrossEntropyGrad{Smoothing: s}, in...)
					for i := range g[0].F64 {
						g[0].F64[i] *= dy.F64[0]
					}
					return g
				},
			})
		}
	}
	return cases
}

// Every gradient agrees with central differences in float64. A step of 1e-5 has an error
// of its square times a third derivative, plus the rounding of the sum divided by the
// step: both are about 1e-10 of the gradient.
func TestGradients(t *testing.T) {
	const step, bound = 1e-5, 1e-7
	for _, c := range gradCases() {
		t.Run(c.name, func(t *testing.T) {
			y := apply(t, c.k, c.in...)
			dy := random(rand.New(rand.NewPCG(3, 4)), 0, y[0].Shape...)
			grads := c.grads(t, c.in, y, dy)
			_, rectified := c.k.(ReLU)
			if bn, ok := c.k.(BatchNorm); ok {
				rectified = bn.ReLU
			}
			points, kinks := 0, 0
			for i, g := range grads {
				if !g.Shape.Equal(c.in[i].Shape) {
					t.Fatalf("gradient %d has shape %v, its operand %v", i, g.Shape, c.in[i].Shape)
				}
				x := c.in[i].F64
				size := 0.0
				for _, v := range g.F64 {
					size = max(size, math.Abs(v))
				}
				for j := range x {
					points++
					at := x[j]
					x[j] = at + step
					up := apply(t, c.k, c.in...)[0]
					x[j] = at - step
					down := apply(t, c.k, c.in...)[0]
					x[j] = at
					if rectified && crosses(up, down) {
						kinks++ // the rectifier has no derivative here
						continue
					}
					var diff float64
					for n := range up.F64 {
						diff += dy.F64[n] * (up.F64[n] - down.F64[n])
					}
					diff /= 2 * step
					if !(math.Abs(diff-g.F64[j]) <= bound*max(1, size)) {
						t.Fatalf("operand %d element %d: gradient %g, differences give %g", i, j, g.F64[j], diff)
					}
				}
			}
			if kinks*50 > points {
				t.Errorf("%d of %d points lie on a kink: too many to trust the rest", kinks, points)
			}
		})
	}
}

// crosses reports whether a rectified output is positive in one of a and b only.
func crosses(a, b Tensor) bool {
	for i := range a.F64 {
		if (a.F64[i] > 0) != (b.F64[i] > 0) {
			return true
		}
	}
	return false
}

// The float32 path is the float64 path, rounded where a value is stored.
func TestFloat32(t *testing.T) {
	for _, c := range gradCases() {
		in64 := c.in
		in := to32(in64)
		for i, x := range in { // the float64 run gets the rounded operands
			for j, v := range x.F32 {
				in64[i].F64[j] = float64(v)
			}
		}
		want, got := apply(t, c.k, in64...), apply(t, c.k, in...)
		for i := range want {
			for j, v := range want[i].F64 {
				if g := float64(got[i].F32[j]); !(math.Abs(g-v) <= 1e-5*max(1, math.Abs(v))) {
					t.Fatalf("%s: output %d element %d is %g, in float64 %g", c.name, i, j, g, v)
				}
			}
		}
	}
}

// Where the rectifier's output is exactly 0 it passes no gradient, as in PyTorch and
// cuDNN.
func TestRectifierAtZero(t *testing.T) {
	k := BatchNormGrad{BatchNorm{Eps: 1e-5, Add: true, ReLU: true}}
	one := f32(Shape{1}, 1)
	y := f32(Shape{1, 1, 1, 3}, 0, 1, 0)
	out := apply(t, k, f32(Shape{1, 1, 1, 3}, -1, 0, 1), one, f32(Shape{1, 1}, 0), f32(Shape{1, 1}, 1), y, f32(Shape{1, 1, 1, 3}, 5, 6, 7))
	for i, want := range []float32{0, 6, 0} {
		if out[3].F32[i] != want {
			t.Errorf("gradient %d of the shortcut is %g, want %g", i, out[3].F32[i], want)
		}
	}
	if out[2].F32[0] != 6 {
		t.Errorf("gradient of the shift is %g, want 6", out[2].F32[0])
	}
}
