package harness

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"depthlab/harness/device/ref"
	"depthlab/harness/state"
)

// A checkpoint that names its program by the hash of the dump, as all did once,
// goes on as if nothing had changed.
func TestFormerHash(t *testing.T) {
	dir := t.TempDir()
	s := smallSweep(t, dir)
	if err := s.Run(&stopAfter{Context: context.Background(), n: 6}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	run := s.Plan.Runs[0]
	m, err := open(run, s.Data, ref.New())
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	c, _, err := state.Latest(checkpoints(dir), run.ID)
	if err != nil || c == nil || c.Step == 0 {
		t.Fatalf("checkpoint %+v, %v", c, err)
	}
	var p progress
	if err := json.Unmarshal([]byte(c.Meta["progress"]), &p); err != nil {
		t.Fatal(err)
	}
	p.Proof.Program = m.programs.Train.FormerHash()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c.Meta["progress"] = string(text)
	if err := state.Remove(checkpoints(dir), run.ID); err != nil {
		t.Fatal(err)
	}
	if err := state.Save(checkpoints(dir), run.ID, c); err != nil {
		t.Fatal(err)
	}
	if err := smallSweep(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "superseded", "*")); len(aside) > 0 {
		t.Errorf("set aside: %v", aside)
	}
	if !reflect.DeepEqual(outcome(t, dir), undisturbed(t)) {
		t.Error("ends otherwise than a run that was not stopped")
	}
}
