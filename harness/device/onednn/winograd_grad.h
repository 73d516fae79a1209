// The body of winogradGradWeight32 and winogradGradWeight16, for which COPY, PUT,
// LOAD, PIXEL and TILE are defined as for the others, PAIRS for what
// makes pairs of tiles, and STEP for the products of a tile, or of a pair.
//
// Frame: 0 scratch of this thread, 8 transformed x, 16 transformed dy, 24 first
// image, 32 end of the group, 40 end of the chunk, 48 sums, 56... saved
// registers, 96 image in work, 104 and 112 its tiles of x and dy, 120 output
// block, 128 input block, 136 passes done, 144 steps.

	MOVQ BX, 56(SP)
	MOVQ R12, 64(SP)
	MOVQ R13, 72(SP)
	MOVQ R14, 80(SP)
	MOVQ R15, 88(SP)
	VPXORQ Z28, Z28, Z28

	// A scratch for this thread: the padded image, and the transformed tiles.
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 16(DI)
	IMULQ 64(DI), AX
	ADDQ  56(DI), AX
	MOVQ  AX, 0(SP)
	ADDQ  72(DI), AX
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
	MOVQ  200(DI), CX

clear:
	VMOVUPS Z28, (R8)
	ADDQ    $64, R8
	SUBQ    $64, CX
	JNZ     clear

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
	IMULQ   $TILE, AX
	SHRQ    $6, AX           // a step is a tile, or a pair
	MOVQ    AX, 144(SP)
	MOVQ    8(SP), AX
	MOVQ    AX, 104(SP)
	MOVQ    16(SP), AX
	MOVQ    AX, 112(SP)

image:
	MOVQ  96(SP), AX
	IMULQ 88(DI), AX
	ADDQ  24(DI), AX
#include "winograd_copy.h"

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
#include "winograd_tile.h"
	ADDQ $8, R13
	ADDQ $TILE, DX
	DECQ R15
	JNZ  inputTile
	ADDQ 120(DI), R8
	ADDQ 208(DI), R12
	DECQ R14
	JNZ  inputBlock

	// dy: M = A dy A'.
	VMOVDQU16 ·interleave(SB), Z31
	VPXORQ    Z28, Z28, Z28
	MOVQ  96(SP), R8
	IMULQ 96(DI), R8
	ADDQ  32(DI), R8
	MOVQ  176(DI), R10       // its row
	MOVQ  216(DI), R11
	MOVQ  112(SP), R12
	MOVQ  136(DI), R14

outputBlock:
	MOVQ 48(DI), R13
	MOVQ 160(DI), R15
	MOVQ R12, DX

outputTile:
	MOVLQSX 4(R13), AX
	ADDQ    R8, AX
	MOVQ    DX, BX
	LOAD((AX), Z0)
	LOAD(PIXEL(AX), Z1)
	LOAD((AX)(R10*1), Z2)
	LOAD(PIXEL(AX)(R10*1), Z3)
	VADDPS Z2, Z0, Z16
	VADDPS Z3, Z1, Z17
	VSUBPS Z2, Z0, Z18
	VSUBPS Z3, Z1, Z19
	VSUBPS Z2, Z28, Z20
	VSUBPS Z3, Z28, Z21
	VADDPS Z1, Z0, Z4
	VSUBPS Z1, Z0, Z5
	VSUBPS Z1, Z28, Z6
	PUT(0, Z0, (BX))
	ADDQ R11, BX
	PUT(4, Z4, (BX))
	ADDQ R11, BX
	PUT(5, Z5, (BX))
	ADDQ R11, BX
	PUT(6, Z6, (BX))
	ADDQ R11, BX
	VADDPS Z17, Z16, Z4
	VSUBPS Z17, Z16, Z5
	VSUBPS Z17, Z28, Z6
	VMOVAPS Z16, Z7
	PUT(7, Z7, (BX))
	ADDQ R11, BX
	PUT(4, Z4, (BX))
	ADDQ R11, BX
	PUT(5, Z5, (BX))
	ADDQ R11, BX
	PUT(6, Z6, (BX))
	ADDQ R11, BX
	VADDPS Z19, Z18, Z4
	VSUBPS Z19, Z18, Z5
	VSUBPS Z19, Z28, Z6
	VMOVAPS Z18, Z7
	PUT(7, Z7, (BX))
	ADDQ R11, BX
	PUT(4, Z4, (BX))
	ADDQ R11, BX
	PUT(5, Z5, (BX))
	ADDQ R11, BX
	PUT(6, Z6, (BX))
	ADDQ R11, BX
	VADDPS Z21, Z20, Z4
	VSUBPS Z21, Z20, Z5
	VSUBPS Z21, Z28, Z6
	VMOVAPS Z20, Z7
	PUT(7, Z7, (BX))
	ADDQ R11, BX
	PUT(4, Z4, (BX))
	ADDQ R11, BX
	PUT(5, Z5, (BX))
	ADDQ R11, BX
	PUT(6, Z6, (BX))
	ADDQ R11, BX
	ADDQ $8, R13
	ADDQ $TILE, DX
	DECQ R15
	JNZ  outputTile
	ADDQ 104(DI), R8
	ADDQ 208(DI), R12
	DECQ R14
	JNZ  outputBlock

	MOVQ  160(DI), AX
	IMULQ $TILE, AX
	ADDQ  AX, 104(SP)
	ADDQ  AX, 112(SP)
	INCQ  96(SP)
	MOVQ  96(SP), AX
	CMPQ  AX, 32(SP)
	JLT   image

	// The products. Meanwhile the next group comes nearer: x, then dy.
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
	MOVQ  $16, R10

position:
	MOVQ  136(SP), AX
	INCQ  136(SP)
	MOVQ  32(SP), DX         // the next group's first image
	MOVQ  128(DI), CX
	SHLQ  $2, CX
	MOVQ  24(DI), R13
	CMPQ  AX, CX
	JGE   nextDY
	IMULQ 88(DI), DX
	JMP   nearer

nextDY:
	SUBQ  CX, AX
	MOVQ  136(DI), CX
	SHLQ  $2, CX
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
	PAIRS
	VMOVUPS 0(R15), Z0
	VMOVUPS 64(R15), Z1
	VMOVUPS 128(R15), Z2
	VMOVUPS 192(R15), Z3
	VMOVUPS 256(R15), Z4
	VMOVUPS 320(R15), Z5
	VMOVUPS 384(R15), Z6
	VMOVUPS 448(R15), Z7
	VMOVUPS 512(R15), Z8
	VMOVUPS 576(R15), Z9
	VMOVUPS 640(R15), Z10
	VMOVUPS 704(R15), Z11
	VMOVUPS 768(R15), Z12
	VMOVUPS 832(R15), Z13
	VMOVUPS 896(R15), Z14
	VMOVUPS 960(R15), Z15
	MOVQ R8, AX
	MOVQ R9, SI
	MOVQ 144(SP), BX

step:
	PREFETCHT1 (R13)
	ADDQ R14, R13
	STEP
	ADDQ $64, AX
	ADDQ $64, SI
	DECQ BX
	JNZ  step
	VMOVUPS Z0, 0(R15)
	VMOVUPS Z1, 64(R15)
	VMOVUPS Z2, 128(R15)
	VMOVUPS Z3, 192(R15)
	VMOVUPS Z4, 256(R15)
	VMOVUPS Z5, 320(R15)
	VMOVUPS Z6, 384(R15)
	VMOVUPS Z7, 448(R15)
	VMOVUPS Z8, 512(R15)
	VMOVUPS Z9, 576(R15)
	VMOVUPS Z10, 640(R15)
	VMOVUPS Z11, 704(R15)
	VMOVUPS Z12, 768(R15)
	VMOVUPS Z13, 832(R15)
	VMOVUPS Z14, 896(R15)
	VMOVUPS Z15, 960(R15)
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
