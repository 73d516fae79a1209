// Runs that were finished before: what is left to do for them.

package sweep

import (
	"errors"
	"fmt"
	"slices"

	"depthlab/experiments"
	"depthlab/harness/lock"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/train"
	"depthlab/harness/weights"
)

// drawn are the kinds of events that a figure draws, beside the curves that each record
// has. Every run records them; a run of an older version may lack them.
var drawn = map[string]string{"layer_responses": Responses, "gradient_norms": Gradients}

// Kinds of events that Lacking gives. Responses are computed from the trained weights;
// gradients in training cannot be had afterwards.
const (
	Responses = "responses"
	Gradients = "gradients"
)

// Lacking are the kinds of events that the figures of a question draw, and that the record
// of a finished run lacks.
func Lacking(rec *record.RunRecord, figures []string) (kinds []string) {
	for _, f := range figures {
		kind, ok := drawn[f]
		if ok && !slices.ContainsFunc(rec.Events, func(e record.Event) bool { return e.Kind == kind }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// settle does what is left for a run that is finished: it removes what a process that was
// killed at the very end left, adds to the record what a figure draws and the weights
// tell, and writes TensorBoard's file.
func (s *Sweep) settle(run experiments.Run, folder store.Folder) error {
	if folder.Locked() { // of all that a run leaves, its lock goes last
		if err := s.holding(folder, func() error { return store.Tidy(folder) }); err != nil {
			return fmt.Errorf("run %s: %w", run.ID, err)
		}
	}
	rec, err := seenRecord(s.Plan, run, folder)
	if err != nil {
		return err
	}
	if slices.Contains(Lacking(rec, s.Plan.Figures), Responses) {
		if err := s.holding(folder, func() error { return addResponses(folder, rec.Start.Steps) }); err != nil {
			s.say("%s is left out of layer_responses, which it did not record: %v", run.ID, err)
		}
	}
	if s.TensorBoard {
		return writeBoard(s.View.TensorBoard(run.ID), rec)
	}
	return nil
}

// holding calls f with the run's lock held. If another process holds it, that does the
// same, and nothing is left to do.
func (s *Sweep) holding(folder store.Folder, f func() error) error {
	held, err := s.take(folder)
	if other := new(lock.HeldError); errors.As(err, &other) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f(), held.Release())
}

// addResponses adds the layers' responses to the record of a finished run, from its
// weights. The caller has the run's lock.
func addResponses(folder store.Folder, step int) error {
	file, err := weights.Read(folder.Weights())
	if err != nil {
		return err
	}
	layers, values, err := file.Trained()
	if err != nil {
		return err
	}
	e, err := train.Responses(layers, values, file.Info.Eps, step)
	if err != nil {
		return err
	}
	return record.Amend(folder.Record(), e)
}
