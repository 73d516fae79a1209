// Finished runs: what is still to be done for them.

package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/measure"
	"depthlab/harness/record"
	"depthlab/harness/store"
)

// LacksGradients reports whether the figures of a question draw the norms of gradients, and the
// record of a run has none, as records of older versions. They cannot be computed from weights.
func LacksGradients(rec *record.RunRecord, figures []string) bool {
	return slices.Contains(figures, "gradient_norms") && rec.Gradients() == nil
}

// settle completes a finished run: it removes files that a process left that was killed at the
// very end, computes the measurements that figures draw, and writes TensorBoard's file. The error
// is a *lock.HeldError if measurements are missing while another process holds the run's lock: it
// may compute those of another question.
func (s *Sweep) settle(ctx context.Context, run experiments.Run, dev device.Device) error {
	folder := s.Folders[run.ID]
	if folder.Locked() { // the lock is the last file that a run removes
		err := s.holding(folder, func() error { return store.Tidy(folder) })
		if other := new(lock.HeldError); err != nil && !errors.As(err, &other) { // else that process tidies up
			return fmt.Errorf("run %s: %w", run.ID, err)
		}
	}
	rec, err := record.Read(folder.Record())
	if err != nil {
		return err
	}
	if len(measure.Lacking(rec, s.Plan)) > 0 {
		if err := s.holding(folder, func() error { return s.measure(ctx, run, dev) }); err != nil {
			return err
		}
	}
	return s.writeBoard(run)
}

// measure computes the measurements that figures draw and the record of a finished run lacks, from
// the trained weights, and adds them to the record. The caller holds the run's lock. It is an error
// if the command is interrupted, the device is lost, or a file cannot be written. A measurement
// that fails for another reason is skipped with a message.
func (s *Sweep) measure(ctx context.Context, run experiments.Run, dev device.Device) error {
	folder := s.Folders[run.ID]
	rec, err := record.Read(folder.Record())
	if err != nil {
		return err
	}
	for _, m := range measure.Lacking(rec, s.Plan) {
		if m.Name != "responses" {
			s.say("%s: %s, %s", run.ID, m.Name, m.Cost(run, s.Plan))
		}
		err := m.Add(ctx, measure.Target{Run: run, Folder: folder, Data: s.Data, Device: dev, Say: s.say}, s.Plan.Measurements)
		var lost *device.LostError
		var bad *disk.Error
		switch {
		case errors.Is(err, harness.ErrInterrupted), errors.As(err, &lost), errors.As(err, &bad):
			return err
		case err != nil:
			s.say("%s is drawn without %s: %v", strings.Join(m.Figures, ", "), run.ID, err)
		}
	}
	return nil
}

// holding calls f with the run's lock held.
func (s *Sweep) holding(folder store.Folder, f func() error) error {
	held, err := s.take(folder)
	if err != nil {
		return err
	}
	return errors.Join(f(), held.Release())
}
