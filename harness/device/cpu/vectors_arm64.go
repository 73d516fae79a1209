// The kernels for 64-bit ARM.

package cpu

// vectors are the kernels in C.
func vectors(string) own { return own{kernels128, 4, true} }

// halves is empty: there are no kernels for bfloat16.
func halves() kernels { return kernels{} }
