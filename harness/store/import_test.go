// Tests of importing runs: whatever fails, runs are complete or absent, and resume
// exactly.

package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/harness/sweep/sweeptest"
)

// former writes a store's runs in the older layout, into results/test/default of dir.
func former(t *testing.T, from, dir string) string {
	t.Helper()
	folders, _, err := store.Store(from).All()
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "test", "default")
	for _, f := range folders {
		p, err := store.ReadProvenance(f)
		if err != nil {
			t.Fatal(err)
		}
		id := p.Run.ID
		text, err := json.Marshal(map[string]any{
			"id": id, "run": p.Run, "question": p.Question, "profile": p.Profile, "data": p.Data, "finished": p.Finished,
			"proof": map[string]string{"run": "old", "program": "old", "data": p.Checksum, "device": "ref fp32 nchw"}, "version": "old",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := disk.Write(filepath.Join(to, "runs", id+".json"), text); err != nil {
			t.Fatal(err)
		}
		for from, name := range map[string]string{f.Record(): "runs/" + id + ".jsonl", f.Weights(): "weights/" + id + ".safetensors"} {
			if text, err := os.ReadFile(from); err == nil {
				if err := disk.Write(filepath.Join(to, name), text); err != nil {
					t.Fatal(err)
				}
			}
		}
		c, _, err := state.Latest(f.Checkpoints(), f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if c != nil {
			if err := state.Save(filepath.Join(to, "checkpoints"), id, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Finished and begun runs in the older layout are copied into the store, whatever
// operation on the disk fails meanwhile. They resume with the bits of runs that were
// never moved. The old folder stays unchanged. A run that another process trains there is
// not touched.
func TestImport(t *testing.T) {
	want := sweeptest.Undisturbed(t)
	begun := t.TempDir() // plain-8 finished, resnet-8 begun
	s := sweeptest.NewSmall(t, begun)
	if err := s.Run(sweeptest.StopAfter(17)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	if !s.Folders["resnet-8-seed0"].HasCheckpoint() {
		t.Fatal("stopped elsewhere than wanted")
	}
	say := func(format string, args ...any) { t.Logf(format, args...) }
	dir := t.TempDir()
	old := former(t, begun, dir)
	before := contents(t, old)
	t.Cleanup(func() { disk.Fault = nil })
	failures := 0
	for at := 1; ; at++ {
		ops := 0
		disk.Fault = func(string, string, int) (int, error) {
			if ops++; ops == at {
				return 0, errors.New("no space left")
			}
			return 0, nil
		}
		n, err := store.Import(old, store.Store(dir), false, say)
		disk.Fault = nil
		if err == nil {
			if ops >= at {
				t.Errorf("the failure of operation %d went unnoticed", at)
			}
			if n > 2 {
				t.Errorf("%d runs copied", n)
			}
			break
		}
		failures++
		folders, _, err := store.Store(dir).All()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			if p, err := store.ReadProvenance(f); err != nil || p.Key != f.Key() || len(p.Sessions) != 1 || p.Sessions[0].Version != "old" {
				t.Errorf("half copied: %+v, %v", p, err)
			}
		}
	}
	if failures < 10 {
		t.Errorf("only %d operations failed", failures)
	}
	after := contents(t, old)
	for path, text := range before {
		if after[path] != text {
			t.Errorf("%s is changed", path)
		}
	}
	// The sweep finds the imported runs in the store.
	next := sweeptest.NewSmall(t, dir)
	var said []string
	next.Say = func(format string, args ...any) { said = append(said, format) }
	if err := next.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := sweeptest.Outcome(t, dir)
	for key, v := range want {
		if !reflect.DeepEqual(got[key], v) {
			t.Errorf("%s differs from the undisturbed sweep's", key)
		}
	}
	if p, err := store.ReadProvenance(next.Folders["resnet-8-seed0"]); err != nil || len(p.Sessions) != 2 || p.Sessions[1].First == 0 {
		t.Errorf("it did not go on: %+v, %v", p, err)
	}
	if !strings.Contains(strings.Join(said, " "), "were finished before") {
		t.Errorf("plain-8 was not found: %q", said)
	}
	if n, err := store.Import(old, store.Store(dir), false, say); n != 0 || err != nil {
		t.Errorf("again: %d runs, %v", n, err)
	}

	published := t.TempDir()
	if n, err := store.Import(former(t, begun, t.TempDir()), store.Store(published), true, say); n != 1 || err != nil {
		t.Errorf("finished runs alone: %d copied, %v", n, err)
	}
	held := t.TempDir()
	old = former(t, begun, held)
	var locks lock.Set
	l, err := locks.Take(filepath.Join(old, "runs", "resnet-8-seed0.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if n, err := store.Import(old, store.Store(held), false, say); n != 1 || err != nil {
		t.Errorf("with a run in hand: %d runs copied, %v", n, err)
	}
}
