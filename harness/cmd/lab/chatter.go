//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"depthlab/harness/machine"
)

// divert sends what C libraries print to a log file, once: descriptor 2 becomes
// the file, and what this program says goes on to the terminal. Where the file
// cannot be written, as in another user's checkout, all goes to the terminal.
func divert(m machine.Machine) (err error) {
	if diverted {
		return nil
	}
	diverted = true
	path := filepath.Join(m.Cache("xla"), "log.txt")
	log, err := createIn(path)
	if err != nil {
		say("what XLA's libraries print comes to the terminal, as their log cannot be written: %v", err)
		return nil
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

// createIn makes a file, and its folder if need be.
func createIn(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	return os.Create(path)
}
