// The kernels for 64-bit ARM.

package cpu

// vectors are the kernels of a device for a type of activations.
func vectors(_ *Device, dtype int32) own {
	if dtype == bf16 {
		return own{kernels128bf16, kernels128, 4, 2, 1}
	}
	return own{kernels128, kernels128, 4, 4, 1}
}
