// Max-pool and its gradient.

package kernel

import "fmt"

// MaxPool takes the largest value of each window of Size x Size pixels, with stride
// Stride: x (N,C,H,W) -> y (N,C,H',W'). The image is padded by Before pixels at its top
// and left and by After at its bottom and right. Padding is never the largest value. Of
// equal values it takes the first in row order. NaN counts as the largest, as in PyTorch.
//
// PyTorch's padding p is Before = After = p. Caffe's padding 0 rounds the number of
// windows up: it is Before = 0, After = Stride-1.
type MaxPool struct{ Size, Stride, Before, After int }

func (k MaxPool) String() string {
	return fmt.Sprintf("maxpool %dx%d s%d p%d+%d", k.Size, k.Size, k.Stride, k.Before, k.After)
}

func (k MaxPool) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4); err != nil {
		return nil, err
	}
	x := in[0]
	around := k.Before + k.After - k.Size
	if k.Before >= k.Size || k.After >= k.Size {
		return nil, fmt.Errorf("%s: a window could lie outside the image", k)
	}
	if x[2]+around < 0 || x[3]+around < 0 {
		return nil, fmt.Errorf("%s: input %v is smaller than a window", k, x)
	}
	return []Shape{{x[0], x[1], (x[2]+around)/k.Stride + 1, (x[3]+around)/k.Stride + 1}}, nil
}

func (k MaxPool) Cost(in []Shape) (flops, bytes int64) {
	out, err := k.Shape(in)
	if err != nil {
		return 0, 0
	}
	return int64(out[0].Len() * k.Size * k.Size), bytesOf(in, out)
}

func (k MaxPool) Ref(out, in []Tensor) {
	if is64(in) {
		maxPoolRef[float64](k, out[0], in[0])
	} else {
		maxPoolRef[float32](k, out[0], in[0])
	}
}

func maxPoolRef[T Float](k MaxPool, yt, xt Tensor) {
	y, x := floats[T](yt), floats[T](xt)
	largest(k, x, xt.Shape, yt.Shape, func(yi, xi int) { y[yi] = x[xi] })
}

// largest calls f for each element of y with its index yi and the index xi of the largest
// element of x in its window. It runs over the planes (image, channel) in parallel.
func largest[T Float](k MaxPool, x []T, xs, ys Shape, f func(yi, xi int)) {
	H, W, OH, OW := xs[2], xs[3], ys[2], ys[3]
	parallel(xs[0]*xs[1], func(plane int) {
		for oy := range OH {
			top := oy*k.Stride - k.Before
			for ox := range OW {
				left := ox*k.Stride - k.Before
				best := -1
				for h := max(top, 0); h < min(top+k.Size, H); h++ {
					for w := max(left, 0); w < min(left+k.Size, W); w++ {
						i := (plane*H+h)*W + w
						if best < 0 || x[i] > x[best] || x[i] != x[i] {
							best = i
						}
					}
				}
				f((plane*OH+oy)*OW+ox, best)
			}
		}
	})
}

// MaxPoolGrad is the gradient of MaxPool: x (N,C,H,W), dy (N,C,H',W') -> dx (N,C,H,W).
// Each element of dy is added to the element of dx that was the largest in its window.
type MaxPoolGrad struct{ MaxPool }

func (k MaxPoolGrad) String() string { return k.MaxPool.String() + " grad" }

func (k MaxPoolGrad) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4, 4); err != nil {
		return nil, err
	}
	y, err := k.MaxPool.Shape(in[:1])
	if err != nil {
		return nil, err
	}
	if !y[0].Equal(in[1]) {
		return nil, fmt.Errorf("%s: gradient has shape %v, want %v", k, in[1], y[0])
	}
	return []Shape{in[0]}, nil
}

func (k MaxPoolGrad) Cost(in []Shape) (flops, bytes int64) {
	return int64(in[1].Len() * k.Size * k.Size), bytesOf(in, in[:1])
}

func (k MaxPoolGrad) Ref(out, in []Tensor) {
	if is64(in) {
		maxPoolGradRef[float64](k, out[0], in[0], in[1])
	} else {
		maxPoolGradRef[float32](k, out[0], in[0], in[1])
	}
}

func maxPoolGradRef[T Float](k MaxPoolGrad, dxt, xt, dyt Tensor) {
	dx, x, dy := floats[T](dxt), floats[T](xt), floats[T](dyt)
	sum := make([]float64, len(dx))
	largest(k.MaxPool, x, xt.Shape, dyt.Shape, func(yi, xi int) { sum[xi] += float64(dy[yi]) })
	store(dx, sum)
}
