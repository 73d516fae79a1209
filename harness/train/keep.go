// Weights that are kept in addition to the last ones.

package train

import (
	"context"
	"fmt"
	"slices"

	"depthlab/harness/lock"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/nets/program"
)

// best is the test with the lowest error so far. It is part of a checkpoint.
type best struct {
	Error float64 // percent
	Step  int     // 0: no test yet
}

// keeper writes and removes the kept weights of a run.
type keeper struct {
	net    *model.Model
	folder store.Folder
	lock   *lock.Lock // of the folder
}

// best keeps the current weights, with the batch norm statistics of the test, if the error of
// the test (percent) is lower than that of the best test so far. It returns the best test.
func (k keeper) best(so best, step int, percent float64) (best, error) {
	if !k.net.Run.Keep.Best || so.Step > 0 && percent >= so.Error {
		return so, nil
	}
	return best{percent, step}, k.write(store.Best, step, k.net.Images.TestSet)
}

// late returns a warning if the best weights are to be kept, and those of the best test so far were
// not, because the question did not ask for them then; "" if there is none. A run that is interrupted
// again has it only once.
func (k keeper) late(so best) (string, error) {
	if !k.net.Run.Keep.Best {
		return "", nil
	}
	rec, err := record.Read(k.folder.Record())
	if err != nil {
		return "", err
	}
	lowest, tested := rec.BestTest()
	if !tested || so.Step > 0 && so.Error <= lowest {
		return "", nil
	}
	text := fmt.Sprintf("keep: best came late: the weights of the best test so far (%.4g %% error) were not kept, so those that are kept as the best may be worse", lowest)
	if slices.ContainsFunc(rec.Events, func(e record.Event) bool { return e.Kind == "warn" && e.Text == text }) {
		return "", nil
	}
	return text, nil
}

// every keeps the current weights if the step is a multiple of Keep.Every. A signal does not
// interrupt it, because it takes only as long as some steps.
func (k keeper) every(ctx context.Context, step int) error {
	run := k.net.Run
	if every := run.Keep.Every; every == 0 || step%every != 0 || step == run.Schedule.Stop {
		return nil
	}
	if n := run.BatchNorm.Batches; n > 0 {
		if err := k.net.Average(context.WithoutCancel(ctx), n); err != nil {
			return fmt.Errorf("run %s: %w", run.ID, err)
		}
	}
	return k.write(store.Every, step, "")
}

// write writes the current weights to a file.
func (k keeper) write(kind store.KeptKind, step int, chosenBy string) error {
	tensors, err := k.net.Tensors(program.Param, program.Stat)
	if err != nil {
		return err
	}
	if err := k.lock.Check(); err != nil {
		return fmt.Errorf("run %s: %w", k.net.Run.ID, err)
	}
	return saveWeights(kind.File(k.folder, step), k.net, tensors, step, chosenBy)
}

// removeLater removes kept weights of steps after the one from which the run resumes, and all
// if the run is fresh.
func (k keeper) removeLater(resumed int) error {
	for _, kind := range []store.KeptKind{store.Best, store.Every} {
		if err := kind.Remove(k.folder, func(step int) bool { return resumed == k.net.Run.From || step > resumed }); err != nil {
			return fmt.Errorf("run %s: %w", k.net.Run.ID, err)
		}
	}
	return nil
}

// removeWorse removes all best weights but the best. Call it after a checkpoint with the new
// best test was saved.
func (k keeper) removeWorse(so best) error {
	return store.Best.Remove(k.folder, func(step int) bool { return step != so.Step })
}
