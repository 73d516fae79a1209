#include "textflag.h"

// These functions are called by libgomp, on its threads, with the C calling
// convention: the task is in DI, and BX, BP, R12 to R15 are the caller's. They
// use no Go stack, no Go runtime and no Go memory. The layouts of the tasks
// are those of convTask and rectifyTask.

// MADD multiplies channel c of six pixels, at R8 to R13, by the weights of two
// blocks of outputs, at BX and BX+DX; kx is the byte offset of the tap.
#define PIXEL(p, kx, c, acc0, acc1) \
	VBROADCASTSS (kx+c*4)(p), Y14; \
	VFMADD231PS  Y12, Y14, acc0;   \
	VFMADD231PS  Y13, Y14, acc1

#define MADD(kx, c) \
	VMOVUPS (c*32)(BX), Y12;         \
	VMOVUPS (c*32)(BX)(DX*1), Y13;   \
	PIXEL(R8, kx, c, Y0, Y1);        \
	PIXEL(R9, kx, c, Y2, Y3);        \
	PIXEL(R10, kx, c, Y4, Y5);       \
	PIXEL(R11, kx, c, Y6, Y7);       \
	PIXEL(R12, kx, c, Y8, Y9);       \
	PIXEL(R13, kx, c, Y10, Y11)

#define TAP(kx) \
	MADD(kx, 0);   \
	MADD(kx, 1);   \
	MADD(kx, 2);   \
	MADD(kx, 3);   \
	MADD(kx, 4);   \
	MADD(kx, 5);   \
	MADD(kx, 6);   \
	MADD(kx, 7);   \
	ADDQ BP, BX

// func convForward()
//
// Frame: 0 padded image, 8 y of this pair of blocks, 16 weights of the pair,
// 24 first pixel of the tile, 32 pairs left, 40 input blocks left, 48 table of
// the tile, 56... saved registers.
TEXT ·convForward(SB), NOSPLIT, $96-0
	MOVQ BX, 56(SP)
	MOVQ R12, 64(SP)
	MOVQ R13, 72(SP)
	MOVQ R14, 80(SP)
	MOVQ R15, 88(SP)

	// A padded image for this thread.
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 16(DI)
	IMULQ 152(DI), AX
	ADDQ  56(DI), AX
	MOVQ  AX, 0(SP)

image:
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 0(DI)
	CMPQ  AX, 8(DI)
	JGE   done
	MOVQ  AX, CX
	IMULQ 64(DI), AX
	ADDQ  24(DI), AX
	IMULQ 72(DI), CX
	ADDQ  32(DI), CX
	MOVQ  CX, 8(SP)
	MOVQ  40(DI), CX
	MOVQ  CX, 16(SP)
	MOVQ  136(DI), CX
	MOVQ  CX, 32(SP)

	// Copy the image, at AX, between the margins, which stay zero.
	MOVQ 0(SP), R8
	MOVQ 120(DI), R9         // row of the padded image
	LEAQ 32(R8)(R9*1), R8
	MOVQ 128(DI), R10        // blocks

copyBlock:
	MOVQ 160(DI), R11        // rows
	MOVQ R8, R13

copyRow:
	MOVQ 168(DI), R12        // pixels
	MOVQ R13, CX

copyPixel:
	VMOVUPS (AX), Y0
	VMOVUPS Y0, (CX)
	ADDQ    $32, AX
	ADDQ    $32, CX
	DECQ    R12
	JNZ     copyPixel
	ADDQ    R9, R13
	DECQ    R11
	JNZ     copyRow
	ADDQ    112(DI), R8
	DECQ    R10
	JNZ     copyBlock
	MOVQ    88(DI), DX
	MOVQ    104(DI), BP
	MOVQ    120(DI), SI
	LEAQ    (SI)(SI*2), AX
	MOVQ    112(DI), R14
	SUBQ    AX, R14          // from the end of the kernel's rows to the next block

pair:
	MOVQ $0, 24(SP)
	MOVQ 48(DI), R15

tile:
	// The last tile overlaps the one before it.
	MOVQ    24(SP), AX
	MOVQ    144(DI), CX
	SUBQ    $6, CX
	CMPQ    AX, CX
	CMOVQGT CX, AX
	MOVQ    AX, 24(SP)
	MOVQ    0(SP), AX
	MOVLQSX 0(R15), R8
	MOVLQSX 4(R15), R9
	MOVLQSX 8(R15), R10
	MOVLQSX 12(R15), R11
	MOVLQSX 16(R15), R12
	MOVLQSX 20(R15), R13
	ADDQ    AX, R8
	ADDQ    AX, R9
	ADDQ    AX, R10
	ADDQ    AX, R11
	ADDQ    AX, R12
	ADDQ    AX, R13
	ADDQ    $24, R15
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
	MOVQ    128(DI), AX
	MOVQ    AX, 40(SP)
	MOVQ    16(SP), AX

block:
	MOVQ AX, BX
	MOVQ $3, CX

kernelRow:
	TAP(0)
	TAP(32)
	TAP(64)
	ADDQ SI, R8
	ADDQ SI, R9
	ADDQ SI, R10
	ADDQ SI, R11
	ADDQ SI, R12
	ADDQ SI, R13
	DECQ CX
	JNZ  kernelRow

	ADDQ R14, R8
	ADDQ R14, R9
	ADDQ R14, R10
	ADDQ R14, R11
	ADDQ R14, R12
	ADDQ R14, R13
	ADDQ 96(DI), AX
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
	CMPQ    AX, 144(DI)
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

// func rectify32()
//
// The second operand of a maximum is what NaN leaves.
TEXT ·rectify32(SB), NOSPLIT, $0-0
	VXORPS Y0, Y0, Y0

chunk:
	MOVQ    $1, AX
	LOCK
	XADDQ   AX, 0(DI)
	CMPQ    AX, 8(DI)
	JGE     done
	IMULQ   24(DI), AX
	MOVQ    32(DI), CX
	SUBQ    AX, CX
	CMPQ    CX, 24(DI)
	CMOVQGT 24(DI), CX
	ADDQ    16(DI), AX

vector:
	VMAXPS  (AX), Y0, Y1
	VMOVUPS Y1, (AX)
	ADDQ    $32, AX
	SUBQ    $32, CX
	JNZ     vector
	JMP     chunk

done:
	VZEROUPPER
	RET

// func rectify16()
//
// On bfloat16: the sign clears all bits, except NaN's.
TEXT ·rectify16(SB), NOSPLIT, $0-0
	VPCMPEQW Y4, Y4, Y4
	VPSRLW   $8, Y4, Y5
	VPSLLW   $7, Y5, Y5      // Inf
	VPSRLW   $1, Y4, Y4      // all but the sign

chunk:
	MOVQ    $1, AX
	LOCK
	XADDQ   AX, 0(DI)
	CMPQ    AX, 8(DI)
	JGE     done
	IMULQ   24(DI), AX
	MOVQ    32(DI), CX
	SUBQ    AX, CX
	CMPQ    CX, 24(DI)
	CMOVQGT 24(DI), CX
	ADDQ    16(DI), AX

vector:
	VMOVDQU  (AX), Y0
	VPSRAW   $15, Y0, Y1
	VPAND    Y4, Y0, Y2
	VPCMPGTW Y5, Y2, Y2
	VPANDN   Y0, Y1, Y1
	VPAND    Y0, Y2, Y2
	VPOR     Y1, Y2, Y1
	VMOVDQU  Y1, (AX)
	ADDQ     $32, AX
	SUBQ     $32, CX
	JNZ      vector
	JMP      chunk

done:
	VZEROUPPER
	RET
