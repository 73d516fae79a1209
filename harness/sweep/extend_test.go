// Tests of runs that wait for the one they begin as.

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

// A run that extends another is the same after any interruption, waits for the
// other, fails with it, and is made anew when that is.
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
		t.Error("an interrupted run is another")
	}

	first := begin(t.TempDir(), "", "")
	runs := first.Plan.Runs
	first.Plan.Runs = append(runs[2:3:3], runs[:2]...) // before what it begins as
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
	again.Plan.Runs[1].Schedule.Stop = 5 // of plain-8 alone
	if err := again.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p, err := store.ReadProvenance(again.Folders["plain-14-constructed-seed0"]); err != nil || p.Source != again.Folders["plain-8-seed0"].Name() {
		t.Errorf("its source is another, but it was not trained anew: %+v, %v, %v", p, err, before)
	}
}
