//go:build !linux

package main

import "depthlab/harness"

// divert does nothing: PJRT plugins are for Linux.
func divert(harness.Machine) error { return nil }
