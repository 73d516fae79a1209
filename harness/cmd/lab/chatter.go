//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"depthlab/harness"
)

// divert sends what C libraries print to a log file, once: descriptor 2 becomes
// the file, and what this program says goes on to the terminal.
func divert(m harness.Machine) (err error) {
	if diverted {
		return nil
	}
	diverted = true
	path := filepath.Join(m.Root, ".cache", "xla", "log.txt")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	terminal, err := syscall.Dup(2)
	if err != nil {
		return err
	}
	syscall.CloseOnExec(terminal)
	if err := syscall.Dup3(int(log.Fd()), 2, 0); err != nil {
		return err
	}
	os.Stderr = os.NewFile(uintptr(terminal), "/dev/stderr")
	return debug.SetCrashOutput(os.Stderr, debug.CrashOptions{})
}
