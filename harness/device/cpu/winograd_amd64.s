#include "textflag.h"

// Winograd's convolution F(4x4, 3x3) for AVX-512. libgomp calls the functions as C
// functions: the task, a winogradTask, is in DI; BX, BP and R12 to R15 are saved, and
// no Go stack or memory is used. kernels/winograd.h has the mathematics.
//
// The points are 0, infinity, a, -a, b, -b with a = 1/sqrt(2), b = 2a; rows and
// columns of transformed tiles, and so positions, come in this order:
//
//	B' = 1   .   -5/2  .    1   .      A = 1  .   .    .      G = 1  .  .
//	     .   1   .     -5/2 .   1          .  .   .    1          .  .  1
//	     .   -2a -2    a    1   .          1  a   1/2  a/2        (1  a  1/2)/(-3/2)
//	     .   2a  -2    -a   1   .          1  -a  1/2  -a/2       (1  -a 1/2)/(-3/2)
//	     .   -a  -1/2  b    1   .          1  b   2    2b         (1  b  2)/6
//	     .   a   -1/2  -b   1   .          1  -b  2    -2b        (1  -b 2)/6

DATA ·winogradPoints+0(SB)/4, $-2.0
DATA ·winogradPoints+4(SB)/4, $-0.5
DATA ·winogradPoints+8(SB)/4, $2.5
DATA ·winogradPoints+12(SB)/4, $2.0
DATA ·winogradPoints+16(SB)/4, $0.5
DATA ·winogradPoints+20(SB)/4, $0.70710678118654752440  // a
DATA ·winogradPoints+24(SB)/4, $1.41421356237309504880  // b
DATA ·winogradPoints+28(SB)/4, $-0.66666666666666666667 // -2/3
DATA ·winogradPoints+32(SB)/4, $-0.47140452079103168293 // -2/3 a
DATA ·winogradPoints+36(SB)/4, $-0.33333333333333333333 // -1/3
DATA ·winogradPoints+40(SB)/4, $0.16666666666666666667  // 1/6
DATA ·winogradPoints+44(SB)/4, $0.23570226039551584147  // b/6
DATA ·winogradPoints+48(SB)/4, $0.33333333333333333333  // 1/3
GLOBL ·winogradPoints(SB), RODATA, $52

// TILECONSTANTS are those of A and B'. OUTCOLUMN overwrites the first three,
// PAIR's results of dy's tiles the first two.
#define TILECONSTANTS \
	VBROADCASTSS ·winogradPoints+0(SB), Z21;  \
	VBROADCASTSS ·winogradPoints+4(SB), Z22;  \
	VBROADCASTSS ·winogradPoints+8(SB), Z23;  \
	VBROADCASTSS ·winogradPoints+12(SB), Z24; \
	VBROADCASTSS ·winogradPoints+16(SB), Z25; \
	VBROADCASTSS ·winogradPoints+20(SB), Z26; \
	VBROADCASTSS ·winogradPoints+24(SB), Z27

// WEIGHTCONSTANTS are those of G.
#define WEIGHTCONSTANTS \
	VBROADCASTSS ·winogradPoints+28(SB), Z26; \
	VBROADCASTSS ·winogradPoints+32(SB), Z27; \
	VBROADCASTSS ·winogradPoints+36(SB), Z28; \
	VBROADCASTSS ·winogradPoints+40(SB), Z29; \
	VBROADCASTSS ·winogradPoints+44(SB), Z30; \
	VBROADCASTSS ·winogradPoints+48(SB), Z31

#define PUT32(k, z, mem) VMOVUPS z, mem

// VCVTNEPS2BF16 Zz, Yz, which Go's assembler lacks; z is 28 + k.
#define PUT16(k, z, mem) \
	BYTE $0x62; BYTE $0x02; WORD $0x487E; BYTE $0x72; BYTE $(0xE4+9*k); \
	VEXTRACTF64X4 $0, z, mem

#define COPY32 \
	VMOVUPS (AX), Z0; \
	VMOVUPS Z0, (CX)

#define COPY16 \
	VPMOVZXWD (AX), Z0;    \
	VPSLLD    $16, Z0, Z0; \
	VMOVUPS   Z0, (CX)

// PREFETCHW at(SI) and at(BX), which Go's assembler lacks: y will be written.
#define PREFETCHWSI(at) BYTE $0x0F; BYTE $0x0D; BYTE $0x4E; BYTE $at
#define PREFETCHWBX(at) BYTE $0x0F; BYTE $0x0D; BYTE $0x4B; BYTE $at

#define NEARER16 \
	PREFETCHWSI(0); \
	PREFETCHWSI(64)

#define NEARER32 \
	NEARER16;       \
	LEAQ 128(SI), BX; \
	PREFETCHWBX(0); \
	PREFETCHWBX(64)

// SIXTEEN applies op to the sixteen sums, a line each.
#define SIXTEEN(op) \
	op(0, Z0);    op(64, Z1);   op(128, Z2);  op(192, Z3);  \
	op(256, Z4);  op(320, Z5);  op(384, Z6);  op(448, Z7);  \
	op(512, Z8);  op(576, Z9);  op(640, Z10); op(704, Z11); \
	op(768, Z12); op(832, Z13); op(896, Z14); op(960, Z15)

#define ZERO(at, z) VPXORQ z, z, z
#define TOCX(at, z) VMOVUPS z, (at)(CX)
#define TOR15(at, z) VMOVUPS z, (at)(R15)
#define FROMR15(at, z) VMOVUPS (at)(R15), z

// NEXT stores z at the next position, at BX.
#define NEXT(z) \
	VMOVUPS z, (BX); \
	ADDQ    R11, BX

// ENDS gives d4 - 5/2 d2 + d0, the row of B' for the points 0 and infinity.
#define ENDS(d0, d2, d4, to) \
	VMOVUPS      d4, to;      \
	VFNMADD231PS d2, Z23, to; \
	VADDPS       d0, to, to

// PAIR gives y0 + k y2 + r (y1 + k y3), and the same with -r, the rows of A for
// the points r and -r, k being r^2; and, from d4 backwards, those of B', k being
// -2 for a and -1/2 for b.
#define PAIR(y0, y1, y2, y3, k, r, plus, minus) \
	VMOVUPS      y0, minus;     \
	VFMADD231PS  y2, k, minus;  \
	VMOVUPS      y1, Z28;       \
	VFMADD231PS  y3, k, Z28;    \
	VMOVAPS      minus, plus;   \
	VFMADD231PS  Z28, r, plus;  \
	VFNMADD231PS Z28, r, minus

// TILEROW transforms a row of a tile of x, and stores it.
#define TILEROW(d0, d1, d2, d3, d4, d5) \
	ENDS(d0, d2, d4, Z29);                        \
	NEXT(Z29);                                    \
	ENDS(d1, d3, d5, Z30);                        \
	NEXT(Z30);                                    \
	PAIR(d4, d3, d2, d1, Z21, Z26, Z29, Z30);     \
	NEXT(Z29);                                    \
	NEXT(Z30);                                    \
	PAIR(d4, d3, d2, d1, Z22, Z27, Z29, Z30);     \
	NEXT(Z29);                                    \
	NEXT(Z30)

// TILEENDS and TILEPAIR transform column c.
#define TILEENDS(c, to0, to1) \
	ENDS(64*c(SI), 64*c(SI)(R9*2), 64*c(SI)(R9*4), to0); \
	ENDS(64*c(SI)(R9*1), 64*c(SI)(R10*1), 64*c(CX)(R9*4), to1)

#define TILEPAIR(c, k, r, plus, minus) \
	PAIR(64*c(SI)(R9*4), 64*c(SI)(R10*1), 64*c(SI)(R9*2), 64*c(SI)(R9*1), k, r, plus, minus)

#define TILEROWS \
	TILEROW(Z0, Z1, Z2, Z3, Z4, Z5);   \
	TILEROW(Z6, Z7, Z8, Z9, Z10, Z11)

#define TILEPAIRS(k, r) \
	TILEPAIR(0, k, r, Z0, Z6);  \
	TILEPAIR(1, k, r, Z1, Z7);  \
	TILEPAIR(2, k, r, Z2, Z8);  \
	TILEPAIR(3, k, r, Z3, Z9);  \
	TILEPAIR(4, k, r, Z4, Z10); \
	TILEPAIR(5, k, r, Z5, Z11); \
	TILEROWS

// TILE transforms the tile of x at SI, V = B' d B, to BX; R9 and R10 are once
// and three times the row of the padded image, R11 leads from position to
// position.
#define TILE \
	LEAQ (SI)(R9*1), CX;  \
	TILEENDS(0, Z0, Z6);  \
	TILEENDS(1, Z1, Z7);  \
	TILEENDS(2, Z2, Z8);  \
	TILEENDS(3, Z3, Z9);  \
	TILEENDS(4, Z4, Z10); \
	TILEENDS(5, Z5, Z11); \
	TILEROWS;             \
	TILEPAIRS(Z21, Z26);  \
	TILEPAIRS(Z22, Z27)

// EXPANDROW transforms a row of a tile of dy, and stores it.
#define EXPANDROW(y0, y1, y2, y3) \
	NEXT(y0);                                   \
	NEXT(y3);                                   \
	PAIR(y0, y1, y2, y3, Z25, Z26, Z29, Z30); \
	NEXT(Z29);                                  \
	NEXT(Z30);                                  \
	PAIR(y0, y1, y2, y3, Z24, Z27, Z29, Z30); \
	NEXT(Z29);                                  \
	NEXT(Z30)

#define EXPANDPAIRS(k, r) \
	PAIR(Z0, Z4, Z8, Z12, k, r, Z16, Z20);  \
	PAIR(Z1, Z5, Z9, Z13, k, r, Z17, Z21);  \
	PAIR(Z2, Z6, Z10, Z14, k, r, Z18, Z22); \
	PAIR(Z3, Z7, Z11, Z15, k, r, Z19, Z31); \
	EXPANDROW(Z16, Z17, Z18, Z19);            \
	EXPANDROW(Z20, Z21, Z22, Z31)

// EXPANDTILE transforms the tile of dy at SI, A dy A', like TILE.
#define EXPANDTILE \
	VMOVUPS (SI), Z0;             \
	VMOVUPS 64(SI), Z1;           \
	VMOVUPS 128(SI), Z2;          \
	VMOVUPS 192(SI), Z3;          \
	VMOVUPS (SI)(R9*1), Z4;       \
	VMOVUPS 64(SI)(R9*1), Z5;     \
	VMOVUPS 128(SI)(R9*1), Z6;    \
	VMOVUPS 192(SI)(R9*1), Z7;    \
	VMOVUPS (SI)(R9*2), Z8;       \
	VMOVUPS 64(SI)(R9*2), Z9;     \
	VMOVUPS 128(SI)(R9*2), Z10;   \
	VMOVUPS 192(SI)(R9*2), Z11;   \
	VMOVUPS (SI)(R10*1), Z12;     \
	VMOVUPS 64(SI)(R10*1), Z13;   \
	VMOVUPS 128(SI)(R10*1), Z14;  \
	VMOVUPS 192(SI)(R10*1), Z15;  \
	EXPANDROW(Z0, Z1, Z2, Z3);    \
	EXPANDROW(Z12, Z13, Z14, Z15); \
	EXPANDPAIRS(Z25, Z26);        \
	EXPANDPAIRS(Z24, Z27)

// OUTCOLUMN transforms column c of the products at CX back, A' M.
#define OUTCOLUMN(c, y0, y1, y2, y3) \
	VMOVUPS     (2*6+c)*1088(CX), Z28;      \
	VSUBPS      (3*6+c)*1088(CX), Z28, Z29; \
	VADDPS      (3*6+c)*1088(CX), Z28, Z28; \
	VMOVUPS     (4*6+c)*1088(CX), Z30;      \
	VSUBPS      (5*6+c)*1088(CX), Z30, Z31; \
	VADDPS      (5*6+c)*1088(CX), Z30, Z30; \
	VADDPS      (0*6+c)*1088(CX), Z28, y0;  \
	VMULPS      Z28, Z25, y2;               \
	VMULPS      Z29, Z26, Z29;              \
	VMULPS      Z31, Z27, Z31;              \
	VMOVUPS     (1*6+c)*1088(CX), y3;       \
	VADDPS      Z30, y0, y0;                \
	VFMADD231PS Z30, Z24, y2;               \
	VADDPS      Z31, Z29, y1;               \
	VFMADD231PS Z29, Z25, y3;               \
	VFMADD231PS Z31, Z24, y3

// OUTROW transforms a row of A' M back, and stores it as pixels of y at AX.
#define OUTROW(m0, m1, m2, m3, m4, m5) \
	VADDPS      m3, m2, Z29;   \
	VSUBPS      m3, m2, m2;    \
	VADDPS      m5, m4, Z31;   \
	VSUBPS      m5, m4, m4;    \
	VADDPS      m0, Z29, Z28;  \
	VMULPS      Z29, Z25, Z30; \
	VMULPS      m2, Z26, m2;   \
	VMULPS      m4, Z27, m4;   \
	VADDPS      Z31, Z28, Z28; \
	VFMADD231PS Z31, Z24, Z30; \
	VADDPS      m4, m2, Z29;   \
	VMOVAPS     m1, Z31;       \
	VFMADD231PS m2, Z25, Z31;  \
	VFMADD231PS m4, Z24, Z31;  \
	PUT(0, Z28, (AX));         \
	PUT(1, Z29, PIXEL(AX));    \
	PUT(2, Z30, 2*PIXEL(AX));  \
	PUT(3, Z31, 3*PIXEL(AX));  \
	ADDQ        R10, AX

// func winograd32()
TEXT ·winograd32(SB), NOSPLIT, $96-0
#define COPY COPY32
#define PUT PUT32
#define NEARER NEARER32
#define PIXEL 64
#include "winograd.h"
#undef COPY
#undef PUT
#undef NEARER
#undef PIXEL

// func winograd16()
TEXT ·winograd16(SB), NOSPLIT, $96-0
#define COPY COPY16
#define PUT PUT16
#define NEARER NEARER16
#define PIXEL 32
#include "winograd.h"
#undef COPY
#undef PUT
#undef NEARER
#undef PIXEL

// func winogradGradWeight32()
TEXT ·winogradGradWeight32(SB), NOSPLIT, $160-0
#define COPY COPY32
#define PIXEL 64
#define PASSES 4
#include "winograd_grad.h"
#undef COPY
#undef PIXEL
#undef PASSES

// func winogradGradWeight16()
TEXT ·winogradGradWeight16(SB), NOSPLIT, $160-0
#define COPY COPY16
#define PIXEL 32
#define PASSES 3
#include "winograd_grad.h"
#undef COPY
#undef PIXEL
#undef PASSES

// SPREAD gives k0 w0 + k2 w2 + k1 w1, and the same with -k1, the rows of G for a
// point and its negative.
#define SPREAD(w0, w1, w2, k0, k1, k2, plus, minus) \
	VMULPS       w0, k0, minus; \
	VFMADD231PS  w2, k2, minus; \
	VMOVAPS      minus, plus;   \
	VFMADD231PS  w1, k1, plus;  \
	VFNMADD231PS w1, k1, minus

#define SPREADROW(w0, w1, w2) \
	NEXT(w0);                                         \
	NEXT(w2);                                         \
	SPREAD(w0, w1, w2, Z26, Z27, Z28, Z24, Z25);      \
	NEXT(Z24);                                        \
	NEXT(Z25);                                        \
	SPREAD(w0, w1, w2, Z29, Z30, Z31, Z24, Z25);      \
	NEXT(Z24);                                        \
	NEXT(Z25)

// func winogradWeights()
//
// U = G w G', for a block of outputs and one of inputs, channel by channel of
// the inputs.
TEXT ·winogradWeights(SB), NOSPLIT, $16-0
	MOVQ BX, 0(SP)
	MOVQ R12, 8(SP)
	MOVQ 64(DI), R9          // from tap to tap
	MOVQ 72(DI), R11         // from position to position
	WEIGHTCONSTANTS

block:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	XORL  DX, DX
	DIVQ  16(DI)             // AX block of outputs, DX of inputs
	MOVQ  AX, R8
	IMULQ 40(DI), R8
	MOVQ  DX, CX
	IMULQ 48(DI), CX
	ADDQ  CX, R8
	ADDQ  24(DI), R8         // the first tap
	IMULQ 56(DI), AX
	IMULQ 80(DI), DX
	ADDQ  DX, AX
	ADDQ  32(DI), AX         // where to
	MOVQ  $16, R12

channel:
	MOVQ R8, SI
	MOVQ AX, BX
	VMOVUPS (SI), Z0
	ADDQ R9, SI
	VMOVUPS (SI), Z1
	ADDQ R9, SI
	VMOVUPS (SI), Z2
	ADDQ R9, SI
	VMOVUPS (SI), Z3
	ADDQ R9, SI
	VMOVUPS (SI), Z4
	ADDQ R9, SI
	VMOVUPS (SI), Z5
	ADDQ R9, SI
	VMOVUPS (SI), Z6
	ADDQ R9, SI
	VMOVUPS (SI), Z7
	ADDQ R9, SI
	VMOVUPS (SI), Z8
	SPREADROW(Z0, Z1, Z2)
	SPREADROW(Z6, Z7, Z8)
	SPREAD(Z0, Z3, Z6, Z26, Z27, Z28, Z9, Z12)
	SPREAD(Z1, Z4, Z7, Z26, Z27, Z28, Z10, Z13)
	SPREAD(Z2, Z5, Z8, Z26, Z27, Z28, Z11, Z14)
	SPREADROW(Z9, Z10, Z11)
	SPREADROW(Z12, Z13, Z14)
	SPREAD(Z0, Z3, Z6, Z29, Z30, Z31, Z9, Z12)
	SPREAD(Z1, Z4, Z7, Z29, Z30, Z31, Z10, Z13)
	SPREAD(Z2, Z5, Z8, Z29, Z30, Z31, Z11, Z14)
	SPREADROW(Z9, Z10, Z11)
	SPREADROW(Z12, Z13, Z14)
	ADDQ $64, AX
	ADDQ $64, R8
	DECQ R12
	JNZ  channel
	JMP  block

done:
	VZEROUPPER
	MOVQ 0(SP), BX
	MOVQ 8(SP), R12
	RET

// GATHER transforms row r of the positions at SI back to three columns, U G.
#define GATHER(r) \
	VMOVUPS     (6*r+2)*1024(SI), Z9;       \
	VSUBPS      (6*r+3)*1024(SI), Z9, Z10;  \
	VADDPS      (6*r+3)*1024(SI), Z9, Z9;   \
	VMOVUPS     (6*r+4)*1024(SI), Z11;      \
	VSUBPS      (6*r+5)*1024(SI), Z11, Z12; \
	VADDPS      (6*r+5)*1024(SI), Z11, Z11; \
	VMOVUPS     (6*r+0)*1024(SI), Z13;      \
	VFMADD231PS Z9, Z26, Z13;               \
	VFMADD231PS Z11, Z29, Z13;              \
	VMULPS      Z10, Z27, Z14;              \
	VFMADD231PS Z12, Z30, Z14;              \
	VMOVUPS     (6*r+1)*1024(SI), Z15;      \
	VFMADD231PS Z9, Z28, Z15;               \
	VFMADD231PS Z11, Z31, Z15

// GATHERPAIR adds rows r and r+1, of a point and its negative, to the taps.
#define GATHERPAIR(r, k0, k1, k2) \
	GATHER(r);                   \
	VFMADD231PS  Z13, k0, Z0;    \
	VFMADD231PS  Z14, k0, Z1;    \
	VFMADD231PS  Z15, k0, Z2;    \
	VFMADD231PS  Z13, k1, Z3;    \
	VFMADD231PS  Z14, k1, Z4;    \
	VFMADD231PS  Z15, k1, Z5;    \
	VFMADD231PS  Z13, k2, Z6;    \
	VFMADD231PS  Z14, k2, Z7;    \
	VFMADD231PS  Z15, k2, Z8;    \
	GATHER((r+1));               \
	VFMADD231PS  Z13, k0, Z0;    \
	VFMADD231PS  Z14, k0, Z1;    \
	VFMADD231PS  Z15, k0, Z2;    \
	VFNMADD231PS Z13, k1, Z3;    \
	VFNMADD231PS Z14, k1, Z4;    \
	VFNMADD231PS Z15, k1, Z5;    \
	VFMADD231PS  Z13, k2, Z6;    \
	VFMADD231PS  Z14, k2, Z7;    \
	VFMADD231PS  Z15, k2, Z8

// func winogradGradSum()
//
// Adds the chunks to the first, and transforms positions back to taps: dw = G' U G, for
// a block of outputs and a block of inputs, channel by channel of the inputs.
TEXT ·winogradGradSum(SB), NOSPLIT, $8-0
	MOVQ BX, 0(SP)
	MOVQ 40(DI), R9          // from chunk to chunk
	WEIGHTCONSTANTS

block:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	MOVQ  AX, SI
	IMULQ $(36*1024), SI
	ADDQ  24(DI), SI
	IMULQ $9216, AX
	ADDQ  32(DI), AX
	MOVQ  AX, BX
	XORL  R8, R8

vectors:
	LEAQ (SI)(R8*1), AX
	MOVQ 16(DI), CX
	VMOVUPS 0(AX), Z0
	VMOVUPS 64(AX), Z1
	VMOVUPS 128(AX), Z2
	VMOVUPS 192(AX), Z3
	VMOVUPS 256(AX), Z4
	VMOVUPS 320(AX), Z5
	VMOVUPS 384(AX), Z6
	VMOVUPS 448(AX), Z7

more:
	DECQ CX
	JZ   summed
	ADDQ R9, AX
	VADDPS 0(AX), Z0, Z0
	VADDPS 64(AX), Z1, Z1
	VADDPS 128(AX), Z2, Z2
	VADDPS 192(AX), Z3, Z3
	VADDPS 256(AX), Z4, Z4
	VADDPS 320(AX), Z5, Z5
	VADDPS 384(AX), Z6, Z6
	VADDPS 448(AX), Z7, Z7
	JMP  more

summed:
	VMOVUPS Z0, 0(SI)(R8*1)
	VMOVUPS Z1, 64(SI)(R8*1)
	VMOVUPS Z2, 128(SI)(R8*1)
	VMOVUPS Z3, 192(SI)(R8*1)
	VMOVUPS Z4, 256(SI)(R8*1)
	VMOVUPS Z5, 320(SI)(R8*1)
	VMOVUPS Z6, 384(SI)(R8*1)
	VMOVUPS Z7, 448(SI)(R8*1)
	ADDQ $512, R8
	CMPQ R8, $(36*1024)
	JLT  vectors
	MOVQ $16, R10

channel:
	GATHER(0)
	VMOVAPS Z13, Z0
	VMOVAPS Z14, Z1
	VMOVAPS Z15, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	GATHER(1)
	VMOVAPS Z13, Z6
	VMOVAPS Z14, Z7
	VMOVAPS Z15, Z8
	GATHERPAIR(2, Z26, Z27, Z28)
	GATHERPAIR(4, Z29, Z30, Z31)
	VMOVUPS Z0, 0(BX)
	VMOVUPS Z1, 1024(BX)
	VMOVUPS Z2, 2048(BX)
	VMOVUPS Z3, 3072(BX)
	VMOVUPS Z4, 4096(BX)
	VMOVUPS Z5, 5120(BX)
	VMOVUPS Z6, 6144(BX)
	VMOVUPS Z7, 7168(BX)
	VMOVUPS Z8, 8192(BX)
	ADDQ $64, SI
	ADDQ $64, BX
	DECQ R10
	JNZ  channel
	JMP  block

done:
	VZEROUPPER
	MOVQ 0(SP), BX
	RET
