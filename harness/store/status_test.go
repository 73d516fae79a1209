// Tests of the status of runs, also in damaged folders.

package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/store"
	"depthlab/harness/sweep/sweeptest"
)

func TestStatuses(t *testing.T) {
	dir := t.TempDir()
	status := func(want ...store.State) []store.Status {
		t.Helper()
		all, err := store.Statuses(sweeptest.Asked(dir))
		if err != nil {
			t.Fatal(err)
		}
		var got []store.State
		for _, s := range all {
			got = append(got, s.State)
		}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("states %v, want %v", got, want)
		}
		return all
	}
	if _, err := store.Statuses(sweeptest.Asked(dir)); err == nil || !strings.Contains(err.Error(), "no runs there") {
		t.Errorf("of an empty folder: %v", err)
	}
	if err := disk.Write(sweeptest.Asked(dir).Question(), []byte(sweeptest.Small)); err != nil {
		t.Fatal(err)
	}
	status(store.Waiting, store.Waiting)

	s := sweeptest.NewSmall(t, dir)
	if err := s.Run(sweeptest.StopAfter(5)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	one := status(store.Interrupted, store.Waiting)[0]
	if one.Step == 0 || one.Steps != 6 || one.Running == nil || one.Train != nil || one.ImagesPerS == 0 || one.Left == 0 || time.Since(one.Seen) > time.Minute {
		t.Errorf("interrupted: %+v", one)
	}

	var locks lock.Set
	held, err := locks.Take(filepath.Join(string(sweeptest.At(dir, "plain-8-seed0")), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if one := status(store.Training, store.Waiting)[0]; !strings.HasPrefix(one.By, "process ") {
		t.Errorf("in hand: %+v", one)
	}
	restore := store.SetNow(func() time.Time { return time.Now().Add(time.Hour) })
	status(store.Silent, store.Waiting)
	restore()
	written(t, sweeptest.At(dir, "plain-8-seed0").Record(), time.Now().Add(time.Hour)) // by a clock that is ahead
	restore = store.SetNow(func() time.Time { return time.Now().Add(10 * time.Minute) })
	status(store.Silent, store.Waiting)
	restore()
	old := time.Now().Add(-time.Hour) // the holder's clock is wrong
	os.Chtimes(filepath.Join(string(sweeptest.At(dir, "plain-8-seed0")), "lock"), old, old)
	written(t, sweeptest.At(dir, "plain-8-seed0").Record(), old)
	if one := status(store.Training, store.Waiting)[0]; !strings.Contains(one.By, "the clock there is 1h0m0s behind") {
		t.Errorf("with another clock: %+v", one)
	}
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
	all := status(store.Finished, store.Failed)
	if all[0].Test == nil || all[0].Train == nil || all[0].Step != 6 || all[0].Left != 0 {
		t.Errorf("finished: %+v", all[0])
	}
	if !strings.Contains(all[1].Why, "NaN") {
		t.Errorf("failed: %+v", all[1])
	}
	if err := os.WriteFile(sweeptest.At(dir, "resnet-8-seed0").Record(), []byte("{}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if one := status(store.Finished, store.Failed)[1]; !strings.Contains(one.Why, "record.jsonl:1") {
		t.Errorf("unreadable: %+v", one)
	}
}

// written sets the time of all events of a record. The zero time removes the times, as in
// records of older versions.
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

// A run was last seen when its last event was written, whatever the file's modification
// time: a checkout makes new files. For a finished run of an older version it is the time
// in run.json. For other runs only the file's time is known.
func TestSeen(t *testing.T) {
	dir := t.TempDir()
	if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := "plain-8-seed0"
	p, err := store.ReadProvenance(sweeptest.At(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	event := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	p.Finished = "2019-01-02T03:04:05Z"
	if err := store.WriteProvenance(sweeptest.At(dir, id), p); err != nil {
		t.Fatal(err)
	}
	copied := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name   string
		event  time.Time
		forget bool // run.json is missing
		want   time.Time
	}{
		{"events with times", event, false, event},
		{"without", time.Time{}, false, event.AddDate(-1, 0, 0)},
		{"and without run.json", time.Time{}, true, copied},
	} {
		written(t, sweeptest.At(dir, id).Record(), c.event)
		os.Chtimes(sweeptest.At(dir, id).Record(), copied, copied)
		if c.forget {
			os.Remove(sweeptest.At(dir, id).Provenance())
		}
		all, err := store.Statuses(sweeptest.Asked(dir))
		if err != nil {
			t.Fatal(err)
		}
		if got := all[0].Seen; !got.Equal(c.want) {
			t.Errorf("%s: seen at %v, want %v", c.name, got, c.want)
		}
	}
}

// An unreadable question, or a copy of a record, does not hide the runs that have
// records.
func TestStatusesOfDamagedFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[2024] thesis")
	if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	run := string(sweeptest.At(dir, "plain-8-seed0"))
	text, err := os.ReadFile(sweeptest.At(dir, "plain-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		run + " (conflicted copy)/record.jsonl": string(text),
		run + ".sync-conflict-1/record.jsonl":   string(text),
		run + " (1)/record.jsonl":               "nonsense",
		sweeptest.Asked(dir).Question():         "question: [",
	} {
		if err := disk.Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if folders, strays, err := store.Store(dir).All(); len(folders) != 2 || len(strays) != 3 || err != nil {
		t.Errorf("folders %q, strays %q, %v", folders, strays, err)
	}
	all, err := store.Statuses(sweeptest.Asked(dir))
	if err == nil || !strings.Contains(err.Error(), "question.yaml") {
		t.Errorf("error %v, want one of question.yaml", err)
	}
	if len(all) != 2 || all[0].State != store.Finished || all[1].State != store.Finished {
		t.Errorf("%+v, want two finished runs", all)
	}
}
