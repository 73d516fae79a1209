// Weights that are kept beside the last ones.

package train

import (
	"fmt"

	"depthlab/harness/store"
)

// best is the test with the lowest error so far. It is part of a checkpoint.
type best struct {
	Error float64 // percent
	Step  int     // 0: no test yet
}

// tested notes the error of a test at the present weights, whose statistics of batch norm
// are those of the test, and keeps the weights if they are the best.
func (t *Trainer) tested(err float64) error {
	if !t.Run.Keep.Best || t.fresh() || t.best.Step > 0 && err >= t.best.Error {
		return nil
	}
	t.best = best{err, t.step}
	return t.writeWeights(t.folder.Kept(store.Best, t.step), t.TestSet)
}

// keepNow keeps the weights of every so many steps.
func (t *Trainer) keepNow() error {
	every := t.Run.Keep.Every
	if every == 0 || t.step%every != 0 || t.step == t.Run.Schedule.Stop {
		return nil
	}
	if n := t.Run.BatchNorm.Batches; n > 0 {
		if err := t.Average(n); err != nil {
			return err
		}
	}
	return t.writeWeights(t.folder.Kept(store.Every, t.step), "")
}

// forgetKept removes kept weights that are not part of the run as it stands: of steps
// after the checkpoint that it resumes from, or all of a fresh run.
func (t *Trainer) forgetKept() error {
	for _, kind := range []store.KeptKind{store.Best, store.Every} {
		if err := t.folder.RemoveKept(kind, func(step int) bool { return t.fresh() || step > t.step }); err != nil {
			return fmt.Errorf("run %s: %w", t.Run.ID, err)
		}
	}
	return nil
}

// forgetWorse removes the best weights of before, once a checkpoint knows the new ones.
func (t *Trainer) forgetWorse() error {
	return t.folder.RemoveKept(store.Best, func(step int) bool { return step != t.best.Step })
}
