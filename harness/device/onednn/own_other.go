//go:build !amd64

package onednn

var (
	entries     [numEntries]uintptr // none
	avx2Kernels kernels
)
