// Emitters of batch norm, its gradient and the running statistics.

package lower

import "depthlab/nets/kernel"

// grouped is x (N, H, W, C) as float32 (G, N/G, H, W, C): G groups of images that share
// batch norm statistics.
type grouped struct {
	value
	groups, c int
	count     float64 // elements of each mean
}

func group(e *emitter, x value, group int) grouped {
	n := x.dims[0]
	if group == 0 {
		group = n
	}
	dims := []int{n / group, group, x.dims[1], x.dims[2], x.dims[3]}
	return grouped{e.reshape(e.convert(x, f32), dims...), n / group, x.dims[3], float64(group * x.dims[1] * x.dims[2])}
}

// perGroup broadcasts statistics (G, C) to the shape of g.
func perGroup(e *emitter, g grouped, stat value) value { return e.broadcast(stat, g.dims, 0, 4) }

// perChannel broadcasts a vector (C) to the shape of g.
func perChannel(e *emitter, g grouped, v value) value { return e.broadcast(v, g.dims, 4) }

// groupSums sums x and y over the images and pixels of each group. Both results are
// (G, C).
func groupSums(e *emitter, x, y value) (value, value) {
	if e.sequential && pixels(x)%pieces == 0 {
		return pieceSums(e, x, y)
	}
	return e.sums(x, y, 1, 2, 3)
}

// pixels is the number of pixels in a group of x (G, N/G, H, W, C).
func pixels(x value) int { return x.dims[1] * x.dims[2] * x.dims[3] }

// firstPixel returns the first pixel of each group (G, C).
func firstPixel(e *emitter, x grouped) value {
	one := e.slice(x.value, []int{0, 0, 0, 0, 0}, []int{x.groups, 1, 1, 1, x.c}, []int{1, 1, 1, 1, 1})
	return e.reshape(one, x.groups, x.c)
}

// pieces is the number of pieces of a group that pieceSums sums first, and pieceMost the
// largest number of pixels of a piece: see shortSums.
const pieces, pieceMost = 32, 1024

// shortSums computes groupSums, with one kernel less on a GPU. XLA sums in two kernels, and
// does not fuse the second with what follows. If the pieces are short enough for the first
// kernel to be fast, their sums are added by plain additions, which XLA does fuse.
func shortSums(e *emitter, x, y value) (value, value) {
	if n := pixels(x); n%pieces > 0 || n/pieces > pieceMost {
		return groupSums(e, x, y)
	}
	return pieceSums(e, x, y)
}

// pieceSums computes groupSums as pairwise sums of the sums of pieces.
func pieceSums(e *emitter, x, y value) (value, value) {
	g, n, c := x.dims[0], pixels(x), x.dims[4]
	x, y = e.sums(e.reshape(x, g, pieces, n/pieces, c), e.reshape(y, g, pieces, n/pieces, c), 2)
	for n := pieces / 2; n > 0; n /= 2 {
		x, y = halves(e, x, n), halves(e, y, n)
	}
	return e.reshape(x, g, c), e.reshape(y, g, c)
}

// halves adds the two halves of x (G, 2n, C).
func halves(e *emitter, x value, n int) value {
	g, c, one := x.dims[0], x.dims[2], []int{1, 1, 1}
	return e.add(e.slice(x, []int{0, 0, 0}, []int{g, n, c}, one), e.slice(x, []int{0, n, 0}, []int{g, 2 * n, c}, one))
}

// inverse is 1/sqrt(variance + eps).
func inverse(e *emitter, variance value, eps float32) value {
	return e.elementwise("rsqrt", e.add(variance, e.constant(float64(eps), f32, variance.dims...)))
}

// batchNorm computes mean and variance in one pass: the variance is E(d*d) - E(d)*E(d) in
// float32, where d is x minus the first pixel of the group (shifted data: Chan, Golub and
// LeVeque 1983). Without the shift the difference would lose digits if the mean is many
// standard deviations from zero. y = x*a + b, where the vectors a and b combine statistics,
// scale and shift. So the forward pass of a layer is four or five kernels on a GPU:
// convolution, sums in one or two stages, a and b, y.
func batchNorm(e *emitter, k kernel.BatchNorm, in []value) []value {
	x := group(e, in[0], k.Group)
	first := firstPixel(e, x)
	d := e.sub(x.value, perGroup(e, x, first))
	sum, squares := shortSums(e, d, e.mul(d, d))
	off, square := e.times(sum, 1/x.count), e.times(squares, 1/x.count)
	mean, zero := e.add(first, off), e.constant(0, f32, off.dims...)
	variance := e.max(e.sub(square, e.mul(off, off)), zero)
	scale := e.mul(inverse(e, variance, k.Eps), e.broadcast(in[1], mean.dims, 1))
	shift := e.sub(e.broadcast(in[2], mean.dims, 1), e.mul(mean, scale))
	y := e.add(e.mul(x.value, perGroup(e, x, scale)), perGroup(e, x, shift))
	return []value{finish(e, y, k.Add, k.ReLU, in[0].dims, in[3:]), mean, variance}
}

func batchNormInfer(e *emitter, k kernel.BatchNormInfer, in []value) []value {
	x := group(e, in[0], 0)
	scale := e.mul(inverse(e, in[4], k.Eps), in[1])
	y := e.add(e.mul(e.sub(x.value, perChannel(e, x, in[3])), perChannel(e, x, scale)), perChannel(e, x, in[2]))
	return []value{finish(e, y, k.Add, k.ReLU, in[0].dims, in[5:])}
}

// finish reshapes y to dims, adds the shortcut if add, and applies the rectifier if relu.
func finish(e *emitter, y value, add, relu bool, dims []int, shortcut []value) value {
	y = e.reshape(y, dims...)
	if add {
		y = e.add(y, e.convert(shortcut[0], f32))
	}
	if relu {
		y = e.max(y, e.constant(0, f32, dims...))
	}
	return y
}

func batchNormGrad(e *emitter, k kernel.BatchNormGrad, in []value) []value {
	x, scale, mean, variance := group(e, in[0], k.Group), in[1], e.barrier(in[2]), in[3]
	d := e.convert(in[len(in)-1], f32)
	if k.ReLU {
		zero := e.constant(0, f32, d.dims...)
		d = e.pick(e.compare("GT", e.convert(in[4], f32), zero), d, zero)
	}
	dg := e.reshape(d, x.dims...)
	inv := inverse(e, variance, k.Eps)
	xhat := e.mul(e.sub(x.value, perGroup(e, x, mean)), perGroup(e, x, inv))
	shift, slope := groupSums(e, dg, e.mul(dg, xhat))
	dx := e.sub(e.sub(dg, perGroup(e, x, e.times(shift, 1/x.count))), e.mul(xhat, perGroup(e, x, e.times(slope, 1/x.count))))
	dx = e.mul(dx, perGroup(e, x, e.mul(inv, e.broadcast(scale, inv.dims, 1))))
	out := []value{e.reshape(dx, in[0].dims...), e.reduce("add", slope, 0), e.reduce("add", shift, 0)}
	if k.Add {
		out = append(out, d)
	}
	return out
}

func movingAverage(e *emitter, k kernel.MovingAverage, in []value) []value {
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
		moved := e.add(e.mul(e.broadcast(keep, running.dims), running), e.mul(e.broadcast(share, running.dims), average))
		if k.Replicas > 0 {
			moved = e.elementwise("divide", moved, e.constant(float64(k.Replicas), f32, running.dims...))
		}
		out = append(out, moved)
	}
	return out
}
