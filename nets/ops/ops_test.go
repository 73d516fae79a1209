// Tests of the Gorgonia operations: nodes stay apart, errors name the layer, derivatives
// exist where they should.

package ops

import (
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"depthlab/nets/kernel"
)

func leaf(g *G.ExprGraph, name string, shape ...int) *G.Node {
	return G.NewTensor(g, G.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
}

func apply(t testing.TB, k kernel.Kernel, operands ...*G.Node) *G.Node {
	t.Helper()
	n, err := Apply(k, "here", 0, operands...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Gorgonia merges nodes whose ops and operands have equal hashes. Two equal layers on one
// input must stay two layers.
func TestEqualOpsStayApart(t *testing.T) {
	g := G.NewGraph()
	x := leaf(g, "x", 2, 3, 4, 4)
	if a, b := apply(t, kernel.AvgPool{}, x), apply(t, kernel.AvgPool{}, x); a == b {
		t.Error("two ops became one node")
	}
}

func TestApplyNamesTheLayer(t *testing.T) {
	g := G.NewGraph()
	_, err := Apply(kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 8}, "layer1.0.conv1", 0, leaf(g, "x", 2, 3, 4, 4), leaf(g, "w", 8, 4, 3, 3))
	if err == nil || !strings.Contains(err.Error(), "layer1.0.conv1") || !strings.Contains(err.Error(), "want (8,3,3,3)") {
		t.Errorf("error %v, want the layer and the shape", err)
	}
}

// The gradient with respect to the net's input is never needed, and there is none with
// respect to labels.
func TestDiffWRT(t *testing.T) {
	g := G.NewGraph()
	x := leaf(g, "x", 2, 3, 4, 4)
	first := apply(t, kernel.Conv{Size: 1, Stride: 1, Out: 3}, x, leaf(g, "w1", 3, 3, 1, 1))
	second := apply(t, kernel.Conv{Size: 1, Stride: 1, Out: 3}, first, leaf(g, "w2", 3, 3, 1, 1))
	label := G.NewTensor(g, tensor.Int32, 1, G.WithShape(2), G.WithName("label"))
	loss := apply(t, kernel.CrossEntropy{}, apply(t, kernel.AvgPool{}, second), label)
	for _, c := range []struct {
		n    *G.Node
		want []bool
	}{{first, []bool{false, true}}, {second, []bool{true, true}}, {loss, []bool{true, false}}} {
		op := c.n.Op().(*Op)
		for i, got := range op.DiffWRT(2) {
			if got != c.want[i] {
				t.Errorf("%s: operand %d differentiable: %v", op, i, got)
			}
		}
	}
	if !loss.IsScalar() || second.IsScalar() {
		t.Error("the loss alone is a Gorgonia scalar")
	}
	if kernelOp := apply(t, kernel.AvgPoolGrad{H: 4, W: 4}, leaf(g, "dy", 2, 3)).Op().(*Op); kernelOp.DiffWRT(1)[0] {
		t.Error("a gradient has a derivative")
	} else if _, err := kernelOp.SymDiff(nil, nil, nil); err == nil || !strings.Contains(err.Error(), "avgpool grad") {
		t.Errorf("second derivative: %v", err)
	}
}

// Do returns one of several outputs, and refuses types that it cannot compute with.
func TestDo(t *testing.T) {
	g := G.NewGraph()
	x, scale, shift := leaf(g, "x", 2, 1, 1, 1), leaf(g, "scale", 1), leaf(g, "shift", 1)
	n, err := Apply(kernel.BatchNorm{Eps: 1e-5}, "bn", 2, x, scale, shift)
	if err != nil {
		t.Fatal(err)
	}
	value := func(v any, shape ...int) G.Value {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
	}
	one := value([]float32{1}, 1)
	y, err := n.Op().Do(value([]float32{1, 5}, 2, 1, 1, 1), one, one)
	if err != nil || y.Data().([]float32)[0] != 4 {
		t.Errorf("variance of 1 and 5: %v, %v", y, err)
	}
	if _, err := n.Op().Do(value([]float64{1, 5}, 2, 1, 1, 1), one, one); err == nil {
		t.Error("float64 is accepted")
	}
}
