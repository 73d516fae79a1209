// Tests of changes by the command line, of profiles with like, and of sweeps.

package experiments

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const changeable = `question: Does it change?
pairs: {depths: [20, 32]}
optimizer: {rate: 0.2}
schedule: {at: [320 steps, 480 steps], stop: 640 steps}
profiles:
  big: {needs: [gpu, cifar10]}
  small:
    data: preview
    optimizer: {rate: 0.05}
    schedule: {stop: 500 steps}
`

func parse(t *testing.T, text string) *Question {
	t.Helper()
	q, err := Parse("q.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// changed returns the question with changes, and the plan of a profile.
func changed(t *testing.T, text, profile string, c Changes) (*Question, *Plan, error) {
	t.Helper()
	q, err := parse(t, text).Change(c)
	if err != nil {
		return nil, nil, err
	}
	p, _, err := q.Choose(nil, profile)
	return q, p, err
}

// --set overrides file and profile, and gives the runs of a file with these values, also when
// the file of Resolved is read.
func TestSet(t *testing.T) {
	q, p, err := changed(t, changeable, "small", Changes{Set: []string{
		"seeds=0..2", "optimizer.form=adam", "optimizer.rate=0.001", "schedule.stop=2000 steps", "schedule.warmup={rate: 0.0001, for: 10 steps, from_depth: 0}", "log=20 steps",
	}})
	if err != nil {
		t.Fatal(err)
	}
	written := parse(t, strings.NewReplacer("rate: 0.05", "form: adam, rate: 0.001", "stop: 500 steps", "stop: 2000 steps, warmup: {rate: 0.0001, for: 10 steps, from_depth: 0}").Replace(changeable)+
		"    seeds: [0, 1, 2]\n    log: 20 steps\n")
	if want := choose(t, written, "small"); !reflect.DeepEqual(p.Runs, want.Runs) {
		t.Errorf("%+v\nwant\n%+v", p.Runs, want.Runs)
	}
	text, err := q.Resolved("small")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "# q, profile small --set log=20 steps --set optimizer.form=adam --set optimizer.rate=0.001") {
		t.Errorf("%.200s", text)
	}
	if again := parse(t, string(text)).Plans[0]; !reflect.DeepEqual(again.Runs, p.Runs) || again.Folder != "small" {
		t.Errorf("%+v\nwas\n%+v", again, p)
	}
}

// With another data set the profile no longer needs its own one.
func TestSetData(t *testing.T) {
	_, p, err := changed(t, changeable, "big", Changes{Set: []string{"data=preview"}})
	if err != nil || !reflect.DeepEqual(p.Needs, []string{"gpu"}) || p.Runs[0].Data != "preview" {
		t.Errorf("%v: needs %q", err, p.Needs)
	}
}

// Changes are checked like the file. They may be right for one profile and wrong for another.
func TestWrongChanges(t *testing.T) {
	for _, c := range []struct {
		set  string
		only string
		name string
		want string
	}{
		{set: "optimizer.rat=0.1", want: "--set optimizer.rat: unknown key (did you mean rate?)"},
		{set: "lr=0.1", want: "--set lr: unknown key (did you mean optimizer.rate?)"},
		{set: "optimizer.rate=high", want: `--set optimizer.rate: "high": expected a number above 0 to 1000`},
		{set: "optimizer.rate=", want: "--set optimizer.rate: nothing: expected a value (leave the key out for the default)"},
		{set: "optimizer=0.1", want: "--set optimizer: 0.1: expected a mapping of keys to values"},
		{set: "optimizer.rate.high=0.1", want: "--set optimizer.rate: {...}: expected a number above 0 to 1000"},
		{set: "seeds=3", want: "--set seeds: 3: expected a list (write 0..2 for 3 seeds, or [3] for the one seed 3)"},
		{set: "schedule.stop=2000", want: "--set schedule.stop: 2000: expected a time with its unit, such as 32000 steps or 82 epochs (a bare number could be either: write 2000 steps or 2000 epochs)"},
		{set: "schedule.stop=400 steps", want: `--set schedule.stop: "400 steps": drops the rate at 480 steps, but training stops at 400 steps (schedule.at must be before schedule.stop)`},
		{set: "batch=100000", want: "--set batch: 100000: expected a whole number from 1 to 65536"},
		{set: "input.crop=32", want: "--set input.crop: 32: is for photos, and the data is preview (write data: imagenet, or leave it out)"},
		{set: "question=Why?", want: "--set question: unknown key (question is allowed only at the top of the file)"},
		{set: "like=big", want: "--set like: unknown key (like is allowed only in a profile of the file)"},
		{set: "optimizer.rate", want: "--set optimizer.rate: expected KEY=VALUE (such as --set optimizer.rate=0.05)"},
		{set: "=0.1", want: "--set : expected KEY=VALUE (such as --set optimizer.rate=0.05)"},
		{set: "seeds=[0", want: "--set seeds: [0: is not valid YAML: did not find expected ',' or ']' (put quotes around special characters)"},
		{set: "seeds=*a", want: "--set seeds: *a: is not valid YAML: unknown anchor 'a' referenced (put quotes around special characters)"},
		{set: "seeds=&a [0]", want: "--set seeds: &a: anchors, aliases and merge keys are not allowed (write the value out)"},
		{set: "seeds=0\nbatch: 1", want: "--set seeds: 0 batch: 1: is not valid YAML: expected one line (put quotes around special characters)"},
		{set: "batch=32;batch=64", want: "--set batch: 64: is set twice (leave one of the two out)"},
		{set: "optimizer={rate: 0.1};optimizer.rate=0.1", want: "--set optimizer: {rate: 0.1}: is set twice (leave one of the two out)"},
		{only: "resnet-23", want: `--only: "resnet-23": depth 23 is neither 6n+2 nor an ImageNet net's (18, 34, 50, 101 and 152) (did you mean resnet-20?)`},
		{only: "resnet-44", want: `--only: "resnet-44": is not one of the question's nets, which are plain-20, resnet-20, plain-32, resnet-32 (did you mean resnet-20?)`},
		{only: "lenet", want: `--only: "lenet": want plain-DEPTH or resnet-DEPTH, such as plain-20 or resnet-56/B`},
		{name: "a/b", want: `--name: a/b: expected at most 60 letters, digits and . _ , = -, a letter or digit first (it becomes part of the name of a folder)`},
		{name: "..", want: `--name: ..: expected at most 60 letters, digits and . _ , = -, a letter or digit first (it becomes part of the name of a folder)`},
	} {
		change := Changes{Name: c.name}
		if c.set != "" {
			change.Set = strings.Split(c.set, ";")
		}
		if c.only != "" {
			change.Only = strings.Split(c.only, ",")
		}
		_, _, err := changed(t, changeable, "small", change)
		if err == nil || err.Error() != c.want {
			t.Errorf("%+v: got\n%v\nwant\n%s", change, err, c.want)
		}
	}
	q, err := parse(t, changeable).Change(Changes{Set: []string{"input.crop=64"}})
	if err != nil || q.Plans[0].Wrong == nil || q.Plans[1].Wrong == nil {
		t.Error(err)
	}
	if q, err = parse(t, changeable).Change(Changes{Set: []string{"schedule.stop=510 steps", "input.pad=9"}}); err != nil || q.Plans[0].Wrong != nil || q.Plans[1].Wrong == nil {
		t.Errorf("9 pixels are too many for images of 16 alone: %v", err)
	}
}

func TestOnly(t *testing.T) {
	_, p, err := changed(t, changeable+"    nets: [resnet-14/A, plain-8]\n", "small", Changes{Only: []string{"resnet-14", "resnet-32", "plain-20"}})
	if err != nil || ids(p) != "plain-20-seed0 resnet-32-seed0 resnet-14-seed0" {
		t.Errorf("%v: %s", err, ids(p))
	}
	const extending = "question: Which?\nnets: [plain-20, plain-32, resnet-20]\ndata: preview\nvariants: [{name: made, extend: plain-20}]\n"
	if _, p, err = changed(t, extending, "default", Changes{Only: []string{"resnet-20"}}); err != nil || ids(p) != "resnet-20-seed0" {
		t.Errorf("a variant about nets that are left out: %v", err)
	}
	_, _, err = changed(t, extending, "default", Changes{Only: []string{"plain-32"}})
	if err == nil || !strings.Contains(err.Error(), `"plain-20": expected a net that the question trains (add it to --only)`) {
		t.Error(err)
	}
}

// The name of the results' folder has the changes in it, in safe characters, and is different for
// different changes.
func TestFolder(t *testing.T) {
	for _, c := range []struct {
		change Changes
		want   string
	}{
		{Changes{}, "small"},
		{Changes{Set: []string{"optimizer.rate=0.05"}}, "small+optimizer.rate=0.05"},
		{Changes{Set: []string{"seeds=0..4", "batch=64"}}, "small+batch=64+seeds=0..4"},
		{Changes{Set: []string{"schedule.stop=2000 steps"}}, "small+schedule.stop=2000_steps"},
		{Changes{Set: []string{"schedule.at=[100 steps, 200 steps]"}}, "small+schedule.at=100_steps,200_steps"},
		{Changes{Only: []string{"resnet-20", "plain-20"}}, "small+only=resnet-20,plain-20"},
		{Changes{Set: []string{"batch=64"}, Name: "mine"}, "small+mine"},
		{Changes{Set: []string{"schedule.warmup={rate: 0.01, until: 80 %}"}}, "small+schedule.warmup=rate=0.01,until=80_percent"},
		{Changes{Set: []string{"init='a b;c.safetensors'"}}, "small+init=-a_b-c.safetensors--"},
		{Changes{Set: []string{"init=a/b.safetensors"}}, "small+init=a_b.safetensors-"},
	} {
		_, p, err := changed(t, changeable, "small", c.change)
		if err != nil {
			t.Fatal(err)
		}
		hashed := strings.HasSuffix(c.want, "-")
		if p.Folder != c.want && !(hashed && strings.HasPrefix(p.Folder, c.want) && len(p.Folder) == len(c.want)+8) {
			t.Errorf("%+v: folder %s, want %s", c.change, p.Folder, c.want)
		}
	}
	long := func(last string) string { return "seeds=[" + strings.Repeat("1, ", 100) + last + "]" }
	a, b := Changes{Set: []string{long("2")}}.folder("p"), Changes{Set: []string{long("3")}}.folder("p")
	if a == b || len(a) > longestFolder || len(b) > longestFolder {
		t.Errorf("%s, %s", a, b)
	}
}

// A rate at the top that a profile overrides is reported, if it is not the paper's.
func TestOverridden(t *testing.T) {
	const want = "profile small overrides values at the top of q.yaml: optimizer.rate: 0.2 (here 0.05), schedule.stop: 640 steps (here 500 steps); --set wins over both"
	q := parse(t, changeable)
	if got := q.Overridden(choose(t, q, "small")); got != want {
		t.Error(got)
	}
	if got := q.Overridden(choose(t, q, "big")); got != "" {
		t.Error(got)
	}
	q, p, err := changed(t, changeable, "small", Changes{Set: []string{"optimizer={rate: 0.3}", "schedule.stop=600 steps"}})
	if err != nil || q.Overridden(p) != "" {
		t.Error(q.Overridden(p), err)
	}
	q = parse(t, strings.Replace(changeable, "rate: 0.2", "rate: 0.1", 1))
	if got := q.Overridden(choose(t, q, "small")); strings.Contains(got, "rate") {
		t.Errorf("the paper's own rate is no change: %s", got)
	}
	for _, file := range committed(t) {
		q := load(t, file)
		for _, p := range q.Plans {
			if got := q.Overridden(p); (got != "") != (file == "longer_plain.yaml" && p.Profile != "cifar10") {
				t.Errorf("%s, %s: %s", file, p.Profile, got)
			}
		}
	}
}

// A profile with like has the values of the other profile, and its own values override them.
func TestLike(t *testing.T) {
	const text = `question: Alike?
nets: [resnet-8]
seeds: [7]
profiles:
  child: {like: parent, says: Mine., seeds: 0..1, optimizer: {momentum: 0.8}}
  parent: {like: grand, batch: 64, optimizer: {rate: 0.05}}
  grand: {says: Hers., needs: [cpu], data: preview, seeds: [3], batch: 32, input: {pad: 2}}
  alone: {data: preview}
`
	q := parse(t, text)
	written := parse(t, `question: Alike?
nets: [resnet-8]
profiles:
  child: {says: Mine., needs: [cpu], data: preview, seeds: [0, 1], batch: 64, input: {pad: 2}, optimizer: {rate: 0.05, momentum: 0.8}}
`)
	if got, want := q.Plans[0], written.Plans[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	if p := q.Plans[1]; p.Says != "Hers." || ids(p) != "resnet-8-seed3" {
		t.Errorf("%+v", p)
	}
	for _, c := range []struct{ old, new, want string }{
		{"like: parent", "like: parnt", `q.yaml:5: profiles.child.like: "parnt": expected another profile of this file (did you mean parent?)`},
		{"like: parent", "like: child", `q.yaml:5: profiles.child.like: "child": is like itself: child, child (one of them must not use like)`},
		{"grand: {", "grand: {like: child, ", `q.yaml:7: profiles.grand.like: "child": is like itself: child, grand, parent, child (one of them must not use like)`},
		{"like: parent", "like: [parent]", `q.yaml:5: profiles.child.like: a list of 1: expected another profile of this file (one of parent, grand, alone)`},
		{"batch: 64", "batch: 0", `q.yaml:6: profiles.parent.batch: 0: expected a whole number from 1 to 65536`},
		{"seeds: [7]", "like: child", `q.yaml:3: like: unknown key (like is allowed only in a profile of the file)`},
	} {
		_, err := Parse("q.yaml", []byte(strings.Replace(text, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got\n%v\nwant\n%s", c.new, err, c.want)
		}
	}
}

// The profile with seeds, which is like the preview, has all of its runs: they are trained once.
func TestSeedsOfPreview(t *testing.T) {
	q := load(t, "plain_vs_res.yaml")
	one, many := choose(t, q, "preview"), choose(t, q, "preview-seeds")
	if len(one.Runs) != 4 || len(many.Runs) != 5*6 || !reflect.DeepEqual(many.Needs, one.Needs) {
		t.Errorf("%s\n%s", ids(one), ids(many))
	}
	for _, r := range one.Runs {
		if !slices.ContainsFunc(many.Runs, func(m Run) bool { return reflect.DeepEqual(m, r) }) {
			t.Errorf("preview-seeds lacks %s of preview", r.ID)
		}
	}
}

// vary trains every combination of values; each is the same run as in a file with these values.
func TestVary(t *testing.T) {
	const text = `question: Which rate?
nets: [plain-8, resnet-8]
data: preview
seeds: 0..1
schedule: {at: [100 steps], stop: 900 steps, warmup: none}
vary: {optimizer.rate: [0.1, 3e-2], schedule.at: [[100 steps], [200 steps, 300 steps]]}
`
	q := parse(t, text)
	p := q.Plans[0]
	names := []string{"rate 0.1 at 100 steps", "rate 0.1 at 200 steps 300 steps", "rate 0.03 at 100 steps", "rate 0.03 at 200 steps 300 steps"}
	if len(p.Runs) != 16 {
		t.Fatal(ids(p))
	}
	for i, run := range p.Runs {
		if run.Variant != names[i/2%4] || run.Seed != uint64(i/8) {
			t.Errorf("run %d is %s", i, run.ID)
		}
	}
	if run := p.Runs[6]; run.ID != "plain-8-rate_0.03_at_200_steps_300_steps-seed0" || run.Optimizer.Rate != 0.03 || !reflect.DeepEqual(run.Schedule.At, []int{200, 300}) {
		t.Errorf("%+v", run)
	}
	want := Varied{Keys: []string{"optimizer.rate", "schedule.at"}, Values: map[string][]string{
		names[0]: {"0.1", "100 steps"}, names[1]: {"0.1", "200 steps, 300 steps"}, names[2]: {"0.03", "100 steps"}, names[3]: {"0.03", "200 steps, 300 steps"},
	}}
	if !reflect.DeepEqual(p.Varied, want) {
		t.Errorf("%+v", p.Varied)
	}
	if !reflect.DeepEqual(p.Figures, []string{"training_curves", "error_by_depth", "final_error_vs_value"}) {
		t.Errorf("figures %q", p.Figures)
	}
	plain := parse(t, strings.Replace(text, "vary:", "#", 1)).Plans[0]
	if p.Runs[0].Hash() != plain.Runs[0].Hash() || p.Runs[4].Hash() == plain.Runs[0].Hash() {
		t.Error("the file's own recipe is one of those that are varied, and no other")
	}
	resolved, err := q.Resolved("default")
	if err != nil {
		t.Fatal(err)
	}
	if again := parse(t, string(resolved)).Plans[0]; !reflect.DeepEqual(again.Runs, p.Runs) || !reflect.DeepEqual(again.Varied, p.Varied) {
		t.Errorf("%s", resolved)
	}
	// vary on the command line.
	base := strings.Replace(text, "vary:", "#", 1)
	_, set, err := changed(t, base, "default", Changes{Set: []string{"vary.optimizer.rate=[0.1, 0.03]"}})
	if err != nil || len(set.Runs) != 8 || set.Folder != "default+vary.optimizer.rate=0.1,0.03" {
		t.Errorf("%v: %+v", err, set)
	}
}

func TestWrongVary(t *testing.T) {
	const text = "question: Which?\nnets: [plain-8]\ndata: preview\nschedule: {at: [100 steps], stop: 900 steps}\nvary: X\n"
	for _, c := range []struct{ vary, want string }{
		{"[0.1]", "q.yaml:5: vary: a list of 1: expected a mapping of keys to lists of values (such as {optimizer.rate: [0.1, 0.03]})"},
		{"{optimizer.rate: 0.1}", "q.yaml:5: vary.optimizer.rate: 0.1: expected a list of values (such as {optimizer.rate: [0.1, 0.03]})"},
		{"{optimizer.rate: []}", "q.yaml:5: vary.optimizer.rate: a list of 0: expected a list of values (such as {optimizer.rate: [0.1, 0.03]})"},
		{"{optimizer.rat: [0.1]}", "q.yaml:5: vary.optimizer.rat: unknown key (did you mean rate?)"},
		{"{seeds: [1, 2]}", "q.yaml:5: vary.seeds: unknown key (seeds is the same for the whole question)"},
		{"{optimizer.rate: [0.1, high]}", `q.yaml:5: vary.optimizer.rate: "high": expected a number above 0 to 1000`},
		{"{optimizer.rate: [0.1, 1e-1]}", `q.yaml:5: vary.optimizer.rate[1]: 1e-1: is in this list twice (the first is vary.optimizer.rate[0])`},
		{"{optimizer: [{rate: 0.1}]}", "q.yaml:5: vary.optimizer[0]: {...}: expected a value, or a list of values (write variants for what takes more than that)"},
		{"{schedule.stop: [50 steps]}", `q.yaml:5: vary.schedule.stop: "50 steps": drops the rate at 100 steps, but training stops at 50 steps (schedule.at must be before schedule.stop)`},
		{"{batch: [64], log: [10 steps, 20 steps]}", `q.yaml:5: vary: batch 64 log 20 steps: trains every net as the question itself does, or a variant before it (change something, or leave it out)`},
		{"{init: [w/A.safetensors, w/B.safetensors]}", `q.yaml:5: vary: {...}: two combinations have the name "init w .safetensors" (write variants, with names of your own)`},
		{"{}\nfigures: [final_error_vs_value]", "q.yaml:6: figures: a list of 1: final_error_vs_value draws errors over the values of vary, which is missing (write vary: {optimizer.rate: [0.1, 0.03]}; the figure comes with it)"},
		{"{batch: [64]}\nvariants: [{name: ab, batch: 32}]", "q.yaml:5: vary: {...}: vary and variants contradict each other (write one of the two; variants: [] and vary: {} remove those of the top of the file)"},
	} {
		_, err := Parse("q.yaml", []byte(strings.Replace(text, "X", c.vary, 1)))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: got\n%v\nwant\n%s", c.vary, err, c.want)
		}
	}
}
