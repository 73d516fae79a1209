package kernel

import "fmt"

// Accumulate adds what a micro-batch gives to the sum of those before it:
// sum, x -> sum in place, of one shape. It is no part of a graph.
type Accumulate struct{}

func (k Accumulate) String() string { return "accumulate" }

// Updated: the sum.
func (k Accumulate) Updated(int) []int { return []int{0} }

func (k Accumulate) Shape(in []Shape) ([]Shape, error) {
	if len(in) != 2 || !in[0].Equal(in[1]) {
		return nil, fmt.Errorf("accumulate: inputs have shapes %v, want two alike", in)
	}
	return []Shape{in[0]}, nil
}

func (k Accumulate) Cost(in []Shape) (flops, bytes int64) {
	return int64(in[0].Len()), bytesOf(in, in[:1])
}

// Ref is float32 only: there is no gradient to check.
func (k Accumulate) Ref(out, in []Tensor) {
	sum, x := out[0].F32, in[1].F32
	for i := range sum {
		sum[i] += x[i]
	}
}
