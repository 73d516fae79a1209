// Tests of what is added to finished runs.

package sweep_test

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"depthlab/harness/measure"
	"depthlab/harness/record"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// forget removes the events of a kind from a record, which then is like that of an older version.
func forget(t *testing.T, path, kind string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^\{"kind":"`+kind+`".*\n`).ReplaceAll(text, nil)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// If a figure draws the layers' responses, a finished run whose record lacks them gets them from
// its weights, without training. Without weights its record is not changed.
func TestMissingResponses(t *testing.T) {
	dir := t.TempDir()
	begin := func(figures ...string) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		s.Plan.Figures = figures
		return s
	}
	if err := begin().Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := sweeptest.Outcome(t, dir)
	plain, residual := sweeptest.At(dir, "plain-8-seed0"), sweeptest.At(dir, "resnet-8-seed0")
	forget(t, plain.Record(), "responses")
	forget(t, residual.Record(), "responses")
	forget(t, residual.Record(), "gradients")
	if err := os.Remove(residual.Weights()); err != nil {
		t.Fatal(err)
	}
	without := sweeptest.Outcome(t, dir)
	if err := begin("training_curves").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(sweeptest.Outcome(t, dir), without) {
		t.Error("a record was changed, although no figure draws responses")
	}
	s := begin("layer_responses", "gradient_norms")
	var said []string
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := sweeptest.Outcome(t, dir)
	if key := "record plain-8-seed0"; !reflect.DeepEqual(got[key], want[key]) {
		t.Errorf("%s is\n%s\nwant\n%s", key, got[key], want[key])
	}
	if key := "record resnet-8-seed0"; !reflect.DeepEqual(got[key], without[key]) {
		t.Errorf("%s was changed", key)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "layer_responses is drawn without resnet-8-seed0") || !strings.Contains(text, "no such file") {
		t.Errorf("said %q", text)
	}
	rec, err := record.Read(residual.Record())
	if err != nil || !rec.Finished() {
		t.Fatal(rec, err)
	}
	if got := measure.Lacking(rec, s.Plan); len(got) != 1 || got[0].Name != "responses" {
		t.Errorf("it lacks %v", got)
	}
	if !sweep.LacksGradients(rec, s.Plan.Figures) || sweep.LacksGradients(rec, []string{"layer_responses"}) {
		t.Error("its record has no gradients, which one of the figures draws")
	}
	if plain.Locked() || residual.Locked() {
		t.Error("a lock is left")
	}
}
