// The kernels of this kind of CPU.

package cpu

// vectors are the kernels in C for float32, and the lanes of their vectors.
var vectors, lanes = kernels128, 4

// kernels512 are none.
func kernels512(int32) kernels { return kernels{} }
