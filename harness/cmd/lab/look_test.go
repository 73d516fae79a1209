// Tests of commands that only read results: status, runs, show, diff, plan.

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/disk"
	"depthlab/harness/predict"
	"depthlab/harness/store"
)

// Commands that only read, on the published results and on folders of a killed, a failed and a
// finished run.
func TestLook(t *testing.T) {
	published, err := filepath.Abs("../../../results/published/plain_vs_res/preview-seeds")
	if err != nil {
		t.Fatal(err)
	}
	run := func(id string) string {
		_, entries, err := store.View(published).Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.ID == id {
				return string(store.View(published).Folder(e))
			}
		}
		return filepath.Join(published, id)
	}
	dir := filepath.Join(t.TempDir(), "[2024]*thesis") // not to be read as a pattern
	start := `{"kind":"start","start":{"id":"ID","net":"plain-8","depth":8,"seed":0,"steps":20,"batch":4}}` + "\n"
	// put writes the list of a question's runs, and their records.
	put := func(results, question string, runs map[string]string) {
		t.Helper()
		v := store.Store(results).View(question, "default")
		var entries []store.Entry
		for _, id := range slices.Sorted(maps.Keys(runs)) {
			e := store.Entry{ID: id, Run: id + "-seed0-0123456789ab"}
			entries = append(entries, e)
			if err := disk.Write(v.Folder(e).Record(), []byte(strings.ReplaceAll(start, "ID", id)+runs[id])); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Write("q.yaml", entries); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(dir, "results"), "q", map[string]string{
		"a": `{"kind":"train","step":10,"error":50,"images_per_s":2}` + "\n" + `{"kind":"eval","step":10,"set":"test","error":60}` + "\n" + `{"kind":"train","st`,
		"b": `{"kind":"stop","step":3,"text":"NaN first in layer conv1"}` + "\n",
		"c": `{"kind":"train","step":20,"error":5}` + "\n" + `{"kind":"end","step":20}` + "\n",
		"d": "nonsense\n",
	})
	// Results on another disk, with links to them, a cycle of links, and a link to nothing.
	linked := filepath.Join(t.TempDir(), "linked")
	for link, to := range map[string]string{linked: filepath.Join(dir, "results"), filepath.Join(dir, "results", "q", "again"): "..", filepath.Join(dir, "results", "gone"): "nowhere"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	// Complete results, and others whose question cannot be read.
	damaged := filepath.Join(t.TempDir(), "results")
	put(damaged, "a", map[string]string{"a": ""})
	put(damaged, "b", map[string]string{"c": ""})
	for path, text := range map[string]string{
		"a/default/question.yaml": "question: [\n", "runs/c-seed0-0123456789ab (conflicted copy)/record.jsonl": "", "b/other/runs.json": "[",
	} {
		if err := disk.Write(filepath.Join(damaged, path), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	picture := filepath.Join(dir, "other.png")
	if err := os.WriteFile(picture, []byte("\x89PNG\r\n\x1a\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want []string // in this order
	}{
		{"show " + published + "/training_curves.png", 0, []string{"Do deeper plain nets", "profile preview-seeds", "plain-20-seed0: seed 0, 1000 steps, bf16, finished 2026-", "data preview set e50c2e97a332", "onednn, oneDNN", "resnet-44-seed4"}},
		{"show " + published + "/error_by_depth.svg", 0, []string{"profile preview-seeds", "plain-20-seed0: seed 0", "resnet-44-seed4"}},
		{"show " + published + "/table.csv", 0, []string{"profile preview-seeds", "plain-20-seed0: seed 0", "resnet-44-seed4"}},
		{"show --json " + published + "/table.md", 0, []string{"{", `"runs"`, "}"}},
		{"show " + picture, 1, []string{picture}},
		{"show " + dir + "/none.png", 2, []string{"none.png"}},
		{"show " + dir + "/notes.md", 2, []string{"notes.md", "provenance.json", "results/NAME/PROFILE"}},
		{"show go.mod", 2, []string{"go.mod", "expected a .png, .svg"}},
		{"show", 2, []string{"expected one figure"}},

		{"diff " + run("plain-20-seed0") + " " + run("plain-20-seed0") + "/run.json", 0, []string{"no difference"}},
		{"diff " + run("plain-20-seed0") + "/record.jsonl " + run("resnet-20-seed1"), 0, []string{"run.net", "plain-20 -> resnet-20", "run.seed", "0 -> 1", "train_error"}},
		{"diff --json " + run("plain-20-seed0") + " " + run("plain-20-seed1"), 0, []string{`"differences":[`, `"run.seed"`}},
		{"diff " + run("plain-20-seed0") + " " + run("plain-21-seed0"), 2, []string{"plain-21-seed0", "no such file"}},
		{"diff " + run("plain-20-seed0"), 2, []string{"expected two runs"}},

		{"status " + published, 0, []string{"train", "images/s", "plain-20-seed0", "finished", "1000/1000", "resnet-44-seed4", "30 runs: 30 finished"}},
		{"status " + dir, 0, []string{"interrupted", "10/20", "50.00 %", "60.00 %", "20s", "failed", "finished", "20/20", "b: NaN first in layer conv1", "d: ", "4 runs: 1 finished, 1 interrupted, 2 failed"}},
		{"status --json " + dir, 0, []string{`"id":"a"`, `"state":"interrupted"`, `"id":"b"`, `"why":"NaN`, `"id":"c"`, `"state":"finished"`}},
		{"status " + dir + "/nothing", 2, []string{"nothing", "no such"}},
		{"status " + filepath.Dir(dir) + "/" + filepath.Base(dir) + "/results/q/default/runs.json", 2, []string{"has no results"}},
		{"status", 0, []string{"results/q/default", "4 runs: 1 finished, 1 interrupted, 2 failed"}},
		{"status --json", 0, []string{`"state":"interrupted"`}},
		{"status a b", 2, []string{"expected one folder"}},
		{"status " + linked, 0, []string{"linked/q/default", "4 runs: 1 finished, 1 interrupted, 2 failed"}},
		{"status " + damaged, 1, []string{"a/default", "1 runs: 1 interrupted", "b/default", "1 runs: 1 interrupted", "question.yaml", "b/other/runs.json", "damaged"}},
		{"status --json " + damaged, 1, []string{`"id":"a"`, `"id":"c"`, "question.yaml"}},
	} {
		cmd, out, say := lab(dir, strings.Fields(c.args)...)
		err := cmd.Run()
		all := out.String() + say.String()
		if got := code(err); got != c.code {
			t.Errorf("lab %s: exit code %d, want %d\n%s", c.args, got, c.code, all)
		}
		rest := all
		for _, w := range c.want {
			_, after, found := strings.Cut(rest, w)
			if !found {
				t.Errorf("lab %s: lacks %q, or in another order:\n%.2000s", c.args, w, all)
				break
			}
			rest = after
		}
		if c.code == 0 && strings.Contains(c.args, "--json") && !json.Valid(out.Bytes()) {
			t.Errorf("lab %s: no JSON:\n%.200s", c.args, out)
		}
	}
}

// plan says that its estimate is rough, unless --measure is given; it writes no files.
func TestPlan(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "plain-8", "8")
	plan := func(args ...string) (string, predict.Estimate) {
		t.Helper()
		cmd, out, say := lab(dir, append([]string{"plan", "--device", "ref", file}, args...)...)
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s", err, say)
		}
		var all struct{ Runs []predict.Estimate }
		if len(args) > 0 && json.Unmarshal(out.Bytes(), &all) == nil && len(all.Runs) == 1 {
			return out.String(), all.Runs[0]
		}
		return out.String(), predict.Estimate{}
	}
	if text, _ := plan(); !strings.Contains(text, "rough") || !strings.Contains(text, "plan --measure") {
		t.Errorf("does not say that it is rough:\n%s", text)
	}
	if _, e := plan("--json", "--measure"); e.Rough || e.Time <= 0 || e.Memory <= 0 {
		t.Errorf("measured: %+v", e)
	}
	if text, _ := plan(); !strings.Contains(text, "rough") {
		t.Errorf("what was measured before is kept:\n%s", text)
	}
	for _, made := range []string{"results", ".cache/plan"} {
		if _, err := os.Stat(filepath.Join(dir, made)); err == nil {
			t.Errorf("plan made %s", made)
		}
	}
	for _, args := range [][]string{{"--device", "gpu"}, {"--precision", "fp8"}} {
		cmd, _, say := lab(dir, append([]string{"plan", file}, args...)...)
		if err := cmd.Run(); code(err) != 2 || !strings.Contains(say.String(), args[1]) {
			t.Errorf("%v: %v, %s", args, err, say)
		}
	}
}

// rm removes the run that it is given, by name or folder, and no run of that name elsewhere.
func TestRemove(t *testing.T) {
	root := t.TempDir()
	const run = "plain-8-seed0-0123456789ab"
	mine, other := filepath.Join(root, "results/runs", run), filepath.Join(root, "results/published/runs", run)
	for _, dir := range []string{mine, other} {
		put(t, filepath.Join(dir, "record.jsonl"), 0, "")
	}
	for _, c := range []struct {
		args string
		code int
		left bool
	}{{other, 2, true}, {other + "/", 2, true}, {"plain-8", 2, true}, {mine + "/", 0, false}, {run, 2, false}} {
		cmd, out, said := lab(root, "rm", c.args)
		got := code(cmd.Run())
		_, err := os.Stat(mine)
		if _, gone := os.Stat(other); got != c.code || (err == nil) != c.left || gone != nil {
			t.Errorf("rm %s: exit code %d, left %v, other %v\n%s%s", c.args, got, err == nil, gone, out, said)
		}
	}
	put(t, filepath.Join(mine, "record.jsonl"), 0, "")
	cmd, out, said := lab(root, "rm", run)
	if err := cmd.Run(); err != nil || !strings.Contains(said.String(), "removed "+run) {
		t.Errorf("by name: %v\n%s%s", err, out, said)
	}
}

// Two files of one name cannot share the results of one of them, wherever the command is given; and
// commands find the results in whose folder they are given.
func TestFilesOfOneName(t *testing.T) {
	root := t.TempDir()
	text := strings.NewReplacer("NET", "plain-8", "BATCH", "4").Replace(tiny)
	for _, dir := range []string{"a", "b"} {
		put(t, filepath.Join(root, dir, "tiny.yaml"), 0, text)
	}
	v := store.Store(filepath.Join(root, "results")).View("tiny", "default")
	run := store.Entry{ID: "plain-8-seed0", Run: "plain-8-seed0-0123456789ab"}
	if err := v.Write(filepath.Join(root, "a", "tiny.yaml"), []store.Entry{run}); err != nil {
		t.Fatal(err)
	}
	put(t, v.Question(), 0, text)
	for _, c := range []struct {
		dir, args string
		code      int
		want      string
	}{
		{"a", "plan tiny.yaml --device ref", 0, "plain-8-seed0"},
		{"b", "plan tiny.yaml --device ref", 2, "has the results of another file"},
		{"b", "plan ../a/tiny.yaml --device ref", 0, "plain-8-seed0"},
		{"results/tiny/default", "plan question.yaml --device ref", 0, "plain-8-seed0"},
		{"results/tiny/default", "status .", 0, "0/100000"},
		{"results", "status tiny/default/", 0, "0/100000"},
	} {
		cmd, out, said := lab(root, strings.Fields(c.args)...)
		cmd.Dir = filepath.Join(root, c.dir)
		if got := code(cmd.Run()); got != c.code || !strings.Contains(out.String()+said.String(), c.want) {
			t.Errorf("%s in %s: exit code %d, want %d and %q:\n%s%s", c.args, c.dir, got, c.code, c.want, out, said)
		}
	}
}
