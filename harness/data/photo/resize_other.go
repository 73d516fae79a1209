//go:build !amd64

// Machines other than amd64 resize with the plain Go loops.

package photo

var vector = false

func acrossAVX2(dst, src []uint8, offset []int32, weight []int16, n, left int) {}
func downAVX2(dst, src []uint8, pitch int, weight []int16)                     {}
func splitAVX2(r, g, b, src []uint8, shift [3]int)                             {}
