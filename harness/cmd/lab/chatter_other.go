//go:build !linux

// On systems other than Linux the output of C libraries is left alone.

package main

import "depthlab/harness/machine"

// divert does nothing: PJRT plugins are for Linux.
func divert(machine.Machine) error { return nil }
