#include "textflag.h"

// The addresses of the C entry points, in the order of own.go.
DATA ·entries+0(SB)/8, $·convForward(SB)
DATA ·entries+8(SB)/8, $·rectify32(SB)
DATA ·entries+16(SB)/8, $·rectify16(SB)
DATA ·entries+24(SB)/8, $·wideGradWeight32(SB)
DATA ·entries+32(SB)/8, $·wideGradWeight16(SB)
DATA ·entries+40(SB)/8, $·winograd32(SB)
DATA ·entries+48(SB)/8, $·winograd16(SB)
DATA ·entries+56(SB)/8, $·winogradWeights(SB)
DATA ·entries+64(SB)/8, $·winogradGradWeight32(SB)
DATA ·entries+72(SB)/8, $·winogradGradWeight16(SB)
DATA ·entries+80(SB)/8, $·winogradGradSum(SB)
DATA ·entries+88(SB)/8, $·normStatistics32(SB)
DATA ·entries+96(SB)/8, $·normStatistics16(SB)
DATA ·entries+104(SB)/8, $·normApply32(SB)
DATA ·entries+112(SB)/8, $·normApply16(SB)
DATA ·entries+120(SB)/8, $·normGradSums32(SB)
DATA ·entries+128(SB)/8, $·normGradSums16(SB)
DATA ·entries+136(SB)/8, $·normGradApply32(SB)
DATA ·entries+144(SB)/8, $·normGradApply16(SB)
GLOBL ·entries(SB), RODATA, $152
