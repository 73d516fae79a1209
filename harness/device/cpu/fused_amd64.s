#include "textflag.h"

// Batch norm for AVX-512. libgomp calls the functions as C functions: the task, a
// normTask, is in DI. A thread takes image after image, and loops over its blocks of
// 16 channels and over the pixels of a block, four at a time. Each function exists for
// activations in float32 and in bfloat16.
//
// Registers: R8 image, R9 and R10 the distance of pixels, once and three times,
// R11 coefficients, R12 pixels left, R13 sums, R14 offset of the block, SI
// blocks left; AX, BX, CX, DX and R15 point to pixels.

#define LOAD32(mem, z) VMOVUPS mem, z
#define STORE32(r, z, mem) VMOVUPS z, mem

#define LOAD16(mem, z) \
	VPMOVZXWD mem, z; \
	VPSLLD $16, z, z

// VCVTNEPS2BF16 Zr, Y15, which Go's assembler lacks; r is below 8.
#define STORE16(r, z, mem) \
	BYTE $0x62; BYTE $0x72; WORD $0x487E; BYTE $0x72; BYTE $(0xF8+r); \
	VMOVDQU Y15, mem

#define LOADA(LOAD, p) \
	LOAD((p), Z0); \
	LOAD((p)(R9*1), Z1); \
	LOAD((p)(R9*2), Z2); \
	LOAD((p)(R10*1), Z3)

#define LOADB(LOAD, p) \
	LOAD((p), Z4); \
	LOAD((p)(R9*1), Z5); \
	LOAD((p)(R9*2), Z6); \
	LOAD((p)(R10*1), Z7)

#define STOREA(STORE, p) \
	STORE(0, Z0, (p)); \
	STORE(1, Z1, (p)(R9*1)); \
	STORE(2, Z2, (p)(R9*2)); \
	STORE(3, Z3, (p)(R10*1))

// SAVE and RESTORE the registers that are the caller's.
#define SAVE \
	MOVQ BX, 0(SP); \
	MOVQ R12, 8(SP); \
	MOVQ R13, 16(SP); \
	MOVQ R14, 24(SP); \
	MOVQ R15, 32(SP); \
	MOVQ 88(DI), R9; \
	LEAQ (R9)(R9*2), R10

#define RESTORE \
	VZEROUPPER; \
	MOVQ 0(SP), BX; \
	MOVQ 8(SP), R12; \
	MOVQ 16(SP), R13; \
	MOVQ 24(SP), R14; \
	MOVQ 32(SP), R15; \
	RET

// TAKE the next image, or be done.
#define TAKE \
	MOVQ $1, R8; \
	LOCK; \
	XADDQ R8, 0(DI); \
	CMPQ R8, 8(DI); \
	JGE done; \
	MOVQ R8, R14; \
	IMULQ 72(DI), R14; \
	MOVQ R8, R13; \
	IMULQ 64(DI), R13; \
	SHLQ $7, R13; \
	ADDQ 104(DI), R13; \
	MOVQ 64(DI), SI

// COEFFICIENTS of the image's group, size bytes a block.
#define COEFFICIENTS(size) \
	MOVQ R8, AX; \
	XORL DX, DX; \
	DIVQ 120(DI); \
	IMULQ 64(DI), AX; \
	IMULQ $size, AX; \
	ADDQ 112(DI), AX; \
	MOVQ AX, R11

// POINT p to the block in an array of the task, or nowhere if there is none.
#define POINT(field, p, absent) \
	MOVQ field(DI), p; \
	TESTQ p, p; \
	JZ absent; \
	ADDQ R14, p; \
absent:

#define FOUR(p) LEAQ (p)(R9*4), p

#define NEXT \
	ADDQ 80(DI), R14; \
	DECQ SI; \
	JNZ block; \
	JMP image

// SUM into Z8 to Z11 and Z12 to Z14, Z21.
#define ZEROSUMS \
	VXORPS Z8, Z8, Z8; \
	VXORPS Z9, Z9, Z9; \
	VXORPS Z10, Z10, Z10; \
	VXORPS Z11, Z11, Z11; \
	VXORPS Z12, Z12, Z12; \
	VXORPS Z13, Z13, Z13; \
	VXORPS Z14, Z14, Z14; \
	VPXORQ Z21, Z21, Z21

#define ADDSUMS \
	VADDPS Z9, Z8, Z8; \
	VADDPS Z11, Z10, Z10; \
	VADDPS Z10, Z8, Z8; \
	VADDPS Z13, Z12, Z12; \
	VADDPS Z21, Z14, Z14; \
	VADDPS Z14, Z12, Z12

#define CENTRE(a, b, c, d) \
	VSUBPS Z16, a, a; \
	VSUBPS Z16, b, b; \
	VSUBPS Z16, c, c; \
	VSUBPS Z16, d, d

// MASK sets the gradient to 0 where y, at DX, is not above 0.
#define MASK(LOAD) \
	LOADB(LOAD, DX); \
	VCMPPS $30, Z20, Z4, K1; \
	VCMPPS $30, Z20, Z5, K2; \
	VCMPPS $30, Z20, Z6, K3; \
	VCMPPS $30, Z20, Z7, K4; \
	VMOVAPS.Z Z0, K1, Z0; \
	VMOVAPS.Z Z1, K2, Z1; \
	VMOVAPS.Z Z2, K3, Z2; \
	VMOVAPS.Z Z3, K4, Z3; \
	FOUR(DX)

// Mean, and sum of squared deviations from it, of each channel of an image. Both are
// computed from differences to the first pixel (shifted data), to avoid cancellation.
#define STATISTICS(LOAD) \
	SAVE; \
	VBROADCASTSS 128(DI), Z17; \
image: \
	TAKE; \
block: \
	POINT(16, AX, noX); \
	MOVQ 96(DI), R12; \
	LOAD((AX), Z16); \
	ZEROSUMS; \
four: \
	LOADA(LOAD, AX); \
	CENTRE(Z0, Z1, Z2, Z3); \
	VADDPS Z0, Z8, Z8; \
	VADDPS Z1, Z9, Z9; \
	VADDPS Z2, Z10, Z10; \
	VADDPS Z3, Z11, Z11; \
	VFMADD231PS Z0, Z0, Z12; \
	VFMADD231PS Z1, Z1, Z13; \
	VFMADD231PS Z2, Z2, Z14; \
	VFMADD231PS Z3, Z3, Z21; \
	FOUR(AX); \
	SUBQ $4, R12; \
	JNZ four; \
	ADDSUMS; \
	VMULPS Z17, Z8, Z0; \
	VFNMADD231PS Z0, Z8, Z12; \
	VADDPS Z16, Z0, Z0; \
	VMOVUPS Z0, (R13); \
	VMOVUPS Z12, 64(R13); \
	ADDQ $128, R13; \
	NEXT; \
done: \
	RESTORE

// y = max(floor, (x - mean) * scale + shift [+ add]); coefficients: mean,
// scale, shift. If an operand of VMAXPS is NaN, the result is the second operand.
#define APPLY(LOAD, STORE) \
	SAVE; \
	VBROADCASTSS 132(DI), Z19; \
image: \
	TAKE; \
	COEFFICIENTS(192); \
block: \
	POINT(16, AX, noX); \
	POINT(24, BX, noY); \
	POINT(32, CX, noAdd); \
	MOVQ 96(DI), R12; \
	VMOVUPS (R11), Z16; \
	VMOVUPS 64(R11), Z17; \
	VMOVUPS 128(R11), Z18; \
	ADDQ $192, R11; \
four: \
	LOADA(LOAD, AX); \
	CENTRE(Z0, Z1, Z2, Z3); \
	VFMADD213PS Z18, Z17, Z0; \
	VFMADD213PS Z18, Z17, Z1; \
	VFMADD213PS Z18, Z17, Z2; \
	VFMADD213PS Z18, Z17, Z3; \
	TESTQ CX, CX; \
	JZ added; \
	LOADB(LOAD, CX); \
	VADDPS Z4, Z0, Z0; \
	VADDPS Z5, Z1, Z1; \
	VADDPS Z6, Z2, Z2; \
	VADDPS Z7, Z3, Z3; \
	FOUR(CX); \
added: \
	VMAXPS Z0, Z19, Z0; \
	VMAXPS Z1, Z19, Z1; \
	VMAXPS Z2, Z19, Z2; \
	VMAXPS Z3, Z19, Z3; \
	STOREA(STORE, BX); \
	FOUR(AX); \
	FOUR(BX); \
	SUBQ $4, R12; \
	JNZ four; \
	NEXT; \
done: \
	RESTORE

// Sums of d, and of d * (x - mean), of each channel of an image. d is dy, plus add if
// there is one, and 0 where y, if there is one, is not above 0. d is written to dadd if
// there is one. Coefficients: mean.
#define GRADSUMS(LOAD, STORE) \
	SAVE; \
	VPXORQ Z20, Z20, Z20; \
image: \
	TAKE; \
	COEFFICIENTS(64); \
block: \
	POINT(16, AX, noX); \
	POINT(24, DX, noY); \
	POINT(40, CX, noDY); \
	POINT(56, BX, noDAdd); \
	POINT(32, R15, noSecond); \
	MOVQ 96(DI), R12; \
	VMOVUPS (R11), Z16; \
	ADDQ $64, R11; \
	ZEROSUMS; \
four: \
	LOADA(LOAD, CX); \
	TESTQ R15, R15; \
	JZ summed; \
	LOADB(LOAD, R15); \
	VADDPS Z4, Z0, Z0; \
	VADDPS Z5, Z1, Z1; \
	VADDPS Z6, Z2, Z2; \
	VADDPS Z7, Z3, Z3; \
	FOUR(R15); \
summed: \
	TESTQ DX, DX; \
	JZ masked; \
	MASK(LOAD); \
masked: \
	TESTQ BX, BX; \
	JZ stored; \
	STOREA(STORE, BX); \
	FOUR(BX); \
stored: \
	LOADB(LOAD, AX); \
	CENTRE(Z4, Z5, Z6, Z7); \
	VADDPS Z0, Z8, Z8; \
	VADDPS Z1, Z9, Z9; \
	VADDPS Z2, Z10, Z10; \
	VADDPS Z3, Z11, Z11; \
	VFMADD231PS Z0, Z4, Z12; \
	VFMADD231PS Z1, Z5, Z13; \
	VFMADD231PS Z2, Z6, Z14; \
	VFMADD231PS Z3, Z7, Z21; \
	FOUR(AX); \
	FOUR(CX); \
	SUBQ $4, R12; \
	JNZ four; \
	ADDSUMS; \
	VMOVUPS Z8, (R13); \
	VMOVUPS Z12, 64(R13); \
	ADDQ $128, R13; \
	NEXT; \
done: \
	RESTORE

// dx = d * scale + shift + (x - mean) * slope, where d is dy, and 0 where y, if there is
// one, is not above 0. Coefficients: mean, scale, shift, slope.
#define GRADAPPLY(LOAD, STORE) \
	SAVE; \
	VPXORQ Z20, Z20, Z20; \
image: \
	TAKE; \
	COEFFICIENTS(256); \
block: \
	POINT(16, AX, noX); \
	POINT(24, DX, noY); \
	POINT(40, CX, noDY); \
	POINT(48, BX, noDX); \
	MOVQ 96(DI), R12; \
	VMOVUPS (R11), Z16; \
	VMOVUPS 64(R11), Z17; \
	VMOVUPS 128(R11), Z18; \
	VMOVUPS 192(R11), Z19; \
	ADDQ $256, R11; \
four: \
	LOADA(LOAD, CX); \
	TESTQ DX, DX; \
	JZ masked; \
	MASK(LOAD); \
masked: \
	VFMADD213PS Z18, Z17, Z0; \
	VFMADD213PS Z18, Z17, Z1; \
	VFMADD213PS Z18, Z17, Z2; \
	VFMADD213PS Z18, Z17, Z3; \
	LOADB(LOAD, AX); \
	CENTRE(Z4, Z5, Z6, Z7); \
	VFMADD231PS Z4, Z19, Z0; \
	VFMADD231PS Z5, Z19, Z1; \
	VFMADD231PS Z6, Z19, Z2; \
	VFMADD231PS Z7, Z19, Z3; \
	STOREA(STORE, BX); \
	FOUR(AX); \
	FOUR(BX); \
	FOUR(CX); \
	SUBQ $4, R12; \
	JNZ four; \
	NEXT; \
done: \
	RESTORE

// func normStatistics32()
TEXT ·normStatistics32(SB), NOSPLIT, $40-0
	STATISTICS(LOAD32)

// func normStatistics16()
TEXT ·normStatistics16(SB), NOSPLIT, $40-0
	STATISTICS(LOAD16)

// func normApply32()
TEXT ·normApply32(SB), NOSPLIT, $40-0
	APPLY(LOAD32, STORE32)

// func normApply16()
TEXT ·normApply16(SB), NOSPLIT, $40-0
	APPLY(LOAD16, STORE16)

// func normGradSums32()
TEXT ·normGradSums32(SB), NOSPLIT, $40-0
	GRADSUMS(LOAD32, STORE32)

// func normGradSums16()
TEXT ·normGradSums16(SB), NOSPLIT, $40-0
	GRADSUMS(LOAD16, STORE16)

// func normGradApply32()
TEXT ·normGradApply32(SB), NOSPLIT, $40-0
	GRADAPPLY(LOAD32, STORE32)

// func normGradApply16()
TEXT ·normGradApply16(SB), NOSPLIT, $40-0
	GRADAPPLY(LOAD16, STORE16)
