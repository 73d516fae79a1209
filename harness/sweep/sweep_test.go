// Tests of a whole sweep.

package sweep_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// A finished run is not trained again. Another recipe is another run, and the first recipe finds the
// first run again.
func TestSweepSkips(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "")
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	stamp, err := os.Stat(sweeptest.At(dir, "plain-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	if err := sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, err := os.Stat(sweeptest.At(dir, "plain-8-seed0").Record())
	if err != nil || !again.ModTime().Equal(stamp.ModTime()) {
		t.Errorf("a finished run was touched (%v)", err)
	}
	if err := sweeptest.New(t, strings.Replace(sweeptest.Question, "stop: 9", "stop: 8", 1), dir, sweeptest.Fast(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if folders, strays, err := store.Store(dir).All(); len(folders) != 4 || len(strays) > 0 || err != nil {
		t.Errorf("two schedules of two nets gave the folders %q and %q, %v", folders, strays, err)
	}
	s = sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "")
	s.Device = nil // not needed: all runs are finished
	s.Folders = sweep.Place(s.Plan, s.View.Store(), s.Data.Checksum, sweeptest.Fast().Info(), "")
	s.Jobs = 1
	if err := s.Run(context.Background()); err != nil {
		t.Error(err)
	}
	for id, f := range s.Folders {
		if rec, err := record.Read(f.Record()); err != nil || rec.Start.Steps != 9 {
			t.Errorf("%s: %v, %v", id, rec, err)
		}
	}
}

// A net that diverges ends its run with step and layer. Its last checkpoint is kept, other runs
// continue, and the sweep's error says that the run failed.
func TestNaNStopsOneRun(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "")
	for i := range s.Plan.Runs {
		s.Plan.Runs[i].Schedule.Warmup, s.Plan.Runs[i].Optimizer.Rate = nil, 1e38
	}
	err := s.Run(context.Background())
	var nan *device.NonFiniteError
	if !errors.As(err, &nan) {
		t.Fatalf("got %v, want a *NonFiniteError", err)
	}
	if nan.Layer == "" || !strings.Contains(err.Error(), "2 of 2 runs failed") {
		t.Errorf("unclear: %v", err)
	}
	records, err := sweeptest.Recorded(dir)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		if text := r.Stopped(); !strings.Contains(text, "NaN") {
			t.Errorf("%s: its record does not say why it stopped: %q", r.Start.ID, text)
		}
	}
}
