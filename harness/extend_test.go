package harness

import (
	"context"
	"math"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness/device/ref"
	"depthlab/harness/record"
)

// extended has a deep net that begins as a trained shallow one.
var extended = strings.Replace(question, "pairs: {depths: [8]}", "nets: [plain-8, plain-14]\nvariants: [{name: constructed, extend: plain-8}]", 1)

func read(t *testing.T, dir, id string) *record.RunRecord {
	t.Helper()
	rec, err := record.Read(at(dir, id).Record())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// A net that is extended by identity layers is as wrong as it was, on every
// device and precision, and with nearly the same loss.
func TestExtend(t *testing.T) {
	for name, dev := range devices(t) {
		for _, precision := range precisions(dev) {
			t.Run(name+"/"+precision, func(t *testing.T) {
				native(t, dev, precision)
				bound := map[string]float64{"fp32": 1e-5, "bf16": 1e-2}[precision]
				dir := t.TempDir()
				s := sweep(t, extended, dir, dev, precision)
				if err := s.Run(context.Background()); err != nil {
					t.Fatal(err)
				}
				shallow, deep := read(t, dir, "plain-8-seed0"), read(t, dir, "plain-14-constructed-seed0")
				for _, kind := range []string{"eval", "full"} {
					var end, begin record.Event
					for _, e := range shallow.Events {
						if e.Kind == kind {
							end = e
						}
					}
					for _, e := range deep.Events {
						if e.Kind == kind && e.Step == 0 {
							begin = e
						}
					}
					if begin.Error == nil || *begin.Error != *end.Error || math.Abs(*begin.Loss-*end.Loss) > bound**end.Loss {
						t.Errorf("%s: begins as %+v, the shallow net ended as %+v", kind, begin, end)
					}
				}
				if all := warnings(t, dir, "plain-14-constructed-seed0"); strings.Contains(strings.Join(all, " "), "begins") {
					t.Errorf("%q", all)
				}
				if scratch := read(t, dir, "plain-14-seed0"); reflect.DeepEqual(scratch.TrainCurve(), deep.TrainCurve()) {
					t.Error("it is trained like the net from scratch")
				}
			})
		}
	}
}

// A run that extends another is the same after any interruption, waits for the
// other, fails with it, and is made anew when that is.
func TestExtendInSweep(t *testing.T) {
	begin := func(dir, old, new string) *Sweep {
		s := smallSweep(t, dir)
		s.Plan = sweep(t, strings.Replace(strings.Replace(small, "pairs: {depths: [8]}", "nets: [plain-14, plain-8]\nvariants: [{name: constructed, extend: plain-8}]", 1), old, new, 1), dir, ref.New(), "").Plan
		return s
	}
	whole, cut := t.TempDir(), t.TempDir()
	if err := begin(whole, "", "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	interrupted(t, func() *Sweep { return begin(cut, "", "") })
	if !reflect.DeepEqual(outcome(t, cut), outcome(t, whole)) {
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
	before := read(t, whole, "plain-14-constructed-seed0").Began()
	again := begin(whole, "", "")
	again.Plan.Runs[1].Schedule.Stop = 5 // of plain-8 alone
	if err := again.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p, err := again.Folders["plain-14-constructed-seed0"].ReadProvenance(); err != nil || p.Source != again.Folders["plain-8-seed0"].Name() {
		t.Errorf("its source is another, but it was not trained anew: %+v, %v, %v", p, err, before)
	}
}
