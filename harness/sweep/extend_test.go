// Tests of runs that begin with the weights of another run of the sweep.

package sweep_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// A run that extends another has the same results after any interruption. It waits for the other,
// fails if that fails, and is trained again if that is another run.
func TestExtendInSweep(t *testing.T) {
	begin := func(dir, old, new string) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		s.Plan = sweeptest.New(t, strings.Replace(strings.Replace(sweeptest.Small, "pairs: {depths: [8]}", "nets: [plain-14, plain-8]\nvariants: [{name: constructed, extend: plain-8}]", 1), old, new, 1), dir, sweeptest.Fast(), "").Plan
		return s
	}
	whole, cut := t.TempDir(), t.TempDir()
	if err := begin(whole, "", "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	sweeptest.Interrupted(t, func() *sweep.Sweep { return begin(cut, "", "") })
	if !reflect.DeepEqual(sweeptest.Outcome(t, cut), sweeptest.Outcome(t, whole)) {
		t.Error("an interrupted run ends differently")
	}

	first := begin(t.TempDir(), "", "")
	runs := first.Plan.Runs
	first.Plan.Runs = append(runs[2:3:3], runs[:2]...) // before the run that it extends
	if err := first.Run(context.Background()); err != nil {
		t.Error(err)
	}
	failing := begin(t.TempDir(), "", "")
	failing.Plan.Runs[1].Schedule.Warmup, failing.Plan.Runs[1].Optimizer.Rate = nil, 1e38
	if err := failing.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "begins as plain-8-seed0, which failed") {
		t.Error(err)
	}
	before := sweeptest.Read(t, whole, "plain-14-constructed-seed0").Began()
	again := begin(whole, "", "")
	again.Plan.Runs[1].Schedule.Stop = 5 // of plain-8 only
	if err := again.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p, err := store.ReadProvenance(again.Folders["plain-14-constructed-seed0"]); err != nil || p.Source != again.Folders["plain-8-seed0"].Name() {
		t.Errorf("its source is another run, but it was not trained again: %+v, %v, %v", p, err, before)
	}
}
