//go:build amd64 || arm64

// How Go calls the kernels: call_amd64.s, call_arm64.s.

package cpu

import "unsafe"

// call calls the C function at address fn with the task.
//
//go:noescape
func call(fn uintptr, task unsafe.Pointer)

// pause leaves the core to others for an instant.
func pause()
