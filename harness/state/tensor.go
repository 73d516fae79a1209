// Package state stores what a run needs to resume: checkpoints as safetensors files. They
// are written atomically, and set aside if they are damaged.
package state

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// Tensor is a named array as stored in a safetensors file.
type Tensor struct {
	Name  string
	DType string // "F32", "I32", ...
	Shape []int  // row-major; empty for a single number
	Data  []byte // little-endian
}

// sizes is the size in bytes of one number of each type of the format. Types smaller than
// a byte are left out.
var sizes = map[string]int{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8, "C64": 8,
}

// maxRank is the largest number of dimensions of a tensor.
const maxRank = 8

// bytesOf is the size in bytes of a tensor of this type and shape.
func bytesOf(dtype string, shape []int) (int64, error) {
	size, ok := sizes[dtype]
	if !ok {
		return 0, fmt.Errorf("unknown type %q", clip(dtype))
	}
	if len(shape) > maxRank {
		return 0, fmt.Errorf("has %d dimensions, at most %d are known", len(shape), maxRank)
	}
	n := uint64(size)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", shape)
		}
		var high uint64
		if high, n = bits.Mul64(n, uint64(d)); high != 0 || n > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v is too large to count", shape)
		}
	}
	return int64(n), nil
}

// check returns an error if the data do not have the size that type and shape ask for.
func (t *Tensor) check() error {
	n, err := bytesOf(t.DType, t.Shape)
	if err == nil && n != int64(len(t.Data)) {
		err = fmt.Errorf("%s of shape %v takes %d bytes, has %d", t.DType, t.Shape, n, len(t.Data))
	}
	return err
}

// Float32 makes an F32 tensor with a copy of v. The product of shape must be len(v), or
// writing the tensor fails.
func Float32(name string, shape []int, v []float32) Tensor {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return Tensor{name, "F32", shape, b}
}

// Int32 makes an I32 tensor, as Float32 does.
func Int32(name string, shape []int, v []int32) Tensor {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(x))
	}
	return Tensor{name, "I32", shape, b}
}

// Int64 makes an I64 tensor, as Float32 does.
func Int64(name string, shape []int, v []int64) Tensor {
	b := make([]byte, 8*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(x))
	}
	return Tensor{name, "I64", shape, b}
}

// Float32s returns the numbers of an F32, F16, BF16 or F64 tensor. F64 is rounded, the
// others are exact.
func (t *Tensor) Float32s() ([]float32, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", clip(t.Name), err)
	}
	b := t.Data
	var v []float32
	switch t.DType {
	case "F32":
		v = make([]float32, len(b)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	case "BF16":
		v = make([]float32, len(b)/2)
		for i := range v {
			v[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	case "F16":
		v = make([]float32, len(b)/2)
		for i := range v {
			v[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
		}
	case "F64":
		v = make([]float32, len(b)/8)
		for i := range v {
			v[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	default:
		return nil, t.not("F32, F16, BF16 or F64")
	}
	return v, nil
}

func (t *Tensor) not(want string) error {
	return fmt.Errorf("tensor %q is of type %s, expected %s", clip(t.Name), clip(t.DType), want)
}

// half converts IEEE 754 binary16 to float32, which is always exact.
func half(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormals, fraction * 2^-24
		v := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// clip shortens text from a file, so that it does not fill a terminal.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

// Values are the values of float tensors, by name.
func Values(tensors []Tensor) (map[string][]float32, error) {
	values := map[string][]float32{}
	for i := range tensors {
		var err error
		if values[tensors[i].Name], err = tensors[i].Float32s(); err != nil {
			return nil, err
		}
	}
	return values, nil
}
