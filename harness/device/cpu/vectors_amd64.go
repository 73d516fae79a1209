// The kernels for x86-64.

package cpu

// vectors are the kernels of a device for a type of activations. In bfloat16, AVX-512 needs
// AVX512-BF16; without, they are those for AVX2, which need no instruction for it.
func vectors(d *Device, dtype int32) own {
	switch {
	case dtype == bf16 && hasBfloat16(d):
		return own{kernels512bf16, kernels512, 16, 2, 2}
	case dtype == bf16:
		return own{kernels256bf16, kernels256, 8, 2, 1}
	case d.isa == avx512:
		return own{kernels512, kernels512, 16, 4, 1}
	}
	return own{kernels256, kernels256, 8, 4, 1}
}
