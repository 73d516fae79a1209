// Tests of the learning rate.

package train_test

import (
	"context"
	"math"
	"reflect"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/record"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/train"
)

// A rate that is divided when an error no longer decreases drops at the steps that follow from
// the errors. The drops are recorded, and are the same in an interrupted run.
func TestPlateau(t *testing.T) {
	for _, of := range []string{"test_error", "train_error"} {
		still := func(dir string) *sweep.Sweep {
			s := sweeptest.NewSmall(t, dir)
			for i := range s.Plan.Runs {
				r := &s.Plan.Runs[i]
				r.Optimizer.Rate, r.Schedule.Stop, r.Schedule.At = 1e-6, 20, []int{}
				r.Schedule.Warmup = &experiments.Warmup{Rate: 1e-7, Steps: 2}
				r.Schedule.Plateau = &experiments.Plateau{Of: of, Patience: 3, Divide: 4}
				r.LogEvery, r.EvalEvery, r.SaveEvery = 1, 2, 3
			}
			return s
		}
		whole, cut := t.TempDir(), t.TempDir()
		if err := still(whole).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		sweeptest.Interrupted(t, func() *sweep.Sweep { return still(cut) })
		if !reflect.DeepEqual(sweeptest.Outcome(t, cut), sweeptest.Outcome(t, whole)) {
			t.Errorf("%s: an interrupted run ends differently", of)
		}
		rec, err := record.Read(sweeptest.At(whole, "resnet-8-seed0").Record())
		if err != nil {
			t.Fatal(err)
		}
		errs := rec.TestCurve()
		if of == "train_error" {
			errs = rec.TrainCurve()
		}
		want := []record.RateChange{{Step: 2, From: 1e-7, To: 1e-6}}
		rate, lowest, since := 1e-6, 101.0, 0
		for _, p := range errs {
			switch {
			case p.Step < 2 || p.Step == 20:
			case p.Error < lowest:
				lowest, since = p.Error, p.Step
			case p.Step-since >= 3:
				want = append(want, record.RateChange{Step: p.Step, From: train.Exact(float32(rate)), To: train.Exact(float32(rate / 4))})
				rate, since = rate/4, p.Step
			}
		}
		if got := rec.RateChanges(); !reflect.DeepEqual(got, want) || len(want) < 3 {
			t.Errorf("%s: the rate changes %v, want %v", of, got, want)
		}
	}
}

// A rate that changes with every step is recorded in "train" events only, and is the same in an
// interrupted run.
func TestSmooth(t *testing.T) {
	for form, want := range map[string][]float64{"cosine": {0.1, 0.093301274, 0.075, 0.05, 0.025, 0.006698730}, "linear": {0.1, 0.083333336, 0.06666667, 0.05, 0.033333335, 0.016666668}} {
		falling := func(dir string) *sweep.Sweep {
			s := sweeptest.NewSmall(t, dir)
			for i := range s.Plan.Runs {
				s.Plan.Runs[i].Schedule = experiments.Schedule{Form: form, At: []int{}, Stop: 6}
			}
			return s
		}
		whole, cut := t.TempDir(), t.TempDir()
		if err := falling(whole).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		sweeptest.Interrupted(t, func() *sweep.Sweep { return falling(cut) })
		if !reflect.DeepEqual(sweeptest.Outcome(t, cut), sweeptest.Outcome(t, whole)) {
			t.Errorf("%s: an interrupted run ends differently", form)
		}
		rec := sweeptest.Read(t, whole, "plain-8-seed0")
		var rates []float64
		for _, e := range rec.Events {
			if e.Kind == "train" {
				rates = append(rates, e.Rate)
			}
		}
		if len(rec.RateChanges()) > 0 || len(rates) != len(want) {
			t.Fatalf("%s: changes %v, rates %v", form, rec.RateChanges(), rates)
		}
		for i := range want {
			if math.Abs(rates[i]-want[i]) > 1e-8 {
				t.Errorf("%s, step %d: rate %g, want %g", form, i, rates[i], want[i])
			}
		}
	}
}
