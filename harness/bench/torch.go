// Package bench times training steps, alone and side by side with another
// framework in one run.
package bench

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed torch_step.py
var torchStep []byte

// torch is a PyTorch process that runs steps when it is told to.
type torch struct {
	version string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	dir     string
}

// startTorch starts PyTorch on the net with the interpreter python.
func startTorch(python, net string, batch int, precision string, threads int) (t *torch, err error) {
	t = &torch{}
	if t.dir, err = os.MkdirTemp("", "depthlab-bench"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(t.dir)
		}
	}()
	script := filepath.Join(t.dir, "torch_step.py")
	if err := os.WriteFile(script, torchStep, 0o666); err != nil {
		return nil, err
	}
	t.cmd = exec.Command(python, script, net, strconv.Itoa(batch), precision, strconv.Itoa(threads))
	t.cmd.Stderr = os.Stderr
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewScanner(out)
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("--against-torch %s: %w", python, err)
	}
	line, err := t.line()
	version, ok := strings.CutPrefix(line, "ready ")
	if err != nil || !ok {
		t.cmd.Wait()
		return nil, fmt.Errorf("--against-torch %s: PyTorch did not start; is torch installed there (pip install torch)?", python)
	}
	t.version = version
	return t, nil
}

func (t *torch) line() (string, error) {
	if !t.out.Scan() {
		return "", fmt.Errorf("PyTorch stopped: %w", io.ErrUnexpectedEOF)
	}
	return t.out.Text(), nil
}

// run takes n steps.
func (t *torch) run(n int) (time.Duration, error) {
	if _, err := fmt.Fprintln(t.in, n); err != nil {
		return 0, err
	}
	line, err := t.line()
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseFloat(line, 64)
	return time.Duration(seconds * float64(time.Second)), err
}

func (t *torch) close() error {
	t.in.Close()
	err := t.cmd.Wait()
	os.RemoveAll(t.dir)
	return err
}
