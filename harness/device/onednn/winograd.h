// The body of winograd32 and winograd16, for which COPY, PUT, PIXEL (bytes of a
// block's pixel), TILE (of a block of a transformed tile), CHANNELS (pairs of
// channels in bfloat16) and MULTIPLY are defined.
//
// Frame: 0 scratch of this thread, 8 transformed input, 16 products, 24 image of
// y, 32 first tile of the group in the table, 40 groups left, 48 output block,
// 56... saved registers.

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

image:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	MOVQ  AX, CX
	IMULQ 88(DI), AX
	ADDQ  24(DI), AX
	IMULQ 96(DI), CX
	ADDQ  32(DI), CX
	MOVQ  CX, 24(SP)

#include "winograd_copy.h"


	MOVQ 48(DI), AX
	MOVQ AX, 32(SP)
	MOVQ 160(DI), AX
	MOVQ AX, 40(SP)

group:
	// The input, tile by tile: V = B' d B.
	MOVQ 112(DI), R9
	LEAQ (R9)(R9*2), R10
	MOVQ 168(DI), R11        // from position to position
	MOVQ 0(SP), R8
	MOVQ 8(SP), R12
	MOVQ 128(DI), R14

inputBlock:
	MOVQ 32(SP), R13
	MOVQ $16, R15

inputTile:
	MOVLQSX (R13), SI
	ADDQ    R8, SI
	MOVQ    R12, BX
#include "winograd_tile.h"
	ADDQ $8, R13
	ADDQ $TILE, R12
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
	MOVQ $16, R15

position:
	VPXORQ Z0, Z0, Z0
	VMOVAPS Z0, Z1
	VMOVAPS Z0, Z2
	VMOVAPS Z0, Z3
	VMOVAPS Z0, Z4
	VMOVAPS Z0, Z5
	VMOVAPS Z0, Z6
	VMOVAPS Z0, Z7
	VMOVAPS Z0, Z8
	VMOVAPS Z0, Z9
	VMOVAPS Z0, Z10
	VMOVAPS Z0, Z11
	VMOVAPS Z0, Z12
	VMOVAPS Z0, Z13
	VMOVAPS Z0, Z14
	VMOVAPS Z0, Z15
	MOVQ R8, AX
	MOVQ 128(DI), R14

multiplyBlock:
	MOVQ $CHANNELS, R12

multiply:
	MULTIPLY
	ADDQ $4, AX
	ADDQ $64, DX
	DECQ R12
	JNZ  multiply
	ADDQ $(15*TILE), AX
	DECQ R14
	JNZ  multiplyBlock
	VMOVUPS Z0, 0(CX)
	VMOVUPS Z1, 64(CX)
	VMOVUPS Z2, 128(CX)
	VMOVUPS Z3, 192(CX)
	VMOVUPS Z4, 256(CX)
	VMOVUPS Z5, 320(CX)
	VMOVUPS Z6, 384(CX)
	VMOVUPS Z7, 448(CX)
	VMOVUPS Z8, 512(CX)
	VMOVUPS Z9, 576(CX)
	VMOVUPS Z10, 640(CX)
	VMOVUPS Z11, 704(CX)
	VMOVUPS Z12, 768(CX)
	VMOVUPS Z13, 832(CX)
	VMOVUPS Z14, 896(CX)
	VMOVUPS Z15, 960(CX)
	ADDQ $1024, CX
	ADDQ 168(DI), R8
	DECQ R15
	JNZ  position

	// The output, tile by tile: y = A' M A.
	MOVQ 16(SP), CX
	MOVQ 32(SP), R13
	MOVQ 104(DI), R8
	IMULQ 48(SP), R8
	ADDQ 24(SP), R8          // the block of y
	MOVQ 176(DI), R10        // its row
	MOVQ $16, R15

outputTile:
	MOVLQSX 4(R13), AX
	ADDQ    R8, AX
	VMOVUPS 0(CX), Z0
	VMOVUPS 1024(CX), Z1
	VMOVUPS 2048(CX), Z2
	VMOVUPS 3072(CX), Z3
	VMOVUPS 4096(CX), Z4
	VMOVUPS 5120(CX), Z5
	VMOVUPS 6144(CX), Z6
	VMOVUPS 7168(CX), Z7
	VMOVUPS 8192(CX), Z8
	VMOVUPS 9216(CX), Z9
	VMOVUPS 10240(CX), Z10
	VMOVUPS 11264(CX), Z11
	VMOVUPS 12288(CX), Z12
	VMOVUPS 13312(CX), Z13
	VMOVUPS 14336(CX), Z14
	VMOVUPS 15360(CX), Z15
	VADDPS Z4, Z0, Z16
	VSUBPS Z8, Z4, Z20
	VADDPS Z5, Z1, Z17
	VSUBPS Z9, Z5, Z21
	VADDPS Z6, Z2, Z18
	VSUBPS Z10, Z6, Z22
	VADDPS Z7, Z3, Z19
	VSUBPS Z11, Z7, Z23
	VADDPS Z8, Z16, Z16
	VSUBPS Z12, Z20, Z20
	VADDPS Z9, Z17, Z17
	VSUBPS Z13, Z21, Z21
	VADDPS Z10, Z18, Z18
	VSUBPS Z14, Z22, Z22
	VADDPS Z11, Z19, Z19
	VSUBPS Z15, Z23, Z23
	VADDPS Z17, Z16, Z0
	VSUBPS Z18, Z17, Z1
	VADDPS Z18, Z0, Z0
	VSUBPS Z19, Z1, Z1
	VADDPS Z21, Z20, Z2
	VSUBPS Z22, Z21, Z3
	VADDPS Z22, Z2, Z2
	VSUBPS Z23, Z3, Z3
	PUT(0, Z0, (AX))
	PUT(1, Z1, PIXEL(AX))
	PUT(2, Z2, (AX)(R10*1))
	PUT(3, Z3, PIXEL(AX)(R10*1))
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
	JMP  image

done:
	VZEROUPPER
	MOVQ 56(SP), BX
	MOVQ 64(SP), R12
	MOVQ 72(SP), R13
	MOVQ 80(SP), R14
	MOVQ 88(SP), R15
	RET
