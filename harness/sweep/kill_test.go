// Tests of killed processes, and of two processes that share a folder.

package sweep_test

import (
	"bytes"
	"context"
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

	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
	"depthlab/plots"
)

var (
	kills    = flag.Int("kills", 0, "kills of TestKillAnywhere; 0: 6, or 40 with --all")
	killSeed = flag.Uint64("killseed", 0, "seed of TestKillAnywhere; 0: the time")
)

// TestSmallProcess is not a test. Other tests start it as a process that trains sweeptest.Small and
// draws its tables, and that may be killed.
func TestSmallProcess(t *testing.T) {
	dir := os.Getenv(sweeptest.EnvDir)
	if dir == "" {
		return
	}
	ops := sweeptest.Mortal()
	s := sweeptest.NewSmall(t, dir)
	s.Say = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	records, err := sweeptest.Recorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = s.View.Alone(context.Background(), func() error { return plots.Draw(string(s.View), plots.Question{Name: "small"}, records) })
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("operations", *ops)
}

// smallProcess starts TestSmallProcess, to be killed at a file operation; 0 for none. out is
// complete after Wait.
func smallProcess(t *testing.T, dir string, killAt int) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	return sweeptest.Process(t, "TestSmallProcess", dir, killAt)
}

// tables are the same after each uninterrupted sweep. curves.csv has times, so it may differ.
var (
	tables = []string{"table.csv", "table.md", "table.tex"}
	drawn  = append([]string{"curves.csv"}, tables...)
)

func readTables(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range tables {
		text, err := os.ReadFile(filepath.Join(string(sweeptest.Asked(dir)), name))
		if err != nil {
			t.Error(err)
		}
		all[name] = string(text)
	}
	return all
}

// A sweep that is killed at random moments, in the middle of writes and at any other time, and
// started again, ends with the bits of an uninterrupted one.
func TestKillAnywhere(t *testing.T) {
	n := *kills
	if n == 0 {
		n = 40
		if !testskip.Everything() {
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
	want, wantTables := sweeptest.Outcome(t, whole), readTables(t, whole)
	sweeptest.Same(t, whole, want, drawn...)

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
			if !sweeptest.Killed(err) {
				t.Fatalf("%v\n%s", err, out)
			}
			if at > 0 {
				inWrites++
			} else {
				anywhere++
			}
		}
		sweeps++
		sweeptest.Same(t, dir, want, drawn...)
		if got := readTables(t, dir); !reflect.DeepEqual(got, wantTables) {
			t.Errorf("tables %v, want %v", got, wantTables)
		}
		if t.Failed() {
			t.Fatalf("after %d kills", inWrites+anywhere)
		}
	}
	t.Logf("%d kills in file operations (of %d) and %d at any time, in %d sweeps", inWrites, ops, anywhere, sweeps)
}

// Two processes on one folder share its runs, and train each run once.
func TestTwoProcesses(t *testing.T) {
	want := sweeptest.Undisturbed(t)
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
	sweeptest.Same(t, dir, want, drawn...)
	// A run that both processes began would have failed in one of them.
	text := outs[0].String() + outs[1].String()
	if strings.Contains(text, "failed") {
		t.Errorf("a run failed:\n%s", text)
	}
}

// A second process waits for a run that another one trains, and takes it over when that is killed.
func TestTakesOverFromTheDead(t *testing.T) {
	want := sweeptest.Undisturbed(t)
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	var mine []string // runs that the first process trains
	first, out := smallProcess(t, dir, 0)
	for range 3000 { // until it trains
		mine, _ = filepath.Glob(filepath.Join(dir, "runs", "*", "lock"))
		if len(mine) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if len(mine) == 0 {
		t.Fatalf("it never began\n%s", out)
	}
	first.Process.Signal(syscall.SIGSTOP) // alive, but not running
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	select {
	case err := <-done:
		t.Fatalf("the second process did not wait: %v", err)
	case <-time.After(2 * time.Second):
	}
	first.Process.Kill()
	first.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	sweeptest.Same(t, dir, want)
}
