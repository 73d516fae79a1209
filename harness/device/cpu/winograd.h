// The body of winograd32 and winograd16. Define COPY, PUT, NEARER (prefetches four
// pixels) and PIXEL (bytes of a pixel of a block) before including it.
//
// Frame: 0 scratch of this thread, 8 transformed input, 16 products, 24 first
// image of y, 32 first tile of the group in the table, 40 groups left, 48 output
// block, 56... saved registers.

	MOVQ BX, 56(SP)
	MOVQ R12, 64(SP)
	MOVQ R13, 72(SP)
	MOVQ R14, 80(SP)
	MOVQ R15, 88(SP)

	// A scratch for this thread: the padded image, its transformed tiles, and
	// the products.
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

images:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	IMULQ 192(DI), AX        // the first of them: the last group overlaps
	MOVQ  184(DI), CX
	SUBQ  192(DI), CX
	CMPQ  AX, CX
	CMOVQGT CX, AX
	MOVQ  AX, CX
	IMULQ 88(DI), AX
	ADDQ  24(DI), AX
	IMULQ 96(DI), CX
	ADDQ  32(DI), CX
	MOVQ  CX, 24(SP)
	MOVQ  0(SP), R8
	MOVQ  128(DI), R10
	IMULQ 192(DI), R10       // blocks
#include "winograd_copy.h"

	MOVQ 48(DI), AX
	MOVQ AX, 32(SP)
	MOVQ 160(DI), AX
	MOVQ AX, 40(SP)

group:
	// The input, tile by tile.
	MOVQ 112(DI), R9
	LEAQ (R9)(R9*2), R10
	MOVQ 168(DI), R11        // from position to position
	MOVQ 0(SP), R8
	MOVQ 8(SP), R12
	MOVQ 128(DI), R14
	TILECONSTANTS

inputBlock:
	MOVQ 32(SP), R13
	MOVQ $16, R15

inputTile:
	MOVLQSX (R13), SI
	ADDQ    R8, SI
	MOVQ    R12, BX
	TILE
	ADDQ $8, R13
	ADDQ $64, R12
	DECQ R15
	JNZ  inputTile
	ADDQ 120(DI), R8
	DECQ R14
	JNZ  inputBlock

	MOVQ $0, 48(SP)
	MOVQ 40(DI), DX          // the weights, in the order of use

outBlock:
	MOVQ 8(SP), R8
	MOVQ 16(SP), CX
	MOVQ 32(SP), R13
	MOVQ 104(DI), R9
	IMULQ 48(SP), R9
	ADDQ 24(SP), R9          // the block of y
	MOVQ 176(DI), R10        // its row
	MOVQ $36, R15

position:
	// The loop also prefetches the pixels of y, two rows of a tile at a time.
	CMPQ R15, $4
	JLE  sums
	TESTQ $1, R15
	JNZ  nearer
	MOVLQSX 4(R13), SI
	ADDQ R9, SI
	ADDQ $8, R13

nearer:
	NEARER
	ADDQ R10, SI
	NEARER
	ADDQ R10, SI

sums:
	SIXTEEN(ZERO)
	MOVQ R8, AX
	MOVQ 128(DI), R14

multiplyBlock:
	MOVQ $16, R12

multiply:
	VMOVUPS (DX), Z30
	VFMADD231PS.BCST 0(AX), Z30, Z0
	VFMADD231PS.BCST 64(AX), Z30, Z1
	VFMADD231PS.BCST 128(AX), Z30, Z2
	VFMADD231PS.BCST 192(AX), Z30, Z3
	VFMADD231PS.BCST 256(AX), Z30, Z4
	VFMADD231PS.BCST 320(AX), Z30, Z5
	VFMADD231PS.BCST 384(AX), Z30, Z6
	VFMADD231PS.BCST 448(AX), Z30, Z7
	VFMADD231PS.BCST 512(AX), Z30, Z8
	VFMADD231PS.BCST 576(AX), Z30, Z9
	VFMADD231PS.BCST 640(AX), Z30, Z10
	VFMADD231PS.BCST 704(AX), Z30, Z11
	VFMADD231PS.BCST 768(AX), Z30, Z12
	VFMADD231PS.BCST 832(AX), Z30, Z13
	VFMADD231PS.BCST 896(AX), Z30, Z14
	VFMADD231PS.BCST 960(AX), Z30, Z15
	ADDQ $4, AX
	ADDQ $64, DX
	DECQ R12
	JNZ  multiply
	ADDQ $(15*64), AX
	DECQ R14
	JNZ  multiplyBlock
	SIXTEEN(TOCX)
	ADDQ $1088, CX
	ADDQ 168(DI), R8
	DECQ R15
	JNZ  position

	// The output, tile by tile.
	MOVQ 16(SP), CX
	MOVQ 32(SP), R13
	MOVQ $16, R15

outputTile:
	MOVLQSX 4(R13), AX
	ADDQ    R9, AX
	OUTCOLUMN(0, Z0, Z6, Z12, Z18)
	OUTCOLUMN(1, Z1, Z7, Z13, Z19)
	OUTCOLUMN(2, Z2, Z8, Z14, Z20)
	OUTCOLUMN(3, Z3, Z9, Z15, Z21)
	OUTCOLUMN(4, Z4, Z10, Z16, Z22)
	OUTCOLUMN(5, Z5, Z11, Z17, Z23)
	OUTROW(Z0, Z1, Z2, Z3, Z4, Z5)
	OUTROW(Z6, Z7, Z8, Z9, Z10, Z11)
	OUTROW(Z12, Z13, Z14, Z15, Z16, Z17)
	OUTROW(Z18, Z19, Z20, Z21, Z22, Z23)
	ADDQ $8, R13
	ADDQ $64, CX
	DECQ R15
	JNZ  outputTile

	MOVQ 48(SP), AX
	INCQ AX
	MOVQ AX, 48(SP)
	CMPQ AX, 136(DI)
	JLT  outBlock
	ADDQ $128, 32(SP)
	DECQ 40(SP)
	JNZ  group
	JMP  images

done:
	VZEROUPPER
	MOVQ 56(SP), BX
	MOVQ 64(SP), R12
	MOVQ 72(SP), R13
	MOVQ 80(SP), R14
	MOVQ 88(SP), R15
	RET
