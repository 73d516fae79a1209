// The kernels for 64-bit ARM.

package cpu

// vectors are the kernels. There are none for bfloat16.
func vectors(string, int32) own { return own{kernels128, kernels128, 4, 4} }
