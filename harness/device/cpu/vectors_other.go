//go:build !amd64 && !arm64

// Stand-ins on CPUs without kernels.

package cpu

// Open fails on these CPUs (Missing in isa.go), so that none of these is called.

var vectors, lanes = kernels{}, 1

func kernels512(int32) kernels { return kernels{} }
