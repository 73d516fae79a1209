// One run of a sweep: skips it, leaves it to another process, or trains it.

package sweep

import (
	"context"
	"errors"
	"fmt"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/lock"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/train"
)

// errEarly says that the run with whose weights another begins is not finished.
var errEarly = errors.New("the run that it begins as is not finished yet")

// attend trains the i-th run to its end on a device. skipped is true if it was finished
// already. The error is a *lock.HeldError if another process trains or measures it.
func (s *Sweep) attend(ctx context.Context, i, round int, dev device.Device) (skipped bool, err error) {
	defer s.ahead.begun(i)
	run := s.Plan.Runs[i]
	folder := s.Folders[run.ID]
	found, err := folder.Find()
	if err != nil {
		return false, fmt.Errorf("run %s: %w", run.ID, err)
	}
	if found == store.Complete {
		if lacks := store.Lacks(folder, run); lacks != "" && round == 0 {
			s.say("%s was finished without %s; to have them, train it again: ./run.sh rm %s, then the same command", run.ID, lacks, folder.Name())
		}
		return true, s.settle(ctx, run, dev)
	}
	if err := s.ready(run); err != nil {
		return false, err
	}
	held, err := s.take(folder)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	found, err = folder.Find() // again, now that no other process can change it
	if err != nil {
		return false, err
	}
	if found == store.Complete { // another process finished it, perhaps for a question with other figures
		if err := s.measure(ctx, run, dev); err != nil {
			return true, err
		}
		return true, s.writeBoard(run)
	}
	if round > 0 {
		if rec, err := record.Read(folder.Record()); err == nil && rec.Stopped() != "" {
			return false, fmt.Errorf("run %s: another process stopped it: %s", run.ID, rec.Stopped())
		}
	}
	if err := s.train(ctx, i, held, dev); err != nil {
		return false, err
	}
	return false, s.measure(ctx, run, dev)
}

// take takes a run's lock.
func (s *Sweep) take(folder store.Folder) (*lock.Lock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return folder.Take(&s.locks)
}

// ready returns an error if the run with whose weights this one begins failed, or errEarly if it
// is not finished.
func (s *Sweep) ready(run experiments.Run) error {
	source := sourceOf(s.Plan, run)
	if source == nil {
		return nil
	}
	s.mu.Lock()
	failed := s.failed[source.ID]
	s.mu.Unlock()
	if failed {
		return fmt.Errorf("run %s begins as %s, which failed", run.ID, source.ID)
	}
	found, err := s.Folders[source.ID].Find()
	if err == nil && found != store.Complete {
		err = errEarly
	}
	return err
}

// sourceOf is the run of the plan with whose weights another begins; nil for none.
func sourceOf(p *experiments.Plan, run experiments.Run) *experiments.Run {
	for i, r := range p.Runs {
		if r.ID == run.Source() {
			return &p.Runs[i]
		}
	}
	return nil
}

// train trains the i-th run from its latest checkpoint to its end.
func (s *Sweep) train(ctx context.Context, i int, held *lock.Lock, dev device.Device) (err error) {
	run := s.Plan.Runs[i]
	t, err := s.prepare(run, held, dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if err := t.Begin(func(info device.Info) *record.Start { return start(s.Plan, run, s.Data, info, &s.sizes) }); err != nil {
		return err
	}
	s.ahead.begun(i)
	shown, err := s.follow(i, t.Step)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shown.close()) }()
	s.training.Add(1)
	defer s.training.Add(-1)
	said, err := t.Train(ctx, shown.sink, shown.step)
	if said != "" {
		s.say("%s", said)
	}
	return err
}

// prepare opens a run on a device, at its latest checkpoint. The caller closes the trainer.
func (s *Sweep) prepare(run experiments.Run, held *lock.Lock, dev device.Device) (*train.Trainer, error) {
	folder := s.Folders[run.ID]
	cut, err := cut(run, folder, s.Data, dev)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run.ID, err)
	}
	if cut.Micro != run.Micro {
		s.say("%s", model.CutText(run.ID, run.Batch, cut.Micro))
	}
	task := train.Task{
		Run: cut, Asked: run, Question: s.Plan.Question, Profile: s.Plan.Folder,
		Folder: folder, Lock: held, Data: s.Data, Version: s.Version,
		Beside: s.beside,
	}
	if source := sourceOf(s.Plan, run); source != nil {
		task.Source = s.Folders[source.ID]
	} else if run.Continue != "" {
		task.Source = s.View.Store().Parent(run)
	}
	t, err := train.Open(task, dev)
	var unsupported *device.UnsupportedError
	if errors.As(err, &unsupported) && folder.HasCheckpoint() {
		return nil, fmt.Errorf("run %s was begun in %s, which this machine does not support (%w): resume it on another machine, or train another run with --precision", run.ID, run.Precision, err)
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run.ID, err)
	}
	return t, nil
}

// beside is the number of other runs that share the device of a run in training, on average.
func (s *Sweep) beside() int { return int(s.training.Load()-1) / max(1, s.Places) }

// cut returns the run with the micro-batch that is used: that with which it was begun, else the
// largest one that fits into memory.
func cut(run experiments.Run, folder store.Folder, src *data.Source, dev device.Device) (experiments.Run, error) {
	old, err := store.ReadProvenance(folder)
	if err == nil && folder.HasCheckpoint() && replicas(old) == dev.Info().Replicas {
		run.Micro = old.Micro
		return run, nil
	}
	run.Micro, err = model.Fitting(run, src, dev.Info(), model.Room(dev, run, src))
	return run, err
}

// replicas is the number of devices that shared the steps of a run's latest session; 0 for one.
func replicas(p *store.Provenance) int {
	if len(p.Sessions) == 0 {
		return 0
	}
	return p.Sessions[len(p.Sessions)-1].Device.Replicas
}
