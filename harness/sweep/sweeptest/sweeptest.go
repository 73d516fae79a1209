// Package sweeptest has small questions for tests, ways to run and disturb them, and checks of
// their results.
package sweeptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
)

// Question is small enough for ref: two nets, a few steps.
const Question = `
question: Does it run?
pairs: {depths: [8]}
data: preview
batch: 8
train: 64
input: {pad: 2}
batch_norm: {group: 4, batches: 5}
schedule: {at: [6 steps], stop: 9 steps, warmup: {rate: 0.01, for: 2 steps, from_depth: 8}}
log: 2 steps
evaluate: 4 steps
save: 3 steps
precision: fp32
`

// New returns the sweep of a question, on preview data, with its results in dir.
func New(t *testing.T, text, dir string, dev device.Device, precision string) *sweep.Sweep {
	t.Helper()
	q, err := experiments.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range q.Plans[0].Runs {
		model.Resolve(&q.Plans[0].Runs[i], dev.Info(), precision)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return &sweep.Sweep{
		Plan: q.Plans[0], View: Asked(dir), Data: data.Preview(100, 20), Device: dev,
		Progress: record.NewProgress(null, nil, time.Now), Say: t.Logf, Version: "test",
	}
}

// Asked is the question's folder in a store.
func Asked(dir string) store.View { return store.Store(dir).View("test", "default") }

// At is the folder of the run that a question calls id, in a store.
func At(dir, id string) store.Folder {
	folders, _, _ := store.Store(dir).All()
	for _, f := range folders {
		rec, err := record.Read(f.Record())
		if err == nil && rec.Start.ID == id || err != nil && strings.HasPrefix(f.Name(), id+"-") {
			return f
		}
	}
	return store.Store(dir).Run(id + "-seed0-000000000000")
}

// Recorded reads all records in a store.
func Recorded(dir string) (all []*record.RunRecord, err error) {
	folders, _, err := store.Store(dir).All()
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		rec, err := record.Read(f.Record())
		if err != nil && !errors.Is(err, record.ErrEmpty) {
			return nil, err
		}
		if err == nil {
			all = append(all, rec)
		}
	}
	record.Sort(all)
	return all, nil
}

// Interrupted runs sweeps that begin returns, all on one folder, each interrupted at another place,
// until one ends. It returns the number of interruptions.
func Interrupted(t *testing.T, begin func() *sweep.Sweep) (stops int) {
	t.Helper()
	for n := 1; ; n = n%23 + 4 {
		err := begin().Run(StopAfter(n))
		if err == nil {
			return stops
		}
		if !errors.Is(err, harness.ErrInterrupted) {
			t.Fatal(err)
		}
		if stops++; stops > 50 {
			t.Fatal("the sweep never ends")
		}
	}
}

// Outcome returns what must be the same however often a sweep was interrupted: weights, and records
// without times and speeds.
func Outcome(t *testing.T, dir string) map[string]any {
	t.Helper()
	out := map[string]any{}
	records, err := Recorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			e.Time, e.Seconds, e.ImagesPerS, e.Waited, e.Beside = "", 0, 0, 0, 0
		}
		text, err := json.Marshal(r.Events)
		if err != nil {
			t.Fatal(err)
		}
		out["record "+r.Start.ID] = string(text)
	}
	files, err := filepath.Glob(filepath.Join(dir, "runs", "*", "weights.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out["weights of "+filepath.Base(filepath.Dir(f))] = bytes.Clone(text)
	}
	return out
}

// Small is a question with small nets on images of 4x4, which train quickly.
const Small = `
question: Does it survive?
pairs: {depths: [8]}
data: preview
batch: 4
train: 16
input: {pad: 1}
batch_norm: {group: 0, batches: 3}
schedule: {at: [4 steps], stop: 6 steps, warmup: {rate: 0.01, for: 2 steps, from_depth: 8}}
log: 1 steps
evaluate: 3 steps
save: 2 steps
precision: fp32
`

// NewSmall returns the sweep of Small on noise, with the device Fast.
func NewSmall(t *testing.T, dir string) *sweep.Sweep {
	t.Helper()
	s := New(t, Small, dir, Fast(), "")
	s.Data = datatest.Noise()
	return s
}

// Undisturbed is the outcome of Small without interruptions.
func Undisturbed(t *testing.T) map[string]any {
	t.Helper()
	dir := t.TempDir()
	if err := NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := Outcome(t, dir)
	if len(want) != 4 {
		t.Fatalf("%d results of two runs, want a record and weights of each", len(want))
	}
	return want
}

// Same fails unless dir has the outcome want, and no other files than those of runs, the list of
// runs and others.
func Same(t *testing.T, dir string, want map[string]any, others ...string) {
	t.Helper()
	got := Outcome(t, dir)
	for key := range want {
		if !reflect.DeepEqual(got[key], want[key]) {
			t.Errorf("%s differs from the uninterrupted sweep's", key)
		}
	}
	var files []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			t.Error(err)
		} else if !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return nil
	})
	all := []string{"test/default/runs.json"}
	for _, name := range others {
		all = append(all, "test/default/"+name)
	}
	for _, id := range []string{"plain-8-seed0", "resnet-8-seed0"} {
		run := "runs/" + At(dir, id).Name()
		all = append(all, run+"/record.jsonl", run+"/run.json", run+"/weights.safetensors")
	}
	slices.Sort(all)
	slices.Sort(files)
	if !slices.Equal(files, all) {
		t.Errorf("files %q, want %q", files, all)
	}
}

// Warnings lists the warnings in the record of a run.
func Warnings(t *testing.T, dir, id string) []string {
	t.Helper()
	rec, err := record.Read(At(dir, id).Record())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range rec.Events {
		if e.Kind == "warn" {
			all = append(all, e.Text)
		}
	}
	return all
}

// Read reads the record of a run.
func Read(t *testing.T, dir, id string) *record.RunRecord {
	t.Helper()
	rec, err := record.Read(At(dir, id).Record())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
