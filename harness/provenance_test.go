package harness

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/record"
)

// Two runs of one recipe do not differ; of two recipes, in what was changed and
// in what came out. A run that is asked for otherwise is set aside with the
// change spelled out.
func TestDiffAndChanges(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := smallSweep(t, dir).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	run := func(dir, end string) string { return filepath.Join(dir, "runs", "resnet-8-seed0"+end) }
	if d, err := Diff(run(a, ".json"), run(b, "")); err != nil || len(d) > 0 {
		t.Errorf("equal runs: %v, %v", d, err)
	}
	s := smallSweep(t, b)
	for i := range s.Plan.Runs {
		s.Plan.Runs[i].Optimizer.Rate = 0.05
	}
	s.Data.Checksum = "other noise"
	var said []string
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(said) != 2 || !strings.Contains(said[0], "optimizer.rate: 0.1 -> 0.05, data: noise (noise) -> noise (other noise)") {
		t.Errorf("said %q", said)
	}
	d, err := Diff(run(a, ".jsonl"), run(b, ".json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range d {
		names = append(names, one.Name)
	}
	all := strings.Join(names, " ")
	if !strings.HasPrefix(all, "proof.data proof.run run.optimizer.rate") {
		t.Errorf("differences %s", all)
	}
	if _, err := Diff(run(a, ".json"), filepath.Join(a, "weights")); err == nil || !strings.Contains(err.Error(), "expected a run's file") {
		t.Errorf("error %v", err)
	}

	records, err := record.ReadDir(filepath.Join(a, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range OriginOf(a, records) {
		if o.Version != "test" || o.Recipe == "" || o.Checksum != "noise" || o.Steps != 6 || o.Finished == "" || !strings.HasPrefix(o.Device, "ref, ") {
			t.Errorf("incomplete: %+v", o)
		}
	}
	if o := OriginOf(t.TempDir(), records); len(o) != 2 || o[0].ID != "plain-8-seed0" || o[0].Steps != 6 {
		t.Errorf("without runs/ID.json: %+v", o)
	}
}
