// Emitters of the net's end: average pooling, linear layer, softmax and cross-entropy.

package lower

import "depthlab/nets/kernel"

func avgPool(e *emitter, in []value) []value {
	x := e.convert(in[0], f32)
	return []value{e.times(e.reduce("add", x, 1, 2), 1/float64(x.dims[1]*x.dims[2]))}
}

func avgPoolGrad(e *emitter, k kernel.AvgPoolGrad, in []value) []value {
	dy := e.times(in[0], 1/float64(k.H*k.W))
	return []value{e.broadcast(dy, []int{dy.dims[0], k.H, k.W, dy.dims[1]}, 0, 3)}
}

func linear(e *emitter, in []value) []value {
	y := e.dot(in[0], in[1], 1, 1)
	return []value{e.add(y, e.broadcast(in[2], y.dims, 1))}
}

// softmax returns exp(logit - largest) (N, K), its sums (N) and the largest logits (N).
func softmax(e *emitter, logits value) (exp, sum, largest value) {
	largest = e.reduce("maximum", logits, 1)
	exp = e.elementwise("exponential", e.sub(logits, e.broadcast(largest, logits.dims, 0)))
	return exp, e.reduce("add", exp, 1), largest
}

// images returns the number of slots that hold an image, at least 1, and which do (N). If
// the batch is cut into micro-batches, the number is that of the whole batch (of).
func images(e *emitter, label value, of int) (count, holds value) {
	holds = e.compare("GE", label, e.constant(0, i32, label.dims...))
	if of > 0 {
		return e.constant(float64(of), f32), holds
	}
	count = e.reduce("add", e.convert(holds, f32), 0)
	return e.max(count, e.constant(1, f32)), holds
}

func crossEntropy(e *emitter, k kernel.CrossEntropy, in []value) []value {
	logits, label := in[0], in[1]
	_, sum, largest := softmax(e, logits)
	count, holds := images(e, label, k.Of)
	class := e.iota(i32, 1, logits.dims...)
	wanted := e.broadcast(label, logits.dims, 0)
	zero := e.constant(0, f32, label.dims...)
	own := e.reduce("add", e.pick(e.compare("EQ", class, wanted), logits, e.constant(0, f32, logits.dims...)), 1)
	target := own
	if s := k.Smoothing; s > 0 {
		mean := e.elementwise("divide", e.reduce("add", logits, 1), e.constant(float64(logits.dims[1]), f32, label.dims...))
		target = e.add(e.mul(own, e.constant(1-s, f32, label.dims...)), e.mul(mean, e.constant(s, f32, label.dims...)))
	}
	each := e.sub(e.add(e.elementwise("log", sum), largest), target)
	loss := e.elementwise("divide", e.reduce("add", e.pick(holds, each, zero), 0), count)
	// An answer is wrong if another class has a larger logit, or the same and a lower index.
	ownAll := e.broadcast(own, logits.dims, 0)
	first := e.elementwise("and", e.compare("EQ", logits, ownAll), e.compare("LT", class, wanted))
	beaten := e.reduce("or", e.elementwise("or", e.compare("GT", logits, ownAll), first), 1)
	wrong := e.reduce("add", e.convert(e.elementwise("and", beaten, holds), f32), 0)
	return []value{e.reshape(loss, 1), e.reshape(wrong, 1)}
}

func crossEntropyGrad(e *emitter, k kernel.CrossEntropyGrad, in []value) []value {
	logits, label := in[0], in[1]
	exp, sum, _ := softmax(e, logits)
	count, holds := images(e, label, k.Of)
	p := e.elementwise("divide", exp, e.broadcast(sum, logits.dims, 0))
	own := e.compare("EQ", e.iota(i32, 1, logits.dims...), e.broadcast(label, logits.dims, 0))
	target := e.convert(own, f32)
	if s := k.Smoothing; s > 0 {
		target = e.add(e.mul(target, e.constant(1-s, f32, logits.dims...)), e.constant(s/float64(logits.dims[1]), f32, logits.dims...))
	}
	d := e.elementwise("divide", e.sub(p, target), e.broadcast(count, logits.dims))
	return []value{e.pick(e.broadcast(holds, logits.dims, 0), d, e.constant(0, f32, logits.dims...))}
}
