// All-reduce: sums over the replicas of data parallel training.

package kernel

import "fmt"

// AllReduce sums flat vectors over the replicas of a program, the devices that run it
// together on different images (data parallel training): x (P), y (Q), ... in place.
// Every replica gets the same sums. It is not part of a graph.
//
// It is the only kernel that sees more than one replica. Ref takes the operands of all
// replicas: first all of replica 0, then all of replica 1, and so on.
type AllReduce struct{ Replicas int }

func (k AllReduce) String() string { return fmt.Sprintf("all-reduce of %d", k.Replicas) }

// Updated returns the indices of all operands.
func (k AllReduce) Updated(operands int) []int {
	at := make([]int, operands)
	for i := range at {
		at[i] = i
	}
	return at
}

// Shape checks the operands of one replica.
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

// Cost counts the additions and the memory traffic of one replica, not the traffic
// between devices.
func (k AllReduce) Cost(in []Shape) (flops, bytes int64) {
	bytes = bytesOf(in, in)
	return bytes / 8 * int64(k.Replicas-1), bytes
}

// Ref supports float32 only: it is not differentiated, so no gradient check needs
// float64. It adds in the order of the replicas, as Accumulate adds in the order of the
// micro-batches.
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
