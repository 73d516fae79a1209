// Runs that go on from another, or begin with a file of weights.

package train

import (
	"context"
	"errors"
	"fmt"

	"depthlab/experiments"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/weights"
	"depthlab/nets/program"
)

// fresh says whether the run is at its first step.
func (t *Trainer) fresh() bool { return t.Step == t.net.Run.From }

// begin gives a fresh run the weights that it begins with, if they are another's.
func (t *Trainer) begin(ctx context.Context) error {
	switch run := t.net.Run; {
	case run.Continue != "":
		return t.beginWith(t.task.Source.Weights())
	case run.Extend != "":
		return t.extend(ctx)
	case experiments.IsFile(run.Init):
		if err := t.beginWith(run.Init); err != nil {
			return err
		}
		test, err := classify(ctx, t.net, "eval", t.net.Images.TestSet, t.net.Images.Test) // with the file's statistics of batch norm
		if err != nil {
			return err
		}
		return t.emit(test)
	}
	return nil
}

// beginWith writes parameters and running statistics of a file of weights into the net.
// The optimizer's state is that of a new run: files of weights have none. If the last
// layer is for other classes, the net's own stays as it is initialised.
func (t *Trainer) beginWith(path string) error {
	run := t.net.Run
	if sum, err := store.Sum(path); err != nil || sum != run.Weights {
		return fmt.Errorf("run %s begins with the weights in %s, which were changed since it was asked for (%v)", run.ID, path, err)
	}
	wanted := model.Views(t.net.Programs.Train, program.Param, program.Stat)
	values, notes, err := weights.Initial(path, run.Net, wanted)
	if err != nil {
		return fmt.Errorf("run %s begins with the weights in %s: %w", run.ID, path, err)
	}
	w := model.Writer{Session: t.net.Session}
	for _, b := range wanted {
		if v, ok := values[b.Name]; ok {
			w.Write(b.Name, v)
		}
	}
	errs := []error{w.Err}
	for _, text := range notes {
		errs = append(errs, t.emit(warning("%s", text)))
	}
	return errors.Join(errs...)
}

// history is what the record of a fresh run begins with: the curves of the run that it
// goes on from, so that they are one curve. It notes that run's training time, and warns
// if the data are others.
func (t *Trainer) history() (curves []record.Event, err error) {
	run := t.net.Run
	if run.Continue == "" || !t.fresh() {
		return nil, nil
	}
	old, err := record.Read(t.task.Source.Record())
	if err != nil {
		return nil, fmt.Errorf("it goes on from %s: %w", run.Continue, err)
	}
	for _, e := range old.Events {
		switch e.Kind {
		case "train", "rate", "eval", "gradients":
			curves = append(curves, e)
		}
	}
	t.at.Before = old.Seconds()
	if p, err := store.ReadProvenance(t.task.Source); err == nil && p.Checksum != t.task.Data.Checksum {
		t.warnings = append(t.warnings, fmt.Sprintf("the data (%s) are not those that %s was trained on (%s)", t.task.Data.Title, run.Continue, p.Data))
	}
	return curves, nil
}
