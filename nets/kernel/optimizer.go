package kernel

import (
	"fmt"
	"strings"
)

// Optimizer is a kernel that updates a flat range of P parameters by their
// gradients: w (P), g (P), its state, rates (2) -> w, state in place. The
// learning rate is rates[0].
type Optimizer interface {
	InPlace
	// State lists what is kept from step to step, in the order of the operands.
	State() []State
	// WithoutDecay is the same for parameters that do not decay.
	WithoutDecay() Optimizer
}

// State is a tensor that an optimizer keeps from step to step, zero at first. It
// has a value for each parameter, or a single one for the whole range.
type State struct {
	Name   string // in PyTorch's manner; that of a parameter is called NAME.PARAMETER
	All    string // what that of all parameters together is called
	Single bool
}

// optimizers are all of them, for their State.
var optimizers = []Optimizer{SGD{}}

// IsState reports whether a tensor of this name is the state of an optimizer, and
// no part of a net.
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

// OptimizerOperands sorts the operands of an Optimizer.
func OptimizerOperands[T any](in []T) (w, g T, state []T, rates T) {
	n := len(in) - 1
	return in[0], in[1], in[2:n], in[n]
}

// optimizerUpdated are the places of parameters and state among the operands.
func optimizerUpdated(operands int) []int {
	at := []int{0}
	for i := 2; i < operands-1; i++ {
		at = append(at, i)
	}
	return at
}

// optimizerShape is every Optimizer's shape rule.
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

// MomentumForm is where the rate enters the momentum. The two agree while the
// rate is constant and differ after each change of it.
type MomentumForm uint8

const (
	Caffe   MomentumForm = iota // v = m v + rate g; w -= v: the authors'
	PyTorch                     // v = m v + g; w -= rate v
)

func (f MomentumForm) String() string { return [...]string{"caffe", "pytorch"}[f] }

// SGD is gradient descent with momentum: the L2 term Decay w is added to g.
type SGD struct {
	Momentum, Decay float32
	Form            MomentumForm
}

func (k SGD) String() string { return fmt.Sprintf("sgd m%g d%g %s", k.Momentum, k.Decay, k.Form) }

// State: v.
func (k SGD) State() []State { return []State{{Name: "momentum", All: "momenta"}} }

// WithoutDecay is the same for parameters that do not decay.
func (k SGD) WithoutDecay() Optimizer {
	k.Decay = 0
	return k
}

// Updated: parameters and momenta.
func (k SGD) Updated(operands int) []int { return optimizerUpdated(operands) }

func (k SGD) Shape(in []Shape) ([]Shape, error) { return optimizerShape(k, in) }

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
