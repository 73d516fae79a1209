// Tests of what is added to finished runs.

package sweep_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/measure"
	"depthlab/harness/record"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// Two processes may measure one run for different questions. A measurement waits for the process
// that holds the run's lock, and one for a run that another process just finished is not left out.
func TestMeasurementWaits(t *testing.T) {
	dir := t.TempDir()
	if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want, run := sweeptest.Outcome(t, dir), sweeptest.At(dir, "plain-8-seed0")
	draw := func(say func(format string, args ...any)) {
		t.Helper()
		s := sweeptest.NewSmall(t, dir)
		s.Plan.Figures, s.Say = []string{"layer_responses"}, say
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sweeptest.Outcome(t, dir), want) {
			t.Error("the record lacks the measurement")
		}
	}

	forget(t, run.Record(), "responses")
	var theirs lock.Set
	held, err := run.Take(&theirs)
	if err != nil {
		t.Fatal(err)
	}
	skipped := 0
	draw(func(format string, args ...any) {
		if strings.HasPrefix(fmt.Sprintf(format, args...), "plain-8-seed0: skipped for now") {
			skipped++
			if err := held.Release(); err != nil {
				t.Error(err)
			}
		}
	})
	if skipped != 1 {
		t.Errorf("skipped %d times, want once", skipped)
	}

	forget(t, run.Record(), "responses")
	hidden := run.Record() + ".hidden"
	if err := os.Rename(run.Record(), hidden); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Fault = nil })
	disk.Fault = func(op, path string, _ int) (int, error) {
		if op == "create" && path == filepath.Join(string(run), "lock") { // the other process ends just before
			disk.Fault = nil
			return 0, os.Rename(hidden, run.Record())
		}
		return 0, nil
	}
	draw(t.Logf)
}

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
