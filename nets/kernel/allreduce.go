package kernel

import "fmt"

// AllReduce adds up over replicas: the devices that compute one program together,
// each on its own images (data parallel training). Flat x (P), y (Q), ... become
// in place, on every replica, the sums of their values on all of them. It is no
// part of a graph.
//
// It is the one kernel that sees more than one replica: Ref takes the operands
// of all, those of the first replica before those of the second.
type AllReduce struct{ Replicas int }

func (k AllReduce) String() string { return fmt.Sprintf("all-reduce of %d", k.Replicas) }

// Updated: every operand.
func (k AllReduce) Updated(operands int) []int {
	at := make([]int, operands)
	for i := range at {
		at[i] = i
	}
	return at
}

// Shape is of the operands of one replica.
func (k AllReduce) Shape(in []Shape) ([]Shape, error) {
	if len(in) == 0 {
		return nil, fmt.Errorf("%s: no inputs", k)
	}
	if k.Replicas < 1 {
		return nil, fmt.Errorf("%s: want at least 1 replica", k)
	}
	for i, s := range in {
		if len(s) != 1 {
			return nil, fmt.Errorf("%s: input %d has shape %v, want rank 1", k, i, s)
		}
	}
	return in, nil
}

// Cost is of the arithmetic and memory of one replica, not of the links between
// them.
func (k AllReduce) Cost(in []Shape) (flops, bytes int64) {
	bytes = bytesOf(in, in)
	return bytes / 8 * int64(k.Replicas-1), bytes
}

// Ref is float32 only: there is no gradient to check. It adds in the order of the
// replicas, as Accumulate does in that of the micro-batches.
func (k AllReduce) Ref(out, in []Tensor) {
	n := len(in) / k.Replicas
	for i := range n {
		sum := append([]float32(nil), in[i].F32...)
		for r := 1; r < k.Replicas; r++ {
			for j, v := range in[r*n+i].F32 {
				sum[j] += v
			}
		}
		for r := range k.Replicas {
			copy(out[r*n+i].F32, sum)
		}
	}
}
