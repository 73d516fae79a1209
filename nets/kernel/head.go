// Classifier and loss: average pool, linear layer, cross-entropy, and their gradients.

package kernel

import (
	"fmt"
	"math"
)

// AvgPool is the global average pool: x (N,C,H,W) -> y (N,C).
type AvgPool struct{}

func (k AvgPool) String() string { return "avgpool" }

func (k AvgPool) Shape(in []Shape) ([]Shape, error) {
	if err := rank("avgpool", in, 4); err != nil {
		return nil, err
	}
	return []Shape{{in[0][0], in[0][1]}}, nil
}

func (k AvgPool) Cost(in []Shape) (flops, bytes int64) { return int64(in[0].Len()), bytesOf(in) }

func (k AvgPool) Ref(out, in []Tensor) {
	if is64(in) {
		avgPoolRef[float64](out[0], in[0])
	} else {
		avgPoolRef[float32](out[0], in[0])
	}
}

func avgPoolRef[T Float](yt, xt Tensor) {
	y, x := floats[T](yt), floats[T](xt)
	area := xt.Shape[2] * xt.Shape[3]
	for i := range y {
		var sum float64
		for _, v := range x[i*area:][:area] {
			sum += float64(v)
		}
		y[i] = T(sum / float64(area))
	}
}

// AvgPoolGrad is the gradient of AvgPool. It spreads dy (N,C) evenly over H x W pixels:
// dx (N,C,H,W).
type AvgPoolGrad struct{ H, W int }

func (k AvgPoolGrad) String() string { return fmt.Sprintf("avgpool grad %dx%d", k.H, k.W) }

func (k AvgPoolGrad) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 2); err != nil {
		return nil, err
	}
	return []Shape{{in[0][0], in[0][1], k.H, k.W}}, nil
}

func (k AvgPoolGrad) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len() * k.H * k.W)
	return n, 4 * n
}

func (k AvgPoolGrad) Ref(out, in []Tensor) {
	if is64(in) {
		avgPoolGradRef[float64](k, out[0], in[0])
	} else {
		avgPoolGradRef[float32](k, out[0], in[0])
	}
}

func avgPoolGradRef[T Float](k AvgPoolGrad, dxt, dyt Tensor) {
	dx, dy := floats[T](dxt), floats[T](dyt)
	area := k.H * k.W
	for i, d := range dy {
		v := T(float64(d) / float64(area))
		for j := range area {
			dx[i*area+j] = v
		}
	}
}

// Linear is the fully connected layer: x (N,I), w (Out,I), b (Out) -> y (N,Out).
type Linear struct{ Out int }

func (k Linear) String() string { return fmt.Sprintf("linear ->%d", k.Out) }

func (k Linear) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 2, 2, 1); err != nil {
		return nil, err
	}
	if !in[1].Equal(Shape{k.Out, in[0][1]}) || in[2][0] != k.Out {
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	}
	return []Shape{{in[0][0], k.Out}}, nil
}

func (k Linear) Cost(in []Shape) (flops, bytes int64) {
	return 2 * int64(in[0].Len()) * int64(k.Out), bytesOf(in)
}

func (k Linear) Ref(out, in []Tensor) {
	if is64(in) {
		linearRef[float64](out[0], in[0], in[1], in[2])
	} else {
		linearRef[float32](out[0], in[0], in[1], in[2])
	}
}

func linearRef[T Float](yt, xt, wt, bt Tensor) {
	y, x, w, b := floats[T](yt), floats[T](xt), floats[T](wt), floats[T](bt)
	I, O := xt.Shape[1], yt.Shape[1]
	for i := range y {
		n, o := i/O, i%O
		sum := float64(b[o])
		for j := range I {
			sum += float64(x[n*I+j]) * float64(w[o*I+j])
		}
		y[i] = T(sum)
	}
}

// LinearGradInput is the gradient with respect to x: w (O,I), dy (N,O) -> dx (N,I).
type LinearGradInput struct{}

func (k LinearGradInput) String() string { return "linear grad input" }

func (k LinearGradInput) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 2, 2); err != nil {
		return nil, err
	}
	if in[0][0] != in[1][1] {
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	}
	return []Shape{{in[1][0], in[0][1]}}, nil
}

func (k LinearGradInput) Cost(in []Shape) (flops, bytes int64) {
	return 2 * int64(in[0].Len()) * int64(in[1][0]), bytesOf(in)
}

func (k LinearGradInput) Ref(out, in []Tensor) {
	if is64(in) {
		linearGradInputRef[float64](out[0], in[0], in[1])
	} else {
		linearGradInputRef[float32](out[0], in[0], in[1])
	}
}

func linearGradInputRef[T Float](dxt, wt, dyt Tensor) {
	dx, w, dy := floats[T](dxt), floats[T](wt), floats[T](dyt)
	O, I := wt.Shape[0], wt.Shape[1]
	for i := range dx {
		n, j := i/I, i%I
		var sum float64
		for o := range O {
			sum += float64(w[o*I+j]) * float64(dy[n*O+o])
		}
		dx[i] = T(sum)
	}
}

// LinearGradWeight is the gradient with respect to w: x (N,I), dy (N,O) -> dw (O,I).
type LinearGradWeight struct{}

func (k LinearGradWeight) String() string { return "linear grad weight" }

func (k LinearGradWeight) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 2, 2); err != nil {
		return nil, err
	}
	if in[0][0] != in[1][0] {
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	}
	return []Shape{{in[1][1], in[0][1]}}, nil
}

func (k LinearGradWeight) Cost(in []Shape) (flops, bytes int64) {
	return 2 * int64(in[0].Len()) * int64(in[1][1]), bytesOf(in)
}

func (k LinearGradWeight) Ref(out, in []Tensor) {
	if is64(in) {
		linearGradWeightRef[float64](out[0], in[0], in[1])
	} else {
		linearGradWeightRef[float32](out[0], in[0], in[1])
	}
}

func linearGradWeightRef[T Float](dwt, xt, dyt Tensor) {
	dw, x, dy := floats[T](dwt), floats[T](xt), floats[T](dyt)
	N, I, O := xt.Shape[0], xt.Shape[1], dyt.Shape[1]
	for i := range dw {
		o, j := i/I, i%I
		var sum float64
		for n := range N {
			sum += float64(dy[n*O+o]) * float64(x[n*I+j])
		}
		dw[i] = T(sum)
	}
}

// LinearGradBias is the gradient with respect to b: dy (N,O) -> db (O).
type LinearGradBias struct{}

func (k LinearGradBias) String() string { return "linear grad bias" }

func (k LinearGradBias) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 2); err != nil {
		return nil, err
	}
	return []Shape{{in[0][1]}}, nil
}

func (k LinearGradBias) Cost(in []Shape) (flops, bytes int64) {
	return int64(in[0].Len()), bytesOf(in)
}

func (k LinearGradBias) Ref(out, in []Tensor) {
	if is64(in) {
		linearGradBiasRef[float64](out[0], in[0])
	} else {
		linearGradBiasRef[float32](out[0], in[0])
	}
}

func linearGradBiasRef[T Float](dbt, dyt Tensor) {
	db, dy := floats[T](dbt), floats[T](dyt)
	N, O := dyt.Shape[0], dyt.Shape[1]
	for o := range db {
		var sum float64
		for n := range N {
			sum += float64(dy[n*O+o])
		}
		db[o] = T(sum)
	}
}

// CrossEntropy is the loss and the number of errors of a batch:
// logits (N,K), label int32 (N) -> loss (1), wrong (1).
// loss is the mean over the images. wrong is the number of images whose largest logit
// (the first one, if several are equal) is not that of the label. Images of label -1 are
// empty slots and count in neither.
//
// If the batch is cut into micro-batches, Of is the number of images in the whole batch,
// and loss is the micro-batch's part of the mean: its sum divided by Of. Of 0 means that
// the batch is not cut.
//
// With label smoothing s (Szegedy et al. 2016, section 7) the target is not the label alone:
// its class has the share 1 - s + s/K, every other class s/K. The loss of an image is
// (1 - s) (-log p of the label) + s (mean over the classes of -log p), as in PyTorch's
// CrossEntropyLoss(label_smoothing=s).
type CrossEntropy struct {
	Of        int
	Smoothing float64 // s, from 0 to below 1
}

func (k CrossEntropy) String() string { return "cross entropy" + ofWhole(k.Of) + smoothed(k.Smoothing) }

func ofWhole(images int) string {
	if images == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d", images)
}

func smoothed(s float64) string {
	if s == 0 {
		return ""
	}
	return fmt.Sprintf(" smoothed by %v", s)
}

func (k CrossEntropy) Shape(in []Shape) ([]Shape, error) {
	if err := labelled(k.String(), in); err != nil {
		return nil, err
	}
	return []Shape{{1}, {1}}, nil
}

func labelled(name string, in []Shape) error {
	if err := rank(name, in, 2, 1); err != nil {
		return err
	}
	if in[0][0] != in[1][0] {
		return fmt.Errorf("%s: %d rows but %d labels", name, in[0][0], in[1][0])
	}
	return nil
}

func (k CrossEntropy) Cost(in []Shape) (flops, bytes int64) {
	return 4 * int64(in[0].Len()), bytesOf(in)
}

func (k CrossEntropy) Ref(out, in []Tensor) {
	if is64(in) {
		crossEntropyRef[float64](k, out, in)
	} else {
		crossEntropyRef[float32](k, out, in)
	}
}

func crossEntropyRef[T Float](k CrossEntropy, out, in []Tensor) {
	logits, label := floats[T](in[0]), in[1].I32
	K := in[0].Shape[1]
	var loss float64
	wrong, images := 0, 0
	for n, l := range label {
		if l < 0 {
			continue
		}
		row := logits[n*K:][:K]
		top, sum := softmaxSum(row)
		target := float64(row[l])
		if s := k.Smoothing; s > 0 {
			target = (1-s)*target + s*mean(row)
		}
		loss += math.Log(sum) + float64(row[top]) - target
		images++
		if top != int(l) {
			wrong++
		}
	}
	if k.Of > 0 {
		images = k.Of
	}
	floats[T](out[0])[0] = T(loss / float64(max(images, 1)))
	floats[T](out[1])[0] = T(wrong)
}

// softmaxSum returns the index of the (first) largest logit and the softmax denominator:
// the sum of exp(logit - largest).
func softmaxSum[T Float](row []T) (top int, sum float64) {
	for j, v := range row {
		if v > row[top] {
			top = j
		}
	}
	for _, v := range row {
		sum += math.Exp(float64(v) - float64(row[top]))
	}
	return top, sum
}

// mean returns the mean of a row.
func mean[T Float](row []T) (m float64) {
	for _, v := range row {
		m += float64(v)
	}
	return m / float64(len(row))
}

// CrossEntropyGrad is the gradient of the mean loss with respect to the logits:
// logits (N,K), label (N) -> dlogits (N,K) = (softmax - target) / images, zero in empty slots.
// target is 1 for the label's class and 0 for the others or, with label smoothing s,
// 1 - s + s/K and s/K.
// images is the number of images that are not empty slots, or Of if the batch is cut into
// micro-batches, as in CrossEntropy.
type CrossEntropyGrad struct {
	Of        int
	Smoothing float64 // s, as in CrossEntropy
}

func (k CrossEntropyGrad) String() string {
	return "cross entropy grad" + ofWhole(k.Of) + smoothed(k.Smoothing)
}

func (k CrossEntropyGrad) Shape(in []Shape) ([]Shape, error) {
	if err := labelled(k.String(), in); err != nil {
		return nil, err
	}
	return []Shape{in[0]}, nil
}

func (k CrossEntropyGrad) Cost(in []Shape) (flops, bytes int64) {
	return 5 * int64(in[0].Len()), bytesOf(in, in[:1])
}

func (k CrossEntropyGrad) Ref(out, in []Tensor) {
	if is64(in) {
		crossEntropyGradRef[float64](k, out[0], in)
	} else {
		crossEntropyGradRef[float32](k, out[0], in)
	}
}

func crossEntropyGradRef[T Float](k CrossEntropyGrad, dt Tensor, in []Tensor) {
	d, logits, label := floats[T](dt), floats[T](in[0]), in[1].I32
	K := in[0].Shape[1]
	images := 0
	for _, l := range label {
		if l >= 0 {
			images++
		}
	}
	if k.Of > 0 {
		images = k.Of
	}
	clear(d)
	for n, l := range label {
		if l < 0 {
			continue
		}
		row := logits[n*K:][:K]
		top, sum := softmaxSum(row)
		for j, v := range row {
			p := math.Exp(float64(v)-float64(row[top])) / sum
			if j == int(l) {
				p -= 1 - k.Smoothing
			}
			p -= k.Smoothing / float64(K)
			d[n*K+j] = T(p / float64(images))
		}
	}
}
