//go:build !amd64 && !arm64

// CPUs without kernels.

package cpu

import "unsafe"

// There are no kernels for this CPU: isa.go says so, and none of these is called.

var vectors, lanes = kernels{}, 1

func kernels512(int32) kernels     { return kernels{} }
func call(uintptr, unsafe.Pointer) { panic("no kernels for this CPU") }
func pause()                       {}
