package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/testskip"
)

// The test's binary is also the program itself.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// lab is the program as a process, with a project folder of its own.
func lab(root string, args ...string) (cmd *exec.Cmd, out, say *bytes.Buffer) {
	cmd, out, say = exec.Command(os.Args[0], args...), new(bytes.Buffer), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), "LAB_TEST_MAIN=1", "DEPTHLAB_ROOT="+root)
	cmd.Stdout, cmd.Stderr = out, say
	return cmd, out, say
}

const tiny = `
question: Does it stop?
nets: [NET]
data: preview
train: 64
batch: BATCH
input: {pad: 2}
batch_norm: {group: 0}
schedule: {at: [], stop: 100000 steps, warmup: none}
log: 1 steps
evaluate: 50000 steps
save: 50000 steps
precision: fp32
`

func write(t *testing.T, dir, net, batch string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "tiny.yaml")
	text := strings.NewReplacer("NET", net, "BATCH", batch).Replace(tiny)
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// begun waits until the run's record has more than so many lines.
func begun(t *testing.T, path string, lines int) {
	t.Helper()
	for range 6000 {
		if text, err := os.ReadFile(path); err == nil && bytes.Count(text, []byte("\n")) > lines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: nothing happens", path)
}

func code(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// The first signal lets the step end and saves; the same command goes on.
func TestSignals(t *testing.T) {
	if testskip.Short(t) {
		testskip.Skip(t, "trains on the plain Go device")
	}
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}} {
		dir := t.TempDir()
		file := write(t, dir, "plain-8", "2")
		runs := filepath.Join(dir, "results", "tiny", "default", "runs")
		for _, lines := range []int{3, 5} { // afresh, and resumed
			cmd, _, say := lab(dir, file, "--device", "ref")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			begun(t, filepath.Join(runs, "plain-8-seed0.jsonl"), lines)
			cmd.Process.Signal(c.signal)
			if got := code(cmd.Wait()); got != c.code || !strings.Contains(say.String(), "the same command goes on") {
				t.Errorf("%v: exit code %d, want %d:\n%s", c.signal, got, c.code, say)
			}
			saved, _ := filepath.Glob(filepath.Join(dir, "results", "tiny", "default", "checkpoints", "*"))
			if len(saved) == 0 {
				t.Errorf("%v: nothing was saved", c.signal)
			}
			if left, _ := filepath.Glob(filepath.Join(runs, "*.lock")); len(left) > 0 {
				t.Errorf("%v: %q is left", c.signal, left)
			}
			if lines == 5 && !strings.Contains(say.String(), "goes on after step") {
				t.Errorf("%v: began anew:\n%s", c.signal, say)
			}
		}
	}
}

// A second signal does not wait for the end of a step.
func TestSecondSignal(t *testing.T) {
	if testskip.Short(t) {
		testskip.Skip(t, "trains on the plain Go device")
	}
	dir := t.TempDir()
	cmd, _, say := lab(dir, write(t, dir, "resnet-56", "64"), "--device", "ref") // a step takes many seconds
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun(t, filepath.Join(dir, "results", "tiny", "default", "runs", "resnet-56-seed0.jsonl"), 1)
	cmd.Process.Signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond)
	cmd.Process.Signal(syscall.SIGTERM)
	began := time.Now()
	if got := code(cmd.Wait()); got != 143 || time.Since(began) > 2*time.Second {
		t.Errorf("exit code %d after %v:\n%s", got, time.Since(began), say)
	}
	if strings.Contains(say.String(), "stopped and saved") {
		t.Errorf("it waited for the step after all:\n%s", say)
	}
}
