//go:build !amd64 && !arm64

// On other CPUs the plain loops resize.

package photo

var vector, vectors = false, kernels{}
