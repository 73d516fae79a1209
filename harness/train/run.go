// A run from its folder to its end: opened, described, trained, finished.
package train

import (
	"context"
	"errors"
	"runtime/debug"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/lock"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/slurm"
	"depthlab/harness/store"
)

// Task is a run that is to be trained, and what with.
type Task struct {
	Run               experiments.Run // with as many images at a time as are to go through the net
	Asked             experiments.Run // as the question has it
	Folder            store.Folder
	Lock              *lock.Lock   // of the folder
	Source            store.Folder // the run that it begins as; "" for none
	Data              *data.Source
	Version           string // of the program
	Question, Profile string
}

// Open opens a run on a device, as far as its latest checkpoint goes. The caller
// closes the trainer.
func Open(task Task, dev device.Device) (*Trainer, error) {
	m, err := model.OpenIn(task.Folder.Compiled(), task.Run, task.Data, dev)
	if err != nil {
		return nil, err
	}
	t := &Trainer{Model: m, task: task, folder: task.Folder, held: task.Lock, made: made(m, task.Version)}
	t.step = task.Run.From
	if err = t.folder.RemoveTemporaries(); err == nil {
		t.warnings, err = t.resume()
	}
	if err == nil {
		err = t.forgetKept()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if text := m.OneClass(task.Data); text != "" && t.fresh() {
		t.warnings = append(t.warnings, text)
	}
	return t, nil
}

// made describes this process as it trains a run.
func made(m *model.Model, version string) store.Session {
	now := store.Session{
		Version: version, Device: m.Session.Info(), Program: m.Programs.Train.Hash(), Decoder: m.Decoder(),
		Choices: m.Session.Choices(), Started: store.UTC(),
	}
	job := slurm.This()
	now.Job, now.Restart = job.ID, job.Restarts
	if b, ok := debug.ReadBuildInfo(); ok {
		now.Go = b.GoVersion
	}
	return now
}

// Begin begins the record of the run, which start describes, or goes on with it, and adds
// this session to its history. The caller ends the record with End or Abandon.
func (t *Trainer) Begin(start *record.Start) error {
	history, damaged, err := t.folder.History()
	if err != nil {
		return err
	}
	if damaged != "" {
		t.warnings = append(t.warnings, damaged)
	}
	t.origin = &store.Provenance{
		Key: t.folder.Key(), Run: t.task.Asked, Question: t.task.Question, Profile: t.task.Profile,
		Micro: t.Run.Micro, Data: t.task.Data.Title, Checksum: t.task.Data.Checksum,
	}
	if history != nil {
		t.origin.Run, t.origin.Question, t.origin.Profile, t.origin.Sessions = history.Run, history.Question, history.Profile, history.Sessions
	}
	if t.task.Source != "" {
		t.origin.Source = t.task.Source.Name()
	}
	t.origin.Begin(t.made, t.step, t.clock.total.Seconds())
	if t.rec, err = t.openRecord(start); err != nil {
		return err
	}
	if t.before, err = t.timeBefore(); err != nil {
		return err
	}
	t.sink, t.show = t.rec, func(int, record.Metric) {}
	return t.folder.WriteProvenance(t.origin)
}

// Step is how many steps are finished.
func (t *Trainer) Step() int { return t.step }

// Show adds to who is told of what is recorded, and of every launch.
func (t *Trainer) Show(sink record.Sink, step func(step int, m record.Metric)) {
	t.sink, t.show = record.Tee(t.sink, sink), step
}

// Train takes the run from where it stands to its end. said is what the user should
// know, "" for nothing. The error is harness.ErrInterrupted where ctx ended.
func (t *Trainer) Train(ctx context.Context) (said string, err error) {
	for _, text := range t.warnings {
		if err := t.warn("%s", text); err != nil {
			return "", err
		}
	}
	if t.fresh() {
		if err := t.begin(); err != nil {
			return "", err
		}
	}
	took := t.clock.total.Seconds()
	if err := t.loop(ctx); err != nil {
		return "", err
	}
	said = t.slowData(took)
	t.origin.Finished = store.UTC()
	if err := t.folder.WriteProvenance(t.origin); err != nil {
		return said, err
	}
	return said, t.end()
}

// Close ends the record and the session.
func (t *Trainer) Close() error {
	var err error
	if t.rec != nil {
		err = t.rec.Close()
	}
	return errors.Join(err, t.Model.Close())
}
