//go:build !linux

package main

import "depthlab/harness/machine"

// divert does nothing: PJRT plugins are for Linux.
func divert(machine.Machine) error { return nil }
