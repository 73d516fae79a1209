// Curves and final errors of a run, for figures and tables.

package record

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Point is one point of a curve.
type Point struct {
	Step  int
	Error float64 // percent
	Loss  float64 // NaN if not recorded
}

// TrainCurve is the running training error. Each point is the mean over the mini-batches
// since the previous point.
func (r *RunRecord) TrainCurve() []Point { return r.curve("train", "") }

// TestCurve is the error on TestSet. If there are two tests after the same step, it takes
// the later one, which used the final batch norm statistics.
func (r *RunRecord) TestCurve() []Point { return r.curve("eval", r.TestSet()) }

// TestSet is "test", or "validation" if the run was tested on that only, or "" if it was
// not tested yet.
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

// FinalShare is the part at the end of a run that FinalTrain averages over. A single
// "train" event is a small sample. The learning rate has long been at its lowest value
// then.
const FinalShare = 0.05

// FinalTrain is the training error of a finished run, in percent. It is the mean running
// error of the mini-batches in the last FinalShare of the run's steps, and at least of
// the last "train" event. ok is false before the run's last step.
func (r *RunRecord) FinalTrain() (err float64, ok bool) {
	ps := r.TrainCurve()
	if len(ps) == 0 || ps[len(ps)-1].Step != r.Start.Steps {
		return 0, false
	}
	var sum, weight float64
	for i := len(ps) - 1; i >= 0; i-- {
		if weight > 0 && (float64(ps[i].Step) <= float64(r.Start.Steps)*(1-FinalShare) || ps[i].Step <= r.Start.From) {
			break
		}
		before := 0
		if i > 0 {
			before = ps[i-1].Step
		}
		w := float64(ps[i].Step - before) // number of mini-batches in this point's mean
		sum += w * ps[i].Error
		weight += w
	}
	return sum / weight, true
}

// FullTrain is the error of a full pass over the training set in eval mode at the end, in
// percent. It is called full training error.
func (r *RunRecord) FullTrain() (err float64, ok bool) {
	for _, e := range r.Events {
		if e.Kind == "full" && e.Error != nil && e.Step == r.Start.Steps {
			err, ok = *e.Error, true
		}
	}
	return err, ok
}

// FinalTest is the error on TestSet after the last step, in percent. The paper's tables
// report this error, not the best one.
func (r *RunRecord) FinalTest() (err float64, ok bool) {
	ps := r.TestCurve()
	if len(ps) == 0 || ps[len(ps)-1].Step != r.Start.Steps {
		return 0, false
	}
	return ps[len(ps)-1].Error, true
}

// BestTest is the lowest error of all the run's tests on TestSet, in percent.
func (r *RunRecord) BestTest() (err float64, ok bool) {
	for _, p := range r.TestCurve() {
		if p.Step <= r.Start.From {
			continue // a test of the weights that this run begins with
		}
		if !ok || p.Error < err {
			err, ok = p.Error, true
		}
	}
	return err, ok
}

// Errors are a net's errors in percent.
type Errors struct{ Test, Train float64 }

// Began returns the errors before the first step of a run that begins as a trained net or
// with a file of weights, which has a test error only; zeros for other runs.
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

// GapCurve is the generalisation gap at each test: test error minus training error, which
// is the mean of the "train" events since the previous test. No point if there was none.
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

// LayerNorms are the gradient norms of all layers at one step.
type LayerNorms struct {
	Step  int
	Norms []float64
}

// Gradients lists the recorded gradient norms in the order of their steps.
func (r *RunRecord) Gradients() []LayerNorms {
	var all []LayerNorms
	for _, e := range r.Events {
		// Earlier versions took gates for layers.
		if e.Kind == "gradients" && (r.Start.Depth == 0 || len(e.Layers) <= r.Start.Depth) {
			all = append(all, LayerNorms{e.Step, e.Layers})
		}
	}
	return all
}

// Responses are the standard deviations of the layers' responses at the end of the run;
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

// Measured is the latest measurement of a name; nil if there is none. Options nil means
// whatever they were.
func (r *RunRecord) Measured(name string, options map[string]float64) (m *Measured) {
	for _, e := range r.Events {
		if e.Measured != nil && e.Measured.Name == name && (options == nil || maps.Equal(e.Measured.Options, options)) {
			m = e.Measured
		}
	}
	return m
}

// Finished reports whether the run reached its end.
func (r *RunRecord) Finished() bool { return r.Events[len(r.Events)-1].Kind == "end" }

// Stopped is the reason why the run ended early, or "".
func (r *RunRecord) Stopped() string {
	if e := r.Events[len(r.Events)-1]; e.Kind == "stop" {
		return e.Text
	}
	return ""
}

// Warnings are the "warn" events that no later "over" event ended.
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

// Time is when the last event was written; zero in a record of an older version.
func (r *RunRecord) Time() time.Time {
	t, _ := time.Parse(time.RFC3339, r.Events[len(r.Events)-1].Time)
	return t
}

// Step is the highest step in the record.
func (r *RunRecord) Step() int {
	step := 0
	for _, e := range r.Events {
		step = max(step, e.Step)
	}
	return step
}

// Seconds is the training time so far, without pauses. A resumed run counts on from it.
func (r *RunRecord) Seconds() float64 {
	s := 0.0
	for _, e := range r.Events {
		s = max(s, e.Seconds)
	}
	return s
}

// Beside is the largest number of other runs that shared its device, and so its speed.
func (r *RunRecord) Beside() (most int) {
	for _, e := range r.Events {
		most = max(most, e.Beside)
	}
	return most
}

// RateChange is a change of the learning rate after Step steps.
type RateChange struct {
	Step     int
	From, To float64
}

// RateChanges lists the changes of the learning rate in their order, including those at
// the end of a warm-up.
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
