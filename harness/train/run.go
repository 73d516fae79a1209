// Opens a run from its folder, begins its record, trains and finishes it.

package train

import (
	"context"
	"errors"
	"fmt"
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

// Task is a run to train, with its folder and its data.
type Task struct {
	Run      experiments.Run // with the micro-batch and the precision that are used
	Asked    experiments.Run // as in the question
	Question string
	Profile  string
	Folder   store.Folder
	Lock     *lock.Lock   // of the folder
	Source   store.Folder // folder of the run with whose weights it begins; "" for none
	Data     *data.Source
	Version  string // of the program
	// Beside is the number of other runs that share the device at the moment; nil if none ever do.
	Beside func() int
}

// Trainer trains one run.
type Trainer struct {
	Step int // finished steps

	task     Task
	net      *model.Model
	kept     keeper
	at       progress // the rest of the loop's state
	clock    stopwatch
	warnings []string // to be recorded
	origin   *store.Provenance
	rec      *record.Writer // nil before Begin
	sink     record.Sink    // rec, and the sink of Train
	show     func(step int, m record.Metric)
}

// Open opens a run on a device, at its latest checkpoint. The caller closes the trainer.
func Open(task Task, dev device.Device) (t *Trainer, err error) {
	net, err := model.Open(task.Run, task.Data, dev, task.Folder.Compiled())
	if err != nil {
		return nil, err
	}
	t = &Trainer{task: task, net: net, kept: keeper{net, task.Folder, task.Lock}}
	if err = store.RemoveTemporaries(task.Folder); err == nil {
		t.at, t.Step, t.warnings, err = resume(task.Folder, net, session(net, task.Version))
	}
	if err == nil {
		err = t.kept.removeLater(t.Step)
	}
	if err != nil {
		return nil, errors.Join(err, net.Close())
	}
	t.clock = resumed(t.at)
	if text := oneClass(task.Data, net.Images.Train); text != "" && t.fresh() {
		t.warnings = append(t.warnings, text)
	}
	return t, nil
}

// session describes this process for the run's history.
func session(net *model.Model, version string) store.Session {
	s := store.Session{
		Version: version, Device: net.Session.Info(), Program: net.Programs.Train.Hash(), Decoder: net.Decoder(),
		Choices: net.Session.Choices(), Started: store.UTC(),
	}
	job := slurm.This()
	s.Job, s.Restart = job.ID, job.Restarts
	if b, ok := debug.ReadBuildInfo(); ok {
		s.Go = b.GoVersion
	}
	return s
}

// Begin begins the record of the run with the event of start, or resumes it at the checkpoint. It
// adds this session to the run's history.
func (t *Trainer) Begin(start func(device.Info) *record.Start) error {
	folder := t.task.Folder
	history, damaged, err := store.History(folder)
	if err != nil {
		return err
	}
	if damaged != "" {
		t.warnings = append(t.warnings, damaged)
	}
	t.origin = &store.Provenance{
		Key: folder.Key(), Run: t.task.Asked, Question: t.task.Question, Profile: t.task.Profile,
		Micro: t.net.Run.Micro, Data: t.task.Data.Title, Checksum: t.task.Data.Checksum,
	}
	if history != nil {
		t.origin.Run, t.origin.Question, t.origin.Profile, t.origin.Sessions = history.Run, history.Question, history.Profile, history.Sessions
	}
	if t.task.Source != "" {
		t.origin.Source = t.task.Source.Name()
	}
	t.origin.Begin(t.at.Made, t.Step, t.clock.total.Seconds())
	var curves []record.Event
	if t.net.Run.Continue != "" && t.fresh() {
		var old *record.RunRecord
		if old, err = record.Read(t.task.Source.Record()); err != nil {
			return fmt.Errorf("run %s continues %s: %w", t.net.Run.ID, t.net.Run.Continue, err)
		}
		curves, t.at.Before = curvesOf(old), old.Seconds()
		t.warnings = append(t.warnings, otherData(t.task)...)
	}
	t.rec, err = openRecord(folder.Record(), t.Step, t.at, start(t.net.Session.Info()), t.net.Run, curves)
	if err != nil {
		return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
	}
	if !t.fresh() {
		text, err := t.kept.late(t.at.Best)
		if err != nil {
			return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
		}
		if text != "" {
			t.warnings = append(t.warnings, text)
		}
	}
	return store.WriteProvenance(folder, t.origin)
}

// fresh reports whether the run is at its first step.
func (t *Trainer) fresh() bool { return t.Step == t.net.Run.From }

// openRecord begins the record of a fresh run, with the curves of the run that it continues, or
// truncates the record to the step of the checkpoint.
func openRecord(path string, step int, at progress, start *record.Start, run experiments.Run, curves []record.Event) (*record.Writer, error) {
	if step > run.From {
		if err := record.Truncate(path, step, at.Untested); err != nil {
			return nil, err
		}
		return record.OpenAppend(path)
	}
	w, err := record.Create(path)
	if err != nil {
		return nil, err
	}
	errs := []error{w.Event(record.Event{Kind: "start", Start: start})}
	for _, e := range curves {
		errs = append(errs, w.Event(e))
	}
	rate := exact(learningRate(run, at.schedule, step))
	return w, errors.Join(append(errs, w.Event(record.Event{Kind: "rate", Step: step, Rate: rate}))...)
}

// Train trains the run to its end. sink gets every recorded event, too, and show is called after
// every launch. said is a message for the user, "" for none. If ctx ended, everything is saved
// and the error is harness.ErrInterrupted.
func (t *Trainer) Train(ctx context.Context, sink record.Sink, show func(step int, m record.Metric)) (said string, err error) {
	t.sink, t.show = record.Tee(t.rec, sink), show
	for _, text := range t.warnings {
		if err := t.emit(warning("%s", text)); err != nil {
			return "", err
		}
	}
	if t.fresh() {
		events, err := begin(ctx, t.net, t.task.Source)
		if err := errors.Join(t.emit(events...), err); err != nil {
			return "", err
		}
	}
	before := t.clock.total
	if err := t.loop(ctx); err != nil {
		return "", err
	}
	if text := slowData(t.net.Feed, (t.clock.total - before).Seconds()); text != "" {
		said = t.net.Run.ID + ": " + text
	}
	if err := t.finish(ctx); err != nil {
		return said, err
	}
	return said, t.publish()
}

// publish marks the run as finished, after everything else is on disk.
func (t *Trainer) publish() error {
	folder := t.task.Folder
	t.origin.Finished = store.UTC()
	if err := store.WriteProvenance(folder, t.origin); err != nil {
		return err
	}
	if err := t.task.Lock.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
	}
	if err := t.emit(record.Event{Kind: "end"}); err != nil {
		return err
	}
	if err := t.rec.Sync(); err != nil { // before Tidy removes the checkpoints
		return err
	}
	return errors.Join(t.kept.removeWorse(t.at.Best), store.Tidy(folder))
}

// Close closes the record and the session.
func (t *Trainer) Close() error {
	var err error
	if t.rec != nil {
		err = t.rec.Close()
	}
	return errors.Join(err, t.net.Close())
}
