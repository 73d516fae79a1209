//go:build linux

// Tests of where the output of C libraries goes.

package main

import (
	"os"
	"path/filepath"
	"testing"

	"depthlab/harness/machine"
)

// A log that cannot be written is no error: doctor, for example, can do without it.
func TestDivertWithoutItsLog(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, ".cache"), nil, 0o666); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	before := os.Stderr
	defer func(was bool) { diverted = was }(diverted)
	diverted = false
	if err := divert(machine.Machine{Root: root}); err != nil {
		t.Error(err)
	}
	if os.Stderr != before {
		t.Error("standard error is no longer the terminal")
	}
}
