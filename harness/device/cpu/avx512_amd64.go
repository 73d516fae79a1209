// The hand-written functions for AVX-512. Those that end in 32 are for float32
// activations, those in 16 for bfloat16.

package cpu

func winograd32()
func winograd16()
func winogradGradWeight32()
func winogradGradWeight16()
func normStatistics32()
func normStatistics16()
func normApply32()
func normApply16()
func normGradSums32()
func normGradSums16()
func normGradApply32()
func normGradApply16()
func wideGradWeight32()
func wideGradWeight16()
func winogradWeights()
func winogradGradSum()

var byHand [16]uintptr // addresses of these functions, set in avx512_amd64.s

// halves are these functions for bfloat16.
func halves() kernels {
	at := byHand[1:]
	return kernels{
		winograd: at[0], winogradGradWeight: at[2],
		normStatistics: at[4], normApply: at[6], normGradSums: at[8], normGradApply: at[10],
		wideGradWeight: at[12], winogradWeights: byHand[14], winogradGradSum: byHand[15],
	}
}

// vectors are the kernels in C for an instruction set, avx512 or avx2.
func vectors(isa string) own {
	if isa == avx512 {
		return own{kernels512, 16, true}
	}
	return own{kernels256, 8, true}
}
