// Package ops makes kernels Gorgonia operations, with their symbolic derivatives. Op.Do
// calls the kernel's reference (Ref). So Gorgonia's own tape machine can run the graph
// that is compiled to a Program, and must give the same bits.
package ops

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync/atomic"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"depthlab/nets/kernel"
)

// Op is a kernel as a Gorgonia operation. Gorgonia allows an op only one output; Output
// says which of the kernel's outputs it is. The compiler merges the ops of one kernel on
// the same operands into one instruction.
type Op struct {
	Kernel kernel.Kernel
	Output int
	Layer  string // path of the layer as PyTorch names it

	in     []kernel.Shape
	out    []kernel.Shape
	scalar bool // the output is a Gorgonia scalar: the loss
	leaf   bool // operand 0 is the net's input, which needs no gradient
	types  hm.Type
	id     uint32 // unique: Gorgonia merges nodes with equal hashes
}

var ids atomic.Uint32

// Apply adds a node for kernel k on operands to their graph. The node stands for one
// output of the kernel.
func Apply(k kernel.Kernel, layer string, output int, operands ...*G.Node) (*G.Node, error) {
	op := &Op{Kernel: k, Output: output, Layer: layer, id: ids.Add(1)}
	types := make([]hm.Type, 0, len(operands)+1)
	for _, n := range operands {
		op.in = append(op.in, shapeOf(n))
		types = append(types, n.Type())
	}
	op.leaf = operands[0].Op() == nil
	var err error
	if op.out, err = k.Shape(op.in); err != nil {
		return nil, fmt.Errorf("layer %s: %w", layer, err)
	}
	_, op.scalar = k.(kernel.CrossEntropy)
	if op.scalar {
		types = append(types, tensor.Float32)
	} else {
		types = append(types, G.TensorType{Dims: len(op.out[output]), Of: tensor.Float32})
	}
	op.types = hm.NewFnType(types...)
	n, err := G.ApplyOp(op, operands...)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %s: %w", layer, k, err)
	}
	return n, nil
}

func shapeOf(n *G.Node) kernel.Shape {
	if n.IsScalar() {
		return kernel.Shape{1}
	}
	return kernel.Shape(n.Shape())
}

func (o *Op) Arity() int       { return len(o.in) }
func (o *Op) Type() hm.Type    { return o.types }
func (o *Op) String() string   { return fmt.Sprintf("%s.%d(%s)", o.Kernel, o.Output, o.Layer) }
func (o *Op) Hashcode() uint32 { return o.id }

func (o *Op) WriteHash(h hash.Hash) { binary.Write(h, binary.LittleEndian, o.id) }

func (o *Op) ReturnsPtr() bool     { return true }
func (o *Op) CallsExtern() bool    { return false }
func (o *Op) OverwritesInput() int { return -1 }

// InferShape returns the output shape that the kernel's own rule found.
func (o *Op) InferShape(...G.DimSizer) (tensor.Shape, error) {
	if o.scalar {
		return tensor.ScalarShape(), nil
	}
	return tensor.Shape(o.out[o.Output]), nil
}

// Do runs the kernel's reference. Gorgonia's tape machine calls it.
func (o *Op) Do(values ...G.Value) (G.Value, error) {
	in := make([]kernel.Tensor, len(values))
	for i, v := range values {
		in[i] = kernel.Tensor{Shape: o.in[i]}
		switch d := v.Data().(type) {
		case []float32:
			in[i].F32 = d
		case []int32:
			in[i].I32 = d
		case float32:
			in[i].F32 = []float32{d}
		default:
			return nil, fmt.Errorf("%s: operand %d is a %T", o, i, d)
		}
	}
	out := make([]kernel.Tensor, len(o.out))
	for i, s := range o.out {
		out[i] = kernel.New(kernel.Float32, s...)
	}
	o.Kernel.Ref(out, in)
	y := out[o.Output]
	if o.scalar {
		return G.NewF32(y.F32[0]), nil
	}
	return tensor.New(tensor.WithShape(y.Shape...), tensor.WithBacking(y.F32)), nil
}

// DiffWRT reports for each operand whether the op can be differentiated with respect to
// it.
func (o *Op) DiffWRT(inputs int) []bool {
	diff := make([]bool, inputs)
	if rule, ok := derivatives[kind(o.Kernel)]; ok {
		for i := range diff {
			diff[i] = (i < rule.operands || rule.operands < 0) && !(i == 0 && o.leaf)
		}
	}
	return diff
}

// SymDiff returns the gradient nodes of the operands, given the gradient of the output.
func (o *Op) SymDiff(inputs G.Nodes, output, grad *G.Node) (G.Nodes, error) {
	rule, ok := derivatives[kind(o.Kernel)]
	if !ok {
		return nil, errors.New("no derivative of " + o.String())
	}
	return rule.grad(o, inputs, output, grad)
}
