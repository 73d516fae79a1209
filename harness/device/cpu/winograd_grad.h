// The body of winogradGradWeight32 and winogradGradWeight16. Define COPY and PIXEL (as
// for winograd.h) and PASSES before including it: 2^PASSES passes prefetch the pixels of
// a tile, one cache line in each.
//
// Frame: 0 scratch of this thread, 8 transformed x, 16 transformed dy, 24 first
// image, 32 end of the group, 40 end of the chunk, 48 sums, 56... saved
// registers, 96 current image, 104 and 112 its tiles of x and dy, 120 output
// block, 128 input block, 136 passes done, 144 tiles of the group, 152
// first image of the chunk.

	MOVQ BX, 56(SP)
	MOVQ R12, 64(SP)
	MOVQ R13, 72(SP)
	MOVQ R14, 80(SP)
	MOVQ R15, 88(SP)

	// A scratch for this thread: the padded images of x and dy, and the
	// transformed tiles.
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 16(DI)
	IMULQ 64(DI), AX
	ADDQ  56(DI), AX
	MOVQ  AX, 0(SP)
	ADDQ  72(DI), AX
	ADDQ  224(DI), AX
	MOVQ  AX, 8(SP)
	ADDQ  80(DI), AX
	MOVQ  AX, 16(SP)

chunk:
	MOVQ  $1, R8
	LOCK
	XADDQ R8, 0(DI)
	CMPQ  R8, 8(DI)
	JGE   done
	MOVQ  R8, AX
	IMULQ 184(DI), AX
	XORL  DX, DX
	DIVQ  8(DI)
	MOVQ  AX, 32(SP)         // the first image, as the end of no group
	LEAQ  1(R8), AX
	IMULQ 184(DI), AX
	XORL  DX, DX
	DIVQ  8(DI)
	MOVQ  AX, 40(SP)
	IMULQ 200(DI), R8
	ADDQ  40(DI), R8
	MOVQ  R8, 48(SP)
	MOVQ  32(SP), AX
	MOVQ  AX, 152(SP)

group:
	MOVQ    32(SP), AX
	MOVQ    AX, 24(SP)
	CMPQ    AX, 40(SP)
	JGE     chunk
	MOVQ    AX, 96(SP)
	ADDQ    192(DI), AX
	CMPQ    AX, 40(SP)
	CMOVQGT 40(SP), AX
	MOVQ    AX, 32(SP)
	SUBQ    24(SP), AX
	IMULQ   160(DI), AX
	MOVQ    AX, 144(SP)
	MOVQ    8(SP), AX
	MOVQ    AX, 104(SP)
	MOVQ    16(SP), AX
	MOVQ    AX, 112(SP)

image:
	MOVQ  96(SP), AX
	IMULQ 88(DI), AX
	ADDQ  24(DI), AX
	MOVQ  0(SP), R8
	MOVQ  128(DI), R10
	XORL  DX, DX

operand:
#include "winograd_copy.h"
	TESTQ DX, DX
	JNZ   copied
	INCQ  DX
	MOVQ  96(SP), AX
	IMULQ 96(DI), AX
	ADDQ  32(DI), AX
	MOVQ  0(SP), R8
	ADDQ  72(DI), R8
	MOVQ  136(DI), R10
	JMP   operand

copied:
	TILECONSTANTS
	MOVQ 112(DI), R9
	LEAQ (R9)(R9*2), R10
	MOVQ 168(DI), R11
	MOVQ 0(SP), R8
	MOVQ 104(SP), R12
	MOVQ 128(DI), R14

inputBlock:
	MOVQ 48(DI), R13
	MOVQ 160(DI), R15        // tiles of an image
	MOVQ R12, DX

inputTile:
	MOVLQSX (R13), SI
	ADDQ    R8, SI
	MOVQ    DX, BX
	TILE
	ADDQ $8, R13
	ADDQ $64, DX
	DECQ R15
	JNZ  inputTile
	ADDQ 120(DI), R8
	ADDQ 208(DI), R12
	DECQ R14
	JNZ  inputBlock

	MOVQ 216(DI), R11
	MOVQ 0(SP), R8
	ADDQ 72(DI), R8
	LEAQ 64(R8)(R9*1), R8
	MOVQ 112(SP), R12
	MOVQ 136(DI), R14

outputBlock:
	MOVQ 48(DI), R13
	MOVQ 160(DI), R15
	MOVQ R12, DX

outputTile:
	MOVLQSX (R13), SI
	ADDQ    R8, SI
	MOVQ    DX, BX
	EXPANDTILE
	ADDQ $8, R13
	ADDQ $64, DX
	DECQ R15
	JNZ  outputTile
	ADDQ 120(DI), R8
	ADDQ 208(DI), R12
	DECQ R14
	JNZ  outputBlock

	MOVQ  160(DI), AX
	SHLQ  $6, AX
	ADDQ  AX, 104(SP)
	ADDQ  AX, 112(SP)
	INCQ  96(SP)
	MOVQ  96(SP), AX
	CMPQ  AX, 32(SP)
	JLT   image

	// The products. The loop also prefetches the next group: x, then dy.
	MOVQ 48(SP), R15         // the sums in work
	MOVQ $0, 120(SP)
	MOVQ $0, 136(SP)

outBlock:
	MOVQ $0, 128(SP)

inBlock:
	MOVQ  128(SP), R8
	IMULQ 208(DI), R8
	ADDQ  8(SP), R8
	MOVQ  120(SP), R9
	IMULQ 208(DI), R9
	ADDQ  16(SP), R9
	MOVQ  $36, R10

position:
	MOVQ  136(SP), AX
	INCQ  136(SP)
	MOVQ  32(SP), DX         // the next group's first image
	MOVQ  128(DI), CX
	SHLQ  $PASSES, CX
	MOVQ  24(DI), R13
	CMPQ  AX, CX
	JGE   nextDY
	IMULQ 88(DI), DX
	JMP   nearer

nextDY:
	SUBQ  CX, AX
	MOVQ  136(DI), CX
	SHLQ  $PASSES, CX
	CMPQ  AX, CX
	JGE   nothing
	MOVQ  32(DI), R13
	IMULQ 96(DI), DX

nearer:
	IMULQ 144(SP), AX
	SHLQ  $6, AX
	ADDQ  AX, DX
	ADDQ  DX, R13
	MOVQ  $64, R14
	JMP   sums

nothing:
	MOVQ R15, R13
	XORL R14, R14

sums:
	MOVQ 24(SP), AX
	CMPQ AX, 152(SP)
	JNE  further
	SIXTEEN(ZERO)
	JMP  begun

further:
	SIXTEEN(FROMR15)

begun:
	MOVQ R8, AX
	MOVQ R9, SI
	MOVQ 144(SP), BX

step:
	PREFETCHT1 (R13)
	ADDQ R14, R13
	VMOVUPS (SI), Z30
	VFMADD231PS.BCST 0(AX), Z30, Z0
	VFMADD231PS.BCST 4(AX), Z30, Z1
	VFMADD231PS.BCST 8(AX), Z30, Z2
	VFMADD231PS.BCST 12(AX), Z30, Z3
	VFMADD231PS.BCST 16(AX), Z30, Z4
	VFMADD231PS.BCST 20(AX), Z30, Z5
	VFMADD231PS.BCST 24(AX), Z30, Z6
	VFMADD231PS.BCST 28(AX), Z30, Z7
	VFMADD231PS.BCST 32(AX), Z30, Z8
	VFMADD231PS.BCST 36(AX), Z30, Z9
	VFMADD231PS.BCST 40(AX), Z30, Z10
	VFMADD231PS.BCST 44(AX), Z30, Z11
	VFMADD231PS.BCST 48(AX), Z30, Z12
	VFMADD231PS.BCST 52(AX), Z30, Z13
	VFMADD231PS.BCST 56(AX), Z30, Z14
	VFMADD231PS.BCST 60(AX), Z30, Z15
	ADDQ $64, AX
	ADDQ $64, SI
	DECQ BX
	JNZ  step
	SIXTEEN(TOR15)
	ADDQ $1024, R15
	ADDQ 168(DI), R8
	ADDQ 216(DI), R9
	DECQ R10
	JNZ  position
	MOVQ 128(SP), AX
	INCQ AX
	MOVQ AX, 128(SP)
	CMPQ AX, 128(DI)
	JLT  inBlock
	MOVQ 120(SP), AX
	INCQ AX
	MOVQ AX, 120(SP)
	CMPQ AX, 136(DI)
	JLT  outBlock
	JMP  group

done:
	VZEROUPPER
	MOVQ 56(SP), BX
	MOVQ 64(SP), R12
	MOVQ 72(SP), R13
	MOVQ 80(SP), R14
	MOVQ 88(SP), R15
	RET
