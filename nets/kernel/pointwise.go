// Element by element: rectifier, constant factor, gate.

package kernel

import (
	"fmt"
	"math"
)

// pointwise checks inputs that all have one shape.
func pointwise(name string, in []Shape, n int) ([]Shape, error) {
	if len(in) != n {
		return nil, fmt.Errorf("%s: %d inputs, want %d", name, len(in), n)
	}
	for i, s := range in {
		if len(s) != 4 || !s.Equal(in[0]) {
			return nil, fmt.Errorf("%s: input %d has shape %v, want %v with rank 4", name, i, s, in[0])
		}
	}
	return in[:1], nil
}

// ReLU is a rectifier without a batch norm before it: x -> max(x, 0), both (N,C,H,W).
type ReLU struct{}

func (k ReLU) String() string { return "relu" }

func (k ReLU) Shape(in []Shape) ([]Shape, error) { return pointwise(k.String(), in, 1) }

func (k ReLU) Cost(in []Shape) (flops, bytes int64) { return int64(in[0].Len()), 2 * bytesOf(in) }

func (k ReLU) Ref(out, in []Tensor) {
	if is64(in) {
		reluRef[float64](out[0], in[0])
	} else {
		reluRef[float32](out[0], in[0])
	}
}

func reluRef[T Float](yt, xt Tensor) {
	y, x := floats[T](yt), floats[T](xt)
	for i, v := range x {
		if v < 0 { // NaN passes
			v = 0
		}
		y[i] = v
	}
}

// ReLUGrad is the gradient of ReLU: y, dy -> dx. Where y is not above 0 it is 0.
type ReLUGrad struct{}

func (k ReLUGrad) String() string { return "relu grad" }

func (k ReLUGrad) Shape(in []Shape) ([]Shape, error) { return pointwise(k.String(), in, 2) }

func (k ReLUGrad) Cost(in []Shape) (flops, bytes int64) {
	return int64(in[0].Len()), bytesOf(in, in[:1])
}

func (k ReLUGrad) Ref(out, in []Tensor) {
	if is64(in) {
		reluGradRef[float64](out[0], in[0], in[1])
	} else {
		reluGradRef[float32](out[0], in[0], in[1])
	}
}

func reluGradRef[T Float](dxt, yt, dyt Tensor) {
	dx, y, dy := floats[T](dxt), floats[T](yt), floats[T](dyt)
	for i, d := range dy {
		if !(y[i] > 0) {
			d = 0
		}
		dx[i] = d
	}
}

// Scale multiplies by a constant: x -> By x, both (N,C,H,W). It is its own gradient.
type Scale struct{ By float32 }

func (k Scale) String() string { return fmt.Sprintf("scale %g", k.By) }

func (k Scale) Shape(in []Shape) ([]Shape, error) { return pointwise(k.String(), in, 1) }

func (k Scale) Cost(in []Shape) (flops, bytes int64) { return int64(in[0].Len()), 2 * bytesOf(in) }

func (k Scale) Ref(out, in []Tensor) {
	if is64(in) {
		scaleRef[float64](k, out[0], in[0])
	} else {
		scaleRef[float32](k, out[0], in[0])
	}
}

func scaleRef[T Float](k Scale, yt, xt Tensor) {
	y, x := floats[T](yt), floats[T](xt)
	for i, v := range x {
		y[i] = T(k.By) * v
	}
}

// Gate multiplies by a gate g = sigmoid(z + bias) of each element (He et al. 2016,
// "Identity Mappings", section 3.1): x, z (N,C,H,W), bias (C) -> g x. With Carry the
// factor is 1 - g, the carry gate of highway nets.
type Gate struct{ Carry bool }

func (k Gate) String() string {
	if k.Carry {
		return "gate carry"
	}
	return "gate"
}

func (k Gate) Shape(in []Shape) ([]Shape, error) {
	if len(in) != 3 {
		return nil, fmt.Errorf("%s: %d inputs, want 3", k, len(in))
	}
	return gateShape(k.String(), in[:2], in[2])
}

func gateShape(name string, like []Shape, bias Shape) ([]Shape, error) {
	out, err := pointwise(name, like, len(like))
	if err == nil && !bias.Equal(Shape{out[0][1]}) {
		err = fmt.Errorf("%s: the bias has shape %v, want %v", name, bias, Shape{out[0][1]})
	}
	return out, err
}

func (k Gate) Cost(in []Shape) (flops, bytes int64) {
	return 12 * int64(in[0].Len()), bytesOf(in, in[:1])
}

func (k Gate) Ref(out, in []Tensor) {
	if is64(in) {
		gateRef[float64](k, out[0], in)
	} else {
		gateRef[float32](k, out[0], in)
	}
}

// factor is what the gate multiplies by, of z + bias. The carry gate is computed as
// sigmoid(-t): 1 - sigmoid(t) would lose digits.
func (k Gate) factor(t float64) float64 {
	if k.Carry {
		t = -t
	}
	return 1 / (1 + math.Exp(-t))
}

func gateRef[T Float](k Gate, yt Tensor, in []Tensor) {
	y, x, z, bias := floats[T](yt), floats[T](in[0]), floats[T](in[1]), floats[T](in[2])
	p := planes(yt.Shape, 0)
	parallel(p.C, func(c int) {
		p.each(c, func(i int) { y[i] = T(float64(x[i]) * k.factor(float64(z[i])+float64(bias[c]))) })
	})
}

// GateGrad is the gradient of Gate: x, z (N,C,H,W), bias (C), dy (N,C,H,W) ->
// dx, dz (N,C,H,W), dbias (C).
type GateGrad struct{ Gate }

func (k GateGrad) String() string { return k.Gate.String() + " grad" }

func (k GateGrad) Shape(in []Shape) ([]Shape, error) {
	if len(in) != 4 {
		return nil, fmt.Errorf("%s: %d inputs, want 4", k, len(in))
	}
	out, err := gateShape(k.String(), []Shape{in[0], in[1], in[3]}, in[2])
	if err != nil {
		return nil, err
	}
	return []Shape{out[0], out[0], in[2]}, nil
}

func (k GateGrad) Cost(in []Shape) (flops, bytes int64) {
	return 18 * int64(in[0].Len()), bytesOf(in, in[:2])
}

func (k GateGrad) Ref(out, in []Tensor) {
	if is64(in) {
		gateGradRef[float64](k, out, in)
	} else {
		gateGradRef[float32](k, out, in)
	}
}

func gateGradRef[T Float](k GateGrad, out, in []Tensor) {
	x, z, bias, dy := floats[T](in[0]), floats[T](in[1]), floats[T](in[2]), floats[T](in[3])
	dx, dz, dbias := floats[T](out[0]), floats[T](out[1]), floats[T](out[2])
	sign := 1.0
	if k.Carry {
		sign = -1
	}
	p := planes(in[0].Shape, 0)
	parallel(p.C, func(c int) {
		var sum float64
		p.each(c, func(i int) {
			g := k.factor(float64(z[i]) + float64(bias[c]))
			d := float64(dy[i])
			dx[i] = T(d * g)
			slope := sign * d * float64(x[i]) * g * (1 - g)
			dz[i] = T(slope)
			sum += slope
		})
		dbias[c] = T(sum)
	})
}
