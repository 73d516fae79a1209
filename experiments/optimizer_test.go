// Tests of optimizers, label smoothing and schedules.

package experiments

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A newer form has its own defaults and drops the values of the older one; a resolved question has
// the same runs.
func TestOptimizerForms(t *testing.T) {
	const file = `question: Which?
nets: [plain-8]
optimizer: {momentum: 0.8}
variants:
  - {name: nesterov, optimizer: {form: nesterov}}
  - {name: adam, optimizer: {form: adam, rate: 0.001}}
  - {name: adamw, optimizer: {form: adamw, rate: 0.002, betas: [0.8, 0.99], eps: 1e-6, decay: 0.01}}
profiles:
  as-it-is: {}
  adam: {optimizer: {form: adam, rate: 0.003}}
`
	q, err := Parse("q.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	sgd := Optimizer{Rate: 0.1, Momentum: 0.8, Form: "caffe", Decay: 1e-4, Decays: "all"}
	nesterov, adam := sgd, Optimizer{Rate: 0.001, Form: "adam", Betas: []float64{0.9, 0.999}, Eps: 1e-8, Decay: 1e-4, Decays: "all"}
	nesterov.Form = "nesterov"
	first := []struct {
		want Optimizer
		why  string
	}{
		{sgd, "momentum 0.8"},
		{nesterov, "momentum 0.8; nesterov momentum"},
		{adam, "learning rate 0.001; Adam in place of momentum"},
		{Optimizer{Rate: 0.002, Form: "adamw", Betas: []float64{0.8, 0.99}, Eps: 1e-6, Decay: 0.01, Decays: "all"}, "learning rate 0.002; AdamW in place of momentum; weight decay 0.01"},
	}
	for i, c := range first {
		run := q.Plans[0].Runs[i]
		if !reflect.DeepEqual(run.Optimizer, c.want) {
			t.Errorf("%s: %+v, want %+v", run.ID, run.Optimizer, c.want)
		}
		if _, why := run.Paper(); strings.Join(why, "; ") != c.why {
			t.Errorf("%s: caveats %q, want %q", run.ID, why, c.why)
		}
	}
	adam.Rate = 0.003
	if got := q.Plans[1].Runs[0].Optimizer; !reflect.DeepEqual(got, adam) {
		t.Errorf("profile: %+v", got)
	}
	// From Adam back to momentum: the paper's momentum, because Adam has none.
	nesterov.Rate, nesterov.Momentum = 0.003, 0.9
	if got := q.Plans[1].Runs[1].Optimizer; !reflect.DeepEqual(got, nesterov) {
		t.Errorf("a variant of a profile: %+v", got)
	}
	for _, p := range q.Plans {
		text, err := q.Resolved(p.Profile)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again.yaml", text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i, run := range again.Plans[0].Runs {
			if run.Hash() != p.Runs[i].Hash() {
				t.Errorf("%s: the resolved question has another run", run.ID)
			}
		}
	}
	text, err := json.Marshal(q.Plans[0].Runs[0].Optimizer)
	if want := `{"rate":0.1,"momentum":0.8,"form":"caffe","decay":0.0001,"decays":"all"}`; err != nil || string(text) != want {
		t.Errorf("%s, and hashes are of %s", text, want)
	}
}

// Label smoothing is part of a run's identity, and a caveat.
func TestLabelSmoothing(t *testing.T) {
	q := parse(t, "question: Smooth?\nnets: [plain-8]\nvary: {label_smoothing: [0, 0.1]}\n")
	plain, smooth := q.Plans[0].Runs[0], q.Plans[0].Runs[1]
	if _, why := smooth.Paper(); smooth.Smoothing != 0.1 || smooth.Hash() == plain.Hash() || !slices.Contains(why, "label smoothing 0.1") {
		t.Errorf("%+v, caveats %q", smooth, why)
	}
	if paper, why := plain.Paper(); !paper {
		t.Errorf("caveats %q", why)
	}
	_, err := Parse("q.yaml", []byte("question: Smooth?\nnets: [plain-8]\nlabel_smoothing: 1\n"))
	if err == nil || err.Error() != "q.yaml:3: label_smoothing: 1: expected a number from 0 to below 1" {
		t.Error(err)
	}
}

// The newest of at, plateau and a form without drops replaces the others, and is a caveat. The
// schedule of a file without form has no form.
func TestScheduleForms(t *testing.T) {
	q := parse(t, `question: How does it fall?
nets: [plain-8]
schedule: {at: [100 steps], stop: 900 steps}
profiles:
  steps: {}
  cosine: {schedule: {form: cosine}}
  back: {like: cosine, schedule: {at: [200 steps]}}
  still: {like: cosine, schedule: {plateau: {patience: 1 epoch}}}
  photos: {schedule: {form: linear}, data: imagenet}
`)
	for i, want := range []struct {
		schedule Schedule
		caveat   string
	}{
		{Schedule{Divide: 10, At: []int{100}, Stop: 900}, "drops of the rate at 100 steps"},
		{Schedule{Form: "cosine", At: []int{}, Stop: 900}, "cosine schedule"},
		{Schedule{Divide: 10, At: []int{200}, Stop: 900}, "drops of the rate at 200 steps"},
		{Schedule{Divide: 10, At: []int{}, Stop: 900, Plateau: &Plateau{"test_error", 391, 10}}, "rate divided by 10 when the test error stands still"},
		{Schedule{Form: "linear", At: []int{}, Stop: 900}, "linear schedule"},
	} {
		run := q.Plans[i].Runs[0]
		_, why := run.Paper()
		if !reflect.DeepEqual(run.Schedule, want.schedule) || !slices.Contains(why, want.caveat) {
			t.Errorf("%s: %+v, caveats %q", q.Plans[i].Profile, run.Schedule, why)
		}
		resolved, err := q.Resolved(q.Plans[i].Profile)
		if err != nil {
			t.Fatal(err)
		}
		if again := parse(t, string(resolved)).Plans[0]; !reflect.DeepEqual(again.Runs, q.Plans[i].Runs) {
			t.Errorf("%s", resolved)
		}
	}
	for text, want := range map[string]string{
		"{form: cosin}":                                  `q.yaml:3: schedule.form: "cosin": expected one of steps, cosine, linear (did you mean cosine?)`,
		"{form: cosine, at: [10 steps]}":                 "q.yaml:3: schedule: {...}: cosine has no drops of the rate (leave at and plateau out)",
		"{form: linear, plateau: {patience: 10 epochs}}": "q.yaml:3: schedule: {...}: linear has no drops of the rate (leave at and plateau out)",
	} {
		if _, err := Parse("q.yaml", []byte("question: How?\nnets: [plain-8]\nschedule: "+text+"\n")); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
