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
	parents := map[string]Run{}
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
		if problem := besides(plan.Runs, parents, run, parent.Run); problem != "" {
			d.add(at, problem, "ask for each in a question of its own")
		}
		parents[name] = parent.Run
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

// besides says why a run, which continues parent, cannot be in one question with the runs before it; ""
// if it can. parents has the runs that those continue, by their names.
func besides(before []Run, parents map[string]Run, run, parent Run) string {
	if len(before) > 0 && run.Data != before[0].Data {
		return "was trained on " + run.Data + ", and " + before[0].Continue + " on " + before[0].Data
	}
	for _, other := range before {
		if other.ID == run.ID {
			return "is a second run of " + run.Net + ", seed " + fmt.Sprint(run.Seed)
		}
	}
	for _, other := range before { // figures average the seeds of a net
		if other.Net != run.Net {
			continue
		}
		if differ := differences(parents[other.Continue], parent); len(differ) > 0 {
			return "was trained otherwise than " + other.Continue + ", another seed of " + run.Net + ": " + strings.Join(differ, ", ")
		}
	}
	return ""
}

// differences lists what determines the weights of two runs and differs, apart from the seed and the
// weights of runs that they continue: "batch 64 (there 128)", with the value of there in brackets.
func differences(there, here Run) (all []string) {
	there, here = there.essential(), here.essential()
	for _, r := range []*Run{&there, &here} {
		if r.Seed = 0; r.From > 0 {
			r.Continue, r.Weights = "", ""
		}
	}
	if there.LogEvery == 0 || here.LogEvery == 0 { // no rate depends on it, or that of one run alone
		there.LogEvery, here.LogEvery = 0, 0
	}
	if there.EvalEvery == 0 || here.EvalEvery == 0 {
		there.EvalEvery, here.EvalEvery = 0, 0
	}
	var compare func(a, b map[string]any, path string)
	compare = func(a, b map[string]any, path string) {
		both := maps.Clone(a)
		maps.Copy(both, b)
		for _, key := range slices.Sorted(maps.Keys(both)) {
			first, isMap := a[key].(map[string]any)
			second, areMaps := b[key].(map[string]any)
			switch {
			case isMap && areMaps:
				compare(first, second, join(path, key))
			case !reflect.DeepEqual(a[key], b[key]):
				all = append(all, fmt.Sprintf("%s %s (there %s)", join(path, key), asText(b[key]), asText(a[key])))
			}
		}
	}
	compare(treeOf(there), treeOf(here), "")
	return all
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
