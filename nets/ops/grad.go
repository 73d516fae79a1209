// Derivatives of the kernels, as nodes of the Gorgonia graph.

package ops

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"depthlab/nets/kernel"
)

// rule is the derivative of a kernel. It can be differentiated with respect to its first
// operands (operands = -1: all of them). grad returns one gradient node for each operand,
// in their order, nil for the rest.
type rule struct {
	operands int
	grad     func(o *Op, in G.Nodes, y, dy *G.Node) (G.Nodes, error)
}

func kind(k kernel.Kernel) string { return fmt.Sprintf("%T", k) }

var derivatives = map[string]rule{
	kind(kernel.Conv{}):         {-1, convGrad},
	kind(kernel.BatchNorm{}):    {-1, batchNormGrad},
	kind(kernel.Pad{}):          {-1, padGrad},
	kind(kernel.Add{}):          {-1, addGrad},
	kind(kernel.ReLU{}):         {-1, reluGrad},
	kind(kernel.Scale{}):        {-1, scaleGrad},
	kind(kernel.Gate{}):         {-1, gateGrad},
	kind(kernel.Dropout{}):      {1, dropoutGrad},
	kind(kernel.MaxPool{}):      {-1, maxPoolGrad},
	kind(kernel.AvgPool{}):      {-1, avgPoolGrad},
	kind(kernel.Linear{}):       {-1, linearGrad},
	kind(kernel.CrossEntropy{}): {1, crossEntropyGrad},
}

// nodes applies kernels one after another and stops at the first error.
type nodes struct {
	layer string
	list  G.Nodes
	err   error
}

func (n *nodes) add(k kernel.Kernel, output int, operands ...*G.Node) {
	if n.err != nil {
		return
	}
	x, err := Apply(k, n.layer, output, operands...)
	n.list, n.err = append(n.list, x), err
}

func convGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	k := o.Kernel.(kernel.Conv)
	g := nodes{layer: o.Layer}
	if o.leaf {
		g.list = append(g.list, nil)
	} else {
		g.add(kernel.ConvGradInput{Conv: k, H: o.in[0][2], W: o.in[0][3]}, 0, in[1], dy)
	}
	g.add(kernel.ConvGradWeight{Conv: k}, 0, in[0], dy)
	return g.list, g.err
}

// batchNormGrad makes one node for each operand. The nodes read the batch statistics from
// nodes that recompute them from x. The compiler finds that the forward instruction
// already wrote these, and merges the gradient nodes into one instruction.
func batchNormGrad(o *Op, in G.Nodes, y, dy *G.Node) (G.Nodes, error) {
	k := o.Kernel.(kernel.BatchNorm)
	stats := nodes{layer: o.Layer}
	stats.add(k, 1, in...)
	stats.add(k, 2, in...)
	if stats.err != nil {
		return nil, stats.err
	}
	operands := G.Nodes{in[0], in[1], stats.list[0], stats.list[1]}
	if k.ReLU {
		operands = append(operands, y)
	}
	operands = append(operands, dy)
	g := nodes{layer: o.Layer}
	for i := range in {
		g.add(kernel.BatchNormGrad{BatchNorm: k}, i, operands...)
	}
	return g.list, g.err
}

func padGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	x := o.in[0]
	g := nodes{layer: o.Layer}
	g.add(kernel.PadGrad{Pad: o.Kernel.(kernel.Pad), C: x[1], H: x[2], W: x[3]}, 0, dy)
	return g.list, g.err
}

// addGrad passes the gradient on to both operands.
func addGrad(_ *Op, _ G.Nodes, _, dy *G.Node) (G.Nodes, error) { return G.Nodes{dy, dy}, nil }

func reluGrad(o *Op, _ G.Nodes, y, dy *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	g.add(kernel.ReLUGrad{}, 0, y, dy)
	return g.list, g.err
}

func scaleGrad(o *Op, _ G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	g.add(o.Kernel, 0, dy)
	return g.list, g.err
}

func gateGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	k := o.Kernel.(kernel.Gate)
	g := nodes{layer: o.Layer}
	for i := range in {
		g.add(kernel.GateGrad{Gate: k}, i, in[0], in[1], in[2], dy)
	}
	return g.list, g.err
}

// dropoutGrad masks the gradient as the forward pass masks x. The noise has no gradient.
func dropoutGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	g.add(o.Kernel, 0, dy, in[1])
	return append(g.list, nil), g.err
}

func maxPoolGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	g.add(kernel.MaxPoolGrad{MaxPool: o.Kernel.(kernel.MaxPool)}, 0, in[0], dy)
	return g.list, g.err
}

func avgPoolGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	g.add(kernel.AvgPoolGrad{H: o.in[0][2], W: o.in[0][3]}, 0, dy)
	return g.list, g.err
}

func linearGrad(o *Op, in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	g.add(kernel.LinearGradInput{}, 0, in[1], dy)
	g.add(kernel.LinearGradWeight{}, 0, in[0], dy)
	g.add(kernel.LinearGradBias{}, 0, dy)
	return g.list, g.err
}

// crossEntropyGrad ignores the gradient of the loss: it is the constant 1, because the
// loss is what is differentiated.
func crossEntropyGrad(o *Op, in G.Nodes, _, _ *G.Node) (G.Nodes, error) {
	g := nodes{layer: o.Layer}
	k := o.Kernel.(kernel.CrossEntropy)
	g.add(kernel.CrossEntropyGrad{Of: k.Of, Smoothing: k.Smoothing}, 0, in...)
	return append(g.list, nil), g.err
}
