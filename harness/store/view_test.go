// Tests of views: which runs are used.

package store

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"depthlab/harness/disk"
)

// A run counts as used from the moment a question lists it, asks to continue it, or to begin with a
// file of its weights.
func TestUsed(t *testing.T) {
	const a, b, child = "plain-8-seed0-00000000000a", "plain-8-seed1-00000000000b", "plain-8-seed0-00000000000c"
	for _, c := range []struct {
		question string
		init     string // of the run that is listed, in its run.json
		want     []string
	}{
		{"continue: {run: [" + a + ", " + b + "], for: 4 steps}", "", []string{a, b, child}},
		{"nets: [plain-8]\ninit: results/runs/" + a + "/weights.safetensors", "", []string{a, child}},
		{"nets: [plain-8]\ninit: /elsewhere/results/runs/" + a + "/kept/best-step4.safetensors", "", []string{a, child}},
		{"nets: [plain-8]\nvariants: [{name: other, init: ../" + b + "/weights.safetensors}]", "", []string{b, child}},
		{"nets: [plain-8]\ninit: own.safetensors", "", []string{child}},
		{"not: valid", "results/runs/" + a + "/weights.safetensors", []string{a, child}},
		{"not: valid", "fan_in", []string{child}},
	} {
		st := Store(t.TempDir())
		v := st.View("more", "default")
		made := &Provenance{}
		made.Run.Init = c.init
		err := errors.Join(
			v.Write("more.yaml", []Entry{{"plain-8-seed0", child}}),
			disk.Write(v.Question(), []byte("question: On?\n"+c.question+"\n")),
			WriteProvenance(st.Run(child), made))
		if err != nil {
			t.Fatal(err)
		}
		used, err := st.Used()
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%s, run.json with init %q: %q are used, want %q", c.question, c.init, got, c.want)
		}
		for run, by := range used {
			if !slices.Equal(by, []string{"more/default"}) {
				t.Errorf("%s is used by %q", run, by)
			}
		}
	}
}

// A view's folder may be given with a / at its end, or be the current one.
func TestViewPaths(t *testing.T) {
	for v, want := range map[View]Store{"results/q/p": "results", "results/q/p/": "results", ".": "../..", "/r/q/p//": "/r", "q/p": "."} {
		if got := v.Store(); got != want {
			t.Errorf("%s: store %s, want %s", v, got, want)
		}
	}
	results := t.TempDir()
	for _, dir := range []string{"q/p", ".unpacking-1/q/p"} {
		if err := View(filepath.Join(results, dir)).Write("q.yaml", []Entry{{"plain-8-seed0", "plain-8-seed0-0123456789ab"}}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := Under(results); err != nil || len(all) != 1 {
		t.Errorf("%v, %v: want what is whole only", all, err)
	}
}

// A list knows in which folder the question's file is, and keeps it if it is written elsewhere.
func TestAsked(t *testing.T) {
	dir := t.TempDir()
	v := Store(filepath.Join(dir, "results")).View("q", "p")
	for _, name := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	ours := filepath.Join(dir, "a", "q.yaml")
	if err := os.WriteFile(ours, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "a"))
	if err := v.Write("q.yaml", nil); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "b"))
	for range 2 {
		if got, err := v.Asked(); err != nil || got != ours {
			t.Errorf("%s, %v; want %s", got, err, ours)
		}
		if err := v.Write("q.yaml", nil); err != nil { // as import does
			t.Fatal(err)
		}
	}
}

// Weights that a finished run lacks come with the same run; another record of that name stays.
func TestSupply(t *testing.T) {
	from, to := Folder(t.TempDir()), Folder(t.TempDir())
	for path, text := range map[string]string{from.Record(): "record", from.Weights(): "weights", to.Record(): "another"} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	said := 0
	say := func(string, ...any) { said++ }
	if err := supply(from, to, say); err != nil || said != 1 {
		t.Errorf("%v, %d messages", err, said)
	}
	if err := os.WriteFile(to.Record(), []byte("record"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := supply(from, to, say); err != nil || said != 1 {
		t.Errorf("%v, %d messages", err, said)
	}
	if text, err := os.ReadFile(to.Weights()); err != nil || string(text) != "weights" {
		t.Errorf("%q, %v", text, err)
	}
}
