package harness

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/lock"
)

func TestStatuses(t *testing.T) {
	dir := t.TempDir()
	status := func(want ...State) []Status {
		t.Helper()
		all, err := Statuses(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []State
		for _, s := range all {
			got = append(got, s.State)
		}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("states %v, want %v", got, want)
		}
		return all
	}
	if _, err := Statuses(dir); err == nil || !strings.Contains(err.Error(), "no runs there") {
		t.Errorf("of an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "question.yaml"), []byte(small), 0o666); err != nil {
		t.Fatal(err)
	}
	status(Waiting, Waiting)

	s := smallSweep(t, dir)
	if err := s.Run(&stopAfter{Context: context.Background(), n: 5}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	one := status(Interrupted, Waiting)[0]
	if one.Step == 0 || one.Steps != 6 || one.Running == nil || one.Train != nil || one.ImagesPerS == 0 || one.Left == 0 || time.Since(one.Seen) > time.Minute {
		t.Errorf("interrupted: %+v", one)
	}

	var locks lock.Set
	held, err := locks.Take(lockPath(dir, "plain-8-seed0"))
	if err != nil {
		t.Fatal(err)
	}
	if one := status(Training, Waiting)[0]; !strings.HasPrefix(one.By, "process ") {
		t.Errorf("in hand: %+v", one)
	}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(lockPath(dir, "plain-8-seed0"), old, old)
	written(t, recordPath(dir, "plain-8-seed0"), old)
	status(Silent, Waiting)
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}

	for i := range s.Plan.Runs[1:] {
		s.Plan.Runs[1+i].Schedule.Warmup, s.Plan.Runs[1+i].Optimizer.Rate = nil, 1e38
	}
	var nan *device.NonFiniteError
	if err := s.Run(context.Background()); !errors.As(err, &nan) {
		t.Fatal(err)
	}
	all := status(Finished, Failed)
	if all[0].Test == nil || all[0].Train == nil || all[0].Step != 6 || all[0].Left != 0 {
		t.Errorf("finished: %+v", all[0])
	}
	if !strings.Contains(all[1].Why, "NaN") {
		t.Errorf("failed: %+v", all[1])
	}
	if err := os.WriteFile(recordPath(dir, "resnet-8-seed0"), []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if one := status(Finished, Failed)[1]; !strings.Contains(one.Why, "resnet-8-seed0.jsonl:1") {
		t.Errorf("unreadable: %+v", one)
	}
}

// written sets the time of all events of a record; the zero time removes them,
// as in records of older versions.
func written(t *testing.T, path string, at time.Time) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	word := ""
	if !at.IsZero() {
		word = `,"time":"` + at.UTC().Format(time.RFC3339) + `"`
	}
	text = regexp.MustCompile(`,"time":"[^"]*"`).ReplaceAll(text, []byte(word))
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// A run was last seen when its last event was written, whatever the time of the
// file: that of a checkout is new. A finished run of an older version was seen
// when runs/ID.json says; of others only the file's time is known.
func TestSeen(t *testing.T) {
	dir := t.TempDir()
	if err := smallSweep(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := "plain-8-seed0"
	p, err := readProvenance(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	event := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	p.Finished = "2019-01-02T03:04:05Z"
	if err := p.write(dir); err != nil {
		t.Fatal(err)
	}
	copied := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name   string
		event  time.Time
		forget bool // runs/ID.json is gone
		want   time.Time
	}{
		{"events with times", event, false, event},
		{"without", time.Time{}, false, event.AddDate(-1, 0, 0)},
		{"and without runs/ID.json", time.Time{}, true, copied},
	} {
		written(t, recordPath(dir, id), c.event)
		os.Chtimes(recordPath(dir, id), copied, copied)
		if c.forget {
			os.Remove(provenancePath(dir, id))
		}
		all, err := Statuses(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := all[0].Seen; !got.Equal(c.want) {
			t.Errorf("%s: seen at %v, want %v", c.name, got, c.want)
		}
	}
}

// A question that cannot be read, or a copy of a record, does not hide the runs
// that have records.
func TestStatusesOfDamagedFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[2024] thesis")
	if err := smallSweep(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(recordPath(dir, "plain-8-seed0"))
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		recordPath(dir, "plain-8-seed0 (conflicted copy)"): string(text),
		recordPath(dir, "plain-8-seed0.sync-conflict-1"):   string(text),
		recordPath(dir, "plain-8-seed0 (1)"):               "nonsense",
		filepath.Join(dir, "question.yaml"):                "question: [",
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Statuses(dir)
	if err == nil || !strings.Contains(err.Error(), "question.yaml") {
		t.Errorf("error %v, want one of question.yaml", err)
	}
	if len(all) != 2 || all[0].State != Finished || all[1].State != Finished {
		t.Errorf("%+v, want two finished runs", all)
	}
}

// Whether it was interrupted or not, or finished before it was asked for, a
// run's event file has what its record has.
func TestTensorBoardOfSweep(t *testing.T) {
	dir, later := t.TempDir(), t.TempDir()
	if err := smallSweep(t, later).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time in place of the first
		s := smallSweep(t, later)
		s.TensorBoard = true
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for n := 4; ; n = 1000 {
		s := smallSweep(t, dir)
		s.TensorBoard = true
		err := s.Run(&stopAfter{Context: context.Background(), n: n})
		if err == nil {
			break
		}
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{
		filepath.Join(dir, "tensorboard", "plain-8-seed0"), filepath.Join(dir, "tensorboard", "resnet-8-seed0"),
		filepath.Join(later, "tensorboard", "plain-8-seed0"), filepath.Join(later, "tensorboard", "resnet-8-seed0"),
	} {
		files, _ := filepath.Glob(filepath.Join(folder, "*"))
		if len(files) != 1 {
			t.Fatalf("files %q, want one", files)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		for len(text) > 0 { // length, its check, data, their check
			n := binary.LittleEndian.Uint64(text)
			text = text[8+4+n+4:]
			events++
		}
		if want := 1 + 6 + 2 + 1; events != want { // version, train, eval, full
			t.Errorf("%s: %d events, want %d", folder, events, want)
		}
	}
}
