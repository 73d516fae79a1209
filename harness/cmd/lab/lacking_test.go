// Tests of what plan says about records of older versions.

package main

import (
	"os"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/store"
)

// plan says which of the figures' curves an older version's record lacks, and whether they can
// be added without training again.
func TestLacking(t *testing.T) {
	f := store.Folder(t.TempDir())
	q := question{plan: &experiments.Plan{Runs: []experiments.Run{{ID: "a", Net: "plain-8"}}}, folders: map[string]store.Folder{"a": f}}
	record := `{"kind":"start","step":0,"start":{"id":"a","net":"plain-8","steps":6}}` + "\n" + `{"kind":"end","step":6}` + "\n"
	for path, text := range map[string]string{f.Record(): record, f.Weights(): ""} {
		if err := disk.Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string, figures ...string) {
		t.Helper()
		q.plan.Figures = figures
		if got := lackingText(q, "a"); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q: %q, want %q", figures, got, want)
		}
	}
	check("", "training_curves")
	check("will be computed from its weights and added", "layer_responses")
	check("unless ./run.sh rm "+f.Name(), "gradient_norms")
	if err := os.Remove(f.Weights()); err != nil {
		t.Fatal(err)
	}
	check("its weights are missing", "layer_responses")
	text := strings.Replace(record, `{"kind":"end"`, `{"kind":"responses","step":6,"layers":[1]}`+"\n"+`{"kind":"end"`, 1)
	if err := disk.Write(f.Record(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	check("", "layer_responses")
}
