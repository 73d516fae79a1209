package photo

import "golang.org/x/sys/cpu"

var vector = cpu.X86.HasAVX2

// acrossAVX2 is acrossGo. It reads up to 4*n bytes from each offset on.
//
//go:noescape
func acrossAVX2(dst, src []uint8, offset []int32, weight []int16, n, left int)

// downAVX2 is downGo for n rows of any length. It reads and writes up to 15
// bytes behind a row's end.
//
//go:noescape
func downAVX2(dst, src []uint8, pitch int, weight []int16)

// splitAVX2 is splitGo for a multiple of 16 pixels.
func splitAVX2(r, g, b, src []uint8, shift [3]int) {
	// Of each shift, what is added and what is taken off.
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
