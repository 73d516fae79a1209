// Package kernel defines the operations of a training step: attributes, shape rule, reference
// implementation and cost.
//
// The reference (Ref) is the definition of an operation. Gradients, devices and memory
// plans are all checked against it, so it uses plain loops and float64 sums. Activations
// have shape (N, C, H, W): images, channels, rows, columns.
package kernel

import (
	"fmt"
	"runtime"
	"sync"
)

// Kernel is one operation on whole tensors.
type Kernel interface {
	// Shape returns the shapes of the outputs for inputs of the given shapes. The error
	// says which input does not fit.
	Shape(in []Shape) ([]Shape, error)
	// Ref computes out from in. Shape has checked the shapes. Float tensors are all
	// float32, or all float64 in gradient checks. Ref writes every element of out. It
	// reads out only if the kernel updates in place (InPlace).
	Ref(out, in []Tensor)
	// Cost returns the arithmetic of one execution (a multiply-add counts as 2) and its
	// memory traffic in bytes (float32, each operand once).
	Cost(in []Shape) (flops, bytes int64)
	// String names the operation with its attributes, for dumps, errors and profiles:
	// "conv 3x3 s1 p1 ->16".
	String() string
}

// InPlace is a kernel that updates in place: each of its outputs is one of its operands.
type InPlace interface {
	Kernel
	// Updated returns for each output the index of the operand that it updates, given the
	// number of operands.
	Updated(operands int) []int
}

// Shape lists the extents of a tensor, outermost first. A scalar has shape (1).
type Shape []int

// Len is the number of elements.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal reports whether s and t have the same extents.
func (s Shape) Equal(t Shape) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range s {
		if s[i] != t[i] {
			return false
		}
	}
	return true
}

func (s Shape) String() string {
	str := "("
	for i, d := range s {
		if i > 0 {
			str += ","
		}
		str += fmt.Sprint(d)
	}
	return str + ")"
}

// DType is the element type of a buffer. Programs have no bfloat16: a device whose
// precision is bf16 may store a Float32 buffer in it.
type DType uint8

const (
	Float32 DType = iota
	Int32
	Uint8
	Float64 // in gradient checks only
)

// Size is the size of one element in bytes.
func (d DType) Size() int { return [...]int{4, 4, 1, 8}[d] }

func (d DType) String() string { return [...]string{"f32", "i32", "u8", "f64"}[d] }

// Tensor is a dense row-major array. Exactly one of the slices is set. It holds
// Shape.Len() elements.
type Tensor struct {
	Shape Shape
	F32   []float32
	F64   []float64
	I32   []int32
	U8    []uint8
}

// New allocates a zeroed tensor.
func New(t DType, shape ...int) Tensor {
	x := Tensor{Shape: shape}
	n := x.Shape.Len()
	switch t {
	case Float32:
		x.F32 = make([]float32, n)
	case Int32:
		x.I32 = make([]int32, n)
	case Uint8:
		x.U8 = make([]uint8, n)
	case Float64:
		x.F64 = make([]float64, n)
	}
	return x
}

// Types is a kernel whose outputs are not all Float32. It lists the element types of the
// outputs. A kernel without this method writes Float32 only.
type Types interface{ Types() []DType }

// Float is the type that arithmetic uses: float64 in gradient checks, else float32.
type Float interface{ float32 | float64 }

// floats returns the float slice of x as []T.
func floats[T Float](x Tensor) []T {
	var s any
	if x.F64 != nil {
		s = x.F64
	} else {
		s = x.F32
	}
	f, ok := s.([]T)
	if !ok {
		panic("kernel: float32 and float64 tensors mixed")
	}
	return f
}

// is64 reports whether this is a gradient check in float64.
func is64(ts []Tensor) bool {
	for _, t := range ts {
		if t.F64 != nil {
			return true
		}
	}
	return false
}

// parallel calls f(0) ... f(n-1), spread over the CPUs. Calls must write disjoint
// elements, so that the result does not depend on the number of CPUs.
func parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}

// rank checks the number of inputs and the rank of each.
func rank(name string, in []Shape, ranks ...int) error {
	if len(in) != len(ranks) {
		return fmt.Errorf("%s: %d inputs, want %d", name, len(in), len(ranks))
	}
	for i, r := range ranks {
		if len(in[i]) != r {
			return fmt.Errorf("%s: input %d has shape %v, want rank %d", name, i, in[i], r)
		}
	}
	return nil
}

// bytesOf is the total size of tensors of these shapes in bytes, in float32.
func bytesOf(shapes ...[]Shape) int64 {
	var n int64
	for _, ss := range shapes {
		for _, s := range ss {
			n += int64(s.Len()) * 4
		}
	}
	return n
}
