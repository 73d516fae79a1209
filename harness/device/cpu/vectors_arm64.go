// The kernels for 64-bit ARM.

package cpu

// vectors are the kernels in C, for float32; lanes is the number of floats in their
// vectors.
var vectors, lanes = kernels128, 4

// kernels512 is empty: there is no AVX-512.
func kernels512(int32) kernels { return kernels{} }
