#include "textflag.h"

// These functions are called by libgomp, on its threads, with the C calling
// convention: the task is in DI, and BX, BP, R12 to R15 are the caller's. They
// use no Go stack, no Go runtime and no Go memory. The layouts of the tasks
// are those of convTask and gradTask.

// MADD multiplies channel c of six pixels, at R8 to R13, by the weights of two
// blocks of outputs, at BX and BX+DX.
#define PIXEL(p, c, acc0, acc1) \
	VBROADCASTSS (c*4)(p), Y14; \
	VFMADD231PS  Y12, Y14, acc0; \
	VFMADD231PS  Y13, Y14, acc1

#define MADD(c) \
	VMOVUPS (c*32)(BX), Y12; \
	VMOVUPS (c*32)(BX)(DX*1), Y13; \
	PIXEL(R8, c, Y0, Y1); \
	PIXEL(R9, c, Y2, Y3); \
	PIXEL(R10, c, Y4, Y5); \
	PIXEL(R11, c, Y6, Y7); \
	PIXEL(R12, c, Y8, Y9); \
	PIXEL(R13, c, Y10, Y11)

// POINT makes p the address of input pixel i of the tap, or of zeros where it
// lies in the padding.
#define POINT(i, p) \
	MOVLQSX (i*4)(R15), p; \
	TESTQ   p, p; \
	LEAQ    (SI)(p*1), p; \
	CMOVQLT R14, p

// func convForward()
//
// Frame: 0 image of x, 8 y of this pair of blocks, 16 weights of the pair,
// 24 first pixel of the tile, 32 pairs left, 40 input blocks left, 48 weights
// of the input block, 56... saved registers.
TEXT ·convForward(SB), NOSPLIT, $96-0
	MOVQ BX, 56(SP)
	MOVQ R12, 64(SP)
	MOVQ R13, 72(SP)
	MOVQ R14, 80(SP)
	MOVQ R15, 88(SP)
	MOVQ 48(DI), R14
	MOVQ 88(DI), DX

image:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	MOVQ  AX, CX
	IMULQ 56(DI), AX
	ADDQ  16(DI), AX
	MOVQ  AX, 0(SP)
	IMULQ 64(DI), CX
	ADDQ  24(DI), CX
	MOVQ  CX, 8(SP)
	MOVQ  32(DI), AX
	MOVQ  AX, 16(SP)
	MOVQ  120(DI), AX
	MOVQ  AX, 32(SP)

pair:
	MOVQ $0, 24(SP)

tile:
	// The last tile overlaps the one before it.
	MOVQ    24(SP), AX
	MOVQ    136(DI), CX
	SUBQ    $6, CX
	CMPQ    AX, CX
	CMOVQGT CX, AX
	MOVQ    AX, 24(SP)
	VXORPS  Y0, Y0, Y0
	VXORPS  Y1, Y1, Y1
	VXORPS  Y2, Y2, Y2
	VXORPS  Y3, Y3, Y3
	VXORPS  Y4, Y4, Y4
	VXORPS  Y5, Y5, Y5
	VXORPS  Y6, Y6, Y6
	VXORPS  Y7, Y7, Y7
	VXORPS  Y8, Y8, Y8
	VXORPS  Y9, Y9, Y9
	VXORPS  Y10, Y10, Y10
	VXORPS  Y11, Y11, Y11
	MOVQ    0(SP), SI
	MOVQ    112(DI), AX
	MOVQ    AX, 40(SP)
	MOVQ    16(SP), AX
	MOVQ    AX, 48(SP)

block:
	MOVQ 48(SP), BX
	MOVQ 24(SP), AX
	MOVQ 40(DI), R15
	LEAQ (R15)(AX*4), R15
	MOVQ 128(DI), CX

tap:
	POINT(0, R8)
	POINT(1, R9)
	POINT(2, R10)
	POINT(3, R11)
	POINT(4, R12)
	POINT(5, R13)
	MADD(0)
	MADD(1)
	MADD(2)
	MADD(3)
	MADD(4)
	MADD(5)
	MADD(6)
	MADD(7)
	ADDQ 104(DI), BX
	MOVQ 136(DI), AX
	LEAQ (R15)(AX*4), R15
	DECQ CX
	JNZ  tap

	ADDQ 72(DI), SI
	MOVQ 96(DI), AX
	ADDQ AX, 48(SP)
	DECQ 40(SP)
	JNZ  block

	MOVQ    24(SP), AX
	SHLQ    $5, AX
	ADDQ    8(SP), AX
	MOVQ    80(DI), CX
	VMOVUPS Y0, 0(AX)
	VMOVUPS Y2, 32(AX)
	VMOVUPS Y4, 64(AX)
	VMOVUPS Y6, 96(AX)
	VMOVUPS Y8, 128(AX)
	VMOVUPS Y10, 160(AX)
	VMOVUPS Y1, 0(AX)(CX*1)
	VMOVUPS Y3, 32(AX)(CX*1)
	VMOVUPS Y5, 64(AX)(CX*1)
	VMOVUPS Y7, 96(AX)(CX*1)
	VMOVUPS Y9, 128(AX)(CX*1)
	VMOVUPS Y11, 160(AX)(CX*1)
	MOVQ    24(SP), AX
	ADDQ    $6, AX
	MOVQ    AX, 24(SP)
	CMPQ    AX, 136(DI)
	JLT     tile

	MOVQ 80(DI), AX
	ADDQ AX, AX
	ADDQ AX, 8(SP)
	LEAQ (DX)(DX*1), AX
	ADDQ AX, 16(SP)
	DECQ 32(SP)
	JNZ  pair
	JMP  image

done:
	VZEROUPPER
	MOVQ 56(SP), BX
	MOVQ 64(SP), R12
	MOVQ 72(SP), R13
	MOVQ 80(SP), R14
	MOVQ 88(SP), R15
	RET

// Sums for 4 outputs (o) and 3 taps of a kernel row: Y(3o+kx), each of 8
// input channels. OUTPUT adds the products of output o of the pixel at R9.
#define OUTPUT(o, acc0, acc1, acc2) \
	VBROADCASTSS (o*4)(R9), Y15; \
	VFMADD231PS  Y12, Y15, acc0; \
	VFMADD231PS  Y13, Y15, acc1; \
	VFMADD231PS  Y14, Y15, acc2

#define OUTPUT2(o, x0, acc0, x1, acc1) \
	VBROADCASTSS (o*4)(R9), Y15; \
	VFMADD231PS  x0, Y15, acc0; \
	VFMADD231PS  x1, Y15, acc1

// func convGradWeight()
//
// Frame: 0 chunk's sums, 8 first image of the group, 16 end of the group,
// 24 end of the chunk, 32 first image of the chunk, 40 half block of outputs,
// 48 input block, 56... saved registers.
TEXT ·convGradWeight(SB), NOSPLIT, $96-0
	MOVQ BX, 56(SP)
	MOVQ R12, 64(SP)
	MOVQ R13, 72(SP)
	MOVQ R14, 80(SP)
	MOVQ R15, 88(SP)

chunk:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	MOVQ  AX, BX
	MOVQ  AX, CX
	IMULQ 72(DI), CX
	ADDQ  32(DI), CX
	MOVQ  CX, 0(SP)
	IMULQ 112(DI), AX
	XORQ  DX, DX
	DIVQ  8(DI)
	MOVQ  AX, 8(SP)
	MOVQ  AX, 32(SP)
	LEAQ  1(BX), AX
	IMULQ 112(DI), AX
	XORQ  DX, DX
	DIVQ  8(DI)
	MOVQ  AX, 24(SP)

group:
	MOVQ    8(SP), AX
	ADDQ    120(DI), AX
	CMPQ    AX, 24(SP)
	CMOVQGT 24(SP), AX
	MOVQ    AX, 16(SP)
	MOVQ    $0, 40(SP)

half:
	MOVQ $0, 48(SP)

block:
	// R10: sums; R11: x of this block; R12: y of this half.
	MOVQ  40(SP), AX
	MOVQ  AX, BX
	SHRQ  $1, AX
	ANDQ  $1, BX
	MOVQ  AX, R12
	IMULQ 64(DI), R12
	ADDQ  24(DI), R12
	MOVQ  BX, CX
	SHLQ  $4, CX
	ADDQ  CX, R12
	IMULQ 80(DI), AX
	ADDQ  48(SP), AX
	IMULQ $2304, AX
	ADDQ  0(SP), AX
	SHLQ  $7, BX
	LEAQ  (AX)(BX*1), R10
	MOVQ  48(SP), R11
	IMULQ 56(DI), R11
	ADDQ  16(DI), R11
	XORQ  R13, R13           // kernel row

kernelRow:
	MOVQ 8(SP), R14          // image
	CMPQ R14, 32(SP)
	JNE  load
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	JMP  imageLoop

load:
	VMOVUPS 0(R10), Y0
	VMOVUPS 256(R10), Y1
	VMOVUPS 512(R10), Y2
	VMOVUPS 32(R10), Y3
	VMOVUPS 288(R10), Y4
	VMOVUPS 544(R10), Y5
	VMOVUPS 64(R10), Y6
	VMOVUPS 320(R10), Y7
	VMOVUPS 576(R10), Y8
	VMOVUPS 96(R10), Y9
	VMOVUPS 352(R10), Y10
	VMOVUPS 608(R10), Y11

imageLoop:
	// R8: x, one pixel left of the row; R9: y. Kernel row 0 skips the first
	// row of y, kernel row 2 the last one.
	MOVQ  R14, R8
	IMULQ 40(DI), R8
	LEAQ  -32(R8)(R11*1), R8
	MOVQ  R14, R9
	IMULQ 48(DI), R9
	ADDQ  R12, R9
	MOVQ  96(DI), BX
	CMPQ  R13, $1
	JEQ   rowsSet
	DECQ  BX
	CMPQ  R13, $0
	JNE   below
	ADDQ  128(DI), R9
	JMP   rowsSet

below:
	ADDQ 128(DI), R8

rowsSet:
	MOVQ 104(DI), CX
	SUBQ $2, CX

	// The first pixel has no left neighbour.
	VMOVUPS 32(R8), Y13
	VMOVUPS 64(R8), Y14
	OUTPUT2(0, Y13, Y1, Y14, Y2)
	OUTPUT2(1, Y13, Y4, Y14, Y5)
	OUTPUT2(2, Y13, Y7, Y14, Y8)
	OUTPUT2(3, Y13, Y10, Y14, Y11)
	ADDQ $32, R8
	ADDQ $32, R9
	TESTQ CX, CX
	JZ   lastPixel

pixel:
	VMOVUPS 0(R8), Y12
	VMOVUPS 32(R8), Y13
	VMOVUPS 64(R8), Y14
	OUTPUT(0, Y0, Y1, Y2)
	OUTPUT(1, Y3, Y4, Y5)
	OUTPUT(2, Y6, Y7, Y8)
	OUTPUT(3, Y9, Y10, Y11)
	ADDQ $32, R8
	ADDQ $32, R9
	DECQ CX
	JNZ  pixel

lastPixel:
	// The last pixel has no right neighbour.
	VMOVUPS 0(R8), Y12
	VMOVUPS 32(R8), Y13
	OUTPUT2(0, Y12, Y0, Y13, Y1)
	OUTPUT2(1, Y12, Y3, Y13, Y4)
	OUTPUT2(2, Y12, Y6, Y13, Y7)
	OUTPUT2(3, Y12, Y9, Y13, Y10)
	ADDQ $32, R8
	ADDQ $32, R9
	DECQ BX
	JNZ  rowsSet

	INCQ R14
	CMPQ R14, 16(SP)
	JLT  imageLoop

	VMOVUPS Y0, 0(R10)
	VMOVUPS Y1, 256(R10)
	VMOVUPS Y2, 512(R10)
	VMOVUPS Y3, 32(R10)
	VMOVUPS Y4, 288(R10)
	VMOVUPS Y5, 544(R10)
	VMOVUPS Y6, 64(R10)
	VMOVUPS Y7, 320(R10)
	VMOVUPS Y8, 576(R10)
	VMOVUPS Y9, 96(R10)
	VMOVUPS Y10, 352(R10)
	VMOVUPS Y11, 608(R10)
	ADDQ $768, R10
	INCQ R13
	CMPQ R13, $3
	JLT  kernelRow

	MOVQ 48(SP), AX
	INCQ AX
	MOVQ AX, 48(SP)
	CMPQ AX, 80(DI)
	JLT  block
	MOVQ 40(SP), AX
	INCQ AX
	MOVQ AX, 40(SP)
	CMPQ AX, 88(DI)
	JLT  half
	MOVQ 16(SP), AX
	MOVQ AX, 8(SP)
	CMPQ AX, 24(SP)
	JLT  group
	JMP  chunk

done:
	VZEROUPPER
	MOVQ 56(SP), BX
	MOVQ 64(SP), R12
	MOVQ 72(SP), R13
	MOVQ 80(SP), R14
	MOVQ 88(SP), R15
	RET

// func convForwardAddress() uintptr
TEXT ·convForwardAddress(SB), NOSPLIT, $0-8
	LEAQ ·convForward(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func convGradWeightAddress() uintptr
TEXT ·convGradWeightAddress(SB), NOSPLIT, $0-8
	LEAQ ·convGradWeight(SB), AX
	MOVQ AX, ret+0(FP)
	RET
