#include "textflag.h"

// func Call(fn uintptr, task unsafe.Pointer, thread int)
//
// As on amd64. The C function saves R19, and does not use R18 and R28 (g).
TEXT ·Call(SB), 0, $4096-24
	MOVD fn+0(FP), R3
	MOVD task+8(FP), R0
	MOVD thread+16(FP), R1
	MOVD RSP, R19
	MOVD $4096, R2
	ADD  R19, R2, R2
	AND  $~15, R2, R2
	MOVD R2, RSP
	CALL (R3)
	MOVD R19, RSP
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	YIELD
	RET
