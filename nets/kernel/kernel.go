// Package kernel is the vocabulary of a training step: one operation a file,
// each with its attributes, shape rule, reference implementation and cost.
//
// The reference (Ref) is the definition. Gradients, devices and memory plans
// are all checked against it, so it is written in plain loops with float64
// sums. Activations are (N, C, H, W): images, channels, rows, columns.
package kernel

import (
	"fmt"
	"runtime"
	"sync"
)

// Kernel is one operation on whole tensors.
type Kernel interface {
	// Shape gives the shapes of the outputs for inputs of these shapes, or
	// says which input does not fit.
	Shape(in []Shape) ([]Shape, error)
	// Ref computes out from in. Shapes were checked by Shape. Float tensors
	// are all float32 or, in gradient checks, all float64. Ref writes every
	// element of out, and reads out only where the kernel says that it
	// updates in place.
	Ref(out, in []Tensor)
	// Cost gives the arithmetic (a multiply-add counts 2) and the memory
	// traffic in bytes (float32, each operand once) of one execution.
	Cost(in []Shape) (flops, bytes int64)
	// String names the operation in dumps, errors and profiles, with its
	// attributes: "conv 3x3 s1 p1 ->16".
	String() string
}

// InPlace is a kernel that updates: each of its outputs is one of its operands.
type InPlace interface {
	Kernel
	// Updated gives the place of each output among so many operands.
	Updated(operands int) []int
}

// Shape is a list of extents, outermost first. A scalar has shape (1).
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

// DType is the element type of a buffer. Programs know no bfloat16: a device
// may hold a Float32 buffer in it where its precision says so.
type DType uint8

const (
	Float32 DType = iota
	Int32
	Uint8
	Float64 // in gradient checks only
)

// Size is the bytes of one element.
func (d DType) Size() int { return [...]int{4, 4, 1, 8}[d] }

func (d DType) String() string { return [...]string{"f32", "i32", "u8", "f64"}[d] }

// Tensor is a dense row-major array. Exactly one of the slices is set, and
// holds Shape.Len() elements.
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

// Types gives the element types of a kernel's outputs where they are not all
// Float32. A kernel without this method writes Float32 only.
type Types interface{ Types() []DType }

// Float is what arithmetic runs on.
type Float interface{ float32 | float64 }

// floats gives the float slice of x as []T.
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

// is64 reports whether a gradient check in float64 runs.
func is64(ts []Tensor) bool {
	for _, t := range ts {
		if t.F64 != nil {
			return true
		}
	}
	return false
}

// parallel calls f(0) ... f(n-1), spread over the CPUs. Each f(i) must write
// what no other writes, so that the result does not depend on their number.
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

// rank checks the number of inputs and their ranks.
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

// bytesOf is the size of tensors of these shapes, in float32.
func bytesOf(shapes ...[]Shape) int64 {
	var n int64
	for _, ss := range shapes {
		for _, s := range ss {
			n += int64(s.Len()) * 4
		}
	}
	return n
}
