// Zero-padding shortcut (option A) and the sum of gradients.

package kernel

import "fmt"

// PadWhere is the position of the zero channels of shortcut A.
type PadWhere uint8

const (
	Trailing PadWhere = iota // after the copied channels (as in fb.resnet.torch)
	Split                    // half before, half after (as in akamaster's port)
)

func (w PadWhere) String() string { return [...]string{"trailing", "split"}[w] }

// Pad is shortcut A (paper section 4.1): it takes every Stride-th pixel and adds zero
// channels up to Out: x (N,C,H,W) -> y (N,Out,ceil(H/Stride),ceil(W/Stride)).
type Pad struct {
	Stride, Out int
	Where       PadWhere
}

func (k Pad) String() string { return fmt.Sprintf("pad s%d ->%d %s", k.Stride, k.Out, k.Where) }

// First is the output channel that input channel 0 is copied to, if the input has c
// channels.
func (k Pad) First(c int) int {
	if k.Where == Split {
		return (k.Out - c) / 2
	}
	return 0
}

func (k Pad) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4); err != nil {
		return nil, err
	}
	x := in[0]
	if x[1] > k.Out {
		return nil, fmt.Errorf("%s: input has %d channels, more than the output", k, x[1])
	}
	return []Shape{{x[0], k.Out, (x[2] + k.Stride - 1) / k.Stride, (x[3] + k.Stride - 1) / k.Stride}}, nil
}

func (k Pad) Cost(in []Shape) (flops, bytes int64) {
	out, err := k.Shape(in)
	if err != nil {
		return 0, 0
	}
	return 0, bytesOf(out) + bytesOf(in)/int64(k.Stride*k.Stride)
}

func (k Pad) Ref(out, in []Tensor) {
	if is64(in) {
		padRef[float64](k, out[0], in[0])
	} else {
		padRef[float32](k, out[0], in[0])
	}
}

func padRef[T Float](k Pad, yt, xt Tensor) {
	y, x := floats[T](yt), floats[T](xt)
	clear(y)
	k.each(xt.Shape, yt.Shape, func(xi, yi int) { y[yi] = x[xi] })
}

// each calls f for each pair of an input and an output element that the shortcut
// connects.
func (k Pad) each(x, y Shape, f func(xi, yi int)) {
	first := k.First(x[1])
	for n := range x[0] {
		for c := range x[1] {
			for h := range y[2] {
				for w := range y[3] {
					f(((n*x[1]+c)*x[2]+h*k.Stride)*x[3]+w*k.Stride, ((n*y[1]+first+c)*y[2]+h)*y[3]+w)
				}
			}
		}
	}
}

// PadGrad is the gradient of Pad with respect to its input of C channels and H x W
// pixels: dy (N,Out,H',W') -> dx (N,C,H,W).
type PadGrad struct {
	Pad
	C, H, W int
}

func (k PadGrad) String() string { return fmt.Sprintf("%s grad %dx%dx%d", k.Pad, k.C, k.H, k.W) }

func (k PadGrad) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 4); err != nil {
		return nil, err
	}
	dx := Shape{in[0][0], k.C, k.H, k.W}
	y, err := k.Pad.Shape([]Shape{dx})
	if err != nil {
		return nil, err
	}
	if !y[0].Equal(in[0]) {
		return nil, fmt.Errorf("%s: gradient has shape %v, want %v", k, in[0], y[0])
	}
	return []Shape{dx}, nil
}

func (k PadGrad) Cost(in []Shape) (flops, bytes int64) {
	dx := int64(in[0][0]*k.C*k.H*k.W) * 4
	return 0, dx + dx/int64(k.Stride*k.Stride)
}

func (k PadGrad) Ref(out, in []Tensor) {
	if is64(in) {
		padGradRef[float64](k, out[0], in[0])
	} else {
		padGradRef[float32](k, out[0], in[0])
	}
}

func padGradRef[T Float](k PadGrad, dxt, dyt Tensor) {
	dx, dy := floats[T](dxt), floats[T](dyt)
	clear(dx)
	k.each(dxt.Shape, dyt.Shape, func(xi, yi int) { dx[xi] = dy[yi] })
}

// Add adds two gradients of one value: a, b -> y, all of one shape.
type Add struct{}

func (k Add) String() string { return "add" }

func (k Add) Shape(in []Shape) ([]Shape, error) {
	if len(in) != 2 || !in[0].Equal(in[1]) {
		return nil, fmt.Errorf("add: inputs have shapes %v, want two of one shape", in)
	}
	return []Shape{in[0]}, nil
}

func (k Add) Cost(in []Shape) (flops, bytes int64) {
	return int64(in[0].Len()), bytesOf(in, in[:1])
}

func (k Add) Ref(out, in []Tensor) {
	if is64(in) {
		addRef[float64](out[0], in[0], in[1])
	} else {
		addRef[float32](out[0], in[0], in[1])
	}
}

func addRef[T Float](yt, at, bt Tensor) {
	y, a, b := floats[T](yt), floats[T](at), floats[T](bt)
	for i := range y {
		y[i] = a[i] + b[i]
	}
}
