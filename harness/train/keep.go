// Weights that are kept in addition to the last ones.

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

// keepBest keeps the current weights, with the batch norm statistics of the test, if the error
// of the test (percent) is the lowest so far.
func (t *Trainer) keepBest(percent float64) error {
	if at := t.at.Best; !t.net.Run.Keep.Best || at.Step > 0 && percent >= at.Error {
		return nil
	}
	t.at.Best = best{percent, t.Step}
	return t.keep(store.Best, t.net.Images.TestSet)
}

// keepNow keeps the weights if the step is a multiple of Keep.Every. A signal does not
// interrupt it, because it takes only as long as some steps.
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

// keep writes the current weights to a file.
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

// removeLaterKept removes kept weights of steps after the checkpoint from which the run
// resumes, and all if the run is fresh.
func (t *Trainer) removeLaterKept() error {
	for _, kind := range []store.KeptKind{store.Best, store.Every} {
		if err := kind.Remove(t.task.Folder, func(step int) bool { return t.fresh() || step > t.Step }); err != nil {
			return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
		}
	}
	return nil
}

// removeWorse removes the earlier best weights. Call it after a checkpoint with the new ones was
// saved.
func (t *Trainer) removeWorse() error {
	return store.Best.Remove(t.task.Folder, func(step int) bool { return step != t.at.Best.Step })
}
