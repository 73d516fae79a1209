// Other frameworks, in processes of their own.

package bench

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
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

//go:embed jax_step.py
var jaxStep []byte

// rival is another framework in a process of its own. The process prints the line "ready
// VERSION" or "skip REASON". Then, for each line with a number of steps on its standard input,
// it runs them and prints the seconds (torch_step.py, jax_step.py).
type rival struct {
	name    string
	version string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	log     bytes.Buffer // standard error
	dir     string       // temporary folder with the script
}

// startRival starts a script with the interpreter python, and waits until it has warmed up.
// variables are added to its environment. The error is the reason to skip it, or ctx's if ctx was
// canceled.
func startRival(ctx context.Context, name, python string, script []byte, variables []string, args ...string) (_ *rival, err error) {
	r := &rival{name: name}
	if r.dir, err = os.MkdirTemp("", "depthlab-bench"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	file := filepath.Join(r.dir, "step.py")
	if err := os.WriteFile(file, script, 0o666); err != nil {
		return nil, err
	}
	r.cmd = exec.CommandContext(ctx, python, append([]string{file}, args...)...)
	r.cmd.Env = append(os.Environ(), variables...)
	r.cmd.Stderr, r.cmd.WaitDelay = &r.log, time.Second
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewScanner(out)
	var line string
	if err = r.cmd.Start(); err == nil {
		line, err = r.line()
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, errors.New("it was not ready in time")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	if reason, skip := strings.CutPrefix(line, "skip "); skip {
		return nil, errors.New(reason)
	}
	r.version = strings.TrimPrefix(line, "ready ")
	return r, nil
}

// line reads the next line of the process. If the process has ended, the error is the last
// line of its standard error.
func (r *rival) line() (string, error) {
	if r.out.Scan() {
		return r.out.Text(), nil
	}
	r.cmd.Wait() // completes r.log
	log := strings.TrimSpace(r.log.String())
	return "", fmt.Errorf("the process ended (%v): %s", r.cmd.ProcessState, log[strings.LastIndexByte(log, '\n')+1:])
}

// run runs n steps and returns their time.
func (r *rival) run(n int) (time.Duration, error) {
	if _, err := fmt.Fprintln(r.in, n); err != nil {
		return 0, err
	}
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseFloat(line, 64)
	return time.Duration(seconds * float64(time.Second)), err
}

// close ends the process and removes its folder.
func (r *rival) close() {
	if r.in != nil {
		r.in.Close()
	}
	if r.cmd != nil && r.cmd.Process != nil {
		r.cmd.Wait()
	}
	os.RemoveAll(r.dir)
}
