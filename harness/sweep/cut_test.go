// Tests of runs with micro-batches because of memory.

package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"depthlab/harness"
	"depthlab/harness/model"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// needed is the memory of the first run of a sweep, in bytes.
func needed(t *testing.T, s *sweep.Sweep) int64 {
	t.Helper()
	bytes, err := model.Footprint(s.Plan.Runs[0], s.Data, s.Device.Info())
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// A run whose batch does not fit says so, keeps the micro-batch in its provenance, and resumes
// with it on a machine with more memory. It is the same run.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "")
	s.Plan.Runs = s.Plan.Runs[:1]
	run := s.Plan.Runs[0]
	s.Device = roomy{sweeptest.Fast(), needed(t, s) - 1, 0}
	var said []string
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := s.Run(sweeptest.StopAfter(3)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	if text := strings.Join(said, " "); !strings.Contains(text, "a batch of 8 does not fit into the free memory; it is divided into micro-batches of 4 images") {
		t.Errorf("said %q", text)
	}
	s = sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "")
	s.Plan.Runs = s.Plan.Runs[:1]
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	p, err := store.ReadProvenance(sweeptest.At(dir, run.ID))
	if err != nil || p.Micro != 4 || p.Run.Micro != 0 || p.Run.Hash() != run.Hash() {
		t.Errorf("%+v, %v", p, err)
	}
	if len(p.Sessions) != 2 {
		t.Errorf("%d sessions, want 2", len(p.Sessions))
	}

	s = sweeptest.New(t, strings.Replace(sweeptest.Question, "group: 4", "group: 0", 1), t.TempDir(), sweeptest.Fast(), "")
	s.Device = roomy{sweeptest.Fast(), needed(t, s) - 1, 0}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "write micro_batch: N") {
		t.Errorf("statistics of the whole batch: %v", err)
	}
}
