// Memory outside the Go heap.

package cpu

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"depthlab/nets/kernel"
)

// region is memory outside the Go heap, since kernels and oneDNN keep its address.
type region []byte

// guards says where allocate puts guard pages, in tests: directly after the end of each
// region, or directly before its beginning.
type guards int

const (
	noGuards guards = iota
	behind
	before
)

var guarded = noGuards

// walls are the whole mappings of regions with guard pages, by the regions' first byte.
var walls = map[*byte][]byte{}

const adviseHuge = 14 // Linux's MADV_HUGEPAGE

// allocate maps n zeroed bytes, aligned to a page. It returns nil for n = 0.
func allocate(n int64) (region, error) {
	if n == 0 {
		return nil, nil
	}
	if guarded != noGuards {
		return wall(n)
	}
	m, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("cpu: allocate %d MiB: %w", n>>20, err)
	}
	if runtime.GOOS == "linux" { // ignore the error: Linux may be built without huge pages
		_ = unix.Madvise(m, adviseHuge)
	}
	return m, nil
}

func (r region) free() error {
	if r == nil {
		return nil
	}
	if whole := walls[&r[0]]; whole != nil {
		delete(walls, &r[0])
		return syscall.Munmap(whole)
	}
	return syscall.Munmap(r)
}

// wall maps n zeroed bytes between two guard pages.
func wall(n int64) (region, error) {
	page := int64(syscall.Getpagesize())
	size := (n + page - 1) / page * page
	whole, err := syscall.Mmap(-1, 0, int(size+2*page), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	inner := whole[page : page+size]
	if err := syscall.Mprotect(inner, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		return nil, err
	}
	m := region(inner[:n:n])
	if guarded == behind {
		m = inner[size-n:]
	}
	walls[&m[0]] = whole
	return m, nil
}

func (r region) at(offset int64) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(r)), offset)
}

// block is memory that instructions read or write. Blocks of Work get their addresses when
// the whole program is translated.
type block struct {
	size        int64
	first, last int // liveness: first and last instruction; of Work only
	ptr         unsafe.Pointer
}

// slice is a view of n elements of a block, from byte offset on.
func slice[T any](b *block, offset int64, n int) []T {
	return unsafe.Slice((*T)(unsafe.Add(b.ptr, offset)), n)
}

// view is a view of bytes as elements of type T.
func view[T any](b []byte) []T {
	var x T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(x)))
}

// tensor is a view of a block in plain layout, for kernels' definitions.
func (b *block) tensor(t kernel.DType, s kernel.Shape) kernel.Tensor {
	x := kernel.Tensor{Shape: s}
	switch n := s.Len(); t {
	case kernel.Float32:
		x.F32 = slice[float32](b, 0, n)
	case kernel.Int32:
		x.I32 = slice[int32](b, 0, n)
	case kernel.Uint8:
		x.U8 = slice[uint8](b, 0, n)
	}
	return x
}
