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
