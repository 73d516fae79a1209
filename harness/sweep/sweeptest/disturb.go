// Disturbances of a sweep: signals, kills, and wrong devices.

package sweeptest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/disk"
)

// StopAfter is a context that ends after n calls of Err, as if a signal came between two events.
func StopAfter(n int) context.Context {
	s := &stopping{Context: context.Background()}
	s.left.Store(int64(n))
	return s
}

type stopping struct {
	context.Context
	left atomic.Int64
}

func (s *stopping) Err() error {
	if s.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

const (
	EnvDir  = "DEPTHLAB_TEST_DIR"     // results folder of a process started by Process
	envKill = "DEPTHLAB_TEST_KILL_AT" // the file operation in which it is killed, counted from 1
)

// Mortal counts the file operations of this process, and kills it in the one of envKill.
func Mortal() (ops *int) {
	killAt, _ := strconv.Atoi(os.Getenv(envKill))
	ops = new(int)
	dying := false
	disk.Fault = func(op, _ string, bytes int) (int, error) {
		*ops++
		if dying || *ops == killAt && op != "write" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if *ops == killAt { // a write: kill the process after half of it
			dying = true
			return bytes / 2, errors.New("about to be killed")
		}
		return 0, nil
	}
	return ops
}

// Process starts a test of this program as another process, with EnvDir set. If the test calls
// Mortal, the process is killed at file operation killAt (0 for none). out is complete after Wait.
func Process(t *testing.T, test, dir string, killAt int) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	cmd, out = exec.Command(os.Args[0], "-test.run=^"+test+"$"), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), EnvDir+"="+dir, envKill+"="+strconv.Itoa(killAt))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// Killed reports whether a process ended with SIGKILL.
func Killed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// Faulty is a device that multiplies one buffer by Scale, after each launch or when it is read.
type Faulty struct {
	device.Device
	Buffer string
	Scale  float32
	OnRead bool // when it is read
}

type faultySession struct {
	device.Session
	*Faulty
}

func (f Faulty) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := f.Device.Open(p, o)
	return &faultySession{s, &f}, err
}

func (f *faultySession) change(x []float32) {
	for i := range x {
		x[i] *= f.Scale
	}
}

func (f *faultySession) Read(name string, dst any) error {
	err := f.Session.Read(name, dst)
	if x, ok := dst.([]float32); ok && f.OnRead && name == f.Buffer {
		f.change(x)
	}
	return err
}

func (f *faultySession) Train(p device.Launch, m []device.Metric) error {
	if err := f.Session.Train(p, m); err != nil || f.OnRead {
		return err
	}
	if f.Buffer == "loss" {
		m[len(m)-1].Loss *= f.Scale
		return nil
	}
	x := make([]float32, 16)
	if err := f.Session.Read(f.Buffer, x); err != nil {
		return err
	}
	f.change(x)
	return f.Session.Write(f.Buffer, x)
}
