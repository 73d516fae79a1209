// Tests of signals, and of readers that close or stall the pipe.

package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/harness/testskip"
)

var (
	trials    = flag.Int("trials", 0, "signals sent by TestSignalTrials; 0: a few")
	trialSeed = flag.Uint64("trialseed", 0, "seed of TestSignalTrials; 0: a new one")
)

// A second demand of a person is distinguished from a signal that is sent twice or repeatedly.
func TestDemands(t *testing.T) {
	type sent struct {
		signal os.Signal
		at     float64 // seconds
	}
	const hangup, interrupt, term, xcpu, usr1 = syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGXCPU, syscall.SIGUSR1
	for name, c := range map[string]struct {
		sent []sent
		ends bool // the last signal ends the process
	}{
		"once":                         {[]sent{{term, 0}}, false},
		"timeout sends it twice":       {[]sent{{term, 0}, {term, 0.001}}, false},
		"an impatient Ctrl-C":          {[]sent{{interrupt, 0}, {interrupt, 1}}, true},
		"Ctrl-C, then kill":            {[]sent{{interrupt, 0}, {interrupt, 0.1}, {term, 20}}, true},
		"CPU time is up, every second": {[]sent{{xcpu, 0}, {xcpu, 1}, {xcpu, 2}, {xcpu, 3}}, false},
		"a warning before the end":     {[]sent{{usr1, 0}, {term, 60}}, false},
		"and an end sent twice":        {[]sent{{usr1, 0}, {term, 60}, {term, 60.01}}, false},
		"a terminal that closes":       {[]sent{{hangup, 0}, {hangup, 5}}, false},
		"a hangup behind a Ctrl-C":     {[]sent{{interrupt, 0}, {hangup, 5}}, false},
	} {
		var d demands
		start, ends := time.Now(), false
		for _, s := range c.sent {
			if ends {
				t.Errorf("%s: ended before the last signal", name)
			}
			ends = d.again(s.signal, start.Add(time.Duration(s.at*float64(time.Second))))
		}
		if ends != c.ends {
			t.Errorf("%s: ends %v, want %v", name, ends, c.ends)
		}
	}
}

// reader is what the reader of the program's output does after the first line.
type reader string

const (
	all   reader = "all of it"
	gone  reader = "gone"  // as head -1, or tee after Ctrl-C
	stuck reader = "stuck" // as a pager that nobody scrolls
)

// begin starts the command with standard output and error in one pipe, and returns after its
// first line, or at the end of its output. The function that it returns waits for the command.
func (r reader) begin(t *testing.T, cmd *exec.Cmd) (wait func() (code int, text string)) {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if r == stuck { // the write end stays open here, so that the pipe is not closed
		t.Cleanup(func() { out.Close() })
	} else {
		out.Close()
	}
	text, lines := new(bytes.Buffer), bufio.NewReader(in)
	first, _ := lines.ReadString('\n')
	text.WriteString(first)
	rest := make(chan struct{})
	switch r {
	case gone:
		in.Close()
	case stuck:
		fill(t, out)
	}
	go func() {
		defer close(rest)
		if r == all {
			io.Copy(text, lines)
		}
	}()
	return func() (int, string) {
		err := cmd.Wait()
		<-rest
		in.Close()
		return code(err), text.String()
	}
}

// fill fills a pipe, so that the next write blocks.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	// A file description of its own: O_NONBLOCK must not apply to the program's.
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", pipe.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for _, n := range []int{4096, 1} {
		for err == nil {
			_, err = syscall.Write(fd, make([]byte, n))
		}
		if err != syscall.EAGAIN {
			t.Fatal(err)
		}
		err = nil
	}
}

// kept checks that a stopped run has lost nothing: it is finished, or it has a checkpoint of its
// last step; and it is not locked. It returns the last step.
func kept(t *testing.T, dir, id string) (step int) {
	t.Helper()
	f := stored(t, dir, id)
	rec, err := record.Read(f.Record())
	if err == nil {
		step = rec.Step()
		if rec.Finished() {
			noLocks(t, dir)
			return step
		}
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrEmpty) {
		t.Error(err)
	}
	saved := 0
	if c, warnings, err := state.Latest(f.Checkpoints(), f.Name()); err != nil || len(warnings) > 0 {
		t.Error(warnings, err)
	} else if c != nil {
		saved = c.Step
	}
	if saved != step {
		t.Errorf("saved at step %d, but %d were done", saved, step)
	}
	noLocks(t, dir)
	return step
}

func noLocks(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{"runs/*/lock", "*/*/*.lock"} {
		if left, _ := filepath.Glob(filepath.Join(dir, "results", pattern)); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	}
}

// After the first signal, sent once or twice, with each kind of reader, the program finishes the
// step, saves, and exits with the shell's code; the same command resumes.
func TestSignals(t *testing.T) {
	for i, s := range endings {
		if i > 0 && !testskip.Everything() {
			break
		}
		t.Run(s.String(), func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, dir, "plain-8", "2")
			results, step := filepath.Join(dir, "results", "tiny", "default"), 0
			for _, c := range []struct {
				reader reader
				times  int
			}{{all, 1}, {all, 2}, {gone, 2}, {stuck, 2}} {
				cmd, _, _ := lab(dir, file, "--device", "ref")
				wait := c.reader.begin(t, cmd)
				begun(t, dir, "plain-8-seed0", step+5)
				for range c.times {
					cmd.Process.Signal(s)
					time.Sleep(time.Millisecond)
				}
				got, text := wait()
				if want := 128 + int(s.(syscall.Signal)); got != want {
					t.Errorf("%s, %d times: exit code %d, want %d:\n%s", c.reader, c.times, got, want, text)
				}
				if c.reader == all && !strings.Contains(text, "the same command resumes") {
					t.Errorf("it did not say so:\n%s", text)
				}
				if c.reader == all && step > 0 && !strings.Contains(text, fmt.Sprintf("resumes after step %d", step)) {
					t.Errorf("did not resume after step %d:\n%s", step, text)
				}
				if step = kept(t, dir, "plain-8-seed0"); step == 0 || t.Failed() {
					t.Fatalf("%s, %d times: stopped at step %d", c.reader, c.times, step)
				}
			}
			if log, _ := os.ReadFile(filepath.Join(results, "log.txt")); bytes.Count(log, []byte("resumes after step")) != 3 {
				t.Errorf("the log does not have what could not be printed:\n%s", log)
			}
		})
	}
}

// After a second signal, a second later, the program does not finish the step; if the signal is
// sent twice at once it does.
func TestSecondSignal(t *testing.T) {
	dir := t.TempDir()
	cmd, _, say := lab(dir, write(t, dir, "resnet-110", "64"), "--device", "ref")
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1") // a step takes seconds
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun(t, dir, "resnet-110-seed0", 1)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		t.Fatalf("ended at once:\n%s", say)
	case <-time.After(1100 * time.Millisecond):
	}
	cmd.Process.Signal(syscall.SIGTERM)
	began := time.Now()
	if got := code(<-ended); got != 143 || time.Since(began) > 2*time.Second {
		t.Errorf("exit code %d after %v:\n%s", got, time.Since(began), say)
	}
	if strings.Contains(say.String(), "stopped and saved") {
		t.Errorf("it waited for the step after all:\n%s", say)
	}
}

// Under nohup training continues when the terminal closes.
func TestIgnoredHangup(t *testing.T) {
	dir := t.TempDir()
	cmd, _, _ := lab(dir, write(t, dir, "plain-8", "2"), "--device", "ref")
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`}, cmd.Args...)
	wait := all.begin(t, cmd)
	begun(t, dir, "plain-8-seed0", 3)
	cmd.Process.Signal(syscall.SIGHUP)
	rec, err := record.Read(stored(t, dir, "plain-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	begun(t, dir, "plain-8-seed0", rec.Step()+20)
	cmd.Process.Signal(syscall.SIGTERM)
	if got, text := wait(); got != 143 {
		t.Errorf("exit code %d, want 143:\n%s", got, text)
	}
	kept(t, dir, "plain-8-seed0")
}

// A command that has nothing to save ends at the first signal.
func TestSignalEndsAtOnce(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGQUIT} {
		fifo := filepath.Join(t.TempDir(), "a.yaml")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, _, say := lab(t.TempDir(), "plan", fifo)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var w *os.File // opened when the command reads the file, a FIFO
		for i := 0; w == nil && i < 1000; i++ {
			time.Sleep(10 * time.Millisecond)
			w, _ = os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		}
		cmd.Process.Signal(s)
		if got := code(cmd.Wait()); got != 128+int(s) {
			t.Errorf("%v: exit code %d\n%s", s, got, say)
		}
		w.Close()
	}
}

// Runs that timeout and signals stop at random moments, with all kinds of readers, lose nothing,
// and end with the same bits as an undisturbed run.
func TestSignalTrials(t *testing.T) {
	n := *trials
	if n == 0 {
		n = 5 // one of each kind
	}
	seed := *trialSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed: -trialseed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OMP_NUM_THREADS", "1") // spinning threads are slow on a busy machine
	const id, stop = "plain-8-seed0", 400
	begin := func() (dir, file string) { // on cpu if it has kernels for this machine, else on ref
		dir = t.TempDir()
		if err := os.Symlink(libs, filepath.Join(dir, ".lib")); err != nil {
			t.Fatal(err)
		}
		file = write(t, dir, "plain-8", "2")
		text, _ := os.ReadFile(file)
		text = bytes.Replace(text, []byte("stop: 100000 steps"), fmt.Appendf(nil, "stop: %d steps", stop), 1)
		text = bytes.ReplaceAll(text, []byte("50000 steps"), fmt.Appendf(nil, "%d steps", stop))
		if err := os.WriteFile(file, text, 0o666); err != nil {
			t.Fatal(err)
		}
		return dir, file
	}
	weights := func(dir string) string {
		text, err := os.ReadFile(stored(t, dir, id).Weights())
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}

	dir, file := begin()
	cmd, _, say := lab(dir, file)
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, say)
	}
	takes := time.Since(began)
	want := weights(dir)

	seen := map[string]int{}
	dir, file = begin()
	for i := 0; i < n; {
		readers := []reader{all, gone, stuck}
		reader := readers[r.IntN(len(readers))]
		signal := []syscall.Signal{0, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1}[i%5]
		delay := time.Duration(r.Int64N(int64(takes)))
		cmd, _, _ := lab(dir, file)
		name := "timeout"
		if signal == 0 {
			signal = syscall.SIGTERM
			cmd.Path, cmd.Args = "/usr/bin/env", append([]string{"env", "timeout", "--preserve-status", fmt.Sprint(delay.Seconds() + 0.3)}, cmd.Args...)
			delay = 0
		} else {
			name = signal.String()
		}
		wait := reader.begin(t, cmd)
		if delay > 0 {
			time.AfterFunc(delay, func() { cmd.Process.Signal(signal) })
		}
		switch got, text := wait(); {
		case got == 0: // it is finished
			if weights(dir) != want {
				t.Error("the end differs from an undisturbed run's")
			}
			noLocks(t, dir)
			dir, file = begin()
		case text == "": // the signal came before the program's start
			kept(t, dir, id)
		case got == 128+int(signal):
			kept(t, dir, id)
			seen[fmt.Sprintf("%s, reader %s", name, reader)]++
			i++
		default:
			t.Errorf("exit code %d, want %d\n%s", got, 128+int(signal), text)
		}
		if t.Failed() {
			t.Fatalf("%s after %v, reader %s, trial %d", name, delay, reader, i)
		}
	}
	t.Logf("%d signals, nothing lost, an undisturbed run takes %v: %v", n, takes, seen)
}
