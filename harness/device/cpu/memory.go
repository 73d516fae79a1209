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

// region is memory outside the Go heap: kernels and oneDNN keep its address.
type region []byte

// guards says where tests put pages that must not be touched: around each piece of
// memory, close behind its end or close before its beginning.
type guards int

const (
	noGuards guards = iota
	behind
	before
)

var guarded = noGuards

// walls are the whole mappings of guarded regions, by their first byte.
var walls = map[*byte][]byte{}

const adviseHuge = 14 // Linux's MADV_HUGEPAGE

// allocate maps n zeroed bytes, aligned to a page.
func allocate(n int64) (region, error) {
	if n == 0 {
		return nil, nil
	}
	if guarded != noGuards {
		return wall(n)
	}
	m, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("cpu: %d MiB of memory: %w", n>>20, err)
	}
	if runtime.GOOS == "linux" { // only a wish: kernels without huge pages refuse it
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

// wall maps n zeroed bytes between two pages that must not be touched.
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

// block is a stretch of memory that an instruction reads or writes. Its
// address is fixed when the whole program is known.
type block struct {
	size        int64
	first, last int // instructions that it is alive for; of Work only
	ptr         unsafe.Pointer
}

// slice views n elements of a block from byte offset on.
func slice[T any](b *block, offset int64, n int) []T {
	return unsafe.Slice((*T)(unsafe.Add(b.ptr, offset)), n)
}

// view is slice for bytes that are at hand.
func view[T any](b []byte) []T {
	var x T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(x)))
}

// tensor views a block in plain layout as the reference kernels see it.
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
