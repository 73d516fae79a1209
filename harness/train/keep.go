// Weights that are kept beside the last ones.

package train

import (
	"context"
	"fmt"

	"depthlab/harness/store"
	"depthlab/nets/program"
)

// best is the test with the lowest error so far. It is part of a checkpoint.
type best struct {
	Error float64 // percent
	Step  int     // 0: no test yet
}

// tested notes the error of a test, percent, at the present weights, whose statistics of
// batch norm are those of the test, and keeps the weights if they are the best.
func (t *Trainer) tested(percent float64) error {
	if at := t.at.Best; !t.net.Run.Keep.Best || at.Step > 0 && percent >= at.Error {
		return nil
	}
	t.at.Best = best{percent, t.Step}
	return t.keep(store.Best, t.net.Images.TestSet)
}

// keepNow keeps the weights of every so many steps. A signal does not cut it short: it
// takes no longer than some steps.
func (t *Trainer) keepNow(ctx context.Context) error {
	run := t.net.Run
	if every := run.Keep.Every; every == 0 || t.Step%every != 0 || t.Step == run.Schedule.Stop {
		return nil
	}
	if n := run.BatchNorm.Batches; n > 0 {
		if err := t.net.Average(context.WithoutCancel(ctx), n); err != nil {
			return fmt.Errorf("run %s: %w", run.ID, err)
		}
	}
	return t.keep(store.Every, "")
}

// keep writes the present weights to a file of their own.
func (t *Trainer) keep(kind store.KeptKind, chosenBy string) error {
	tensors, err := t.net.Tensors(program.Param, program.Stat)
	if err != nil {
		return err
	}
	if err := t.task.Lock.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
	}
	return saveWeights(kind.File(t.task.Folder, t.Step), t.net, tensors, t.Step, chosenBy)
}

// forgetKept removes kept weights that are not part of the run as it stands: of steps
// after the checkpoint that it resumes from, or all of a fresh run.
func (t *Trainer) forgetKept() error {
	for _, kind := range []store.KeptKind{store.Best, store.Every} {
		if err := kind.Remove(t.task.Folder, func(step int) bool { return t.fresh() || step > t.Step }); err != nil {
			return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
		}
	}
	return nil
}

// forgetWorse removes the best weights of before, once a checkpoint knows the new ones.
func (t *Trainer) forgetWorse() error {
	return store.Best.Remove(t.task.Folder, func(step int) bool { return step != t.at.Best.Step })
}
