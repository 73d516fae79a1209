// Sum of gradients over micro-batches.

package kernel

import "fmt"

// Accumulate adds the result of a micro-batch to the sum over the earlier ones:
// sum, x -> sum, in place, all of one shape. The compiler emits it; it has no node in a graph.
type Accumulate struct{}

func (k Accumulate) String() string { return "accumulate" }

// Updated: the sum.
func (k Accumulate) Updated(int) []int { return []int{0} }

func (k Accumulate) Shape(in []Shape) ([]Shape, error) {
	if len(in) != 2 || !in[0].Equal(in[1]) {
		return nil, fmt.Errorf("accumulate: inputs have shapes %v, want two of one shape", in)
	}
	return []Shape{in[0]}, nil
}

func (k Accumulate) Cost(in []Shape) (flops, bytes int64) {
	return int64(in[0].Len()), bytesOf(in, in[:1])
}

// Ref supports float32 only: it is not differentiated, so no gradient check needs
// float64.
func (k Accumulate) Ref(out, in []Tensor) {
	sum, x := out[0].F32, in[1].F32
	for i := range sum {
		sum[i] += x[i]
	}
}
