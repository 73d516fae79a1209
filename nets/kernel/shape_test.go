// Tests of the shape rules and costs.

package kernel

import (
	"strings"
	"testing"
)

// s makes a list of shapes.
func s(shapes ...[]int) []Shape {
	var out []Shape
	for _, x := range shapes {
		out = append(out, Shape(x))
	}
	return out
}

type ints = []int

// good holds operands that fit, one entry for each kernel, and the shapes of the outputs.
var good = []struct {
	k       Kernel
	in, out []Shape
}{
	{Conv{3, 2, 1, 8}, s(ints{2, 4, 7, 6}, ints{8, 4, 3, 3}), s(ints{2, 8, 4, 3})},
	{Conv{1, 2, 0, 8}, s(ints{2, 4, 7, 6}, ints{8, 4, 1, 1}), s(ints{2, 8, 4, 3})},
	{ConvGradInput{Conv{3, 2, 1, 8}, 7, 6}, s(ints{8, 4, 3, 3}, ints{2, 8, 4, 3}), s(ints{2, 4, 7, 6})},
	{ConvGradWeight{Conv{3, 2, 1, 8}}, s(ints{2, 4, 7, 6}, ints{2, 8, 4, 3}), s(ints{8, 4, 3, 3})},
	{BatchNorm{Group: 2}, s(ints{4, 3, 2, 2}, ints{3}, ints{3}), s(ints{4, 3, 2, 2}, ints{2, 3}, ints{2, 3})},
	{BatchNorm{Add: true}, s(ints{4, 3, 2, 2}, ints{3}, ints{3}, ints{4, 3, 2, 2}), s(ints{4, 3, 2, 2}, ints{1, 3}, ints{1, 3})},
	{BatchNormGrad{BatchNorm{Group: 2}}, s(ints{4, 3, 2, 2}, ints{3}, ints{2, 3}, ints{2, 3}, ints{4, 3, 2, 2}), s(ints{4, 3, 2, 2}, ints{3}, ints{3})},
	{BatchNormGrad{BatchNorm{Add: true, ReLU: true}}, s(ints{4, 3, 2, 2}, ints{3}, ints{1, 3}, ints{1, 3}, ints{4, 3, 2, 2}, ints{4, 3, 2, 2}), s(ints{4, 3, 2, 2}, ints{3}, ints{3}, ints{4, 3, 2, 2})},
	{BatchNormInfer{Add: true}, s(ints{4, 3, 2, 2}, ints{3}, ints{3}, ints{3}, ints{3}, ints{4, 3, 2, 2}), s(ints{4, 3, 2, 2})},
	{MovingAverage{Count: 8}, s(ints{2, 3}, ints{2, 3}, ints{3}, ints{3}, ints{2}), s(ints{3}, ints{3})},
	{Pad{2, 8, Split}, s(ints{2, 4, 7, 6}), s(ints{2, 8, 4, 3})},
	{PadGrad{Pad{2, 8, Split}, 4, 7, 6}, s(ints{2, 8, 4, 3}), s(ints{2, 4, 7, 6})},
	{MaxPool{3, 2, 1, 1}, s(ints{2, 4, 7, 6}), s(ints{2, 4, 4, 3})},
	{MaxPool{3, 2, 0, 1}, s(ints{2, 4, 7, 6}), s(ints{2, 4, 3, 3})},
	{MaxPoolGrad{MaxPool{3, 2, 0, 1}}, s(ints{2, 4, 7, 6}, ints{2, 4, 3, 3}), s(ints{2, 4, 7, 6})},
	{Add{}, s(ints{2, 3}, ints{2, 3}), s(ints{2, 3})},
	{ReLU{}, s(ints{2, 4, 7, 6}), s(ints{2, 4, 7, 6})},
	{ReLUGrad{}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 6}), s(ints{2, 4, 7, 6})},
	{Scale{0.5}, s(ints{2, 4, 7, 6}), s(ints{2, 4, 7, 6})},
	{Gate{}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 6}, ints{4}), s(ints{2, 4, 7, 6})},
	{GateGrad{Gate{Carry: true}}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 6}, ints{4}, ints{2, 4, 7, 6}), s(ints{2, 4, 7, 6}, ints{2, 4, 7, 6}, ints{4})},
	{Dropout{0.5, 1}, s(ints{2, 4, 7, 6}, ints{2}), s(ints{2, 4, 7, 6})},
	{AvgPool{}, s(ints{2, 4, 7, 6}), s(ints{2, 4})},
	{AvgPoolGrad{7, 6}, s(ints{2, 4}), s(ints{2, 4, 7, 6})},
	{Linear{10}, s(ints{2, 4}, ints{10, 4}, ints{10}), s(ints{2, 10})},
	{LinearGradInput{}, s(ints{10, 4}, ints{2, 10}), s(ints{2, 4})},
	{LinearGradWeight{}, s(ints{2, 4}, ints{2, 10}), s(ints{10, 4})},
	{LinearGradBias{}, s(ints{2, 10}), s(ints{10})},
	{CrossEntropy{}, s(ints{2, 10}, ints{2}), s(ints{1}, ints{1})},
	{CrossEntropyGrad{}, s(ints{2, 10}, ints{2}), s(ints{2, 10})},
	{SGD{}, s(ints{9}, ints{9}, ints{9}, ints{2}), s(ints{9}, ints{9})},
	{Adam{}, s(ints{9}, ints{9}, ints{9}, ints{9}, ints{1}, ints{2}), s(ints{9}, ints{9}, ints{9}, ints{1})},
	{Accumulate{}, s(ints{9}, ints{9}), s(ints{9})},
	{AllReduce{2}, s(ints{9}), s(ints{9})},
	{Batch{H: 6, W: 6, Pad: 1}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{3}), s(ints{2, 3, 6, 6}, ints{2})},
	{Batch{H: 6, W: 6, Pad: 1, Noise: true}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{3}), s(ints{2, 3, 6, 6}, ints{2}, ints{2})},
	{Batch{H: 4, W: 7, Pad: 1}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{3}), s(ints{2, 3, 4, 7}, ints{2})},
}

func TestShapes(t *testing.T) {
	for _, c := range good {
		out, err := c.k.Shape(c.in)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(out) != len(c.out) {
			t.Errorf("%s: %d outputs, want %d", c.k, len(out), len(c.out))
			continue
		}
		for i := range out {
			if !out[i].Equal(c.out[i]) {
				t.Errorf("%s: output %d has shape %v, want %v", c.k, i, out[i], c.out[i])
			}
		}
		if _, bytes := c.k.Cost(c.in); bytes <= 0 {
			t.Errorf("%s: costs %d bytes", c.k, bytes)
		}
	}
}

// One operand too few or too many, or of another rank, is an error that names the kernel,
// never a panic.
func TestShapesOfWrongRank(t *testing.T) {
	refused := func(k Kernel, in []Shape, what string) {
		t.Helper()
		_, err := k.Shape(in)
		if err == nil {
			t.Errorf("%s: accepts %s: %v", k, what, in)
		} else if name, _, _ := strings.Cut(k.String(), " "); !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the error does not name it: %v", k, err)
		}
	}
	for _, c := range good {
		refused(c.k, nil, "nothing")
		if _, ok := c.k.(AllReduce); !ok { // takes any number of operands
			refused(c.k, append(c.in[:len(c.in):len(c.in)], c.in[0]), "one operand more")
		}
		for i := range c.in {
			less := append(append([]Shape{}, c.in[:i]...), c.in[i+1:]...)
			refused(c.k, less, "one operand less")
			in := append([]Shape{}, c.in...)
			if _, ok := c.k.(Add); ok {
				continue // takes any rank if both operands have it
			}
			in[i] = append(append(Shape{}, c.in[i]...), 1)
			refused(c.k, in, "a rank too high")
			in[i] = c.in[i][:len(c.in[i])-1]
			refused(c.k, in, "a rank too low")
		}
	}
}

func TestShapesThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		k    Kernel
		in   []Shape
		want string
	}{
		{Conv{3, 1, 1, 8}, s(ints{2, 4, 7, 6}, ints{8, 5, 3, 3}), "want (8,4,3,3)"},
		{Conv{3, 1, 1, 8}, s(ints{2, 4, 7, 6}, ints{9, 4, 3, 3}), "want (8,4,3,3)"},
		{Conv{3, 1, 1, 8}, s(ints{2, 4, 7, 6}, ints{8, 4, 1, 1}), "want (8,4,3,3)"},
		{Conv{3, 1, 0, 8}, s(ints{2, 4, 2, 6}, ints{8, 4, 3, 3}), "smaller than the kernel"},
		{ConvGradInput{Conv{3, 2, 1, 8}, 7, 6}, s(ints{8, 4, 3, 3}, ints{2, 8, 3, 3}), "want (2,8,4,3)"},
		{ConvGradWeight{Conv{3, 2, 1, 8}}, s(ints{2, 4, 7, 6}, ints{1, 8, 4, 3}), "want (2,8,4,3)"},
		{BatchNorm{}, s(ints{4, 3, 2, 2}, ints{3}, ints{4}), "input 2"},
		{BatchNorm{Group: 3}, s(ints{4, 3, 2, 2}, ints{3}, ints{3}), "groups of 3 images do not divide a batch of 4"},
		{BatchNorm{Add: true}, s(ints{4, 3, 2, 2}, ints{3}, ints{3}, ints{4, 3, 2, 1}), "want (4,3,2,2)"},
		{BatchNormGrad{BatchNorm{Group: 2}}, s(ints{4, 3, 2, 2}, ints{3}, ints{1, 3}, ints{2, 3}, ints{4, 3, 2, 2}), "want (2,3)"},
		{BatchNormGrad{BatchNorm{Group: 3}}, s(ints{4, 3, 2, 2}, ints{3}, ints{1, 3}, ints{1, 3}, ints{4, 3, 2, 2}), "do not divide"},
		{BatchNormInfer{}, s(ints{4, 3, 2, 2}, ints{3}, ints{3}, ints{2}, ints{3}), "input 3"},
		{MovingAverage{}, s(ints{2, 3}, ints{1, 3}, ints{3}, ints{3}, ints{2}), "do not fit"},
		{MovingAverage{}, s(ints{2, 3}, ints{2, 3}, ints{3}, ints{3}, ints{1}), "do not fit"},
		{Pad{2, 3, Trailing}, s(ints{2, 4, 7, 6}), "more than the output"},
		{PadGrad{Pad{2, 8, Trailing}, 4, 7, 6}, s(ints{2, 8, 3, 3}), "want (2,8,4,3)"},
		{MaxPool{3, 2, 3, 0}, s(ints{2, 4, 7, 6}), "could lie outside"},
		{MaxPool{3, 2, 0, 1}, s(ints{2, 4, 7, 1}), "smaller than a window"},
		{MaxPoolGrad{MaxPool{3, 2, 0, 1}}, s(ints{2, 4, 7, 6}, ints{2, 4, 4, 3}), "want (2,4,3,3)"},
		{Add{}, s(ints{2, 3}, ints{3, 2}), "two of one shape"},
		{ReLUGrad{}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 5}), "want (2,4,7,6)"},
		{Gate{}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 6}, ints{3}), "the bias has shape (3), want (4)"},
		{Gate{}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 5}, ints{4}), "want (2,4,7,6)"},
		{GateGrad{}, s(ints{2, 4, 7, 6}, ints{2, 4, 7, 6}, ints{4}, ints{2, 4, 6, 7}), "want (2,4,7,6)"},
		{Dropout{}, s(ints{2, 4, 7, 6}, ints{3}), "2 images but noise for 3"},
		{Linear{10}, s(ints{2, 4}, ints{10, 5}, ints{10}), "do not fit"},
		{Linear{10}, s(ints{2, 4}, ints{10, 4}, ints{9}), "do not fit"},
		{LinearGradInput{}, s(ints{10, 4}, ints{2, 9}), "do not fit"},
		{LinearGradWeight{}, s(ints{2, 4}, ints{3, 10}), "do not fit"},
		{CrossEntropy{}, s(ints{2, 10}, ints{3}), "2 rows but 3 labels"},
		{CrossEntropyGrad{}, s(ints{2, 10}, ints{3}), "2 rows but 3 labels"},
		{AllReduce{0}, s(ints{9}), "at least 1 replica"},
		{AllReduce{2}, s(ints{9}, ints{3, 3}), "input 1"},
		{SGD{}, s(ints{9}, ints{9}, ints{8}, ints{2}), "do not fit"},
		{SGD{}, s(ints{9}, ints{9}, ints{9}, ints{1}), "do not fit"},
		{Batch{H: 5, W: 6}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{3}), "larger than the padded image"},
		{Batch{H: 7, W: 5}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{3}), "larger than the padded image"},
		{Batch{H: 5, W: 5}, s(ints{9, 3, 6, 5}, ints{8}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{3}), "do not fit"},
		{Batch{H: 5, W: 5}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 3}, ints{3, 6, 5}, ints{3}, ints{3}), "do not fit"},
		{Batch{H: 5, W: 5}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 5, 6}, ints{3}, ints{3}), "do not fit"},
		{Batch{H: 5, W: 5}, s(ints{9, 3, 6, 5}, ints{9}, ints{2, 4}, ints{3, 6, 5}, ints{3}, ints{1}), "do not fit"},
	} {
		if _, err := c.k.Shape(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s on %v: error %v, want one with %q", c.k, c.in, err, c.want)
		}
	}
}

// A multiply-add counts as 2: conv1 of the CIFAR nets, by hand.
func TestCost(t *testing.T) {
	flops, bytes := Conv{3, 1, 1, 16}.Cost(s(ints{2, 3, 32, 32}, ints{16, 3, 3, 3}))
	if want := int64(2 * 2 * 16 * 32 * 32 * 27); flops != want {
		t.Errorf("%d flops, want %d", flops, want)
	}
	if want := int64(4 * (2*3*1024 + 16*27 + 2*16*1024)); bytes != want {
		t.Errorf("%d bytes, want %d", bytes, want)
	}
}
