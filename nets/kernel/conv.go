// Convolution and its gradients.

package kernel

import "fmt"

// Conv is a convolution without bias, with a square kernel (cross-correlation, as in
// PyTorch and cuDNN): x (N,C,H,W), w (Out,C,Size,Size) -> y (N,Out,H',W').
type Conv struct{ Size, Stride, Pad, Out int }

func (k Conv) String() string {
	return fmt.Sprintf("conv %dx%d s%d p%d ->%d", k.Size, k.Size, k.Stride, k.Pad, k.Out)
}

// outSize is the output's extent along an axis of n input pixels.
func (k Conv) outSize(n int) int { return (n+2*k.Pad-k.Size)/k.Stride + 1 }

func (k Conv) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4, 4); err != nil {
		return nil, err
	}
	x, w := in[0], in[1]
	if want := (Shape{k.Out, x[1], k.Size, k.Size}); !w.Equal(want) {
		return nil, fmt.Errorf("%s: weight has shape %v, want %v", k, w, want)
	}
	if x[2]+2*k.Pad < k.Size || x[3]+2*k.Pad < k.Size {
		return nil, fmt.Errorf("%s: input %v is smaller than the kernel", k, x)
	}
	return []Shape{{x[0], k.Out, k.outSize(x[2]), k.outSize(x[3])}}, nil
}

func (k Conv) Cost(in []Shape) (flops, bytes int64) {
	out, err := k.Shape(in)
	if err != nil {
		return 0, 0
	}
	return k.flops(in[0][1], out[0]), bytesOf(in, out)
}

// flops is the arithmetic of the convolution with c input channels. Each of its gradients
// takes as much.
func (k Conv) flops(c int, y Shape) int64 { return 2 * int64(y.Len()) * int64(c*k.Size*k.Size) }

func (k Conv) Ref(out, in []Tensor) {
	if is64(in) {
		convRef[float64](k, out[0], in[0], in[1])
	} else {
		convRef[float32](k, out[0], in[0], in[1])
	}
}

// lanes is the number of channels that are summed side by side, so that the processor
// need not wait for one addition before it begins the next. The order within each sum is
// the same.
const lanes = 4

// blocks is the number of blocks of lanes channels each; the last one may be incomplete.
func blocks(channels int) int { return (channels + lanes - 1) / lanes }

// block returns the channels of block i. If the last block is incomplete, its last
// channel is computed several times, with the same result.
func block(i, channels int) (all [lanes]int) {
	for j := range all {
		all[j] = min(i*lanes+j, channels-1)
	}
	return all
}

func convRef[T Float](k Conv, yt, xt, wt Tensor) {
	y, x, w := floats[T](yt), floats[T](xt), floats[T](wt)
	C, H, W := xt.Shape[1], xt.Shape[2], xt.Shape[3]
	OH, OW := yt.Shape[2], yt.Shape[3]
	B, area := blocks(k.Out), k.Size*k.Size
	parallel(yt.Shape[0]*B, func(i int) {
		n, o := i/B, block(i%B, k.Out)
		sum := make([][lanes]float64, OH*OW)
		k.taps(C, H, W, OH, OW, func(c, tap, oy, iy, ox0, ox1, ix0 int) {
			at := func(o int) float64 { return float64(w[(o*C+c)*area+tap]) }
			w0, w1, w2, w3 := at(o[0]), at(o[1]), at(o[2]), at(o[3])
			row := x[((n*C+c)*H+iy)*W:][:W]
			for ox, ix := ox0, ix0; ox < ox1; ox, ix = ox+1, ix+k.Stride {
				v, s := float64(row[ix]), &sum[oy*OW+ox]
				s[0] += w0 * v
				s[1] += w1 * v
				s[2] += w2 * v
				s[3] += w3 * v
			}
		})
		for j := range lanes {
			storeLane(y[(n*k.Out+o[j])*OH*OW:][:OH*OW], sum, j)
		}
	})
}

// taps calls f for each input channel c, kernel tap (an element of the Size x Size
// window) and output row oy for which the tap lies inside the image. Output pixels ox0 to
// ox1-1 of row oy then read input row iy, from column ix0 in steps of Stride.
func (k Conv) taps(C, H, W, OH, OW int, f func(c, tap, oy, iy, ox0, ox1, ix0 int)) {
	for c := range C {
		for ky := range k.Size {
			for kx := range k.Size {
				ox0 := max(0, (k.Pad-kx+k.Stride-1)/k.Stride)
				ox1 := min(OW, (W-1+k.Pad-kx)/k.Stride+1)
				if W-1+k.Pad-kx < 0 || ox0 >= ox1 {
					continue
				}
				for oy := range OH {
					iy := oy*k.Stride + ky - k.Pad
					if iy < 0 || iy >= H {
						continue
					}
					f(c, ky*k.Size+kx, oy, iy, ox0, ox1, ox0*k.Stride+kx-k.Pad)
				}
			}
		}
	}
}

func store[T Float](dst []T, src []float64) {
	for i, v := range src {
		dst[i] = T(v)
	}
}

func storeLane[T Float](dst []T, sum [][lanes]float64, lane int) {
	for i := range sum {
		dst[i] = T(sum[i][lane])
	}
}

// ConvGradInput is the gradient of Conv with respect to its input of H x W pixels:
// w (Out,C,Size,Size), dy (N,Out,H',W') -> dx (N,C,H,W).
type ConvGradInput struct {
	Conv
	H, W int
}

func (k ConvGradInput) String() string { return fmt.Sprintf("%s grad input %dx%d", k.Conv, k.H, k.W) }

func (k ConvGradInput) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4, 4); err != nil {
		return nil, err
	}
	w, dy := in[0], in[1]
	dx := Shape{dy[0], w[1], k.H, k.W}
	y, err := k.Conv.Shape([]Shape{dx, w})
	if err != nil {
		return nil, err
	}
	if !y[0].Equal(dy) {
		return nil, fmt.Errorf("%s: gradient has shape %v, want %v", k, dy, y[0])
	}
	return []Shape{dx}, nil
}

func (k ConvGradInput) Cost(in []Shape) (flops, bytes int64) {
	out, err := k.Shape(in)
	if err != nil {
		return 0, 0
	}
	return k.flops(in[0][1], in[1]), bytesOf(in, out)
}

func (k ConvGradInput) Ref(out, in []Tensor) {
	if is64(in) {
		convGradInputRef[float64](k, out[0], in[0], in[1])
	} else {
		convGradInputRef[float32](k, out[0], in[0], in[1])
	}
}

func convGradInputRef[T Float](k ConvGradInput, dxt, wt, dyt Tensor) {
	dx, w, dy := floats[T](dxt), floats[T](wt), floats[T](dyt)
	C, OH, OW := wt.Shape[1], dyt.Shape[2], dyt.Shape[3]
	B, area := blocks(C), k.Size*k.Size
	parallel(dxt.Shape[0]*B, func(i int) {
		n, c := i/B, block(i%B, C)
		sum := make([][lanes]float64, k.H*k.W)
		for o := range k.Out {
			k.taps(1, k.H, k.W, OH, OW, func(_, tap, oy, iy, ox0, ox1, ix0 int) {
				at := func(c int) float64 { return float64(w[(o*C+c)*area+tap]) }
				w0, w1, w2, w3 := at(c[0]), at(c[1]), at(c[2]), at(c[3])
				row := dy[((n*k.Out+o)*OH+oy)*OW:][:OW]
				for ox, ix := ox0, ix0; ox < ox1; ox, ix = ox+1, ix+k.Stride {
					v, s := float64(row[ox]), &sum[iy*k.W+ix]
					s[0] += w0 * v
					s[1] += w1 * v
					s[2] += w2 * v
					s[3] += w3 * v
				}
			})
		}
		for j := range lanes {
			storeLane(dx[(n*C+c[j])*k.H*k.W:][:k.H*k.W], sum, j)
		}
	})
}

// ConvGradWeight is the gradient of Conv with respect to its weight:
// x (N,C,H,W), dy (N,Out,H',W') -> dw (Out,C,Size,Size).
type ConvGradWeight struct{ Conv }

func (k ConvGradWeight) String() string { return k.Conv.String() + " grad weight" }

func (k ConvGradWeight) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4, 4); err != nil {
		return nil, err
	}
	dw := Shape{k.Out, in[0][1], k.Size, k.Size}
	y, err := k.Conv.Shape([]Shape{in[0], dw})
	if err != nil {
		return nil, err
	}
	if !y[0].Equal(in[1]) {
		return nil, fmt.Errorf("%s: gradient has shape %v, want %v", k, in[1], y[0])
	}
	return []Shape{dw}, nil
}

func (k ConvGradWeight) Cost(in []Shape) (flops, bytes int64) {
	out, err := k.Shape(in)
	if err != nil {
		return 0, 0
	}
	return k.flops(in[0][1], in[1]), bytesOf(in, out)
}

func (k ConvGradWeight) Ref(out, in []Tensor) {
	if is64(in) {
		convGradWeightRef[float64](k, out[0], in[0], in[1])
	} else {
		convGradWeightRef[float32](k, out[0], in[0], in[1])
	}
}

func convGradWeightRef[T Float](k ConvGradWeight, dwt, xt, dyt Tensor) {
	dw, x, dy := floats[T](dwt), floats[T](xt), floats[T](dyt)
	N, C, H, W := xt.Shape[0], xt.Shape[1], xt.Shape[2], xt.Shape[3]
	OH, OW := dyt.Shape[2], dyt.Shape[3]
	area := k.Size * k.Size
	parallel(blocks(k.Out), func(i int) {
		o := block(i, k.Out)
		sum := make([][lanes]float64, C*area)
		for n := range N {
			k.taps(C, H, W, OH, OW, func(c, tap, oy, iy, ox0, ox1, ix0 int) {
				row := x[((n*C+c)*H+iy)*W:][:W]
				at := func(o int) []T { return dy[((n*k.Out+o)*OH+oy)*OW:][:ox1] }
				y0, y1, y2, y3 := at(o[0]), at(o[1]), at(o[2]), at(o[3])
				var s0, s1, s2, s3 float64
				for ox, ix := ox0, ix0; ox < ox1; ox, ix = ox+1, ix+k.Stride {
					v := float64(row[ix])
					s0 += v * float64(y0[ox])
					s1 += v * float64(y1[ox])
					s2 += v * float64(y2[ox])
					s3 += v * float64(y3[ox])
				}
				s := &sum[c*area+tap]
				s[0] += s0
				s[1] += s1
				s[2] += s2
				s[3] += s3
			})
		}
		for j := range lanes {
			storeLane(dw[o[j]*C*area:][:C*area], sum, j)
		}
	})
}
