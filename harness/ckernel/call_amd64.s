#include "textflag.h"

// func Call(fn uintptr, task unsafe.Pointer, thread int)
//
// Calls a C function that saves BX and needs less than 4000 bytes of stack. The stack
// is this function's frame, so Go's prologue grows the goroutine's stack if needed.
TEXT ·Call(SB), 0, $4096-24
	MOVQ fn+0(FP), AX
	MOVQ task+8(FP), DI
	MOVQ thread+16(FP), SI
	MOVQ SP, BX
	LEAQ 4096(SP), CX
	ANDQ $~63, CX
	MOVQ CX, SP
	CALL AX
	MOVQ BX, SP
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	PAUSE
	RET
