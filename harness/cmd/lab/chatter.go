//go:build linux

// Output of C libraries: it goes to a log file instead of the terminal.

package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"depthlab/harness/machine"
)

// divert redirects the output of C libraries to .cache/xla/log.txt: descriptor 2 becomes the
// file, and os.Stderr a copy of the terminal's descriptor, for this program's messages. Later
// calls do nothing. If the file cannot be written, as in another user's checkout, everything
// goes to the terminal.
func divert(m machine.Machine) (err error) {
	if diverted {
		return nil
	}
	diverted = true
	path := filepath.Join(m.Cache("xla"), "log.txt")
	log, err := createIn(path)
	if err != nil {
		say("messages of XLA's libraries go to the terminal, because their log cannot be written: %v", err)
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

// createIn creates a file, and its folder if it does not exist.
func createIn(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	return os.Create(path)
}
