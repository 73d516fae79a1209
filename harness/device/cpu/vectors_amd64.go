// The kernels for x86-64.

package cpu

// vectors are the kernels for an instruction set, avx512 or avx2, and a type of activations.
// There are none for bfloat16 without AVX-512.
func vectors(isa string, dtype int32) own {
	switch {
	case isa != avx512:
		return own{kernels256, kernels256, 8, 4}
	case dtype == bf16:
		return own{kernels512bf16, kernels512, 16, 2}
	}
	return own{kernels512, kernels512, 16, 4}
}
