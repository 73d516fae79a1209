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

// A question that continues a run is packed, unpacked and drawn elsewhere, with or without weights.
func TestShareContinued(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "q.yaml"), 0, changeable)
	run := func(root string, args ...string) string {
		t.Helper()
		cmd, out, say := wishing(root, nil, args...)
		if err := cmd.Run(); err != nil {
			t.Fatalf("lab %q: %v\n%s%s", args, err, out, say)
		}
		return out.String() + say.String()
	}
	run(root, "run", "q.yaml", "--only=plain-8")
	all, _, err := store.Store(filepath.Join(root, "results")).All()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	run(root, "run", "q.yaml", "--name=longer", "--set", "continue.run="+all[0].Name(), "--set", "continue.for=2 steps")
	for name, more := range map[string][]string{"with.zip": {"--weights"}, "without.zip": nil} {
		file := filepath.Join(root, name)
		run(root, append([]string{"pack", filepath.Join(root, "results/q/one+longer"), "-o", file}, more...)...)
		elsewhere := t.TempDir()
		if said := run(elsewhere, "unpack", file); !strings.Contains(said, "2 runs copied into") || !strings.Contains(said, "| plain-8") {
			t.Errorf("%s: %s", name, said)
		}
		if said := run(elsewhere, "status", "results"); !strings.Contains(said, "plain-8-seed0") || strings.Contains(said, "cannot be read") {
			t.Errorf("%s: %s", name, said)
		}
	}
}
