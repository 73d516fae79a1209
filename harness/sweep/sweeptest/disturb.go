// Ways to disturb a sweep: it is stopped, killed, or its device is wrong.

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

// StopAfter is a context that ends once it was asked n times: the process is told to
// stop somewhere between its events.
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
	EnvDir  = "DEPTHLAB_TEST_DIR"     // where a process of Process puts its results
	envKill = "DEPTHLAB_TEST_KILL_AT" // the file operation that it is killed in, counted from 1
)

// Mortal counts this process's file operations and kills it in that of envKill.
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
		if *ops == killAt { // a write: killed when half of it is done
			dying = true
			return bytes / 2, errors.New("about to be killed")
		}
		return 0, nil
	}
	return ops
}

// Process starts a test of this program as a process of its own, with EnvDir set, to be
// killed at a file operation (0 for none) if it calls Mortal. out is complete after Wait.
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

// Killed says whether a process ended by being killed.
func Killed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// Faulty is a device whose sessions change what they read, or compute, of one
// buffer.
type Faulty struct {
	device.Device
	Buffer string
	Scale  float32 // of its values
	OnRead bool
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
