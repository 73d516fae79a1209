package kernel

import "fmt"

// MomentumForm is where the rate enters the momentum. The two agree while the
// rate is constant and differ after each change of it.
type MomentumForm uint8

const (
	Caffe   MomentumForm = iota // v = m v + rate g; w -= v: the authors'
	PyTorch                     // v = m v + g; w -= rate v
)

func (f MomentumForm) String() string { return [...]string{"caffe", "pytorch"}[f] }

// SGD updates a flat range of parameters: w, g, v (P), rates (2) -> w, v in
// place, with rate = rates[0] and the L2 term Decay w added to g.
type SGD struct {
	Momentum, Decay float32
	Form            MomentumForm
}

func (k SGD) String() string { return fmt.Sprintf("sgd m%g d%g %s", k.Momentum, k.Decay, k.Form) }

// Updated: parameters and momenta.
func (k SGD) Updated(int) []int { return []int{0, 2} }

func (k SGD) Shape(in []Shape) ([]Shape, error) {
	if err := rank(k.String(), in, 1, 1, 1, 1); err != nil {
		return nil, err
	}
	if !in[0].Equal(in[1]) || !in[0].Equal(in[2]) || in[3][0] != 2 {
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	}
	return []Shape{in[0], in[0]}, nil
}

func (k SGD) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len())
	return 6 * n, 20 * n
}

// Ref is float32 only, in float32 arithmetic: it is no gradient.
func (k SGD) Ref(out, in []Tensor) {
	g, rate := in[1].F32, in[3].F32[0]
	w, v := out[0].F32, out[1].F32
	for i := range w {
		d := g[i] + float32(k.Decay*w[i])
		if k.Form == Caffe {
			v[i] = float32(k.Momentum*v[i]) + float32(rate*d)
			w[i] -= v[i]
		} else {
			v[i] = float32(k.Momentum*v[i]) + d
			w[i] -= float32(rate * v[i])
		}
	}
}
