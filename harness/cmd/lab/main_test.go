// Helpers of the tests: the test binary as the program itself, in a project folder of its own.

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"depthlab/harness/store"
)

// TestMain makes the test binary the program itself if LAB_TEST_MAIN is set.
func TestMain(m *testing.M) {
	if os.Getenv("LAB_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	// Tests send signals to the programs that they start, which must not inherit signals that
	// this process ignores, because of nohup or a script's "&".
	for _, s := range endings {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	os.Exit(m.Run())
}

// lab returns the program as a process that uses root as its project folder.
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

// stored returns the folder of a net's run in the store, or a path of no folder if it does not
// exist yet.
func stored(t *testing.T, dir, name string) store.Folder {
	t.Helper()
	found, err := fs.Glob(os.DirFS(dir), "results/runs/"+name+"-*")
	if err != nil || len(found) > 1 {
		t.Fatalf("folders %q, %v", found, err)
	}
	if len(found) == 0 {
		return store.Folder(filepath.Join(dir, "results", "runs", "none"))
	}
	return store.Folder(filepath.Join(dir, found[0]))
}

// begun waits until the record of a net's run has more than the given number of lines.
func begun(t *testing.T, dir, name string, lines int) {
	t.Helper()
	for range 6000 {
		if text, err := os.ReadFile(stored(t, dir, name).Record()); err == nil && bytes.Count(text, []byte("\n")) > lines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: nothing happens", name)
}

func code(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
