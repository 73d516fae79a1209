// Tests of disk faults and full disks.

package sweep_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"depthlab/harness"
	"depthlab/harness/disk"
	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
	"depthlab/nets"
)

// If any operation of the disk fails, the sweep ends with an error that says so. When the disk works
// again, the sweep has the results of an uninterrupted one.
func TestEveryDiskFault(t *testing.T) {
	want := sweeptest.Undisturbed(t)
	t.Cleanup(func() { disk.Fault = nil })
	var ops []string // of a whole sweep
	disk.Fault = func(op, path string, _ int) (int, error) {
		ops = append(ops, op+" "+filepath.Ext(path))
		return 0, nil
	}
	dir := t.TempDir()
	if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	disk.Fault = nil
	sweeptest.Same(t, dir, want)

	// Every kind of operation on every kind of file, first, last and between.
	places := map[string][]int{}
	for i, op := range ops {
		places[op] = append(places[op], i)
	}
	tried := 0
	for _, op := range slices.Sorted(maps.Keys(places)) {
		if strings.HasPrefix(op, "free") {
			continue
		}
		at := places[op]
		pick := []int{at[len(at)/2]}
		if testskip.Everything() {
			pick = append(pick, at[0], at[len(at)-1])
		}
		for _, at := range slices.Compact(pick) {
			fault := []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS}[tried%3]
			tried++
			dir, n := t.TempDir(), 0
			disk.Fault = func(_, _ string, bytes int) (int, error) {
				if n++; n > at {
					return bytes / 2, fault // this and all later operations
				}
				return 0, nil
			}
			err := sweeptest.NewSmall(t, dir).Run(context.Background())
			disk.Fault = nil
			var bad *disk.Error
			if !errors.As(err, &bad) || !errors.Is(err, fault) || !strings.Contains(err.Error(), dir) {
				t.Errorf("operation %d (%s) failed with %v, the sweep's error is: %v", at, op, fault, err)
			}
			if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
				t.Errorf("after a fault at operation %d (%s): %v", at, op, err)
			}
			sweeptest.Same(t, dir, want)
			if t.Failed() {
				t.Fatalf("at operation %d (%s) of %d", at, op, len(ops))
			}
		}
	}
	t.Logf("%d faults, of %d kinds, at a sweep of %d operations", tried, len(places), len(ops))
}

// If the results folder is removed during a sweep, the sweep ends with an error that says so.
func TestFolderVanishes(t *testing.T) {
	want := sweeptest.Undisturbed(t)
	t.Cleanup(func() { disk.Fault = nil })
	dir := filepath.Join(t.TempDir(), "results")
	steps := 0
	disk.Fault = func(op, path string, _ int) (int, error) {
		if op == "write" && filepath.Ext(path) == ".jsonl" {
			if steps++; steps == 5 {
				os.RemoveAll(dir)
			}
		}
		return 0, nil
	}
	err := sweeptest.NewSmall(t, dir).Run(context.Background())
	disk.Fault = nil
	var bad *disk.Error
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "moved or removed") {
		t.Errorf("error %v, want one that says that the folder is gone", err)
	}
	if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	sweeptest.Same(t, dir, want)
}

// A file system that is really full, and then enlarged: a small tmpfs in a process with its own
// mounts.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(envDisk); dir != "" {
		fullDisk(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=1m none "$0" && exec "$1" -test.run=^TestFullDisk$ -test.v`, dir, os.Args[0])
	cmd.Env = append(os.Environ(), envDisk+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "--- FAIL") {
		testskip.Skip(t, "no small disk can be mounted here: %v: %s", err, out)
	}
	if err != nil {
		t.Errorf("%s", out)
	}
}

const envDisk = "DEPTHLAB_TEST_DISK" // the mount point of TestFullDisk's process

func fullDisk(t *testing.T, dir string) {
	err := sweeptest.NewSmall(t, dir).Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("on a disk that is too small: %v, want an error", err)
	}
	t.Cleanup(func() { disk.Fault = nil })
	disk.Fault = func(op, _ string, _ int) (int, error) {
		if op == "free" {
			return 1 << 30, errors.ErrUnsupported // pass the check of free space
		}
		return 0, nil
	}
	err = sweeptest.NewSmall(t, dir).Run(context.Background())
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("error %v, want one of a full disk", err)
	}
	disk.Fault = nil
	for _, id := range []string{"plain-8-seed0", "resnet-8-seed0"} { // checkpoints are valid
		if _, warnings, err := state.Latest(sweeptest.At(dir, id).Checkpoints(), sweeptest.At(dir, id).Name()); err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", id, warnings, err)
		}
	}
	for _, how := range []string{"remount,ro,size=64m", "remount,rw"} {
		if out, err := exec.Command("mount", "-o", how, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		err := sweeptest.NewSmall(t, dir).Run(context.Background())
		if strings.Contains(how, "ro,") {
			if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "must be writable") {
				t.Errorf("error %v, want one of a read-only disk", err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	sweeptest.Same(t, dir, sweeptest.Undisturbed(t))
}

// If the newest checkpoint is damaged, a warning names it, and the run resumes from the one before,
// with the same results.
func TestDamagedCheckpoint(t *testing.T) {
	want := sweeptest.Undisturbed(t)
	for name, spoil := range map[string]func([]byte) []byte{
		"flipped in the header": func(b []byte) []byte { b[40] ^= 4; return b },
		"flipped in the data":   func(b []byte) []byte { b[len(b)*2/3] ^= 1; return b },
		"cut":                   func(b []byte) []byte { return b[:len(b)-1] },
		"empty":                 func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := sweeptest.NewSmall(t, dir).Run(sweeptest.StopAfter(10))
			if !errors.Is(err, harness.ErrInterrupted) {
				t.Fatal(err)
			}
			found, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*"))
			if len(found) < 2 {
				t.Fatalf("checkpoints %q, want two", found)
			}
			newest := slices.Max(found)
			b, err := os.ReadFile(newest)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(newest, spoil(b), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			records, err := sweeptest.Recorded(dir)
			if err != nil {
				t.Fatal(err)
			}
			warned := 0
			for _, r := range records {
				for _, e := range r.Events {
					if e.Kind == "warn" && strings.Contains(e.Text, filepath.Base(newest)) {
						warned++
					}
				}
			}
			if warned != 1 {
				t.Errorf("%d warnings name %s in the records, want one", warned, newest)
			}
			got := sweeptest.Outcome(t, dir)
			for key, v := range want {
				if strings.HasPrefix(key, "weights of ") && !reflect.DeepEqual(got[key], v) {
					t.Errorf("%s differs from the uninterrupted sweep's", key)
				}
			}
		})
	}
}

// A sweep that needs more than the free disk space is refused before it begins.
func TestNoRoom(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { disk.Fault = nil })
	disk.Fault = func(op, _ string, _ int) (int, error) {
		if op == "free" {
			return 9 << 20, syscall.ENOSPC
		}
		return 0, nil
	}
	err := sweeptest.NewSmall(t, dir).Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "9 MiB free") || !strings.Contains(err.Error(), "make room") {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("it began anyway: %q", left)
	}
}

// A run does not use more disk space than store.Space estimates.
func TestSpaceIsEnough(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	most := map[string]int64{}
	t.Cleanup(func() { disk.Fault = nil })
	disk.Fault = func(op, path string, _ int) (int, error) {
		if op == "rename" && strings.HasSuffix(path, ".safetensors") {
			var all int64
			files, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")) // temporary ones, too
			for _, f := range files {
				if info, err := os.Stat(f); err == nil {
					all += info.Size()
				}
			}
			kind := "weights"
			if filepath.Base(filepath.Dir(path)) == "checkpoints" {
				kind = "checkpoints"
			}
			most[kind] = max(most[kind], all)
		}
		return 0, nil
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	var kept, passing int64
	for _, run := range s.Plan.Runs {
		arch, err := nets.ParseArch(run.Net)
		if err != nil {
			t.Fatal(err)
		}
		params, _, err := nets.Count(arch, model.Geometry(s.Data))
		if err != nil {
			t.Fatal(err)
		}
		k, p := store.Space(run, params)
		kept, passing = kept+k, max(passing, p)
	}
	if most["checkpoints"] == 0 || most["checkpoints"] > passing || most["checkpoints"]*2 < passing {
		t.Errorf("checkpoints needed %d bytes, the estimate is %d", most["checkpoints"], passing)
	}
	if most["weights"] == 0 || most["weights"] > kept {
		t.Errorf("weights needed %d bytes, the estimate is %d", most["weights"], kept)
	}
	if state.Keep < 2 {
		t.Error("fewer than two checkpoints are kept")
	}
}
