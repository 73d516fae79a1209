// Vectorised resizing with AVX2 (resize_amd64.s).

package photo

import "golang.org/x/sys/cpu"

var vector = cpu.X86.HasAVX2

// acrossAVX2 computes the same as acrossGo. It reads up to 4*n bytes from each offset.
//
//go:noescape
func acrossAVX2(dst, src []uint8, offset []int32, weight []int16, n, left int)

// downAVX2 computes the same as downGo, for rows of any length. It reads and writes up to
// 15 bytes after a row's end.
//
//go:noescape
func downAVX2(dst, src []uint8, pitch int, weight []int16)

// splitAVX2 computes the same as splitGo, for a multiple of 16 pixels.
func splitAVX2(r, g, b, src []uint8, shift [3]int) {
	// The amounts to add and to subtract for each shift.
	var amounts [6]uint8
	for k, s := range shift {
		amounts[k], amounts[3+k] = uint8(min(max(s, 0), 255)), uint8(min(max(-s, 0), 255))
	}
	if len(r) > 0 {
		splitRows(&r[0], &g[0], &b[0], &src[0], len(r), &amounts)
	}
}

//go:noescape
func splitRows(red, green, blue, src *uint8, n int, amounts *[6]uint8)
