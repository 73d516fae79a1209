// Copies R10 blocks of x, at AX, to padded float32 blocks at R8. The margins stay zero.
// Its labels are used nowhere else.

	MOVQ 112(DI), R9         // row of the padded image
	LEAQ 64(R8)(R9*1), R8

copyBlock:
	MOVQ 144(DI), R11        // rows
	MOVQ R8, R13

copyRow:
	MOVQ 152(DI), R12        // pixels
	MOVQ R13, CX

copyPixel:
	COPY
	ADDQ $PIXEL, AX
	ADDQ $64, CX
	DECQ R12
	JNZ  copyPixel
	ADDQ R9, R13
	DECQ R11
	JNZ  copyRow
	ADDQ 120(DI), R8
	DECQ R10
	JNZ  copyBlock
