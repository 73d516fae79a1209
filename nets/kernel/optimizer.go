// Optimizers: SGD with momentum, Adam and AdamW.

package kernel

import (
	"fmt"
	"math"
	"strings"
)

// Optimizer is a kernel that updates a flat range of P parameters with their gradients:
// w (P), g (P), state, rates (2) -> w, state, in place. The learning rate is rates[0].
type Optimizer interface {
	InPlace
	// State lists the tensors that the optimizer keeps from step to step, in the order of
	// the operands.
	State() []State
	// WithoutDecay returns the same optimizer without weight decay.
	WithoutDecay() Optimizer
}

// State is a tensor that an optimizer keeps from step to step. It starts as zeros. It has
// one value for each parameter, or if Single one value for the whole range.
type State struct {
	Name   string // as PyTorch names it; the state of one parameter is called NAME.PARAMETER
	All    string // name of the state of all parameters together
	Single bool
}

// optimizers lists all optimizers, so that IsState knows their state.
var optimizers = []Optimizer{SGD{}, Adam{}}

// IsState reports whether a tensor of this name is optimizer state and not part of a net.
func IsState(tensor string) bool {
	for _, k := range optimizers {
		for _, s := range k.State() {
			if s.Single && tensor == s.Name || !s.Single && strings.HasPrefix(tensor, s.Name+".") {
				return true
			}
		}
	}
	return false
}

// OptimizerOperands splits the operands of an Optimizer: parameters, gradients, state,
// rates.
func OptimizerOperands[T any](in []T) (w, g T, state []T, rates T) {
	n := len(in) - 1
	return in[0], in[1], in[2:n], in[n]
}

// optimizerUpdated returns the indices of parameters and state among the operands.
func optimizerUpdated(operands int) []int {
	at := []int{0}
	for i := 2; i < operands-1; i++ {
		at = append(at, i)
	}
	return at
}

// optimizerShape is the shape rule of all optimizers.
func optimizerShape(k Optimizer, in []Shape) ([]Shape, error) {
	state := k.State()
	ranks := []int{1, 1, 1}
	for range state {
		ranks = append(ranks, 1)
	}
	if err := rank(k.String(), in, ranks...); err != nil {
		return nil, err
	}
	w, g, kept, rates := OptimizerOperands(in)
	fit := w.Equal(g) && rates[0] == 2
	out := []Shape{w}
	for i, s := range state {
		want := w
		if s.Single {
			want = Shape{1}
		}
		fit, out = fit && kept[i].Equal(want), append(out, want)
	}
	if !fit {
		return nil, fmt.Errorf("%s: shapes %v do not fit", k, in)
	}
	return out, nil
}

// MomentumForm says how the momentum enters the step. The forms of Caffe and PyTorch are
// equal while the learning rate is constant. They differ after each change of it.
type MomentumForm uint8

const (
	Caffe    MomentumForm = iota // v = m v + rate g; w -= v, as in the authors' code
	PyTorch                      // v = m v + g; w -= rate v, as in torch.optim.SGD
	Nesterov                     // v = m v + g; w -= rate (g + m v), as in torch.optim.SGD with nesterov=True, after Sutskever et al. 2013
)

func (f MomentumForm) String() string { return [...]string{"caffe", "pytorch", "nesterov"}[f] }

// SGD is gradient descent with momentum. Weight decay (the L2 term Decay w) is added to
// g.
type SGD struct {
	Momentum, Decay float32
	Form            MomentumForm
}

func (k SGD) String() string { return fmt.Sprintf("sgd m%g d%g %s", k.Momentum, k.Decay, k.Form) }

// State is the momentum v.
func (k SGD) State() []State { return []State{{Name: "momentum", All: "momenta"}} }

// WithoutDecay returns the same optimizer without weight decay.
func (k SGD) WithoutDecay() Optimizer {
	k.Decay = 0
	return k
}

// Updated returns the indices of parameters and momentum.
func (k SGD) Updated(operands int) []int { return optimizerUpdated(operands) }

func (k SGD) Shape(in []Shape) ([]Shape, error) { return optimizerShape(k, in) }

func (k SGD) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len())
	return 6 * n, 20 * n
}

// Ref uses float32 arithmetic. It is not differentiated, so no gradient check needs
// float64.
func (k SGD) Ref(out, in []Tensor) {
	g, rate := in[1].F32, in[3].F32[0]
	w, v := out[0].F32, out[1].F32
	for i := range w {
		d := g[i] + float32(k.Decay*w[i])
		switch k.Form {
		case Caffe:
			v[i] = float32(k.Momentum*v[i]) + float32(rate*d)
			w[i] -= v[i]
		case PyTorch:
			v[i] = float32(k.Momentum*v[i]) + d
			w[i] -= float32(rate * v[i])
		case Nesterov:
			v[i] = float32(k.Momentum*v[i]) + d
			w[i] -= float32(rate * (d + float32(k.Momentum*v[i])))
		}
	}
}

// Adam divides moving averages of the gradient by those of its square (Kingma and Ba 2015,
// algorithm 1), as torch.optim.Adam does:
//
//	m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g g
//	w -= rate m / (1-b1^t) / (sqrt(v / (1-b2^t)) + eps)
//
// at step t, counted from 1. Weight decay (the L2 term Decay w) is added to g. If Decoupled,
// w shrinks by rate Decay w instead, as in torch.optim.AdamW (Loshchilov and Hutter 2019).
type Adam struct {
	Beta1, Beta2, Eps float64
	Decay             float32
	Decoupled         bool
}

func (k Adam) String() string {
	name := "adam"
	if k.Decoupled {
		name = "adamw"
	}
	return fmt.Sprintf("%s b%g b%g e%g d%g", name, k.Beta1, k.Beta2, k.Eps, k.Decay)
}

// State is m, v and the number of steps so far.
func (k Adam) State() []State {
	return []State{{Name: "exp_avg", All: "exp_avgs"}, {Name: "exp_avg_sq", All: "exp_avg_sqs"}, {Name: "step", All: "step", Single: true}}
}

// WithoutDecay returns the same optimizer without weight decay.
func (k Adam) WithoutDecay() Optimizer {
	k.Decay = 0
	return k
}

// Updated returns the indices of parameters and state.
func (k Adam) Updated(operands int) []int { return optimizerUpdated(operands) }

func (k Adam) Shape(in []Shape) ([]Shape, error) { return optimizerShape(k, in) }

func (k Adam) Cost(in []Shape) (flops, bytes int64) {
	n := int64(in[0].Len())
	return 14 * n, 28 * n
}

// Ref takes float32 tensors and computes in float64. It is not differentiated.
func (k Adam) Ref(out, in []Tensor) {
	g, rate, decay := in[1].F32, float64(in[len(in)-1].F32[0]), float64(k.Decay)
	w, m, v, step := out[0].F32, out[1].F32, out[2].F32, out[3].F32
	step[0]++
	mean, square := 1-math.Pow(k.Beta1, float64(step[0])), 1-math.Pow(k.Beta2, float64(step[0]))
	for i := range w {
		x, d := float64(w[i]), float64(g[i])
		if k.Decoupled {
			x -= float64(float64(rate*decay) * x)
		} else {
			d += float64(decay * x)
		}
		m[i] = float32(float64(k.Beta1*float64(m[i])) + float64((1-k.Beta1)*d))
		v[i] = float32(float64(k.Beta2*float64(v[i])) + float64(float64((1-k.Beta2)*d)*d))
		w[i] = float32(x - float64(rate/mean*float64(m[i]))/(math.Sqrt(float64(v[i])/square)+k.Eps))
	}
}
