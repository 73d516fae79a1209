// Package ckernel calls kernels written in C, which harness/device/cpu/kernels/generate.py
// compiles to Go assembly: their packages need neither cgo nor a C compiler.
package ckernel
