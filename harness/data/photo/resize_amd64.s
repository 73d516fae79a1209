#include "textflag.h"

// Two pixels of RGBX to pairs of words: r0 r1 g0 g1 b0 b1 x0 x1.
DATA pairs<>+0(SB)/8, $0x8005800180048000
DATA pairs<>+8(SB)/8, $0x8007800380068002
GLOBL pairs<>(SB), RODATA|NOPTR, $16

DATA half<>+0(SB)/4, $8192
GLOBL half<>(SB), RODATA|NOPTR, $4

// func acrossAVX2(dst, src []uint8, offset []int32, weight []int16, n, left int)
TEXT ·acrossAVX2(SB), NOSPLIT, $0-112
	MOVQ dst_base+0(FP), DI
	MOVQ src_base+24(FP), SI
	MOVQ offset_base+48(FP), R8
	MOVQ offset_len+56(FP), R9
	MOVQ weight_base+72(FP), R10
	MOVQ n+96(FP), R11
	MOVQ left+104(FP), AX
	SHLQ $2, AX
	SUBQ AX, SI
	VPBROADCASTD half<>(SB), X7
	VMOVDQU pairs<>(SB), X6
	TESTQ R9, R9
	JZ   done

pixel:
	MOVLQSX (R8), AX
	LEAQ    (SI)(AX*4), BX
	VMOVDQA X7, X0
	MOVQ    R11, CX

tap:
	VMOVQ        (BX), X1
	VPSHUFB      X6, X1, X1
	VPBROADCASTD (R10), X2
	VPMADDWD     X2, X1, X1
	VPADDD       X1, X0, X0
	ADDQ         $8, BX
	ADDQ         $4, R10
	SUBQ         $2, CX
	JNZ          tap

	VPSRAD    $14, X0, X0
	VPACKSSDW X0, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVD     X0, (DI)
	ADDQ      $4, DI
	ADDQ      $4, R8
	DECQ      R9
	JNZ       pixel

done:
	VZEROUPPER
	RET

// func downAVX2(dst, src []uint8, pitch int, weight []int16)
TEXT ·downAVX2(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), R9
	MOVQ src_base+24(FP), SI
	MOVQ pitch+48(FP), R8
	MOVQ weight_base+56(FP), R10
	MOVQ weight_len+64(FP), R11
	VPBROADCASTD half<>(SB), Y7
	TESTQ R9, R9
	JLE  end

chunk:
	VMOVDQA Y7, Y0
	VMOVDQA Y7, Y1
	MOVQ    SI, BX
	MOVQ    R10, DX
	MOVQ    R11, CX

rows:
	VPMOVZXBW    (BX), Y2
	VPMOVZXBW    (BX)(R8*1), Y3
	VPBROADCASTD (DX), Y5
	VPUNPCKLWD   Y3, Y2, Y4
	VPUNPCKHWD   Y3, Y2, Y2
	VPMADDWD     Y5, Y4, Y4
	VPMADDWD     Y5, Y2, Y2
	VPADDD       Y4, Y0, Y0
	VPADDD       Y2, Y1, Y1
	LEAQ         (BX)(R8*2), BX
	ADDQ         $4, DX
	SUBQ         $2, CX
	JNZ          rows

	VPSRAD       $14, Y0, Y0
	VPSRAD       $14, Y1, Y1
	VPACKSSDW    Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSWB    X1, X0, X0
	VMOVDQU      X0, (DI)
	ADDQ         $16, SI
	ADDQ         $16, DI
	SUBQ         $16, R9
	JG           chunk

end:
	VZEROUPPER
	RET

// Four pixels of RGBX to four bytes of each.
DATA fours<>+0(SB)/8, $0x0d0905010c080400
DATA fours<>+8(SB)/8, $0x0f0b07030e0a0602
GLOBL fours<>(SB), RODATA|NOPTR, $16

// func splitRows(red, green, blue, src *uint8, n int, amounts *[6]uint8)
TEXT ·splitRows(SB), NOSPLIT, $0-48
	MOVQ red+0(FP), DI
	MOVQ green+8(FP), R8
	MOVQ blue+16(FP), R9
	MOVQ src+24(FP), SI
	MOVQ n+32(FP), CX
	MOVQ amounts+40(FP), AX
	VPBROADCASTB 0(AX), X8
	VPBROADCASTB 1(AX), X9
	VPBROADCASTB 2(AX), X10
	VPBROADCASTB 3(AX), X11
	VPBROADCASTB 4(AX), X12
	VPBROADCASTB 5(AX), X13
	VMOVDQU fours<>(SB), X7

sixteen:
	VMOVDQU     0(SI), X0
	VMOVDQU     16(SI), X1
	VMOVDQU     32(SI), X2
	VMOVDQU     48(SI), X3
	VPSHUFB     X7, X0, X0
	VPSHUFB     X7, X1, X1
	VPSHUFB     X7, X2, X2
	VPSHUFB     X7, X3, X3
	VPUNPCKLDQ  X1, X0, X4
	VPUNPCKHDQ  X1, X0, X0
	VPUNPCKLDQ  X3, X2, X5
	VPUNPCKHDQ  X3, X2, X2
	VPUNPCKLQDQ X5, X4, X1
	VPUNPCKHQDQ X5, X4, X4
	VPUNPCKLQDQ X2, X0, X0
	VPADDUSB    X8, X1, X1
	VPADDUSB    X9, X4, X4
	VPADDUSB    X10, X0, X0
	VPSUBUSB    X11, X1, X1
	VPSUBUSB    X12, X4, X4
	VPSUBUSB    X13, X0, X0
	VMOVDQU     X1, (DI)
	VMOVDQU     X4, (R8)
	VMOVDQU     X0, (R9)
	ADDQ        $64, SI
	ADDQ        $16, DI
	ADDQ        $16, R8
	ADDQ        $16, R9
	SUBQ        $16, CX
	JG          sixteen
	VZEROUPPER
	RET
