//go:build amd64 || arm64

// Calls of kernels from Go, in call_amd64.s and call_arm64.s.

package cpu

import "unsafe"

// call calls the C function at address fn with the task.
//
//go:noescape
func call(fn uintptr, task unsafe.Pointer)

// pause is the CPU's instruction for spin loops: PAUSE, YIELD.
func pause()
