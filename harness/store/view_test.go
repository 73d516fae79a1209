// Tests of views: which runs are used.

package store

import (
	"errors"
	"maps"
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
