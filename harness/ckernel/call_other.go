//go:build !amd64 && !arm64

// Stand-ins on CPUs without kernels.

package ckernel

import "unsafe"

// Call panics: no package has kernels for this CPU.
func Call(uintptr, unsafe.Pointer, int) { panic("no kernels for this CPU") }

// Pause does nothing.
func Pause() {}
