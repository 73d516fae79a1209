#include "textflag.h"

// Weight gradients for AVX-512. libgomp calls them as C functions: the task, a
// wideTask, is in DI; BX, BP and R12 to R15 are saved, and no Go stack or memory is
// used.

// Words p0c0..p0c15 p1c0..p1c15, two pixels of a block of 16 channels, become
// p0c0 p1c0 p0c1 p1c1 ...: VDPBF16PS sums over pairs.
DATA ·interleave+0(SB)/8, $0x0011000100100000
DATA ·interleave+8(SB)/8, $0x0013000300120002
DATA ·interleave+16(SB)/8, $0x0015000500140004
DATA ·interleave+24(SB)/8, $0x0017000700160006
DATA ·interleave+32(SB)/8, $0x0019000900180008
DATA ·interleave+40(SB)/8, $0x001B000B001A000A
DATA ·interleave+48(SB)/8, $0x001D000D001C000C
DATA ·interleave+56(SB)/8, $0x001F000F001E000E
GLOBL ·interleave(SB), RODATA, $64

// DP is VDPBF16PS (4*r)(base){1to16}, Z30, acc, which Go's assembler lacks:
// acc is 0, 8 or 16 above r as p0 says, base 0 is AX, 1 CX, 2 DX.
#define DP(p0, base, r) \
	BYTE $0x62; BYTE $p0; WORD $0x500E; BYTE $0x52; BYTE $(0x40+r*8+base); BYTE $r

#define DP8(p0, base) \
	DP(p0, base, 0); \
	DP(p0, base, 1); \
	DP(p0, base, 2); \
	DP(p0, base, 3); \
	DP(p0, base, 4); \
	DP(p0, base, 5); \
	DP(p0, base, 6); \
	DP(p0, base, 7)

#define FMA8(p, z0, z1, z2, z3, z4, z5, z6, z7) \
	VFMADD231PS.BCST 0(p), Z30, z0;  \
	VFMADD231PS.BCST 4(p), Z30, z1;  \
	VFMADD231PS.BCST 8(p), Z30, z2;  \
	VFMADD231PS.BCST 12(p), Z30, z3; \
	VFMADD231PS.BCST 16(p), Z30, z4; \
	VFMADD231PS.BCST 20(p), Z30, z5; \
	VFMADD231PS.BCST 24(p), Z30, z6; \
	VFMADD231PS.BCST 28(p), Z30, z7

// STEP adds the products of a pixel of y, or of a pair, at SI, with the pixels
// of x at AX, CX and DX, one for each kernel column.
#define STEP32 \
	VMOVUPS (SI), Z30;                             \
	FMA8(AX, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7);       \
	FMA8(CX, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	FMA8(DX, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)

#define STEP16 \
	VPERMW (SI), Z31, Z30; \
	DP8(0xF2, 0);          \
	DP8(0x72, 1);          \
	DP8(0xE2, 2)

// RUN copies a row's pixels of x, at SI, to BX.
#define RUN32 \
copy:                       \
	VMOVUPS (SI), Z0;   \
	VMOVUPS Z0, (BX);   \
	ADDQ    $64, SI;    \
	ADDQ    $64, BX;    \
	DECQ    CX;         \
	JNZ     copy

#define PAIR \
	VPERMW    Z0, Z31, Z0;     \
	VMOVDQU16 Z0, (BX);        \
	LEAQ      (SI)(R14*2), SI; \
	ADDQ      $64, BX

// RUN16 lays out two or more pairs of pixels; the pixels of a pair are R14 apart. The
// first pixel is not read where its mask is 0.
#define RUN16 \
	KMOVD        24(R13), K1;                  \
	VMOVDQU16.Z  (SI), K1, Y0;                 \
	VINSERTI64X4 $1, (SI)(R14*1), Z0, Z0;      \
	PAIR;                                      \
	DECQ         CX;                           \
inner:                                             \
	VMOVDQU      (SI), Y0;                     \
	VINSERTI64X4 $1, (SI)(R14*1), Z0, Z0;      \
	PAIR;                                      \
	DECQ         CX;                           \
	JNZ          inner

#define SUMS(op, at, z0, z1, z2, z3, z4, z5, z6, z7) \
	op(at+0, z0);   \
	op(at+64, z1);  \
	op(at+128, z2); \
	op(at+192, z3); \
	op(at+256, z4); \
	op(at+320, z5); \
	op(at+384, z6); \
	op(at+448, z7)

#define LOAD(at, z) VMOVUPS (at)(R15), z
#define STORE(at, z) VMOVUPS z, (at)(R15)

#define ALLSUMS(op) \
	SUMS(op, 0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7);         \
	SUMS(op, 1024, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	SUMS(op, 2048, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)

// func wideGradWeight32()
TEXT ·wideGradWeight32(SB), NOSPLIT, $136-0
#define RUN RUN32
#define STEP STEP32
#include "gradweight.h"
#undef RUN
#undef STEP

// func wideGradWeight16()
TEXT ·wideGradWeight16(SB), NOSPLIT, $136-0
#define RUN RUN16
#define STEP STEP16
#include "gradweight.h"
