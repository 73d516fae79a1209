//go:build amd64 || arm64

// Calls of C from Go, in call_amd64.s and call_arm64.s.

package ckernel

import "unsafe"

// Call calls the C function at address fn with the task, the struct that it takes, and the number
// of the thread. The function must keep to what harness/device/cpu/kernels/generate.py checks. It
// cannot be preempted, so it should take a few milliseconds at most.
//
//go:noescape
func Call(fn uintptr, task unsafe.Pointer, thread int)

// Pause is the CPU's instruction for spin loops: PAUSE, YIELD.
func Pause()
