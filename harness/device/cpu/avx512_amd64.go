// The functions for AVX-512, in assembly that is written by hand. Most have a twin
// for activations in bfloat16.

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

var byHand [16]uintptr // their addresses, from avx512_amd64.s

// kernels512 are those functions for one type of activations.
func kernels512(dtype int32) kernels {
	at := byHand[:]
	if dtype == bf16 {
		at = byHand[1:]
	}
	return kernels{
		winograd: at[0], winogradGradWeight: at[2],
		normStatistics: at[4], normApply: at[6], normGradSums: at[8], normGradApply: at[10],
		wideGradWeight: at[12], winogradWeights: byHand[14], winogradGradSum: byHand[15],
	}
}

// vectors are the kernels in C for float32, and the lanes of their vectors.
var vectors, lanes = kernels256, 8
