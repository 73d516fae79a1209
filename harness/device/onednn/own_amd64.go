package onednn

// The C entry points, in assembly. Go never calls them: libgomp does.

func convForward()
func rectify32()
func rectify16()
func wideGradWeight32()
func wideGradWeight16()
func winograd32()
func winograd16()
func winogradWeights()
func winogradGradWeight32()
func winogradGradWeight16()
func winogradGradSum()
func normStatistics32()
func normStatistics16()
func normApply32()
func normApply16()
func normGradSums32()
func normGradSums16()
func normGradApply32()
func normGradApply16()

var entries [numEntries]uintptr // of own_amd64.s

// avx2Kernels are those in C, for AVX2.
var avx2Kernels = kernels{
	atWinograd256, atWinogradWeights256, atWinogradGradWeight256, atWinogradGradSum256,
	atNormStatistics256, atNormApply256, atNormGradSums256, atNormGradApply256,
}
