// Batch norm in training and inference, its gradient, and running statistics.

package kernel

import (
	"fmt"
	"math"
)

// BatchNorm normalises each channel with the statistics of the batch, then scales and
// shifts. With Add it adds a shortcut, with ReLU it rectifies:
//
//	y = relu((x - mean) / sqrt(variance + Eps) * scale + shift + add)
//
// x (N,C,H,W), scale (C), shift (C) [, add (N,C,H,W)] ->
// y (N,C,H,W), mean (G,C), variance (G,C, biased). Ioffe and Szegedy 2015.
type BatchNorm struct {
	Eps   float32
	Group int // images that share statistics (the paper's 64 on each GPU); 0 means the whole batch. G = N/Group
	Add   bool
	ReLU  bool
}

func (k BatchNorm) String() string {
	s := "batchnorm"
	if k.Group > 0 {
		s += fmt.Sprintf(" g%d", k.Group)
	}
	return s + suffix(k.Eps, k.Add, k.ReLU)
}

// suffix lists attributes that are not the default: it leaves out the usual eps, because
// people read the dumps.
func suffix(eps float32, add, relu bool) string {
	s := ""
	if eps != 1e-5 {
		s += fmt.Sprintf(" eps%g", eps)
	}
	if add {
		s += " +add"
	}
	if relu {
		s += " +relu"
	}
	return s
}

// groups is the number of groups in a batch of n images.
func groups(group, n int) (int, error) {
	if group == 0 {
		return 1, nil
	}
	if n%group != 0 {
		return 0, fmt.Errorf("groups of %d images do not divide a batch of %d", group, n)
	}
	return n / group, nil
}

// normShape checks the inputs that all batch norms have: x (N,C,H,W), then vectors (C),
// then tensors of x's shape.
func normShape(name string, in []Shape, vectors, like int) error {
	if len(in) != 1+vectors+like {
		return fmt.Errorf("%s: %d inputs, want %d", name, len(in), 1+vectors+like)
	}
	x := in[0]
	if len(x) != 4 {
		return fmt.Errorf("%s: input has shape %v, want rank 4", name, x)
	}
	for i, s := range in[1:] {
		want := Shape{x[1]}
		if i >= vectors {
			want = x
		}
		if !s.Equal(want) {
			return fmt.Errorf("%s: input %d has shape %v, want %v", name, i+1, s, want)
		}
	}
	return nil
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (k BatchNorm) Shape(in []Shape) ([]Shape, error) {
	if err := normShape(k.String(), in, 2, one(k.Add)); err != nil {
		return nil, err
	}
	x := in[0]
	g, err := groups(k.Group, x[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	return []Shape{x, {g, x[1]}, {g, x[1]}}, nil
}

func (k BatchNorm) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len())
	return (7 + int64(one(k.Add)) + int64(one(k.ReLU))) * n, 4 * n * (2 + int64(one(k.Add)))
}

func (k BatchNorm) Ref(out, in []Tensor) {
	if is64(in) {
		batchNormRef[float64](k, out, in)
	} else {
		batchNormRef[float32](k, out, in)
	}
}

func batchNormRef[T Float](k BatchNorm, out, in []Tensor) {
	x, scale, shift := floats[T](in[0]), floats[T](in[1]), floats[T](in[2])
	y, mean, variance := floats[T](out[0]), floats[T](out[1]), floats[T](out[2])
	var add []T
	if k.Add {
		add = floats[T](in[3])
	}
	p := planes(in[0].Shape, k.Group)
	parallel(p.G*p.C, func(i int) {
		var sum float64
		p.each(i, func(at int) { sum += float64(x[at]) })
		m := sum / float64(p.count)
		var sq float64
		p.each(i, func(at int) { d := float64(x[at]) - m; sq += d * d })
		v := sq / float64(p.count)
		mean[i], variance[i] = T(m), T(v)
		// Normalise with the statistics as rounded to T, because the gradient reads
		// those.
		affine(k.Add, k.ReLU, p, i, y, x, add, scale[i%p.C], shift[i%p.C], mean[i], variance[i], k.Eps)
	})
}

// affine normalises plane i of x with the given statistics.
func affine[T Float](withAdd, relu bool, p plane, i int, y, x, add []T, scale, shift, mean, variance T, eps float32) {
	inv := float64(scale) / math.Sqrt(float64(variance)+float64(eps))
	p.each(i, func(at int) {
		v := (float64(x[at])-float64(mean))*inv + float64(shift)
		if withAdd {
			v += float64(add[at])
		}
		if relu && v < 0 { // NaN passes
			v = 0
		}
		y[at] = T(v)
	})
}

// plane divides a tensor (N,C,H,W) into planes: the elements of one channel in one group
// of images. They share batch statistics.
type plane struct{ G, C, area, group, count int }

func planes(x Shape, group int) plane {
	if group == 0 {
		group = x[0]
	}
	area := x[2] * x[3]
	return plane{G: x[0] / group, C: x[1], area: area, group: group, count: group * area}
}

// each calls f with the index of each element of plane i = g*C + c, in memory order.
func (p plane) each(i int, f func(at int)) {
	g, c := i/p.C, i%p.C
	for n := g * p.group; n < (g+1)*p.group; n++ {
		at := (n*p.C + c) * p.area
		for j := range p.area {
			f(at + j)
		}
	}
}

// BatchNormGrad is the gradient of BatchNorm with respect to x, scale, shift and add:
//
//	x, scale, mean, variance [, y with ReLU], dy ->
//	dx (N,C,H,W), dscale (C), dshift (C) [, dadd (N,C,H,W) with Add]
//
// Where y is not above 0 the rectifier passes no gradient, as in PyTorch and cuDNN.
type BatchNormGrad struct{ BatchNorm }

func (k BatchNormGrad) String() string { return k.BatchNorm.String() + " grad" }

func (k BatchNormGrad) Shape(in []Shape) ([]Shape, error) {
	if want := 5 + one(k.ReLU); len(in) != want {
		return nil, fmt.Errorf("%s: %d inputs, want %d", k, len(in), want)
	}
	x := in[0]
	if err := normShape(k.String(), append([]Shape{x, in[1]}, in[4:]...), 1, 1+one(k.ReLU)); err != nil {
		return nil, err
	}
	g, err := groups(k.Group, x[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	for i := 2; i <= 3; i++ {
		if want := (Shape{g, x[1]}); !in[i].Equal(want) {
			return nil, fmt.Errorf("%s: input %d has shape %v, want %v", k, i, in[i], want)
		}
	}
	out := []Shape{x, {x[1]}, {x[1]}}
	if k.Add {
		out = append(out, x)
	}
	return out, nil
}

func (k BatchNormGrad) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len())
	return 11 * n, 4 * n * (3 + int64(one(k.Add)+one(k.ReLU)))
}

func (k BatchNormGrad) Ref(out, in []Tensor) {
	if is64(in) {
		batchNormGradRef[float64](k, out, in)
	} else {
		batchNormGradRef[float32](k, out, in)
	}
}

func batchNormGradRef[T Float](k BatchNormGrad, out, in []Tensor) {
	x, scale, mean, variance := floats[T](in[0]), floats[T](in[1]), floats[T](in[2]), floats[T](in[3])
	dy := floats[T](in[len(in)-1])
	dx, dscale, dshift := floats[T](out[0]), floats[T](out[1]), floats[T](out[2])
	var y, dadd []T
	if k.ReLU {
		y = floats[T](in[4])
	}
	if k.Add {
		dadd = floats[T](out[3])
	}
	p := planes(in[0].Shape, k.Group)
	masked := func(at int) float64 {
		if k.ReLU && !(y[at] > 0) {
			return 0
		}
		return float64(dy[at])
	}
	parallel(p.C, func(c int) {
		var gs, gb float64 // sums over groups, in their order
		for g := range p.G {
			i := g*p.C + c
			m, inv := float64(mean[i]), 1/math.Sqrt(float64(variance[i])+float64(k.Eps))
			var sb, ss float64
			p.each(i, func(at int) {
				d := masked(at)
				sb += d
				ss += d * (float64(x[at]) - m) * inv
			})
			gs, gb = gs+ss, gb+sb
			n := float64(p.count)
			p.each(i, func(at int) {
				d := masked(at)
				xhat := (float64(x[at]) - m) * inv
				dx[at] = T(float64(scale[c]) * inv * (d - sb/n - xhat*ss/n))
				if k.Add {
					dadd[at] = T(d)
				}
			})
		}
		dscale[c], dshift[c] = T(gs), T(gb)
	})
}

// BatchNormInfer is BatchNorm in inference, with given statistics (running averages): x,
// scale (C), shift (C), mean (C), variance (C) [, add] -> y.
type BatchNormInfer struct {
	Eps       float32
	Add, ReLU bool
}

func (k BatchNormInfer) String() string { return "batchnorm infer" + suffix(k.Eps, k.Add, k.ReLU) }

func (k BatchNormInfer) Shape(in []Shape) ([]Shape, error) {
	if err := normShape(k.String(), in, 4, one(k.Add)); err != nil {
		return nil, err
	}
	return []Shape{in[0]}, nil
}

func (k BatchNormInfer) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len())
	return (2 + int64(one(k.Add)+one(k.ReLU))) * n, 4 * n * (2 + int64(one(k.Add)))
}

func (k BatchNormInfer) Ref(out, in []Tensor) {
	if is64(in) {
		batchNormInferRef[float64](k, out, in)
	} else {
		batchNormInferRef[float32](k, out, in)
	}
}

func batchNormInferRef[T Float](k BatchNormInfer, out, in []Tensor) {
	y, x := floats[T](out[0]), floats[T](in[0])
	scale, shift, mean, variance := floats[T](in[1]), floats[T](in[2]), floats[T](in[3]), floats[T](in[4])
	var add []T
	if k.Add {
		add = floats[T](in[5])
	}
	p := planes(in[0].Shape, 0)
	parallel(p.C, func(c int) {
		affine(k.Add, k.ReLU, p, c, y, x, add, scale[c], shift[c], mean[c], variance[c], k.Eps)
	})
}

// MovingAverage updates batch norm's running statistics with those of a batch, averaged
// over its groups: running = (1 - rates[1]) running + rates[1] batch.
//
//	mean (G,C), variance (G,C), running mean (C), running variance (C), rates (2) ->
//	running mean, running variance, in place
//
// The running variance is unbiased, as in PyTorch and Caffe.
//
// If the batch is cut into micro-batches, mean and variance of each micro-batch come
// first, in turn. The average is over the groups of all of them. So one step updates the
// running statistics once, with micro-batches or without.
//
// With Replicas = N > 0 the outputs are divided by N: they are the part of one of N
// replicas, computed from its own groups. AllReduce adds the parts, which gives the
// average over the groups of all replicas.
type MovingAverage struct {
	Count    int // elements that each mean averages: images in a group x H x W
	Replicas int // 0 for a program on one device
}

func (k MovingAverage) String() string {
	s := fmt.Sprintf("moving average of %d", k.Count)
	if k.Replicas > 0 {
		s += fmt.Sprintf(" shared by %d", k.Replicas)
	}
	return s
}

// AverageOperands splits the operands of a MovingAverage: mean and variance of each
// micro-batch in turn, the running mean and variance, and the rates.
func AverageOperands[T any](in []T) (batches []T, mean, variance, rates T) {
	n := len(in) - 3
	return in[:n], in[n], in[n+1], in[n+2]
}

// Updated returns the indices of the running statistics.
func (k MovingAverage) Updated(operands int) []int { return []int{operands - 3, operands - 2} }

func (k MovingAverage) Shape(in []Shape) ([]Shape, error) {
	n := max(len(in)-3, 2) / 2 * 2 // number of batch statistics
	ranks := []int{1, 1, 1}
	for range n {
		ranks = append([]int{2}, ranks...)
	}
	if err := rank(k.String(), in, ranks...); err != nil {
		return nil, err
	}
	c := Shape{in[0][1]}
	fit := in[n].Equal(c) && in[n+1].Equal(c) && in[n+2].Equal(Shape{2})
	for _, s := range in[:n] {
		fit = fit && s.Equal(in[0])
	}
	if !fit {
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	}
	return []Shape{c, c}, nil
}

func (k MovingAverage) Cost(in []Shape) (flops, bytes int64) {
	return 2 * int64(in[0].Len()), bytesOf(in)
}

func (k MovingAverage) Ref(out, in []Tensor) {
	if is64(in) {
		movingAverageRef[float64](k, out, in)
	} else {
		movingAverageRef[float32](k, out, in)
	}
}

func movingAverageRef[T Float](k MovingAverage, out, in []Tensor) {
	batches, mean, variance, rates := AverageOperands(in)
	n := len(batches)
	r := float64(floats[T](rates)[1])
	bessel := 1.0
	if k.Count > 1 {
		bessel = float64(k.Count) / float64(k.Count-1)
	}
	for s, factor := range []float64{1, bessel} {
		run, dst := floats[T]([]Tensor{mean, variance}[s]), floats[T](out[s])
		G, C := in[s].Shape[0], in[s].Shape[1]
		for c := range C {
			var sum float64
			for i := s; i < n; i += 2 {
				batch := floats[T](batches[i])
				for g := range G {
					sum += float64(batch[g*C+c])
				}
			}
			moved := (1-r)*float64(run[c]) + r*factor*sum/float64(G*n/2)
			dst[c] = T(moved / float64(max(k.Replicas, 1)))
		}
	}
}
