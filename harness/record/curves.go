package record

import (
	"math"
	"slices"
	"time"
)

// Point is one point of a curve.
type Point struct {
	Step  int
	Error float64 // percent
	Loss  float64 // NaN where it was not recorded
}

// TrainCurve is the running training error: each point the mean over the
// mini-batches since the point before.
func (r *RunRecord) TrainCurve() []Point { return r.curve("train", "") }

// TestCurve is the error on the images of TestSet. Of two tests after the same
// step the later counts: it was made with the final batch-norm statistics.
func (r *RunRecord) TestCurve() []Point { return r.curve("eval", r.TestSet()) }

// TestSet is "test", or "validation" where that is all the run was tested on,
// or "" where it has not been tested yet.
func (r *RunRecord) TestSet() string {
	set := ""
	for _, e := range r.Events {
		if e.Kind == "eval" && set != "test" {
			set = e.Set
		}
	}
	return set
}

func (r *RunRecord) curve(kind, set string) []Point {
	var ps []Point
	for _, e := range r.Events {
		if e.Kind != kind || e.Set != set || e.Error == nil {
			continue
		}
		p := Point{Step: e.Step, Error: *e.Error, Loss: math.NaN()}
		if e.Loss != nil {
			p.Loss = *e.Loss
		}
		if n := len(ps); n > 0 && ps[n-1].Step == e.Step {
			ps[n-1] = p
			continue
		}
		ps = append(ps, p)
	}
	return ps
}

// FinalShare is the last part of a run that FinalTrain averages over. A single
// "train" event is a small sample; the rate has long been at its lowest then.
const FinalShare = 0.05

// FinalTrain is what is called the training error of a finished run, percent:
// the mean of the running errors, those of the mini-batches of the "train"
// events, in the last FinalShare of the run's steps, at least of the last one.
// ok is false before the run's last step.
func (r *RunRecord) FinalTrain() (err float64, ok bool) {
	ps := r.TrainCurve()
	if len(ps) == 0 || ps[len(ps)-1].Step != r.Start.Steps {
		return 0, false
	}
	var sum, weight float64
	for i := len(ps) - 1; i >= 0; i-- {
		if weight > 0 && float64(ps[i].Step) <= float64(r.Start.Steps)*(1-FinalShare) {
			break
		}
		before := 0
		if i > 0 {
			before = ps[i-1].Step
		}
		w := float64(ps[i].Step - before) // mini-batches that this point is a mean of
		sum += w * ps[i].Error
		weight += w
	}
	return sum / weight, true
}

// RunningError is the error on the mini-batches of the latest "train" event,
// percent. It is a small sample, and is called the running error.
func (r *RunRecord) RunningError() (err float64, ok bool) {
	ps := r.TrainCurve()
	if len(ps) == 0 {
		return 0, false
	}
	return ps[len(ps)-1].Error, true
}

// FullTrain is the training error of a full pass in eval mode at the end,
// percent: the full training error.
func (r *RunRecord) FullTrain() (err float64, ok bool) {
	for _, e := range r.Events {
		if e.Kind == "full" && e.Error != nil && e.Step == r.Start.Steps {
			err, ok = *e.Error, true
		}
	}
	return err, ok
}

// FinalTest is the error on TestSet after the last step, percent. This is what
// the paper's tables report, not the best one.
func (r *RunRecord) FinalTest() (err float64, ok bool) {
	ps := r.TestCurve()
	if len(ps) == 0 || ps[len(ps)-1].Step != r.Start.Steps {
		return 0, false
	}
	return ps[len(ps)-1].Error, true
}

// BestTest is the lowest error on TestSet at any test, percent.
func (r *RunRecord) BestTest() (err float64, ok bool) {
	for _, p := range r.TestCurve() {
		if !ok || p.Error < err {
			err, ok = p.Error, true
		}
	}
	return err, ok
}

// Errors are what a net does wrong, percent.
type Errors struct{ Test, Train float64 }

// Began is what a run that begins as a trained net was tested to do before its
// first step; zeros for others.
func (r *RunRecord) Began() (e Errors) {
	for _, v := range r.Events {
		switch {
		case v.Step > 0 || v.Error == nil:
		case v.Kind == "eval":
			e.Test = *v.Error
		case v.Kind == "full":
			e.Train = *v.Error
		}
	}
	return e
}

// GapCurve is test error minus training error, at each test: the mean of the
// "train" events since the test before, and no point where there is none.
func (r *RunRecord) GapCurve() []Point {
	train := r.TrainCurve()
	var ps []Point
	for _, p := range r.TestCurve() {
		var sum float64
		n := 0
		for ; n < len(train) && train[n].Step <= p.Step; n++ {
			sum += train[n].Error
		}
		if n > 0 {
			ps = append(ps, Point{Step: p.Step, Error: p.Error - sum/float64(n), Loss: math.NaN()})
		}
		train = train[n:]
	}
	return ps
}

// LayerNorms are the norms of the gradients of all layers at one step.
type LayerNorms struct {
	Step  int
	Norms []float64
}

// Gradients lists the recorded norms, in the order of their steps.
func (r *RunRecord) Gradients() []LayerNorms {
	var all []LayerNorms
	for _, e := range r.Events {
		if e.Kind == "gradients" {
			all = append(all, LayerNorms{e.Step, e.Layers})
		}
	}
	return all
}

// Responses are the standard deviations of the layers' responses at the end;
// nil before.
func (r *RunRecord) Responses() []float64 {
	var all []float64
	for _, e := range r.Events {
		if e.Kind == "responses" {
			all = e.Layers
		}
	}
	return all
}

// Finished says whether the run came to its end.
func (r *RunRecord) Finished() bool { return r.Events[len(r.Events)-1].Kind == "end" }

// Stopped is the reason why the run ended early, or "".
func (r *RunRecord) Stopped() string {
	if e := r.Events[len(r.Events)-1]; e.Kind == "stop" {
		return e.Text
	}
	return ""
}

// Warnings are the "warn" events that no later "over" event took back.
func (r *RunRecord) Warnings() []Event {
	var all []Event
	for _, e := range r.Events {
		switch e.Kind {
		case "warn":
			all = append(all, e)
		case "over":
			all = slices.DeleteFunc(all, func(w Event) bool { return w.Of == e.Of })
		}
	}
	return all
}

// Time is when the last event was written, zero in a record of an older version.
func (r *RunRecord) Time() time.Time {
	t, _ := time.Parse(time.RFC3339, r.Events[len(r.Events)-1].Time)
	return t
}

// Step is the last step that the record knows of.
func (r *RunRecord) Step() int {
	step := 0
	for _, e := range r.Events {
		step = max(step, e.Step)
	}
	return step
}

// Seconds is the training time so far, pauses left out: a resumed run counts
// on from here.
func (r *RunRecord) Seconds() float64 {
	s := 0.0
	for _, e := range r.Events {
		s = max(s, e.Seconds)
	}
	return s
}

// RateChange is a change of the learning rate after Step steps.
type RateChange struct {
	Step     int
	From, To float64
}

// RateChanges lists the changes of the learning rate, ends of warm-ups among
// them, in order.
func (r *RunRecord) RateChanges() []RateChange {
	var cs []RateChange
	rate := 0.0 // unknown
	for _, e := range r.Events {
		switch {
		case e.Rate == 0:
		case rate == 0:
			rate = e.Rate
		case e.Kind == "rate" && e.Rate != rate:
			cs = append(cs, RateChange{e.Step, rate, e.Rate})
			rate = e.Rate
		}
	}
	return cs
}
