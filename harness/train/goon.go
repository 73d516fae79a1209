// Runs that go on from another, or begin with a file of weights.

package train

import (
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
func (t *Trainer) fresh() bool { return t.step == t.Run.From }

// seconds is the training time of the curve so far: of this run, and of the one that it
// goes on from.
func (t *Trainer) seconds() float64 { return t.before + t.clock.total.Seconds() }

// begin gives a fresh run the weights that it begins with, if they are another's.
func (t *Trainer) begin() error {
	switch {
	case t.Run.Continue != "":
		return t.beginWith(t.task.Source.Weights())
	case t.Run.Extend != "":
		return t.extend(t.task.Source)
	case experiments.IsFile(t.Run.Init):
		if err := t.beginWith(t.Run.Init); err != nil {
			return err
		}
		return t.pass("eval", t.TestSet, t.Model.Test) // with the file's statistics of batch norm
	}
	return nil
}

// beginWith writes parameters and running statistics of a file of weights into the net.
// The optimizer's state is that of a new run: files of weights have none. Where the last
// layer is for other classes, the net's own stays as it is initialised.
func (t *Trainer) beginWith(path string) error {
	if sum, err := store.Sum(path); err != nil || sum != t.Run.Weights {
		return fmt.Errorf("run %s begins with the weights in %s, which were changed since it was asked for (%v)", t.Run.ID, path, err)
	}
	wanted := t.Views(program.Param, program.Stat)
	values, notes, err := weights.Initial(path, t.Run.Net, wanted)
	if err != nil {
		return fmt.Errorf("run %s begins with the weights in %s: %w", t.Run.ID, path, err)
	}
	w := model.Writer{Session: t.Session}
	for _, b := range wanted {
		if v, ok := values[b.Name]; ok {
			w.Write(b.Name, v)
		}
	}
	errs := []error{w.Err}
	for _, text := range notes {
		errs = append(errs, t.warn("%s", text))
	}
	return errors.Join(errs...)
}

// history writes the curves of the run that this one goes on from into its record, so
// that they are one curve. It warns of other data.
func (t *Trainer) history(w *record.Writer) error {
	if t.Run.Continue == "" {
		return nil
	}
	old, err := record.Read(t.task.Source.Record())
	if err != nil {
		return fmt.Errorf("run %s goes on from %s: %w", t.Run.ID, t.Run.Continue, err)
	}
	for _, e := range old.Events {
		switch e.Kind {
		case "train", "rate", "eval", "gradients":
			if err := w.Event(e); err != nil {
				return err
			}
		}
	}
	if p, err := t.task.Source.ReadProvenance(); err == nil && p.Checksum != t.task.Data.Checksum {
		t.warnings = append(t.warnings, fmt.Sprintf("the data (%s) are not those that %s was trained on (%s)", t.task.Data.Title, t.Run.Continue, p.Data))
	}
	return nil
}

// timeBefore is the training time, in seconds, of the run that this one goes on from, as
// its own record has it.
func (t *Trainer) timeBefore() (seconds float64, err error) {
	if t.Run.Continue == "" {
		return 0, nil
	}
	own, err := record.Read(t.folder.Record())
	if err != nil {
		return 0, err
	}
	for _, e := range own.Events {
		if e.Step <= t.Run.From {
			seconds = max(seconds, e.Seconds)
		}
	}
	return seconds, nil
}
