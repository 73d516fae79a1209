// The body of wideGradWeight32 and wideGradWeight16. Define RUN and STEP before
// including it. A step is a pixel of y, or a pair of pixels.
//
// Frame: 0 scratch of this thread, 8 first image, 16 end of the group, 24 end
// of the chunk, 32 sums, 40 output block, 48 input block, 56 half of its
// channels, 64 kernel row, 72... saved registers, 120 scratch of the current
// image, 128 current image.

	MOVQ BX, 72(SP)
	MOVQ R12, 80(SP)
	MOVQ R13, 88(SP)
	MOVQ R14, 96(SP)
	MOVQ R15, 104(SP)
	VMOVDQU16 ·interleave(SB), Z31

	// A scratch for this thread.
	MOVQ  $1, AX
	LOCK
	XADDQ AX, 16(DI)
	IMULQ 56(DI), AX
	ADDQ  48(DI), AX
	MOVQ  AX, 0(SP)

chunk:
	MOVQ  $1, R8
	LOCK
	XADDQ R8, 0(DI)
	CMPQ  R8, 8(DI)
	JGE   done
	MOVQ  R8, AX
	IMULQ 136(DI), AX
	XORL  DX, DX
	DIVQ  8(DI)
	MOVQ  AX, 16(SP)         // the first image, as the end of no group
	LEAQ  1(R8), AX
	IMULQ 136(DI), AX
	XORL  DX, DX
	DIVQ  8(DI)
	MOVQ  AX, 24(SP)
	IMULQ 96(DI), R8
	ADDQ  40(DI), R8
	MOVQ  R8, 32(SP)
	MOVQ  96(DI), CX
	VPXORQ Z0, Z0, Z0

clear:
	VMOVUPS Z0, (R8)
	ADDQ    $64, R8
	SUBQ    $64, CX
	JNZ     clear

group:
	MOVQ    16(SP), AX
	MOVQ    AX, 8(SP)
	CMPQ    AX, 24(SP)
	JGE     chunk
	MOVQ    AX, 128(SP)
	ADDQ    144(DI), AX
	CMPQ    AX, 24(SP)
	CMOVQGT 24(SP), AX
	MOVQ    AX, 16(SP)
	MOVQ    0(SP), AX
	MOVQ    AX, 120(SP)

	// Lay out x in the scratch, between margins of zeros.
prepare:
	MOVQ  128(SP), R8
	IMULQ 64(DI), R8
	ADDQ  24(DI), R8         // the image
	MOVQ  120(SP), R9
	MOVQ  104(DI), R10       // blocks

prepareBlock:
	MOVQ R9, R11
	ADDQ 152(DI), R11        // the row above stays zero
	MOVQ 192(DI), R12        // rows

prepareRow:
	LEAQ 200(DI), R13        // the runs

prepareRun:
	MOVQ  16(R13), CX        // pixels or pairs
	TESTQ CX, CX
	JZ    nextRow
	MOVQ  R8, SI
	ADDQ  0(R13), SI
	MOVQ  R11, BX
	ADDQ  8(R13), BX
	MOVQ  184(DI), R14       // from a pixel to its partner in a pair
	RUN
	ADDQ  $32, R13
	JMP   prepareRun

nextRow:
	ADDQ 88(DI), R8
	ADDQ 152(DI), R11
	DECQ R12
	JNZ  prepareRow
	ADDQ 160(DI), R9
	DECQ R10
	JNZ  prepareBlock
	MOVQ R9, 120(SP)
	MOVQ 128(SP), AX
	INCQ AX
	MOVQ AX, 128(SP)
	CMPQ AX, 16(SP)
	JLT  prepare

	MOVQ $0, 40(SP)
	MOVQ 32(SP), R15         // the sums in work

outBlock:
	MOVQ $0, 48(SP)

inBlock:
	MOVQ $0, 64(SP)

kernelRow:
	MOVQ $0, 56(SP)

half:
	ALLSUMS(LOAD)
	MOVQ 328(DI), R14        // in x, from one step to the next

	MOVQ  8(SP), R10         // image
	MOVQ  48(SP), R11
	IMULQ 160(DI), R11
	ADDQ  0(SP), R11
	MOVQ  64(SP), AX
	IMULQ 152(DI), AX
	ADDQ  AX, R11
	MOVQ  56(SP), AX
	ADDQ  AX, R11            // its scratch, at the block, kernel row and half

image:
	MOVQ  R10, SI
	IMULQ 72(DI), SI
	MOVQ  40(SP), AX
	IMULQ 80(DI), AX
	ADDQ  AX, SI
	ADDQ  32(DI), SI         // dy
	MOVQ  R11, R8
	MOVQ  120(DI), R9        // rows

	// The loop also prefetches the next group: x in the first pass, dy in the
	// second. R13 is the distance from SI to the prefetched address.
	XORL R13, R13
	CMPQ 64(SP), $0
	JNE  row
	CMPQ 56(SP), $0
	JNE  nextDY
	MOVQ  R10, R13
	ADDQ  144(DI), R13
	IMULQ 64(DI), R13
	ADDQ  24(DI), R13
	MOVQ  88(DI), AX
	IMULQ 192(DI), AX
	IMULQ 48(SP), AX
	ADDQ  AX, R13
	SUBQ  SI, R13
	JMP   row

nextDY:
	MOVQ  144(DI), R13
	IMULQ 72(DI), R13

row:
	MOVQ R8, AX
	MOVQ R8, CX
	ADDQ 168(DI), CX
	MOVQ R8, DX
	ADDQ 176(DI), DX
	MOVQ 128(DI), BX

step:
	PREFETCHT1 (SI)(R13*1)
	STEP
	ADDQ $64, SI
	ADDQ R14, AX
	ADDQ R14, CX
	ADDQ R14, DX
	DECQ BX
	JNZ  step

	ADDQ 112(DI), R8         // the next row of y
	DECQ R9
	JNZ  row
	MOVQ 104(DI), AX
	IMULQ 160(DI), AX
	ADDQ AX, R11
	INCQ R10
	CMPQ R10, 16(SP)
	JLT  image

	ALLSUMS(STORE)
	ADDQ $512, R15           // the other half of the channels
	MOVQ 56(SP), AX
	ADDQ $32, AX
	MOVQ AX, 56(SP)
	CMPQ AX, $64
	JLT  half
	ADDQ $2048, R15          // the next three taps
	MOVQ 64(SP), AX
	INCQ AX
	MOVQ AX, 64(SP)
	CMPQ AX, $3
	JLT  kernelRow
	MOVQ 48(SP), AX
	INCQ AX
	MOVQ AX, 48(SP)
	CMPQ AX, 104(DI)
	JLT  inBlock
	MOVQ 40(SP), AX
	INCQ AX
	MOVQ AX, 40(SP)
	MOVQ AX, R8
	IMULQ 80(DI), R8         // all of an image's blocks done?
	CMPQ R8, 72(DI)
	JLT  outBlock
	JMP  group

done:
	VZEROUPPER
	MOVQ 72(SP), BX
	MOVQ 80(SP), R12
	MOVQ 88(SP), R13
	MOVQ 96(SP), R14
	MOVQ 104(SP), R15
	RET
