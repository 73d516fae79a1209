#include "textflag.h"

// Winograd's convolution F(2x2, 3x3) for AVX-512, called by libgomp as the
// functions of avx2_amd64.s are: the task, a winogradTask, is in DI. BX, BP and
// R12 to R15 are the caller's, and no Go stack or memory is used.

#define PUT32(r, z, mem) VMOVUPS z, mem

// VCVTNEPS2BF16 Zr, Y15, which Go's assembler lacks; r is below 8.
#define PUT16(r, z, mem) \
	BYTE $0x62; BYTE $0x72; WORD $0x487E; BYTE $0x72; BYTE $(0xF8+r); \
	VMOVDQU Y15, mem

// The same by way of Y29.
#define PUTWEIGHT16(r, z, mem) \
	BYTE $0x62; BYTE $0x62; WORD $0x487E; BYTE $0x72; BYTE $(0xE8+r); \
	VMOVDQU16 Y29, mem

#define COPY32 \
	VMOVUPS (AX), Z0; \
	VMOVUPS Z0, (CX)

#define COPY16 \
	VPMOVZXWD (AX), Z0;    \
	VPSLLD    $16, Z0, Z0; \
	VMOVUPS   Z0, (CX)

// MULTIPLY adds the products of a channel of 16 tiles, at AX, and of 16 outputs'
// weights, at DX.
#define MULTIPLY32 \
	VMOVUPS (DX), Z30; \
	VFMADD231PS.BCST 0(AX), Z30, Z0; \
	VFMADD231PS.BCST 64(AX), Z30, Z1; \
	VFMADD231PS.BCST 128(AX), Z30, Z2; \
	VFMADD231PS.BCST 192(AX), Z30, Z3; \
	VFMADD231PS.BCST 256(AX), Z30, Z4; \
	VFMADD231PS.BCST 320(AX), Z30, Z5; \
	VFMADD231PS.BCST 384(AX), Z30, Z6; \
	VFMADD231PS.BCST 448(AX), Z30, Z7; \
	VFMADD231PS.BCST 512(AX), Z30, Z8; \
	VFMADD231PS.BCST 576(AX), Z30, Z9; \
	VFMADD231PS.BCST 640(AX), Z30, Z10; \
	VFMADD231PS.BCST 704(AX), Z30, Z11; \
	VFMADD231PS.BCST 768(AX), Z30, Z12; \
	VFMADD231PS.BCST 832(AX), Z30, Z13; \
	VFMADD231PS.BCST 896(AX), Z30, Z14; \
	VFMADD231PS.BCST 960(AX), Z30, Z15

// DPT is VDPBF16PS (32*t)(AX){1to16}, Z30, Zt, which Go's assembler lacks: p0 is
// 0xF2 below 8, then 0x72; r is t modulo 8.
#define DPT(p0, r, t) \
	BYTE $0x62; BYTE $p0; WORD $0x500E; BYTE $0x52; BYTE $(0x40+r*8); BYTE $(8*t)

#define MULTIPLY16 \
	VMOVUPS (DX), Z30; \
	DPT(0xF2, 0, 0); \
	DPT(0xF2, 1, 1); \
	DPT(0xF2, 2, 2); \
	DPT(0xF2, 3, 3); \
	DPT(0xF2, 4, 4); \
	DPT(0xF2, 5, 5); \
	DPT(0xF2, 6, 6); \
	DPT(0xF2, 7, 7); \
	DPT(0x72, 0, 8); \
	DPT(0x72, 1, 9); \
	DPT(0x72, 2, 10); \
	DPT(0x72, 3, 11); \
	DPT(0x72, 4, 12); \
	DPT(0x72, 5, 13); \
	DPT(0x72, 6, 14); \
	DPT(0x72, 7, 15)

#define LOAD32(mem, z) VMOVUPS mem, z

#define LOAD16(mem, z) \
	VPMOVZXWD mem, z; \
	VPSLLD $16, z, z

// STEP adds the products of 16 channels of x, at AX, and 16 of dy, at SI.
#define STEP32 \
	VMOVUPS (SI), Z30; \
	VFMADD231PS.BCST 0(AX), Z30, Z0; \
	VFMADD231PS.BCST 4(AX), Z30, Z1; \
	VFMADD231PS.BCST 8(AX), Z30, Z2; \
	VFMADD231PS.BCST 12(AX), Z30, Z3; \
	VFMADD231PS.BCST 16(AX), Z30, Z4; \
	VFMADD231PS.BCST 20(AX), Z30, Z5; \
	VFMADD231PS.BCST 24(AX), Z30, Z6; \
	VFMADD231PS.BCST 28(AX), Z30, Z7; \
	VFMADD231PS.BCST 32(AX), Z30, Z8; \
	VFMADD231PS.BCST 36(AX), Z30, Z9; \
	VFMADD231PS.BCST 40(AX), Z30, Z10; \
	VFMADD231PS.BCST 44(AX), Z30, Z11; \
	VFMADD231PS.BCST 48(AX), Z30, Z12; \
	VFMADD231PS.BCST 52(AX), Z30, Z13; \
	VFMADD231PS.BCST 56(AX), Z30, Z14; \
	VFMADD231PS.BCST 60(AX), Z30, Z15

// DPC is VDPBF16PS (4*t)(AX){1to16}, Z30, Zt.
#define DPC(p0, r, t) \
	BYTE $0x62; BYTE $p0; WORD $0x500E; BYTE $0x52; BYTE $(0x40+r*8); BYTE $t

#define STEP16 \
	VPERMW (SI), Z31, Z30; \
	DPC(0xF2, 0, 0); \
	DPC(0xF2, 1, 1); \
	DPC(0xF2, 2, 2); \
	DPC(0xF2, 3, 3); \
	DPC(0xF2, 4, 4); \
	DPC(0xF2, 5, 5); \
	DPC(0xF2, 6, 6); \
	DPC(0xF2, 7, 7); \
	DPC(0x72, 0, 8); \
	DPC(0x72, 1, 9); \
	DPC(0x72, 2, 10); \
	DPC(0x72, 3, 11); \
	DPC(0x72, 4, 12); \
	DPC(0x72, 5, 13); \
	DPC(0x72, 6, 14); \
	DPC(0x72, 7, 15)

#define PAIRS32

// PAIRS16 interleaves the pairs of tiles of a block, at R8, at their first use.
#define PAIRS16 \
	CMPQ      120(SP), $0;    \
	JNE       paired;         \
	MOVQ      R8, AX;         \
	MOVQ      144(SP), BX;    \
pair:                             \
	VPERMW    (AX), Z31, Z0;  \
	VMOVDQU16 Z0, (AX);       \
	ADDQ      $64, AX;        \
	DECQ      BX;             \
	JNZ       pair;           \
paired:

// func winograd32()
TEXT ·winograd32(SB), NOSPLIT, $96-0
#define COPY COPY32
#define PUT PUT32
#define PIXEL 64
#define TILE 64
#define CHANNELS 16
#define MULTIPLY MULTIPLY32
#include "winograd.h"
#undef COPY
#undef PUT
#undef PIXEL
#undef TILE
#undef CHANNELS
#undef MULTIPLY

// func winograd16()
TEXT ·winograd16(SB), NOSPLIT, $96-0
#define COPY COPY16
#define PUT PUT16
#define PIXEL 32
#define TILE 32
#define CHANNELS 8
#define MULTIPLY MULTIPLY16
#include "winograd.h"
#undef COPY
#undef PUT
#undef PIXEL
#undef TILE
#undef CHANNELS
#undef MULTIPLY

// func winogradGradWeight32()
TEXT ·winogradGradWeight32(SB), NOSPLIT, $152-0
#define COPY COPY32
#define PUT PUT32
#define LOAD LOAD32
#define PIXEL 64
#define TILE 64
#define PAIRS PAIRS32
#define STEP STEP32
#include "winograd_grad.h"
#undef COPY
#undef PUT
#undef LOAD
#undef PIXEL
#undef TILE
#undef PAIRS
#undef STEP

// func winogradGradWeight16()
TEXT ·winogradGradWeight16(SB), NOSPLIT, $152-0
#define COPY COPY16
#define PUT PUT16
#define LOAD LOAD16
#define PIXEL 32
#define TILE 32
#define PAIRS PAIRS16
#define STEP STEP16
#include "winograd_grad.h"
#undef COPY
#undef PUT
#undef LOAD
#undef PIXEL
#undef TILE
#undef PAIRS
#undef STEP

// func winogradGradSum()
//
// Sums the chunks, and leads back from positions to taps: dw = G' U G, for a
// block of outputs and one of inputs, channel by channel of the inputs.
TEXT ·winogradGradSum(SB), NOSPLIT, $8-0
	MOVQ BX, 0(SP)
	MOVQ 40(DI), R9          // from chunk to chunk
	MOVL $0x3F000000, AX     // 1/2
	VPBROADCASTD AX, Z31

block:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	MOVQ  AX, SI
	SHLQ  $14, SI
	ADDQ  24(DI), SI
	IMULQ $9216, AX
	ADDQ  32(DI), AX
	MOVQ  AX, BX
	MOVQ  $16, R10

channel:
	MOVQ SI, AX
	MOVQ 16(DI), CX
	VMOVUPS 0(AX), Z0
	VMOVUPS 1024(AX), Z1
	VMOVUPS 2048(AX), Z2
	VMOVUPS 3072(AX), Z3
	VMOVUPS 4096(AX), Z4
	VMOVUPS 5120(AX), Z5
	VMOVUPS 6144(AX), Z6
	VMOVUPS 7168(AX), Z7
	VMOVUPS 8192(AX), Z8
	VMOVUPS 9216(AX), Z9
	VMOVUPS 10240(AX), Z10
	VMOVUPS 11264(AX), Z11
	VMOVUPS 12288(AX), Z12
	VMOVUPS 13312(AX), Z13
	VMOVUPS 14336(AX), Z14
	VMOVUPS 15360(AX), Z15

more:
	DECQ CX
	JZ   transform
	ADDQ R9, AX
	VADDPS 0(AX), Z0, Z0
	VADDPS 1024(AX), Z1, Z1
	VADDPS 2048(AX), Z2, Z2
	VADDPS 3072(AX), Z3, Z3
	VADDPS 4096(AX), Z4, Z4
	VADDPS 5120(AX), Z5, Z5
	VADDPS 6144(AX), Z6, Z6
	VADDPS 7168(AX), Z7, Z7
	VADDPS 8192(AX), Z8, Z8
	VADDPS 9216(AX), Z9, Z9
	VADDPS 10240(AX), Z10, Z10
	VADDPS 11264(AX), Z11, Z11
	VADDPS 12288(AX), Z12, Z12
	VADDPS 13312(AX), Z13, Z13
	VADDPS 14336(AX), Z14, Z14
	VADDPS 15360(AX), Z15, Z15
	JMP  more

transform:
	VADDPS Z8, Z4, Z28
	VSUBPS Z8, Z4, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z20
	VADDPS Z28, Z0, Z16
	VADDPS Z12, Z28, Z24
	VADDPS Z9, Z5, Z28
	VSUBPS Z9, Z5, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z21
	VADDPS Z28, Z1, Z17
	VADDPS Z13, Z28, Z25
	VADDPS Z10, Z6, Z28
	VSUBPS Z10, Z6, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z22
	VADDPS Z28, Z2, Z18
	VADDPS Z14, Z28, Z26
	VADDPS Z11, Z7, Z28
	VSUBPS Z11, Z7, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z23
	VADDPS Z28, Z3, Z19
	VADDPS Z15, Z28, Z27
	VADDPS Z18, Z17, Z28
	VSUBPS Z18, Z17, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z1
	VADDPS Z28, Z16, Z0
	VADDPS Z19, Z28, Z2
	VMOVUPS Z0, 0(BX)
	VMOVUPS Z1, 1024(BX)
	VMOVUPS Z2, 2048(BX)
	VADDPS Z22, Z21, Z28
	VSUBPS Z22, Z21, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z1
	VADDPS Z28, Z20, Z0
	VADDPS Z23, Z28, Z2
	VMOVUPS Z0, 3072(BX)
	VMOVUPS Z1, 4096(BX)
	VMOVUPS Z2, 5120(BX)
	VADDPS Z26, Z25, Z28
	VSUBPS Z26, Z25, Z29
	VMULPS Z31, Z28, Z28
	VMULPS Z31, Z29, Z1
	VADDPS Z28, Z24, Z0
	VADDPS Z27, Z28, Z2
	VMOVUPS Z0, 6144(BX)
	VMOVUPS Z1, 7168(BX)
	VMOVUPS Z2, 8192(BX)
	ADDQ $64, SI
	ADDQ $64, BX
	DECQ R10
	JNZ  channel
	JMP  block

done:
	VZEROUPPER
	MOVQ 0(SP), BX
	RET

// A channel of 16 outputs' weights is a vector.
#define FINISH32 ADDQ $64, AX

// Two channels are: their halves are filled in turn, then interleaved.
#define FINISH16 \
	ADDQ      $32, AX;       \
	TESTQ     $1, R12;       \
	JZ        whole;         \
	LEAQ      -64(AX), BX;   \
	MOVQ      $16, CX;       \
pair:                            \
	VPERMW    (BX), Z30, Z0; \
	VMOVDQU16 Z0, (BX);      \
	ADDQ      R11, BX;       \
	DECQ      CX;            \
	JNZ       pair;          \
whole:

// func winogradWeights32()
TEXT ·winogradWeights32(SB), NOSPLIT, $16-0
#define PUT PUT32
#define FINISH FINISH32
#include "winograd_weights.h"
#undef PUT
#undef FINISH

// func winogradWeights16()
TEXT ·winogradWeights16(SB), NOSPLIT, $16-0
#define PUT PUTWEIGHT16
#define FINISH FINISH16
#include "winograd_weights.h"
