// Tests of pack, unpack and diff of questions, as processes.

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/store"
)

func TestShare(t *testing.T) {
	published, err := filepath.Abs("../../../results/published")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	file, own := filepath.Join(root, "result.zip"), filepath.Join(root, "results/plain_vs_res/cifar10-cpu")
	text := filepath.Join(root, "text.zip")
	if err := os.WriteFile(text, []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	theirs := published + "/plain_vs_res/cifar10-cpu"
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"pack " + theirs, 2, []string{"-o is missing", "plain_vs_res.zip"}},
		{"pack " + root + " -o " + file, 2, []string{"no runs there; expected", "results/NAME/PROFILE"}},
		{"import " + root, 2, []string{"import " + root + ": no runs there; expected", "results/NAME/PROFILE"}},
		{"pack " + theirs + " -o " + file, 0, []string{"4 runs", "unpack"}},
		{"pack " + theirs + " -o " + file, 2, []string{"exists already"}},
		{"pack --weights " + theirs + " -o " + file + "2", 2, []string{"--weights: plain-20-seed0-6fb9cb9a87e6 has no weights here", "leave it out"}},
		{"unpack " + text, 2, []string{"text.zip", "not a zip file", "nothing was unpacked"}},
		{"unpack " + file + "3", 2, []string{"no such file"}},
		{"unpack " + file, 0, []string{"4 runs copied into", "| plain-56", "report.html"}},
		{"unpack " + file, 0, []string{"0 runs copied into", "report.html"}},
		{"plot " + own + "/question.yaml", 0, []string{"| plain-56", "curves"}},
		{"diff " + theirs + " " + own, 0, []string{"plain-20-seed0", "no difference"}},
		{"diff " + theirs + " " + published + "/plain_vs_res/preview-seeds", 0, []string{"in all runs that both have:", "run.optimizer.rate", "0.1 -> 0.05", "16.93 % -> 0.56 %", "only in the first", "only in the second"}},
		{"diff " + theirs + " " + published + "/runs/plain-20-seed0-6fb9cb9a87e6", 2, []string{"one is a question and the other is not"}},
		{"runs", 0, []string{"plain-20-seed0-6fb9cb9a87e6", "plain_vs_res/cifar10-cpu"}},
		{"gc --yes", 0, []string{"nothing to remove"}},
	} {
		cmd, out, say := lab(root, strings.Fields(c.args)...)
		if got := code(cmd.Run()); got != c.code {
			t.Errorf("lab %s: exit code %d, want %d\n%s%s", c.args, got, c.code, out, say)
		}
		all := out.String() + say.String()
		for _, w := range c.want {
			if !strings.Contains(all, w) {
				t.Errorf("lab %s: want %q in\n%s", c.args, w, all)
			}
		}
	}
	for _, name := range []string{"report.html", "curves.csv", "table.md", "training_curves.png", "provenance.json"} {
		if _, err := os.Stat(filepath.Join(own, name)); err != nil {
			t.Error(err)
		}
	}
}

// Questions that continue a run, or begin with a file of weights, are packed, unpacked and drawn
// elsewhere, with or without weights. Only training needs the weights.
func TestShareContinued(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "q.yaml"), 0, changeable)
	run := func(root string, want int, args ...string) string {
		t.Helper()
		cmd, out, said := wishing(root, nil, args...)
		if got := code(cmd.Run()); got != want {
			t.Fatalf("lab %q: exit code %d, want %d\n%s%s", args, got, want, out, said)
		}
		return out.String() + said.String()
	}
	run(root, 0, "run", "q.yaml", "--only=plain-8")
	all, _, err := store.Store(filepath.Join(root, "results")).All()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	parent, file := all[0], filepath.Join(root, "own.safetensors")
	trained, err := os.ReadFile(parent.Weights())
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, 0, string(trained))
	for name, c := range map[string]struct {
		asked []string
		runs  int // that are packed
	}{
		"longer": {[]string{"q.yaml", "--name=longer", "--set", "continue.run=" + parent.Name(), "--set", "continue.for=2 steps"}, 2},
		"begun":  {[]string{"q.yaml", "--name=begun", "--only=plain-8", "--set", "init=own.safetensors"}, 1},
	} {
		run(root, 0, append([]string{"run"}, c.asked...)...)
		asked := "results/q/one+" + name
		for _, weights := range []string{"--weights=true", "--weights=false"} {
			pack := filepath.Join(root, name+weights+".zip")
			run(root, 0, "pack", weights, filepath.Join(root, asked), "-o", pack)
			elsewhere := t.TempDir()
			for _, args := range [][]string{{"unpack", pack}, {"plot", asked + "/question.yaml"}} {
				if said := run(elsewhere, 0, args...); !strings.Contains(said, "| plain-8") || strings.Contains(said, "not drawn") {
					t.Errorf("%q: %s", args, said)
				}
			}
			if got, _, err := store.Store(filepath.Join(elsewhere, "results")).All(); err != nil || len(got) != c.runs {
				t.Errorf("%s: %q, %v; want %d runs", pack, got, err, c.runs)
			}
			if said := run(elsewhere, 0, "status", "results"); !strings.Contains(said, "plain-8-seed0") || strings.Contains(said, "cannot be read") {
				t.Errorf("%s: %s", pack, said)
			}
		}
		gone := map[string]string{"longer": parent.Weights(), "begun": file}[name]
		if err := os.Rename(gone, gone+".moved"); err != nil {
			t.Fatal(err)
		}
		if said := run(root, 0, append([]string{"plot"}, c.asked...)...); !strings.Contains(said, "| plain-8") || strings.Contains(said, "not drawn") {
			t.Errorf("without %s: %s", gone, said)
		}
		if said := run(root, 2, append([]string{"run"}, c.asked...)...); !strings.Contains(said, "no such file") {
			t.Errorf("training without %s: %s", gone, said)
		}
		if err := os.Rename(gone+".moved", gone); err != nil {
			t.Fatal(err)
		}
	}
	// Another file that is not there is not taken for the one with which the run began.
	if said := run(root, 1, "plot", "q.yaml", "--name=begun", "--only=plain-8", "--set", "init=other.safetensors"); !strings.Contains(said, "plain-8-seed0 is not drawn: it was trained with another recipe") {
		t.Error(said)
	}
}
