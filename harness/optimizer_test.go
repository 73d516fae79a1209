package harness

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device/ref"
	"depthlab/harness/state"
)

// A run of AdamW that is stopped again and again ends with the same bits as one
// that was not; its checkpoints hold all that the optimizer keeps, and are read as
// weights of the net alone.
func TestResumeOfAdam(t *testing.T) {
	begin := func(dir string) *Sweep {
		s := smallSweep(t, dir)
		text := strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]\noptimizer: {form: adamw, rate: 0.02, decays: weights}").Replace(small)
		s.Plan = sweep(t, text, dir, ref.New(), "").Plan
		return s
	}
	whole, dir := t.TempDir(), t.TempDir()
	if err := begin(whole).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := begin(dir).Plan.Runs[0].ID
	if err := begin(dir).Run(&stopAfter{Context: context.Background(), n: 6}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	c, _, err := state.Latest(at(dir, id).Checkpoints(), at(dir, id).Name())
	if err != nil || c == nil {
		t.Fatalf("no checkpoint: %v", err)
	}
	var names []string
	for i := range c.Tensors {
		x := &c.Tensors[i]
		names = append(names, x.Name)
		if v, err := x.Float32s(); x.Name == "step" && (err != nil || !slices.Equal(v, []float32{float32(c.Step), float32(c.Step)})) {
			t.Errorf("steps of weights and of the rest are %v, %v at step %d", v, err, c.Step)
		}
	}
	for _, want := range []string{"conv1.weight", "exp_avg.conv1.weight", "exp_avg_sq.fc.bias", "step", "bn1.running_var"} {
		if !slices.Contains(names, want) {
			t.Errorf("the checkpoint lacks %s", want)
		}
	}
	if w, err := readWeights(state.Path(at(dir, id).Checkpoints(), at(dir, id).Name(), c.Step)); err != nil || w.tensors["exp_avg.fc.bias"] != nil || w.tensors["step"] != nil || w.tensors["fc.bias"] == nil {
		t.Errorf("read as weights: %v", err)
	}
	interrupted(t, func() *Sweep { return begin(dir) })
	if !reflect.DeepEqual(outcome(t, dir), outcome(t, whole)) {
		t.Error("ends otherwise than a run that was not stopped")
	}
}
