// Tests of warnings in records.

package train_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/train"
)

// A net that only guesses causes one warning, also in a run that is interrupted. So do data of
// one class.
func TestWarnings(t *testing.T) {
	defer func(n int) { *train.GuessingSteps = n }(*train.GuessingSteps)
	*train.GuessingSteps = 4
	still := func(dir string) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		for i := range s.Plan.Runs {
			s.Plan.Runs[i].Schedule.Warmup, s.Plan.Runs[i].Optimizer.Rate = nil, 1e-9
			s.Plan.Runs[i].Schedule.Stop = 12 // three epochs
		}
		return s
	}
	whole, cut := t.TempDir(), t.TempDir()
	if err := still(whole).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := sweeptest.Warnings(t, whole, "plain-8-seed0")
	if len(all) != 1 || !strings.Contains(all[0], "no better than guessing") {
		t.Errorf("warnings %q, want one of guessing", all)
	}
	sweeptest.Interrupted(t, func() *sweep.Sweep { return still(cut) })
	if !reflect.DeepEqual(sweeptest.Outcome(t, cut), sweeptest.Outcome(t, whole)) {
		t.Error("an interrupted run has other warnings")
	}

	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	for i := range s.Data.Train.Labels {
		s.Data.Train.Labels[i] = 3
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if all := sweeptest.Warnings(t, dir, "plain-8-seed0"); len(all) != 1 || !strings.Contains(all[0], "all 16 training images are of class 3") {
		t.Errorf("warnings %q, want one of the class", all)
	}
}

func TestVanishingGradients(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	s.Device = sweeptest.Faulty{Device: sweeptest.Fast(), Buffer: "grad.layer2.0.conv1.weight", Scale: 1e-9, OnRead: true}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := sweeptest.Warnings(t, dir, "resnet-8-seed0")
	if !slices.ContainsFunc(all, func(w string) bool {
		return strings.Contains(w, "gradients vanish") && strings.Contains(w, "layer2.0.conv1.weight")
	}) {
		t.Errorf("warnings %q, want one of layer2.0.conv1", all)
	}
	if clean := t.TempDir(); sweeptest.NewSmall(t, clean).Run(context.Background()) != nil || strings.Contains(strings.Join(sweeptest.Warnings(t, clean, "resnet-8-seed0"), " "), "vanish") {
		t.Error("a warning of vanishing gradients without reason")
	}
}
