package lower

import "depthlab/nets/kernel"

// grouped is x (N,H,W,C) in float32 as (G,N/G,H,W,C), with what the batch
// norms need of its extents.
type grouped struct {
	value
	groups, c int
	count     float64 // elements behind each mean
}

func (e *emitter) group(x value, group int) grouped {
	n := x.dims[0]
	if group == 0 {
		group = n
	}
	dims := []int{n / group, group, x.dims[1], x.dims[2], x.dims[3]}
	return grouped{e.reshape(e.convert(x, f32), dims...), n / group, x.dims[3], float64(group * x.dims[1] * x.dims[2])}
}

// like spreads statistics (G,C) over the group's images.
func (e *emitter) like(g grouped, stat value) value { return e.spread(stat, g.dims, 0, 4) }

// channel spreads a vector (C) over the group's images.
func (e *emitter) channel(g grouped, v value) value { return e.spread(v, g.dims, 4) }

// groupSums adds over the images and pixels of each group: (G,C) twice.
func (e *emitter) groupSums(x, y value) (value, value) {
	if e.sequential && pixels(x)%pieces == 0 {
		return e.pieceSums(x, y)
	}
	return e.sums(x, y, 1, 2, 3)
}

// pixels of the images of a group (G,N/G,H,W,C).
func pixels(x value) int { return x.dims[1] * x.dims[2] * x.dims[3] }

// first is the first pixel of each group (G,C).
func (e *emitter) first(x grouped) value {
	one := e.slice(x.value, []int{0, 0, 0, 0, 0}, []int{x.groups, 1, 1, 1, x.c}, []int{1, 1, 1, 1, 1})
	return e.reshape(one, x.groups, x.c)
}

// pieces of a group, and the most pixels of a piece: see shortSums.
const pieces, pieceMost = 32, 1024

// shortSums are groupSums for vectors that follow. XLA adds in two kernels and
// fuses the second with nothing after it. Where few pieces keep the first quick,
// their sum is written as plain additions, which become part of what follows.
func (e *emitter) shortSums(x, y value) (value, value) {
	if n := pixels(x); n%pieces > 0 || n/pieces > pieceMost {
		return e.groupSums(x, y)
	}
	return e.pieceSums(x, y)
}

// pieceSums are groupSums, of pieces first.
func (e *emitter) pieceSums(x, y value) (value, value) {
	g, n, c := x.dims[0], pixels(x), x.dims[4]
	x, y = e.sums(e.reshape(x, g, pieces, n/pieces, c), e.reshape(y, g, pieces, n/pieces, c), 2)
	for n := pieces / 2; n > 0; n /= 2 {
		x, y = e.halves(x, n), e.halves(y, n)
	}
	return e.reshape(x, g, c), e.reshape(y, g, c)
}

// halves adds the two halves of x (G,2n,C).
func (e *emitter) halves(x value, n int) value {
	g, c, one := x.dims[0], x.dims[2], []int{1, 1, 1}
	return e.add(e.slice(x, []int{0, 0, 0}, []int{g, n, c}, one), e.slice(x, []int{0, n, 0}, []int{g, 2 * n, c}, one))
}

// inverse is 1/sqrt(variance + eps).
func (e *emitter) inverse(variance value, eps float32) value {
	return e.same("rsqrt", e.add(variance, e.constant(float64(eps), f32, variance.dims...)))
}

// batchNorm takes mean and variance from one pass, E(d*d) - E(d)*E(d) in
// float32, where d is the distance from the first pixel: of x itself, whose mean
// may be many deviations from zero, the difference would leave few digits (Chan,
// Golub and LeVeque 1983: shifted data). Statistics, scale and shift are folded
// into y = x*a + b with vectors a and b: then a layer's forward pass is four or
// five kernels on a GPU (convolution, sums in one or two stages, a and b, y).
func (e *emitter) batchNorm(k kernel.BatchNorm, in []value) []value {
	x := e.group(in[0], k.Group)
	first := e.first(x)
	d := e.sub(x.value, e.like(x, first))
	sum, squares := e.shortSums(d, e.mul(d, d))
	off, square := e.times(sum, 1/x.count), e.times(squares, 1/x.count)
	mean, zero := e.add(first, off), e.constant(0, f32, off.dims...)
	variance := e.max(e.sub(square, e.mul(off, off)), zero)
	scale := e.mul(e.inverse(variance, k.Eps), e.spread(in[1], mean.dims, 1))
	shift := e.sub(e.spread(in[2], mean.dims, 1), e.mul(mean, scale))
	y := e.add(e.mul(x.value, e.like(x, scale)), e.like(x, shift))
	return []value{e.finish(y, k.Add, k.ReLU, in[0].dims, in[3:]), mean, variance}
}

func (e *emitter) batchNormInfer(k kernel.BatchNormInfer, in []value) []value {
	x := e.group(in[0], 0)
	scale := e.mul(e.inverse(in[4], k.Eps), in[1])
	y := e.add(e.mul(e.sub(x.value, e.channel(x, in[3])), e.channel(x, scale)), e.channel(x, in[2]))
	return []value{e.finish(y, k.Add, k.ReLU, in[0].dims, in[5:])}
}

// finish adds the shortcut and rectifies.
func (e *emitter) finish(y value, add, relu bool, dims []int, shortcut []value) value {
	y = e.reshape(y, dims...)
	if add {
		y = e.add(y, e.convert(shortcut[0], f32))
	}
	if relu {
		y = e.max(y, e.constant(0, f32, dims...))
	}
	return y
}

func (e *emitter) batchNormGrad(k kernel.BatchNormGrad, in []value) []value {
	x, scale, mean, variance := e.group(in[0], k.Group), in[1], e.hold(in[2]), in[3]
	d := e.convert(in[len(in)-1], f32)
	if k.ReLU {
		zero := e.constant(0, f32, d.dims...)
		d = e.pick(e.compare("GT", e.convert(in[4], f32), zero), d, zero)
	}
	dg := e.reshape(d, x.dims...)
	inv := e.inverse(variance, k.Eps)
	xhat := e.mul(e.sub(x.value, e.like(x, mean)), e.like(x, inv))
	shift, slope := e.groupSums(dg, e.mul(dg, xhat))
	dx := e.sub(e.sub(dg, e.like(x, e.times(shift, 1/x.count))), e.mul(xhat, e.like(x, e.times(slope, 1/x.count))))
	dx = e.mul(dx, e.like(x, e.mul(inv, e.spread(scale, inv.dims, 1))))
	out := []value{e.reshape(dx, in[0].dims...), e.reduce("add", slope, 0), e.reduce("add", shift, 0)}
	if k.Add {
		out = append(out, d)
	}
	return out
}

func (e *emitter) movingAverage(k kernel.MovingAverage, in []value) []value {
	batches, mean, variance, rates := kernel.AverageOperands(in)
	bessel := 1.0
	if k.Count > 1 {
		bessel = float64(k.Count) / float64(k.Count-1)
	}
	share := e.reshape(e.slice(rates, []int{1}, []int{2}, []int{1}))
	keep := e.sub(e.constant(1, f32), share)
	var out []value
	for i, factor := range []float64{1, bessel} {
		var parts []value
		for j := i; j < len(batches); j += 2 {
			parts = append(parts, batches[j])
		}
		batch, running := e.concat(0, parts...), []value{mean, variance}[i]
		average := e.times(e.reduce("add", batch, 0), factor/float64(batch.dims[0]))
		moved := e.add(e.mul(e.spread(keep, running.dims), running), e.mul(e.spread(share, running.dims), average))
		if k.Replicas > 0 {
			moved = e.same("divide", moved, e.constant(float64(k.Replicas), f32, running.dims...))
		}
		out = append(out, moved)
	}
	return out
}
