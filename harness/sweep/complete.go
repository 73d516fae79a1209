// Finished runs: what is still to be done for them.

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

// drawn maps figures to the kind of events that they draw in addition to curves. Every run
// records these events, but runs of older versions may lack them.
var drawn = map[string]string{"layer_responses": Responses, "gradient_norms": Gradients}

// Kinds of events that Lacking returns. Responses can be computed later, from the trained
// weights; gradients cannot.
const (
	Responses = "responses"
	Gradients = "gradients"
)

// Lacking lists the kinds of events that figures draw and that the record of a finished run does
// not have.
func Lacking(rec *record.RunRecord, figures []string) (kinds []string) {
	for _, f := range figures {
		kind, ok := drawn[f]
		if ok && !slices.ContainsFunc(rec.Events, func(e record.Event) bool { return e.Kind == kind }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// settle completes a finished run: it removes files that a process left that was killed at the
// very end, adds responses to the record if a figure draws them, and writes TensorBoard's file.
func (s *Sweep) settle(run experiments.Run, folder store.Folder) error {
	if folder.Locked() { // the lock is the last file that a run removes
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
			s.say("layer_responses is drawn without %s, which did not record it: %v", run.ID, err)
		}
	}
	if s.TensorBoard {
		return writeBoard(s.View.TensorBoard(run.ID), rec)
	}
	return nil
}

// holding calls f with the run's lock held. If another process holds the lock, it does nothing,
// because that process does the same.
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

// addResponses adds the layers' responses to the record of a finished run, from its weights. The
// caller holds the run's lock.
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
