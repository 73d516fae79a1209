// Tests of --set, --only and --name.

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/store"
)

const changeable = `
question: Does it change?
nets: [plain-8, resnet-8]
data: preview
train: 64
validation: 32
batch: 16
optimizer: {rate: 0.3}
input: {pad: 2}
batch_norm: {group: 0, batches: 1}
schedule: {at: [], stop: 2 steps, warmup: none}
log: 1 step
figures: [training_curves]
precision: fp32
profiles:
  one: {optimizer: {rate: 0.05}}
  two: {like: one, seeds: 0..1}
`

// A question that the command line changes has its own folder of results, trains only runs that
// the store does not have, and can be drawn and run again from that folder.
func TestChanged(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "q.yaml"), 0, changeable)
	run := func(want int, args ...string) (out, said string) {
		t.Helper()
		cmd, o, s := wishing(dir, nil, args...)
		if err := cmd.Run(); code(err) != want {
			t.Fatalf("%q: %v\n%s%s", args, err, o, s)
		}
		return o.String(), s.String()
	}
	runs := func() int {
		t.Helper()
		all, _, err := store.Store(filepath.Join(dir, "results")).All()
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	exists := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(dir, "results", name)); err != nil {
				t.Error(err)
			}
		}
	}
	device := "--device=ref"
	_, said := run(0, "run", "q.yaml", device, "--only", "plain-8", "--set", "optimizer.rate=0.1")
	if n := runs(); n != 1 || strings.Contains(said, "overrides") || !strings.Contains(said, "profile one --set optimizer.rate=0.1 --only plain-8") {
		t.Errorf("%d runs: %s", n, said)
	}
	exists("q/one+optimizer.rate=0.1+only=plain-8/training_curves.png")

	// A sweep of two runs, one of which is finished already.
	_, said = run(0, "run", "q.yaml", device, "--only=plain-8", "--set", "vary.optimizer.rate=[0.1, 0.02]", "--name", "rates")
	if n := runs(); n != 2 || !strings.Contains(said, "1 of 2 runs were finished before") {
		t.Errorf("%d runs: %s", n, said)
	}
	exists("q/one+rates/final_error_vs_value.png", "q/one+rates/final_error_vs_value.svg")
	out, _ := run(0, "show", filepath.Join("results", "q", "one+rates", "final_error_vs_value.png"))
	if !strings.Contains(out, "profile one --set vary.optimizer.rate=[0.1, 0.02] --only plain-8") {
		t.Error(out)
	}

	// Drawn again, from the file and from question.yaml.
	figure := filepath.Join(dir, "results", "q", "one+rates", "final_error_vs_value.png")
	asked := filepath.Join("results", "q", "one+rates", "question.yaml")
	for _, args := range [][]string{
		{"plot", "q.yaml", "--only=plain-8", "--set", "vary.optimizer.rate=[0.1, 0.02]", "--name", "rates"},
		{"plot", asked},
	} {
		if err := os.Remove(figure); err != nil {
			t.Fatal(err)
		}
		run(0, args...)
		exists("q/one+rates/final_error_vs_value.png")
	}
	if out, _ = run(0, "status"); !strings.Contains(out, "plain-8-rate_0.02-seed0") || !strings.Contains(out, "one+rates") {
		t.Error(out)
	}

	// The results of a changed question.yaml are in a folder beside it.
	out, _ = run(0, "plan", asked, device, "--set", "log=2 steps", "--json")
	var plan struct {
		Changes []string
		Runs    []struct{ ID, Done string }
	}
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Runs) != 2 || !strings.HasPrefix(plan.Runs[1].Done, "finished") || len(plan.Changes) != 1 || plan.Changes[0] != "--set log=2 steps" {
		t.Errorf("%+v", plan)
	}
	out, _ = run(0, "plan", asked, device, "--set", "log=2 steps")
	if want := "one+rates+log=2_steps"; !strings.Contains(out, want) {
		t.Errorf("want %s in\n%s", want, out)
	}

	// A rate at the top of the file that has no effect is reported.
	if out, _ = run(0, "plan", "q.yaml", device); !strings.Contains(out, "overrides values at the top of q.yaml: optimizer.rate: 0.3 (here 0.05)") {
		t.Error(out)
	}
	// A finished run continues, and its weights are the initial weights of another net.
	all, _, err := store.Store(filepath.Join(dir, "results")).All()
	if err != nil {
		t.Fatal(err)
	}
	parent := all[0]
	out, _ = run(0, "run", "q.yaml", device, "--name=longer", "--set", "continue.run="+parent.Name(), "--set", "continue.for=2 steps", "--set", "keep=[last, every 3 steps]")
	if !strings.Contains(out, "2 steps more at rate") || runs() != 3 {
		t.Errorf("%d runs: %s", runs(), out)
	}
	exists("q/one+longer/training_curves.png")
	if out, _ = run(0, "show", filepath.Join("results", "q", "one+longer", "table.md")); !strings.Contains(out, "begins with "+parent.Name()) {
		t.Error(out)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "results", "runs", "*", "kept", "step3.safetensors"))
	if err != nil || len(kept) != 1 {
		t.Errorf("kept weights %q, %v", kept, err)
	}
	if _, said = run(0, "run", "q.yaml", device, "--only=plain-8", "--set", "init="+parent.Weights()); runs() != 4 {
		t.Errorf("%d runs: %s", runs(), said)
	}
	// Steps begin with a file, too, also those of a net that the question does not list.
	if _, said = run(0, "step", "q.yaml", device, "--only=plain-8", "--net=resnet-8", "--steps=1", "--out=s", "--set", "init="+parent.Weights()); !strings.Contains(said, "of resnet-8, which begins with the weights in "+parent.Weights()) {
		t.Error(said)
	}
	if err := os.Remove(parent.Weights()); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct{ args, want string }{
		{"run q.yaml --set continue.for=2epochs --set continue.run=plain-8", "--set continue.run: plain-8: is not a run in"},
		{"plan q.yaml --set continue={run:" + parent.Name() + ",for:2}", "--set continue"},
		{"run q.yaml --set continue.run=" + parent.Name() + " --set continue.for=1e3", "--set continue.for: 1e3: expected a time"},
		{"plan q.yaml --set nets=[resnet-14] --set init=" + all[1].Weights(), "does not fit resnet-14: missing layer1.1.conv1.weight"},
		{"plan q.yaml --set init=absent.safetensors", "absent.safetensors: no such file"},
		{"plan q.yaml --set keep=best", "--set keep: \"best\": expected a list (write [best])"},
		{"run q.yaml --set optimizer.rat=1", "--set optimizer.rat: unknown key (did you mean rate?)"},
		{"plan q.yaml --only resnet-9", `--only: "resnet-9"`},
		{"plot q.yaml --set batch=0", "--set batch: 0: expected a whole number from 1 to 65536"},
		{"plot q.yaml --profile two --set seeds=0-4", "(write 0..4)"},
		{"step q.yaml --net plain-8 --out s --set batch=0", "--set batch: 0"},
		{"step q.yaml --only plain-8 --net resnet-14 --out s --set init=" + all[1].Weights(), "init: " + all[1].Weights() + ": does not fit resnet-14: missing layer1.1.conv1.weight"},
		{"step q.yaml --net plain-8 --out s --set continue.run=" + all[1].Name() + " --set continue.for=2steps", "step q.yaml: the question continues " + all[1].Name()},
		{"run q.yaml --name ../x", "--name: ../x: expected"},
		{"run q.yaml --set=", "--set: expected a value"},
		{"status --set a=b", "there is no option --set"},
	} {
		if _, said := run(2, strings.Fields(c.args)...); !strings.Contains(said, c.want) {
			t.Errorf("%s: %s", c.args, said)
		}
	}
}
