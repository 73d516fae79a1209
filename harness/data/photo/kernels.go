// The resize with vectors: kernels in C, in kernels/resize.c, which kernels/generate.py
// compiles to Go assembly for AVX2 and NEON.

package photo

import (
	"unsafe"

	"depthlab/harness/ckernel"
)

// kernels are the addresses of the functions for one vector width. Each takes a task, which
// is declared in C, too; the Go compiler checks that both are equal (kernels_amd64.go).
type kernels struct{ across, down, split uintptr }

type acrossTask struct {
	dst, src, offset, weight        unsafe.Pointer
	rows, pitch, pixels, taps, left int64
}

// acrossRows computes the same as acrossGo. From each offset on it reads up to 8 bytes more than
// all taps.
func (k kernels) acrossRows(dst, src []uint8, pitch int, t *taps, left int) {
	pixels := len(t.offset)
	task := acrossTask{start(dst), start(src), start(t.offset), start(t.weight),
		int64(len(dst) / (4 * pixels)), int64(pitch), int64(pixels), int64(t.n), int64(left)}
	ckernel.Call(k.across, unsafe.Pointer(&task), 0)
}

type downTask struct {
	dst, src, weight   unsafe.Pointer
	bytes, taps, pitch int64
}

// downRow computes the same as downGo. It reads and writes up to 31 bytes after a row.
func (k kernels) downRow(dst, src []uint8, pitch int, weight []int16) {
	task := downTask{start(dst), start(src), start(weight), int64(len(dst)), int64(len(weight)), int64(pitch)}
	ckernel.Call(k.down, unsafe.Pointer(&task), 0)
}

// leastSplit is the least number of pixels that splitRow takes.
const leastSplit = 32

type splitTask struct {
	red, green, blue, src unsafe.Pointer
	pixels                int64
	add, subtract         [3]uint8
}

// splitRow computes the same as splitGo.
func (k kernels) splitRow(r, g, b, src []uint8, shift [3]int) {
	task := splitTask{red: start(r), green: start(g), blue: start(b), src: start(src), pixels: int64(len(r))}
	for i, s := range shift {
		task.add[i], task.subtract[i] = uint8(min(max(s, 0), 255)), uint8(min(max(-s, 0), 255))
	}
	ckernel.Call(k.split, unsafe.Pointer(&task), 0)
}

func start[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }
