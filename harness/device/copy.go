// Copies a buffer's content for Session.Write and Session.Read.

package device

import (
	"fmt"

	"depthlab/nets/kernel"
)

// Copy copies a buffer's content in logical form: into the tensor if write is set, else
// out of it. slice must have the tensor's type and length. name is for the error.
func Copy(name string, t kernel.Tensor, slice any, write bool) error {
	switch s := slice.(type) {
	case []float32:
		return move(name, t.F32, s, write)
	case []int32:
		return move(name, t.I32, s, write)
	case []uint8:
		return move(name, t.U8, s, write)
	}
	return fmt.Errorf("buffer %s: cannot be copied to or from a %T", name, slice)
}

func move[T any](name string, buf, s []T, write bool) error {
	if buf == nil {
		return fmt.Errorf("buffer %s does not hold %T", name, *new(T))
	}
	if len(s) != len(buf) {
		return fmt.Errorf("buffer %s has %d elements, not %d", name, len(buf), len(s))
	}
	if write {
		copy(buf, s)
	} else {
		copy(s, buf)
	}
	return nil
}

// Part is part i of n equal parts of a slice: what one of n replicas gets of it.
func Part(slice any, i, n int) any {
	switch s := slice.(type) {
	case []float32:
		return part(s, i, n)
	case []int32:
		return part(s, i, n)
	case []uint8:
		return part(s, i, n)
	}
	return slice
}

func part[T any](s []T, i, n int) []T {
	share := len(s) / n
	return s[i*share:][:share]
}

// Len is the length of a slice that Copy takes.
func Len(slice any) int {
	switch s := slice.(type) {
	case []float32:
		return len(s)
	case []int32:
		return len(s)
	case []uint8:
		return len(s)
	}
	return 0
}
