// Runs that continue another run, or begin with a file of weights.

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

// fresh reports whether the run is at its first step.
func (t *Trainer) fresh() bool { return t.Step == t.net.Run.From }

// begin gives a fresh run the weights of the run or file that it begins with, if there is one.
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

// beginWith writes parameters and running statistics of a file of weights into the net. The
// optimizer's state is that of a new run, because files of weights have none. If the file's
// last layer has other classes, the net's last layer keeps its initial weights.
func (t *Trainer) beginWith(path string) error {
	run := t.net.Run
	if sum, err := store.Sum(path); err != nil || sum != run.Weights {
		return fmt.Errorf("run %s begins with the weights in %s, which changed after the question was read (%v): start the command again", run.ID, path, err)
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

// history returns the curves of the run that a fresh run continues, with which its record
// begins. It also keeps that run's training time, and warns if the data differ.
func (t *Trainer) history() (curves []record.Event, err error) {
	run := t.net.Run
	if run.Continue == "" || !t.fresh() {
		return nil, nil
	}
	old, err := record.Read(t.task.Source.Record())
	if err != nil {
		return nil, fmt.Errorf("continuing %s: %w", run.Continue, err)
	}
	for _, e := range old.Events {
		switch e.Kind {
		case "train", "rate", "eval", "gradients":
			curves = append(curves, e)
		}
	}
	t.at.Before = old.Seconds()
	if p, err := store.ReadProvenance(t.task.Source); err == nil && p.Checksum != t.task.Data.Checksum {
		t.warnings = append(t.warnings, fmt.Sprintf("the data (%s) differ from those that %s was trained on (%s)", t.task.Data.Title, run.Continue, p.Data))
	}
	return curves, nil
}
