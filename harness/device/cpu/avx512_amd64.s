#include "textflag.h"

// Addresses of the hand-written functions, in the order of avx512_amd64.go.
DATA ·byHand+0(SB)/8, $·winograd32(SB)
DATA ·byHand+8(SB)/8, $·winograd16(SB)
DATA ·byHand+16(SB)/8, $·winogradGradWeight32(SB)
DATA ·byHand+24(SB)/8, $·winogradGradWeight16(SB)
DATA ·byHand+32(SB)/8, $·normStatistics32(SB)
DATA ·byHand+40(SB)/8, $·normStatistics16(SB)
DATA ·byHand+48(SB)/8, $·normApply32(SB)
DATA ·byHand+56(SB)/8, $·normApply16(SB)
DATA ·byHand+64(SB)/8, $·normGradSums32(SB)
DATA ·byHand+72(SB)/8, $·normGradSums16(SB)
DATA ·byHand+80(SB)/8, $·normGradApply32(SB)
DATA ·byHand+88(SB)/8, $·normGradApply16(SB)
DATA ·byHand+96(SB)/8, $·wideGradWeight32(SB)
DATA ·byHand+104(SB)/8, $·wideGradWeight16(SB)
DATA ·byHand+112(SB)/8, $·winogradWeights(SB)
DATA ·byHand+120(SB)/8, $·winogradGradSum(SB)
GLOBL ·byHand(SB), RODATA, $128
