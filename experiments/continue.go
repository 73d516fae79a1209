// continue: runs that continue finished runs of the store.

package experiments

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// ContinueSpec asks for more steps of finished runs, with their nets, seeds, data and recipe.
type ContinueSpec struct {
	Run  runNames `json:"run"` // names of folders in the store
	For  Time     `json:"for"`
	Rate float64  `json:"rate,omitempty"` // 0: the last rate of each run
}

// runNames are the names of one run or of several.
type runNames []string

// MarshalJSON writes a single name as a string, several as a list.
func (r runNames) MarshalJSON() ([]byte, error) {
	if len(r) == 1 {
		return json.Marshal(r[0])
	}
	return json.Marshal([]string(r))
}

const continueForm = "such as {run: resnet-20-seed0-3fa9c1d2e4b5, for: 16000 steps, rate: 0.001}"

// decodeContinue reads a mapping; keys that it lacks keep their values in target.
func decodeContinue(d *decoder, n *yaml.Node, path string, target **ContinueSpec) {
	var c ContinueSpec
	if *target != nil {
		c = **target
	}
	d.mapping(n, path, reflect.ValueOf(&c).Elem())
	if d.soundBelow(path) && (len(c.Run) == 0 || c.For == (Time{})) {
		d.refuse(path, n, "expected run and for", continueForm)
	}
	*target = &c
}

// besideContinue are the keys that are allowed beside continue: those outside the recipe.
var besideContinue = []string{"question", "profiles", "like", "says", "needs", "caveats", "continue", "log", "evaluate", "save", "keep", "figures", "lesion", "gradient_correlation", "landscape"}

// continueRuns sets the plan's runs to continuations of the runs that s names.
func continueRuns(d *decoder, plan *Plan, s *Spec, trained func(name string) (Trained, error)) {
	if !d.soundBelow("continue") {
		return
	}
	whole := d.place("continue")
	for _, key := range slices.Sorted(maps.Keys(d.from)) {
		at := d.from[key]
		asked := onCommandLine(at.path) || !onCommandLine(whole.path) // continue on the command line replaces the file's recipe
		if asked && !strings.ContainsAny(key, ".[") && !slices.Contains(besideContinue, key) {
			d.add(at, "is not allowed beside continue, which takes nets, seeds, data and recipe from its runs", "leave it out; continue.rate is the rate of the new steps")
		}
	}
	if trained == nil {
		d.add(whole, "cannot be read without the store of runs", "")
		return
	}
	for i, name := range s.Continue.Run {
		at := d.place("continue.run")
		if len(s.Continue.Run) > 1 {
			at = d.place(fmt.Sprintf("continue.run[%d]", i))
		}
		at.value = shorten(name)
		parent, err := trained(name)
		if err != nil {
			problem, hint := split(err.Error())
			d.add(at, problem, hint)
			continue
		}
		run := continuedRun(d, s, at, name, parent)
		if slices.ContainsFunc(plan.Runs, func(other Run) bool { return other.ID == run.ID }) {
			d.add(at, "is a second run of "+run.Net+", seed "+fmt.Sprint(run.Seed), "ask for each in a question of its own")
		}
		if len(plan.Runs) > 0 && run.Data != plan.Runs[0].Data {
			d.add(at, "was trained on "+run.Data+", and "+s.Continue.Run[0]+" on "+plan.Runs[0].Data, "ask for each in a question of its own")
		}
		plan.Runs = append(plan.Runs, run)
	}
	if len(plan.Runs) > 0 {
		s.Data, plan.recipe = plan.Runs[0].Data, plan.Runs[0].Recipe
	}
	for path, t := range map[string]*Time{"log": &s.Log, "evaluate": &s.Evaluate, "save": &s.Save} {
		if !d.written(path) {
			*t = Time{} // each run keeps its own
		}
	}
}

// continuedRun returns the run that continues a finished one, the parent, with its recipe and a
// constant rate. Its steps are counted from the parent's last.
func continuedRun(d *decoder, s *Spec, at place, name string, parent Trained) Run {
	run := parent.Run
	run.Variant, run.Extend = "", ""
	run.ID = runID(run.Net, "", run.Seed)
	run.Continue, run.From, run.Weights = name, parent.Run.Schedule.Stop, parent.Weights
	run.Optimizer.Rate = s.Continue.Rate
	if s.Continue.Rate == 0 {
		last := parent.Run.Schedule
		run.Optimizer.Rate = parent.Run.Optimizer.Rate / math.Pow(last.Divide, float64(len(last.At)))
		switch {
		case last.Plateau != nil:
			d.add(d.place("continue"), "expected rate: the last rate of "+name+" depends on a plateau of its error", continueForm)
		case last.Smooth():
			d.add(d.place("continue"), "expected rate: the rate of "+name+" fell to 0", continueForm)
		}
	}
	more, err := s.Continue.For.Steps(run.TrainImages(), run.Batch)
	if err == nil && run.From+more > maxSteps {
		err = fmt.Errorf("expected at most %d steps in all", maxSteps)
	}
	if err != nil {
		d.add(d.place("continue.for"), err.Error(), "")
		more = 1
	}
	run.Schedule = Schedule{Divide: run.Schedule.Divide, At: []int{}, Stop: run.From + more}
	of := Spec{Data: run.Data, Train: run.Train, Validation: run.Validation, Training: s.Training}
	of.Batch = run.Batch
	stop := run.Schedule.Stop
	if d.written("log") {
		run.LogEvery = resolveInterval(d, &of, "log", &of.Log, stop)
	}
	if d.written("evaluate") {
		run.EvalEvery = resolveInterval(d, &of, "evaluate", &of.Evaluate, stop)
	}
	if d.written("save") {
		run.SaveEvery = resolveInterval(d, &of, "save", &of.Save, stop)
	}
	run.Keep = resolveKeep(d, &of)
	return run
}

// continuedText returns the resolved question of a plan that continues runs, for Resolved.
func (q *Question) continuedText(plan *Plan) any {
	s := plan.spec
	return struct {
		Question string        `json:"question"`
		Continue *ContinueSpec `json:"continue"`
		Log      Time          `json:"log,omitzero"`
		Evaluate Time          `json:"evaluate,omitzero"`
		Save     Time          `json:"save,omitzero"`
		Keep     []string      `json:"keep,omitempty"`
		Figures  []string      `json:"figures"`
		Measurements
		Profiles map[string]any `json:"profiles"`
	}{q.Text, s.Continue, s.Log, s.Evaluate, s.Save, s.Keep, s.Figures, s.Measurements, plan.profileText()}
}
