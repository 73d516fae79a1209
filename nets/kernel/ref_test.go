// Tests of the reference implementations on values computed by hand.

package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func equal(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: %v\nwant %v", what, got, want)
		}
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

// One image, one channel, by hand. The kernel is not symmetric, so that a flipped kernel
// (a true convolution) gives another result.
func TestConv(t *testing.T) {
	x := f32(Shape{1, 1, 3, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	w := f32(Shape{1, 1, 3, 3}, 0, 0, 0, 0, 1, 10, 0, 0, 100) // right neighbour x10, the pixel below it x100
	equal(t, "stride 1", apply(t, Conv{3, 1, 1, 1}, x, w)[0].F32, []float32{521, 632, 3, 854, 965, 6, 87, 98, 9})
	equal(t, "stride 2", apply(t, Conv{3, 2, 1, 1}, x, w)[0].F32, []float32{521, 3, 87, 9})
	equal(t, "no padding", apply(t, Conv{3, 1, 0, 1}, x, w)[0].F32, []float32{965})
	equal(t, "1x1 stride 2", apply(t, Conv{1, 2, 0, 1}, x, f32(Shape{1, 1, 1, 1}, 2))[0].F32, []float32{2, 6, 14, 18})
}

// Each group of images has its own statistics.
func TestBatchNorm(t *testing.T) {
	x := f32(Shape{4, 1, 1, 2}, 1, 3, 1, 3, 10, 20, 30, 40)
	out := apply(t, BatchNorm{Eps: 0, Group: 2}, x, f32(Shape{1}, 2), f32(Shape{1}, 5))
	equal(t, "means", out[1].F32, []float32{2, 25})
	equal(t, "variances", out[2].F32, []float32{1, 125})
	equal(t, "first group", out[0].F32[:4], []float32{3, 7, 3, 7})
	near(t, "first of the second group", float64(out[0].F32[4]), 5-15/math.Sqrt(125)*2)

	out = apply(t, BatchNorm{Eps: 3, Add: true, ReLU: true}, f32(Shape{1, 1, 1, 2}, 1, 3), f32(Shape{1}, 2), f32(Shape{1}, 0), f32(Shape{1, 1, 1, 2}, 0.5, 0.25))
	equal(t, "eps, shortcut, rectifier", out[0].F32, []float32{0, 1.25})

	out = apply(t, BatchNormInfer{Eps: 3, Add: true, ReLU: true}, f32(Shape{1, 1, 1, 2}, 1, 3), f32(Shape{1}, 2), f32(Shape{1}, 0),
		f32(Shape{1}, 2), f32(Shape{1}, 1), f32(Shape{1, 1, 1, 2}, 0.5, 0.25))
	equal(t, "given statistics", out[0].F32, []float32{0, 1.25})
}

// A constant channel has variance 0, and eps keeps it finite.
func TestBatchNormOfConstant(t *testing.T) {
	x := f32(Shape{2, 1, 1, 1}, 7, 7)
	out := apply(t, BatchNorm{Eps: 1e-5}, x, f32(Shape{1}, 1), f32(Shape{1}, 4))
	equal(t, "output", out[0].F32, []float32{4, 4})
	grad := apply(t, BatchNormGrad{BatchNorm{Eps: 1e-5}}, x, f32(Shape{1}, 1), out[1], out[2], f32(Shape{2, 1, 1, 1}, 1, 1))
	equal(t, "gradient", grad[0].F32, []float32{0, 0})
}

func TestPad(t *testing.T) {
	x := f32(Shape{1, 2, 3, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19)
	first, second, zero := []float32{1, 3, 7, 9}, []float32{11, 13, 17, 19}, []float32{0, 0, 0, 0}
	join := func(parts ...[]float32) (all []float32) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	equal(t, "trailing", apply(t, Pad{2, 4, Trailing}, x)[0].F32, join(first, second, zero, zero))
	equal(t, "split", apply(t, Pad{2, 4, Split}, x)[0].F32, join(zero, first, second, zero))
	// An odd number of zero channels: the smaller half comes first.
	equal(t, "split of three", apply(t, Pad{2, 5, Split}, x)[0].F32, join(zero, first, second, zero, zero))
}

// Windows at the border by hand, for Caffe and PyTorch. At even extents both have half as
// many windows as pixels, but one pixel apart. Of equal values (-2 in the last window)
// the first gets the gradient. NaN counts as the largest.
func TestMaxPool(t *testing.T) {
	caffe, pytorch := MaxPool{3, 2, 0, 1}, MaxPool{3, 2, 1, 1}
	x := f32(Shape{1, 1, 4, 4},
		-9, -8, -7, -6,
		-5, -4, -3, -2,
		-4, -6, -2, -5,
		-1, -3, -7, -3)
	equal(t, "Caffe", apply(t, caffe, x)[0].F32, []float32{-2, -2, -1, -2})
	equal(t, "PyTorch", apply(t, pytorch, x)[0].F32, []float32{-4, -2, -1, -2})
	dy := f32(Shape{1, 1, 2, 2}, 1, 10, 100, 1000)
	equal(t, "Caffe's gradient", apply(t, MaxPoolGrad{caffe}, x, dy)[0].F32, []float32{
		0, 0, 0, 0,
		0, 0, 0, 10,
		0, 0, 1001, 0,
		100, 0, 0, 0})
	equal(t, "PyTorch's gradient", apply(t, MaxPoolGrad{pytorch}, x, dy)[0].F32, []float32{
		0, 0, 0, 0,
		0, 1, 0, 1010,
		0, 0, 0, 0,
		100, 0, 0, 0})

	nan := float32(math.NaN())
	x = f32(Shape{1, 1, 1, 5}, 5, nan, 3, 3, 3)
	y := apply(t, MaxPool{1, 1, 0, 0}, x)[0].F32
	if y[0] != 5 || y[1] == y[1] {
		t.Errorf("windows of one pixel give %v", y)
	}
	x = f32(Shape{1, 1, 3, 5}, 5, nan, 3, 3, 3, 0, 0, 3, 3, 3, 0, 0, 3, 3, 3)
	if y := apply(t, MaxPool{3, 2, 0, 0}, x)[0].F32; y[0] == y[0] || y[1] != 3 {
		t.Errorf("a window with NaN and one without give %v, want NaN and 3", y)
	}
}

func TestCrossEntropy(t *testing.T) {
	logits := f32(Shape{4, 2}, 0, 0, 0, 0, 50, 0, 9, 9)
	for _, c := range []struct {
		name        string
		label       Tensor
		loss, wrong float64
	}{
		{"all", labels(0, 1, 0, 0), 3 * math.Ln2 / 4, 1}, // of equal logits the first counts as the answer
		{"empty slots", labels(-1, 1, -1, 0), math.Ln2, 1},
		{"all empty", labels(-1, -1, -1, -1), 0, 0},
		{"sure and wrong", labels(-1, -1, 1, -1), 50, 1},
	} {
		out := apply(t, CrossEntropy{}, logits, c.label)
		near(t, c.name+": loss", float64(out[0].F32[0]), c.loss)
		near(t, c.name+": wrong", float64(out[1].F32[0]), c.wrong)
	}
	// Large logits do not overflow.
	out := apply(t, CrossEntropy{}, f32(Shape{1, 2}, 1e30, -1e30), labels(0))
	near(t, "loss of huge logits", float64(out[0].F32[0]), 0)
}

// Batch by hand: two images of two channels, 2x3 pixels, padded by 1.
func TestBatch(t *testing.T) {
	images := Tensor{Shape: Shape{2, 2, 2, 3}, U8: []uint8{
		1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16,
		101, 102, 103, 104, 105, 106, 111, 112, 113, 114, 115, 116,
	}}
	label := Tensor{Shape: Shape{2}, I32: []int32{7, 999}}
	mean := f32(Shape{2, 2, 3}, 0, 0, 0, 0, 0, 6, 10, 10, 10, 10, 10, 10) // the mean belongs to the pixel of the image, not to its place in the crop
	scale, fill := f32(Shape{2}, 1, 2), f32(Shape{2}, -1, -2)
	rows := Tensor{Shape: Shape{4, 4}, I32: []int32{
		0, 1, 1, 0, // the upper left 2x2 of the image itself
		0, 1, 2, 1, // one column to the right, flipped
		1, 0, 0, 0, // the corner of the padding
		-1, 1, 1, 0, // empty
	}}
	out := apply(t, Batch{H: 2, W: 2, Pad: 1}, images, label, rows, mean, scale, fill)
	equal(t, "input", out[0].F32, []float32{
		1, 2, 4, 5, 2, 4, 8, 10,
		3, 2, 0, 5, 6, 4, 12, 10,
		-1, -1, -1, 101, -2, -2, -2, 202,
		0, 0, 0, 0, 0, 0, 0, 0,
	})
	for i, want := range []int32{7, 7, 999, -1} {
		if out[1].I32[i] != want {
			t.Errorf("label %d is %d, want %d", i, out[1].I32[i], want)
		}
	}
	// One row of three columns, as it is and flipped.
	rows = Tensor{Shape: Shape{2, 4}, I32: []int32{0, 2, 1, 0, 0, 2, 1, 1}}
	out = apply(t, Batch{H: 1, W: 3, Pad: 1}, images, label, rows, mean, scale, fill)
	equal(t, "a row", out[0].F32, []float32{4, 5, 0, 8, 10, 12, 0, 5, 4, 12, 10, 8})
	// The far corner: the last row and column of the padded image.
	rows = Tensor{Shape: Shape{1, 4}, I32: []int32{0, 2, 3, 1}}
	out = apply(t, Batch{H: 2, W: 2, Pad: 1}, images, label, rows, mean, scale, fill)
	equal(t, "far corner, flipped", out[0].F32, []float32{-1, 0, -1, -1, -2, 12, -2, -2})
}

// Two steps by hand. The learning rate changes between them, which makes the two forms of
// momentum differ.
func TestSGD(t *testing.T) {
	for _, c := range []struct {
		form   MomentumForm
		w1, v1 float32
		w2, v2 float32
	}{
		// g + decay w = 2 + 0.5*4 = 4; v = 0.5*8 + 0.25*4 = 5; w = 4-5 = -1.
		// Then 2 - 0.5 = 1.5; v = 2.5 + 0.125*1.5; w = -1 - 2.6875.
		{Caffe, -1, 5, -3.6875, 2.6875},
		// v = 0.5*8 + 4 = 8; w = 4 - 0.25*8 = 2. Then 2+1 = 3; v = 4+3; w = 2 - 0.125*7.
		{PyTorch, 2, 8, 1.125, 7},
	} {
		w, v := f32(Shape{1}, 4), f32(Shape{1}, 8)
		k := SGD{Momentum: 0.5, Decay: 0.5, Form: c.form}
		g := f32(Shape{1}, 2)
		k.Ref([]Tensor{w, v}, []Tensor{w, g, v, f32(Shape{2}, 0.25, 0)})
		equal(t, c.form.String(), []float32{w.F32[0], v.F32[0]}, []float32{c.w1, c.v1})
		k.Ref([]Tensor{w, v}, []Tensor{w, g, v, f32(Shape{2}, 0.125, 0)})
		equal(t, c.form.String()+", second step", []float32{w.F32[0], v.F32[0]}, []float32{c.w2, c.v2})
	}
}

func TestMovingAverage(t *testing.T) {
	mean, variance := f32(Shape{2, 2}, 1, 10, 3, 30), f32(Shape{2, 2}, 3, 6, 9, 12)
	run, runVar := f32(Shape{2}, 4, 0), f32(Shape{2}, 8, 0)
	in := []Tensor{mean, variance, run, runVar, f32(Shape{2}, 99, 0.25)}
	MovingAverage{Count: 4}.Ref([]Tensor{run, runVar}, in)
	equal(t, "running mean", run.F32, []float32{0.75*4 + 0.25*2, 0.25 * 20})
	// Unbiased: 4/3 of the mean variance of the groups.
	equal(t, "running variance", runVar.F32, []float32{0.75*8 + 0.25*8, 0.25 * 12})
	// One element has no unbiased variance, so its biased one (0) is used.
	MovingAverage{Count: 1}.Ref([]Tensor{run, runVar}, in)
	if v := runVar.F32[0]; math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		t.Errorf("running variance of one element is %g", v)
	}
}

// The sums over three replicas, in their order: 2^24 + 1 + 1 has no room for a 1 in
// float32. Shares of a moving average add up to the average over all groups.
func TestAllReduce(t *testing.T) {
	operands := func() []Tensor {
		return []Tensor{
			f32(Shape{2}, 1, 1<<24), f32(Shape{1}, 5),
			f32(Shape{2}, 2, 1), f32(Shape{1}, 6),
			f32(Shape{2}, 3, 1), f32(Shape{1}, 7),
		}
	}
	x := operands()
	AllReduce{3}.Ref(x, x) // in place
	for r := range 3 {
		equal(t, "the first", x[2*r].F32, []float32{6, 1 << 24})
		equal(t, "the second", x[2*r+1].F32, []float32{18})
	}
	alone := operands()[:2]
	AllReduce{1}.Ref(alone, alone)
	equal(t, "of one", alone[0].F32, []float32{1, 1 << 24})

	rates := f32(Shape{2}, 0, 0.5)
	running := func() (Tensor, Tensor) { return f32(Shape{1}, 8), f32(Shape{1}, 16) }
	mean, variance := running()
	groups := []Tensor{f32(Shape{2, 1}, 2, 4), f32(Shape{2, 1}, 3, 1), f32(Shape{2, 1}, 6, 8), f32(Shape{2, 1}, 9, 7)}
	whole := apply(t, MovingAverage{Count: 6}, append(groups, mean, variance, rates)...)
	var shares []Tensor
	for r := range 2 {
		mean, variance := running()
		shares = append(shares, apply(t, MovingAverage{Count: 6, Replicas: 2}, groups[2*r], groups[2*r+1], mean, variance, rates)...)
	}
	AllReduce{2}.Ref(shares, shares)
	for i := range 2 {
		equal(t, "statistics", shares[i].F32, whole[i].F32)
		equal(t, "those of the other", shares[2+i].F32, whole[i].F32)
	}
}

// Weights of 1/k give the average of all batches. Calibrate relies on it.
func TestTrueAverage(t *testing.T) {
	run, runVar := f32(Shape{1}, 1e6), f32(Shape{1}, 1e6) // the first weight, 1, removes this
	var sum float64
	for k := 1; k <= 20; k++ {
		v := float32(k * k)
		sum += float64(v)
		in := []Tensor{f32(Shape{1, 1}, v), f32(Shape{1, 1}, v), run, runVar, f32(Shape{2}, 0, 1/float32(k))}
		MovingAverage{Count: 2}.Ref([]Tensor{run, runVar}, in)
	}
	near(t, "mean", float64(run.F32[0]), sum/20)
	near(t, "variance", float64(runVar.F32[0]), 2*sum/20)
}

// A rectifier that turns NaN into 0 would hide that a run diverged.
func TestNaNPassesRectifier(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	one, zero := f32(Shape{1}, 1), f32(Shape{1}, 0)
	y := apply(t, BatchNormInfer{ReLU: true}, f32(Shape{1, 1, 1, 4}, nan, inf, -inf, 2), one, zero, zero, one)[0].F32
	if !math.IsNaN(float64(y[0])) || y[1] != inf || y[2] != 0 || y[3] != 2 {
		t.Errorf("NaN, Inf, -Inf, 2 become %v", y)
	}
	y = apply(t, BatchNorm{ReLU: true}, f32(Shape{1, 1, 1, 2}, nan, 1), one, zero)[0].F32
	if !math.IsNaN(float64(y[0])) || !math.IsNaN(float64(y[1])) {
		t.Errorf("a batch with NaN becomes %v", y)
	}
	for _, v := range []float32{nan, inf} {
		for at := range 3 {
			logits := f32(Shape{1, 3}, 1, 1, 1)
			logits.F32[at] = v
			if loss := apply(t, CrossEntropy{}, logits, labels(2))[0].F32[0]; !math.IsNaN(float64(loss)) && !math.IsInf(float64(loss), 0) {
				t.Errorf("logits %v have loss %g", logits.F32, loss)
			}
		}
	}
}

// Names go into dumps and error messages, and tell kernels apart.
func TestNames(t *testing.T) {
	for k, want := range map[Kernel]string{
		Conv{3, 2, 1, 32}:                                      "conv 3x3 s2 p1 ->32",
		ConvGradInput{Conv{3, 2, 1, 32}, 8, 8}:                 "conv 3x3 s2 p1 ->32 grad input 8x8",
		BatchNorm{Eps: 1e-5, Group: 64, Add: true, ReLU: true}: "batchnorm g64 +add +relu",
		BatchNormGrad{BatchNorm{Eps: 1e-3, ReLU: true}}:        "batchnorm eps0.001 +relu grad",
		Pad{2, 32, Split}:                                      "pad s2 ->32 split",
		SGD{Momentum: 0.9, Decay: 1e-4, Form: PyTorch}:         "sgd m0.9 d0.0001 pytorch",
		Batch{H: 32, W: 32, Pad: 4}:                            "batch 32x32 p4",
		MovingAverage{Count: 65536}:                            "moving average of 65536",
		BatchNormInfer{Eps: 1e-5, Add: false, ReLU: true}:      "batchnorm infer +relu",
		ConvGradWeight{Conv{Size: 1, Stride: 2, Out: 32}}:      "conv 1x1 s2 p0 ->32 grad weight",
	} {
		if k.String() != want {
			t.Errorf("%q, want %q", k, want)
		}
	}
}

// The sums of convolutions have the order of these plain loops, bit for bit; a
// gradient by the weight adds up each row by itself. In float64, as a float32 shows
// no order; of numbers whose products are exact, so that fused ones are the same.
func TestConvSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tensor := func(shape ...int) Tensor {
		x := random(r, 0, shape...)
		for i, v := range x.F64 {
			x.F64[i] = float64(float32(v))
		}
		return x
	}
	for _, c := range []struct {
		k Conv
		x Shape
	}{
		{Conv{Size: 3, Stride: 1, Pad: 1, Out: 8}, Shape{2, 4, 6, 5}},
		{Conv{Size: 3, Stride: 2, Pad: 1, Out: 7}, Shape{3, 5, 7, 9}},
		{Conv{Size: 1, Stride: 2, Pad: 0, Out: 2}, Shape{2, 6, 5, 4}},
		{Conv{Size: 7, Stride: 2, Pad: 3, Out: 5}, Shape{1, 3, 9, 9}},
		{Conv{Size: 3, Stride: 1, Pad: 1, Out: 1}, Shape{1, 1, 1, 1}},
	} {
		k, S := c.k, c.k.Size
		N, C, H, W := c.x[0], c.x[1], c.x[2], c.x[3]
		OH, OW := k.outSize(H), k.outSize(W)
		x, w, dy := tensor(c.x...), tensor(k.Out, C, S, S), tensor(N, k.Out, OH, OW)
		y, dx, dw := New(Float64, dy.Shape...), New(Float64, c.x...), New(Float64, w.Shape...)
		loops(N, k.Out, C, S, S, OH, func(n, o, c, ky, kx, oy int) {
			tap, row := ((o*C+c)*S+ky)*S+kx, 0.0
			for ox := range OW {
				iy, ix := oy*k.Stride+ky-k.Pad, ox*k.Stride+kx-k.Pad
				if iy < 0 || iy >= H || ix < 0 || ix >= W {
					continue
				}
				in, out := ((n*C+c)*H+iy)*W+ix, ((n*k.Out+o)*OH+oy)*OW+ox
				y.F64[out] += x.F64[in] * w.F64[tap]
				dx.F64[in] += dy.F64[out] * w.F64[tap]
				row += x.F64[in] * dy.F64[out]
			}
			dw.F64[tap] += row
		})
		for _, c := range []struct {
			k         Kernel
			got, want Tensor
		}{
			{k, apply(t, k, x, w)[0], y},
			{ConvGradInput{k, H, W}, apply(t, ConvGradInput{k, H, W}, w, dy)[0], dx},
			{ConvGradWeight{k}, apply(t, ConvGradWeight{k}, x, dy)[0], dw},
		} {
			if !slices.Equal(c.got.F64, c.want.F64) {
				t.Errorf("%s of %v has other sums than the plain loops", c.k, x.Shape)
			}
		}
	}
}

// loops calls f for all indices below the extents, the last one fastest.
func loops(a, b, c, d, e, g int, f func(a, b, c, d, e, g int)) {
	for i := range a * b * c * d * e * g {
		f(i/(b*c*d*e*g), i/(c*d*e*g)%b, i/(d*e*g)%c, i/(e*g)%d, i/g%e, i%g)
	}
}
