// Tests of questions that continue runs, begin with trained weights, or keep weights.

package experiments

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// finished returns a reader with the finished runs of some questions, and with continuations of two of
// the runs.
func finished(t *testing.T) Reader {
	t.Helper()
	runs := map[string]Run{}
	for prefix, text := range map[string]string{
		"":       "question: One?\nnets: [plain-8, resnet-8]\ndata: preview\nbatch: 64\nseeds: [3]\nprecision: bf16\noptimizer: {rate: 0.4}\nschedule: {at: [100 steps, 200 steps], stop: 300 steps, warmup: none}\nlog: 20 steps\nevaluate: 50 steps\n",
		"still-": "question: Two?\nnets: [plain-8]\nschedule: {plateau: {patience: 1 epoch}, stop: 900 steps, warmup: none}\n",
		"more-":  "question: More?\nnets: [plain-8]\ndata: preview\nbatch: 64\nseeds: [4]\nprecision: bf16\noptimizer: {rate: 0.4}\nschedule: {at: [100 steps, 200 steps], stop: 300 steps, warmup: none}\nlog: 10 steps\nsave: 100 steps\nkeep: [last, best]\n",
		"other-": "question: Other?\nnets: [plain-8]\ndata: preview\nbatch: 32\nseeds: [5]\nprecision: bf16\nschedule: {at: [100 steps], stop: 900 steps, warmup: {until: 70 %, from_depth: 0}}\n",
	} {
		for _, run := range parse(t, text).Plans[0].Runs {
			runs[prefix+run.Name()+"-0123456789ab"] = run
		}
	}
	for i, name := range []string{"plain-8-seed3-0123456789ab", "more-plain-8-seed4-0123456789ab"} {
		run := runs[name]
		run.Continue, run.From, run.Weights = name, 300, "sum of "+name
		run.Schedule = Schedule{Divide: 10, At: []int{}, Stop: 500}
		runs[fmt.Sprintf("going-%d", i)] = run
	}
	return Reader{Trained: func(name string) (Trained, error) {
		run, ok := runs[name]
		if !ok {
			return Trained{}, errors.New("is no run; there are others")
		}
		return Trained{run, "sum of " + name}, nil
	}}
}

const going = "question: On?\ncontinue: {run: plain-8-seed3-0123456789ab, for: 2 epochs}\n"

// A run with continue has the recipe of the run that it continues, its steps counted from that
// run's last, and that run's last rate or another.
func TestContinue(t *testing.T) {
	r := finished(t)
	q, err := r.Parse("q.yaml", []byte(going))
	if err != nil {
		t.Fatal(err)
	}
	p := q.Plans[0]
	parent, _ := r.Trained("plain-8-seed3-0123456789ab")
	want := parent.Run
	want.Continue, want.From, want.Weights = "plain-8-seed3-0123456789ab", 300, parent.Weights
	want.Schedule = Schedule{Divide: 10, At: []int{}, Stop: 300 + 625}
	want.Optimizer.Rate = 0.4 / 100
	if len(p.Runs) != 1 || !reflect.DeepEqual(p.Runs[0], want) {
		t.Errorf("%+v\nwant\n%+v", p.Runs, want)
	}
	if _, why := p.Runs[0].Paper(); !strings.Contains(strings.Join(why, "; "), "625 steps more at rate 0.004, after 300") {
		t.Errorf("caveats %q", why)
	}
	if other := want; true {
		if other.Continue = "elsewhere"; other.Hash() != want.Hash() {
			t.Error("the name of the run that it continues is part of the hash")
		}
		if other.Weights = "others"; other.Hash() == want.Hash() {
			t.Error("the initial weights are not part of the hash")
		}
	}

	// Several runs, with other keys, on the command line, whose continue replaces the file's
	// recipe.
	q, err = r.Parse("q.yaml", []byte("question: On?\npairs: {depths: [20]}\nevaluate: 2 epochs\nprofiles: {a: {needs: [cpu, cifar10]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if q, err = q.Change(Changes{Set: []string{"continue={run: [plain-8-seed3-0123456789ab, resnet-8-seed3-0123456789ab], for: 1000 steps}", "continue.rate=0.01", "keep=[last, best, every 1 epoch]"}}); err == nil {
		t.Error("continue was set twice")
	}
	q, _ = r.Parse("q.yaml", []byte("question: On?\npairs: {depths: [20]}\nevaluate: 2 epochs\nprofiles: {a: {needs: [cpu, cifar10]}}\n"))
	q, err = q.Change(Changes{Set: []string{"continue.run=[plain-8-seed3-0123456789ab, resnet-8-seed3-0123456789ab]", "continue.for=1000 steps", "continue.rate=0.01", "keep=[last, best, every 1 epoch]"}})
	if err != nil || q.Plans[0].Wrong != nil {
		t.Fatal(err, q.Plans[0].Wrong)
	}
	p = q.Plans[0]
	if ids(p) != "plain-8-seed3 resnet-8-seed3" || !reflect.DeepEqual(p.Needs, []string{"cpu"}) {
		t.Errorf("%s, needs %q", ids(p), p.Needs)
	}
	if run := p.Runs[1]; run.Schedule.Stop != 1300 || run.Optimizer.Rate != 0.01 || run.LogEvery != 20 || run.EvalEvery != 625 || run.Keep != (Keep{Best: true, Every: 313}) {
		t.Errorf("%+v", run)
	}
	resolved, err := q.Resolved("a")
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Parse("q.yaml", resolved)
	if err != nil || !reflect.DeepEqual(again.Plans[0].Runs, p.Runs) {
		t.Errorf("%v: %s", err, resolved)
	}
}

// Several seeds of one net, with one recipe, can be continued; when they are tested, logged and saved
// makes no difference.
func TestContinueSeeds(t *testing.T) {
	for names, want := range map[string]string{
		"plain-8-seed3-0123456789ab, more-plain-8-seed4-0123456789ab, resnet-8-seed3-0123456789ab": "plain-8-seed3 plain-8-seed4 resnet-8-seed3",
		"other-plain-8-seed5-0123456789ab, resnet-8-seed3-0123456789ab":                            "plain-8-seed5 resnet-8-seed3",
		"going-0, going-1": "plain-8-seed3 plain-8-seed4",
	} {
		q, err := finished(t).Parse("q.yaml", []byte("question: On?\ncontinue: {run: ["+names+"], for: 2 epochs, rate: 0.1}\n"))
		if err != nil || ids(q.Plans[0]) != want {
			t.Errorf("%s: %v, %v", names, q, err)
		}
	}
}

func TestWrongContinue(t *testing.T) {
	r := finished(t)
	for _, c := range []struct{ old, new, want string }{
		{"plain-8-seed3-0123456789ab", "plain-9", `q.yaml:2: continue.run: plain-9: is no run (there are others)`},
		{"plain-8-seed3-0123456789ab", "[plain-8-seed3-0123456789ab, x]", `q.yaml:2: continue.run[1]: x: is no run (there are others)`},
		{"plain-8-seed3-0123456789ab", "[]", "q.yaml:2: continue: {...}: expected run and for (" + continueForm + ")"},
		{", for: 2 epochs", "", "q.yaml:2: continue: {...}: expected run and for (" + continueForm + ")"},
		{"2 epochs", "2", "q.yaml:2: continue.for: 2: expected a time with its unit, such as 32000 steps or 82 epochs (a bare number could be either: write 2 steps or 2 epochs)"},
		{"2 epochs", "0 steps", `q.yaml:2: continue.for: "0 steps": expected at least one step`},
		{"2 epochs", "1000000000 steps", `q.yaml:2: continue.for: "1000000000 steps": expected at most 1000000000 steps in all`},
		{"2 epochs", "2 epochs, rate: 0", `q.yaml:2: continue.rate: 0: expected a number above 0 to 1000`},
		{"for:", "fro:", `q.yaml:2: continue.fro: unknown key (did you mean for?)`},
		{"plain-8-seed3", "still-plain-8-seed0", "q.yaml:2: continue: {...}: expected rate: the last rate of still-plain-8-seed0-0123456789ab depends on a plateau of its error (" + continueForm + ")"},
		{"continue:", "batch: 64\ncontinue:", "q.yaml:2: batch: 64: is not allowed beside continue, which takes nets, seeds, data and recipe from its runs (leave it out; continue.rate is the rate of the new steps)"},
		{"plain-8-seed3-0123456789ab, for: 2 epochs", "[plain-8-seed3-0123456789ab, still-plain-8-seed0-0123456789ab], for: 2 epochs, rate: 0.1",
			"q.yaml:2: continue.run[1]: still-plain-8-seed0-0123456789ab: was trained on cifar10, and plain-8-seed3-0123456789ab on preview (ask for each in a question of its own)"},
		{"plain-8-seed3-0123456789ab, for", "[plain-8-seed3-0123456789ab, going-0], rate: 0.1, for",
			"q.yaml:2: continue.run[1]: going-0: is a second run of plain-8, seed 3 (ask for each in a question of its own)"},
		{"plain-8-seed3-0123456789ab, for", "[resnet-8-seed3-0123456789ab, plain-8-seed3-0123456789ab, other-plain-8-seed5-0123456789ab], rate: 0.1, for",
			"q.yaml:2: continue.run[2]: other-plain-8-seed5-0123456789ab: was trained otherwise than plain-8-seed3-0123456789ab, another seed of plain-8: batch 32 (there 64), batch_norm.group 0 (there 64), " +
				"optimizer.rate 0.1 (there 0.4), schedule.at [100] (there [100, 200]), schedule.stop 900 (there 300), schedule.warmup {...} (there nothing) (ask for each in a question of its own)"},
		{"plain-8-seed3-0123456789ab, for", "[plain-8-seed3-0123456789ab, going-1], rate: 0.1, for",
			"q.yaml:2: continue.run[1]: going-1: was trained otherwise than plain-8-seed3-0123456789ab, another seed of plain-8: from 300 (there nothing), schedule.at [] (there [100, 200]), schedule.stop 500 (there 300) (ask for each in a question of its own)"},
	} {
		text := strings.Replace(going, c.old, c.new, 1)
		if _, err := r.Parse("q.yaml", []byte(text)); err == nil || err.Error() != c.want {
			t.Errorf("%s: got\n%v\nwant\n%s", text, err, c.want)
		}
	}
	if _, err := Parse("q.yaml", []byte(going)); err == nil || !strings.Contains(err.Error(), "q.yaml:2: continue: {...}: cannot be read without the store of runs") {
		t.Error(err)
	}
	q, err := r.Parse("q.yaml", []byte(going))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change Changes
		want   string
	}{
		{Changes{Only: []string{"plain-8"}}, "--only: chooses among the nets of a question, and this one continues runs (leave it out, or name the runs in continue.run)"},
		{Changes{Set: []string{"optimizer.rate=0.1"}}, "--set optimizer: {...}: is not allowed beside continue, which takes nets, seeds, data and recipe from its runs (leave it out; continue.rate is the rate of the new steps)"},
	} {
		changed, err := q.Change(c.change)
		if err != nil || changed.Plans[0].Wrong == nil || changed.Plans[0].Wrong.Error() != c.want {
			t.Errorf("%v, %v, want %s", err, changed.Plans[0].Wrong, c.want)
		}
	}
}

// A file of initial weights is checked for each net, and its SHA-256, not its name, is part of the
// run's identity.
func TestInitFile(t *testing.T) {
	const text = "question: Finer?\nnets: [plain-8, resnet-8]\ndata: preview\ninit: a.safetensors\nvariants: [{name: anew, init: fan_in}]\n"
	reader := func(sum string) Reader {
		return Reader{Weights: func(file string, run Run) (string, error) {
			if strings.HasPrefix(run.Net, "resnet") && sum == "" {
				return "", errors.New("does not fit; expected another")
			}
			return sum, nil
		}}
	}
	q, err := reader("sum").Parse("q.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	runs := q.Plans[0].Runs
	if runs[0].Weights != "sum" || runs[2].Weights != "" || runs[2].Init != "fan_in" {
		t.Errorf("%+v", runs)
	}
	moved, err := reader("sum").Parse("q.yaml", []byte(strings.Replace(text, "a.safe", "b.safe", 1)))
	if err != nil || moved.Plans[0].Runs[0].Hash() != runs[0].Hash() {
		t.Errorf("another name of the same file makes another run: %v", err)
	}
	if other, err := reader("other").Parse("q.yaml", []byte(text)); err != nil || other.Plans[0].Runs[0].Hash() == runs[0].Hash() {
		t.Errorf("other weights make the same run: %v", err)
	}
	if _, why := runs[0].Paper(); !strings.Contains(strings.Join(why, "; "), "begun with trained weights") {
		t.Errorf("caveats %q", why)
	}
	if _, err = reader("").Parse("q.yaml", []byte(text)); err == nil || err.Error() != `q.yaml:4: init: "a.safetensors": does not fit (expected another)` {
		t.Error(err)
	}
	if _, err = Parse("q.yaml", []byte(strings.Replace(text, "a.safetensors", "a.pth", 1))); err == nil || err.Error() != `q.yaml:4: init: "a.pth": expected one of fan_in, fan_out (or a file of weights: FILE.safetensors)` {
		t.Error(err)
	}
}

func TestKeep(t *testing.T) {
	const text = "question: Kept?\nnets: [plain-8]\ndata: preview\nbatch: 100\nbatch_norm: {group: 0}\nkeep: X\n"
	for keep, want := range map[string]Keep{
		"[last]": {}, "[best, last]": {Best: true}, "[last, every 8000 steps]": {Every: 8000}, "[last, every 2 epochs, best]": {Best: true, Every: 400},
	} {
		q := parse(t, strings.Replace(text, "X", keep, 1))
		if got := q.Plans[0].Runs[0].Keep; got != want {
			t.Errorf("%s: %+v, want %+v", keep, got, want)
		}
		resolved, err := q.Resolved("default")
		if err != nil {
			t.Fatal(err)
		}
		if again := parse(t, string(resolved)).Plans[0]; !reflect.DeepEqual(again, q.Plans[0]) {
			t.Errorf("%s: %s", keep, resolved)
		}
		if plain := parse(t, strings.Replace(text, "keep: X\n", "", 1)); plain.Plans[0].Runs[0].Hash() != q.Plans[0].Runs[0].Hash() {
			t.Errorf("%s makes another run", keep)
		}
	}
	for keep, want := range map[string]string{
		"[best]":                               "q.yaml:6: keep: a list of 1: expected last among them: a finished run has its weights (write [last, best])",
		"[]":                                   "q.yaml:6: keep: a list of 0: expected last among them: a finished run has its weights (write [last])",
		"best":                                 `q.yaml:6: keep: "best": expected a list (write [best])`,
		"[last, bets]":                         `q.yaml:6: keep[1]: "bets": expected last, best, or such as every 8000 steps (did you mean best?)`,
		"[last, every 8000]":                   `q.yaml:6: keep[1]: "every 8000": expected a time with its unit, such as 32000 steps or 82 epochs (a bare number could be either: write 8000 steps or 8000 epochs)`,
		"[last, every 2 steps, every 3 steps]": `q.yaml:6: keep[2]: "every 3 steps": is a second interval (write one)`,
		"[last, last]":                         `q.yaml:6: keep[1]: "last": is in this list twice (the first is keep[0])`,
	} {
		if _, err := Parse("q.yaml", []byte(strings.Replace(text, "X", keep, 1))); err == nil || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", keep, err, want)
		}
	}
}
