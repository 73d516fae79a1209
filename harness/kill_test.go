package harness

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/disk"
	"depthlab/harness/testskip"
	"depthlab/plots"
)

var (
	kills    = flag.Int("kills", 0, "kills of TestKillAnywhere; 0: a few, 40 without -short")
	killSeed = flag.Uint64("killseed", 0, "seed of TestKillAnywhere; 0: a new one")
)

const (
	envDir  = "DEPTHLAB_TEST_DIR"     // where smallProcess puts its results
	envKill = "DEPTHLAB_TEST_KILL_AT" // the file operation that it is killed in, counted from 1
)

// TestSmallProcess is no test by itself: others start it as a process of its
// own, which trains small, draws its tables, and may be killed on the way.
func TestSmallProcess(t *testing.T) {
	dir := os.Getenv(envDir)
	if dir == "" {
		return
	}
	ops := mortal()
	s := smallSweep(t, dir)
	s.Say = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	records, err := recorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = Alone(context.Background(), string(s.View), func() error { return plots.Draw(string(s.View), plots.Question{Name: "small"}, records) })
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("operations", *ops)
}

// mortal counts this process's file operations and kills it in that of envKill.
func mortal() (ops *int) {
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

// smallProcess starts TestSmallProcess, to be killed at a file operation, 0
// for none. out is complete after Wait.
func smallProcess(t *testing.T, dir string, killAt int) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	return process(t, "TestSmallProcess", dir, killAt)
}

func process(t *testing.T, test, dir string, killAt int) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	cmd, out = exec.Command(os.Args[0], "-test.run=^"+test+"$"), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), envDir+"="+dir, envKill+"="+strconv.Itoa(killAt))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func killed(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

var tables = []string{"table.csv", "table.md", "table.tex"}

func readTables(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range tables {
		text, err := os.ReadFile(filepath.Join(string(asked(dir)), name))
		if err != nil {
			t.Error(err)
		}
		all[name] = string(text)
	}
	return all
}

// A sweep that is killed at random moments, in the midst of writes and at any
// time, and started again, ends with the bits of one that was not.
func TestKillAnywhere(t *testing.T) {
	n := *kills
	if n == 0 {
		n = 40
		if testskip.Short(t) {
			n = 6
		}
	}
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed: -killseed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))

	whole := t.TempDir()
	began := time.Now()
	cmd, out := smallProcess(t, whole, 0)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	takes := time.Since(began)
	_, count, _ := strings.Cut(out.String(), "operations ")
	ops, err := strconv.Atoi(strings.Fields(count)[0])
	if err != nil {
		t.Fatal(err)
	}
	want, wantTables := outcome(t, whole), readTables(t, whole)
	same(t, whole, want, tables...)

	inWrites, anywhere, sweeps := 0, 0, 0
	for inWrites+anywhere < n {
		dir := t.TempDir()
		for {
			at := 0
			if r.IntN(3) > 0 && inWrites+anywhere < n {
				at = 1 + r.IntN(ops)
			}
			cmd, out := smallProcess(t, dir, at)
			if at == 0 && inWrites+anywhere < n {
				time.Sleep(time.Duration(r.Int64N(int64(takes))))
				cmd.Process.Kill()
			}
			err := cmd.Wait()
			if err == nil {
				break
			}
			if !killed(err) {
				t.Fatalf("%v\n%s", err, out)
			}
			if at > 0 {
				inWrites++
			} else {
				anywhere++
			}
		}
		sweeps++
		same(t, dir, want, tables...)
		if got := readTables(t, dir); !reflect.DeepEqual(got, wantTables) {
			t.Errorf("tables %v, want %v", got, wantTables)
		}
		if t.Failed() {
			t.Fatalf("after %d kills", inWrites+anywhere)
		}
	}
	t.Logf("%d kills in file operations (of %d) and %d at any time, in %d sweeps", inWrites, ops, anywhere, sweeps)
}

// Two processes on one folder share its runs: together they do the work of one.
func TestTwoProcesses(t *testing.T) {
	want := undisturbed(t)
	dir := t.TempDir()
	var outs [2]*bytes.Buffer
	var all sync.WaitGroup
	for i := range outs {
		cmd, out := smallProcess(t, dir, 0)
		outs[i] = out
		all.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	same(t, dir, want, tables...)
	// Each run has one start: a second process would have set it aside, or begun it anew.
	text := outs[0].String() + outs[1].String()
	if strings.Contains(text, "failed") {
		t.Errorf("they did not share:\n%s", text)
	}
}

// The second process waits for a run in hand, and takes it over when its
// process is killed.
func TestTakesOverFromTheDead(t *testing.T) {
	want := undisturbed(t)
	dir := t.TempDir()
	s := smallSweep(t, dir)
	var mine []string // runs that the first process has in hand
	first, out := smallProcess(t, dir, 0)
	for range 3000 { // until it is under way
		mine, _ = filepath.Glob(filepath.Join(dir, "runs", "*", "lock"))
		if len(mine) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if len(mine) == 0 {
		t.Fatalf("it never began\n%s", out)
	}
	first.Process.Signal(syscall.SIGSTOP) // alive, but slow
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	select {
	case err := <-done:
		t.Fatalf("went on with a run in hand: %v", err)
	case <-time.After(2 * time.Second):
	}
	first.Process.Kill()
	first.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	same(t, dir, want)
}

// Killed in any operation on its files, the index of photos is made anew, or
// is whole, and nothing is left over.
func TestKilledWhileIndexing(t *testing.T) {
	index := func(root string) (*data.Source, error) {
		return Machine{Root: root}.Load(context.Background(), "imagenet", data.FolderOptions{Size: 16})
	}
	if root := os.Getenv(envDir); root != "" {
		mortal()
		if _, err := index(root); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Setenv("DEPTHLAB_IMAGENET", photoFolder(t))
	want, err := index(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := 1
	for ; ; at++ {
		root := t.TempDir()
		cmd, out := process(t, "TestKilledWhileIndexing", root, at)
		err := cmd.Wait()
		if err != nil && !killed(err) {
			t.Fatalf("%v\n%s", err, out)
		}
		got, failed := index(root)
		if failed != nil || got.Checksum != want.Checksum {
			t.Errorf("killed in operation %d: %v", at, failed)
		}
		if left, _ := os.ReadDir(filepath.Join(root, ".cache", "photos")); len(left) != 1 {
			t.Errorf("killed in operation %d: %v is left, want the index", at, left)
		}
		if err == nil {
			break
		}
	}
	if at < 10 { // a lock, and an index
		t.Errorf("only %d file operations", at)
	}
}
