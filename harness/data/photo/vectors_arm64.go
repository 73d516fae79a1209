// The kernels for 64-bit ARM.

package photo

var vector, vectors = true, kernels128
