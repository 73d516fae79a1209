package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/train"
	"depthlab/nets"
)

// Sweep is all runs of a question on this machine.
type Sweep struct {
	Plan    *experiments.Plan       // precisions resolved
	File    string                  // of the question
	View    store.View              // of the question
	Folders map[string]store.Folder // of the runs, by ID; nil for where Place has them
	Data    *data.Source
	Device  device.Device
	// Open opens the same device again, for more runs at a time and in place of
	// one that was lost; it may be nil where Jobs is 1.
	Open     func() (device.Device, error)
	Jobs     int // runs at a time; 0: on a GPU as many as fit and are worth it, elsewhere 1
	Progress *record.Progress
	Say      func(format string, args ...any) // one line to the user
	Version  string                           // of the program

	TensorBoard bool // write event files, too
	// Leave leaves the runs that living processes have in hand to them; else they are waited
	// for, should those processes die.
	Leave bool

	opened []device.Device // the device, and those that the sweep opened

	mu     sync.Mutex // guards what follows: several runs are under way
	locks  lock.Set
	ahead  map[int]float64     // runs that have not begun, by index: multiply-adds
	counts map[string][2]int64 // of nets: parameters and multiply-adds
	failed map[string]bool     // runs, by ID
}

// Run trains what is missing: it skips what is finished, goes on with what was
// interrupted, and after a failure with the next run. What another process has
// in hand comes last, and is waited for, or left to it. The error names every run that
// failed; it is harness.ErrInterrupted when ctx ended.
//
// A disk that cannot be written to ends the sweep: the other runs would fail
// of it, too. So does the loss of the last device. What was saved before stays
// valid.
func (s *Sweep) Run(ctx context.Context) (err error) {
	if s.Folders == nil {
		s.Folders = Place(s.Plan, s.View.Store(), s.Data.Checksum, s.Device.Info(), "")
	}
	if err := s.checkSpace(); err != nil {
		return err
	}
	list := func() error { return s.View.Write(s.File, Entries(s.Plan, s.Folders)) }
	if err := s.View.Alone(ctx, list); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closeOpened()) }()
	if slices.ContainsFunc(s.Plan.Runs, func(run experiments.Run) bool { return run.Keep.Best && run.Validation == 0 }) {
		s.Say("warning: the best weights are chosen by the test set, so their test error is no fair number; hold images out, such as validation: 5000")
	}
	if err := s.devices(); err != nil {
		return err
	}
	var failed []error
	s.failed = map[string]bool{}
	before := 0 // finished when we came
	todo := make([]int, len(s.Plan.Runs))
	for i := range todo {
		todo[i] = i
	}
	s.lookAhead()
	for round := 0; len(todo) > 0; round++ {
		var elsewhere []int
		unsure := 0 // of those, whose holders may be dead
		err := s.round(ctx, todo, round, func(i int, skipped bool, err error) {
			var held *lock.HeldError
			switch {
			case errors.As(err, &held), errors.Is(err, lock.ErrLost), errors.Is(err, errEarly):
				elsewhere = append(elsewhere, i)
				if held != nil && !held.Alive {
					unsure++
				}
				if round == 0 && !errors.Is(err, errEarly) {
					s.say("%s: left to another process for now: %v", s.Plan.Runs[i].ID, err)
				}
			case err != nil:
				s.say("failed: %v", err)
				failed = append(failed, err)
				s.fail(s.Plan.Runs[i].ID)
			case skipped && round == 0:
				before++
			}
		})
		if err != nil {
			return errors.Join(err, errors.Join(failed...))
		}
		if len(elsewhere) == len(todo) {
			if s.Leave && unsure == 0 {
				s.say("What is left is in the hands of other processes: %d of %d runs.", len(todo), len(s.Plan.Runs))
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		todo = elsewhere
	}
	s.Progress.Close()
	if before > 0 {
		s.Say("%d of %d runs were finished before.", before, len(s.Plan.Runs))
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d runs failed:\n%w", len(failed), len(s.Plan.Runs), errors.Join(failed...))
	}
	return nil
}

// round attends to the runs of todo, one on each device at a time, and hands
// what came of each to took. After an error that ends the sweep it begins no
// more, waits for those under way and gives that error.
func (s *Sweep) round(ctx context.Context, todo []int, round int, took func(i int, skipped bool, err error)) (halt error) {
	type outcome struct {
		i, device int
		skipped   bool
		err       error
	}
	var idle []int // devices
	for i := range s.opened {
		idle = append(idle, i)
	}
	done := make(chan outcome)
	for busy := 0; ; {
		for halt == nil && len(todo) > 0 && len(idle) > 0 {
			if ctx.Err() != nil {
				halt = harness.ErrInterrupted
				break
			}
			i, d := todo[0], idle[0]
			todo, idle = todo[1:], idle[1:]
			busy++
			go func() {
				skipped, err := s.attend(ctx, i, round, s.opened[d])
				done <- outcome{i, d, skipped, err}
			}()
		}
		if busy == 0 {
			return halt
		}
		o := <-done
		busy--
		var bad *disk.Error
		var lost *device.LostError
		switch {
		case errors.As(o.err, &bad):
			halt = o.err
		case errors.Is(o.err, harness.ErrInterrupted):
			halt = cmp.Or(halt, o.err)
		default:
			took(o.i, o.skipped, o.err)
		}
		if !errors.As(o.err, &lost) {
			idle = append(idle, o.device)
		} else if err := s.replace(o.device); err == nil {
			idle = append(idle, o.device)
		} else if busy == 0 && len(idle) == 0 && len(todo) > 0 {
			halt = cmp.Or(halt, fmt.Errorf("%d runs were not begun, as no device is left (%w); the same command goes on from the last checkpoints", len(todo), err))
		}
	}
}

// replace opens a device in place of a lost one, which cannot even be closed.
func (s *Sweep) replace(i int) error {
	if s.Open == nil {
		return errors.New("it is lost")
	}
	dev, err := s.Open()
	if err == nil {
		s.opened[i] = dev
	}
	return err
}

// say prints a line to the user, with the progress bar out of its way.
func (s *Sweep) say(format string, args ...any) {
	s.Progress.Aside(func() { s.Say(format, args...) })
}

func (s *Sweep) fail(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[id] = true
}

func (s *Sweep) take(folder store.Folder) (*lock.Lock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return folder.Take(&s.locks)
}

// attend brings the i-th run to its end on a device; skipped says that it was there
// already. It is a *lock.HeldError that another process has it in hand.
func (s *Sweep) attend(ctx context.Context, i, round int, dev device.Device) (skipped bool, err error) {
	defer s.begun(i)
	run := s.Plan.Runs[i]
	folder := s.Folders[run.ID]
	found, err := folder.Find()
	if err != nil {
		return false, fmt.Errorf("run %s: %w", run.ID, err)
	}
	if found == store.Complete {
		if lacks := folder.Lacks(run); lacks != "" && round == 0 {
			s.say("%s was finished before %s were asked for, and has none; ./run.sh rm %s and the same command train it again", run.ID, lacks, folder.Name())
		}
		return true, errors.Join(s.tidy(folder), s.finishedBoard(run))
	}
	if err := s.ready(run); err != nil {
		return false, err
	}
	held, err := s.take(folder)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	found, err = folder.Find() // once more, now that nobody else changes it
	if err != nil || found == store.Complete {
		return true, err
	}
	if round > 0 {
		if rec, err := record.Read(folder.Record()); err == nil && rec.Stopped() != "" {
			return false, fmt.Errorf("run %s: another process stopped it: %s", run.ID, rec.Stopped())
		}
	}
	return false, s.train(ctx, i, run, held, dev)
}

// tidy removes what a process that was killed at the very end left of a
// finished run: of all that, its lock goes last.
func (s *Sweep) tidy(folder store.Folder) error {
	if !folder.Locked() {
		return nil
	}
	held, err := s.take(folder)
	var other *lock.HeldError
	if errors.As(err, &other) {
		return nil // it is just about to
	}
	if err != nil {
		return err
	}
	return errors.Join(folder.Tidy(), held.Release())
}

// checkSpace refuses to begin a sweep that the disk has no room for.
func (s *Sweep) checkSpace() error {
	need := int64(8 << 20) // figures, tables, logs
	var most int64         // of checkpoints: runs have them while they are trained
	dir := "."
	for _, run := range s.Plan.Runs {
		folder := s.Folders[run.ID]
		dir = filepath.Dir(string(folder))
		if f, err := folder.Find(); err == nil && f == store.Complete {
			continue
		}
		params, _ := s.count(run.Net)
		kept, passing := store.Space(run, params)
		need += kept
		most = max(most, passing)
	}
	most *= int64(cmp.Or(s.Jobs, 1))
	need += most
	for dir != filepath.Dir(dir) { // to the first folder that is there
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	if free, known := disk.Free(dir); known && free < need {
		return fmt.Errorf("%s has %d MiB free, this sweep needs about %d MiB (%d for checkpoints): make room, or let results be a link to a larger disk",
			dir, free>>20, need>>20+1, most>>20+1)
	}
	return nil
}

// source is the run that another begins as; nil for none.
func (s *Sweep) source(run experiments.Run) *experiments.Run {
	for i, r := range s.Plan.Runs {
		if r.ID == run.Source() {
			return &s.Plan.Runs[i]
		}
	}
	return nil
}

// errEarly says that the run that one begins as is not finished.
var errEarly = errors.New("the run that it begins as is not finished yet")

// ready says whether what the run begins as is there.
func (s *Sweep) ready(run experiments.Run) error {
	source := s.source(run)
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

// train takes the i-th run from where it stands to its end.
func (s *Sweep) train(ctx context.Context, i int, run experiments.Run, held *lock.Lock, dev device.Device) (err error) {
	t, err := s.prepare(run, held, dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	if err := t.Begin(s.start(t.Run, t.Session.Info())); err != nil {
		return err
	}
	s.begun(i)
	stop, err := s.follow(t, i)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	said, err := t.Train(ctx)
	if said != "" {
		s.say("%s", said)
	}
	return err
}

// prepare opens a run on a device, as far as its latest checkpoint goes. The caller
// closes the trainer.
func (s *Sweep) prepare(run experiments.Run, held *lock.Lock, dev device.Device) (*train.Trainer, error) {
	folder := s.Folders[run.ID]
	cut, err := s.cut(run, dev)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run.ID, err)
	}
	if cut.Micro != run.Micro {
		s.say("%s", model.CutText(run.ID, run.Batch, cut.Micro))
	}
	task := train.Task{
		Run: cut, Asked: run, Folder: folder, Lock: held, Data: s.Data, Version: s.Version,
		Question: s.Plan.Question, Profile: s.Plan.Folder,
	}
	if source := s.source(run); source != nil {
		task.Source = s.Folders[source.ID]
	} else if run.Continue != "" {
		task.Source = s.View.Store().Parent(run)
	}
	t, err := train.Open(task, dev)
	var unsupported *device.UnsupportedError
	if errors.As(err, &unsupported) && folder.HasCheckpoint() {
		return nil, fmt.Errorf("run %s was begun in %s and is left alone here (%w): another machine can go on with it, and --precision trains another", run.ID, run.Precision, err)
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run.ID, err)
	}
	return t, nil
}

// cut is the run as it is trained here: as it was begun, else as the memory at
// hand has it.
func (s *Sweep) cut(run experiments.Run, dev device.Device) (experiments.Run, error) {
	folder := s.Folders[run.ID]
	old, err := folder.ReadProvenance()
	if err == nil && folder.HasCheckpoint() {
		run.Micro = old.Micro
		return run, nil
	}
	run.Micro, err = model.Fitting(run, s.Data, dev.Info(), model.Room(dev, run, s.Data))
	return run, err
}

// follow shows the i-th run to the user and to TensorBoard while it is trained, until
// stop.
func (s *Sweep) follow(t *train.Trainer, i int) (stop func() error, err error) {
	rec, err := record.Read(s.Folders[s.Plan.Runs[i].ID].Record())
	if err != nil {
		return nil, err
	}
	rec.Start = Seen(s.Plan, s.Plan.Runs[i], rec.Start)
	shown := s.Progress.Begin(i+1, len(s.Plan.Runs), *rec, t.Step(), s.left(i))
	if !s.TensorBoard {
		t.Show(shown, shown.Step)
		return func() error { shown.Close(); return nil }, nil
	}
	board, err := s.tensorBoard(rec)
	if err != nil {
		shown.Close()
		return nil, err
	}
	t.Show(record.Tee(shown, board), shown.Step)
	return func() error { shown.Close(); return board.Close() }, nil
}

// tensorBoard begins a run's event file with what is in its record.
func (s *Sweep) tensorBoard(rec *record.RunRecord) (*record.TensorBoard, error) {
	return record.NewTensorBoard(s.View.TensorBoard(rec.Start.ID), rec.Events)
}

// finishedBoard writes the event file of a run that was finished before.
func (s *Sweep) finishedBoard(run experiments.Run) error {
	if !s.TensorBoard {
		return nil
	}
	rec, err := record.Read(s.Folders[run.ID].Record())
	if err != nil {
		return err
	}
	rec.Start = Seen(s.Plan, run, rec.Start)
	board, err := s.tensorBoard(rec)
	if err != nil {
		return err
	}
	return board.Close()
}

// lookAhead notes the work of the runs that are to be trained.
func (s *Sweep) lookAhead() {
	ahead := map[int]float64{}
	for i, run := range s.Plan.Runs {
		if f, err := s.Folders[run.ID].Find(); err == nil && f != store.Complete {
			_, macs := s.count(run.Net)
			ahead[i] = float64(macs) * float64(run.Steps()*run.Batch)
		}
	}
	s.mu.Lock()
	s.ahead = ahead
	s.mu.Unlock()
}

// begun takes the i-th run from those ahead.
func (s *Sweep) begun(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ahead, i)
}

// left estimates the time of the runs ahead from the speed of the i-th: a
// step's work is taken to be that of its multiply-adds.
func (s *Sweep) left(i int) func(imagesPerS float64) time.Duration {
	_, macs := s.count(s.Plan.Runs[i].Net)
	return func(imagesPerS float64) time.Duration {
		s.mu.Lock()
		defer s.mu.Unlock()
		work := 0.0
		for _, w := range s.ahead {
			work += w
		}
		return time.Duration(work / max(1, float64(macs)) / imagesPerS * float64(time.Second))
	}
}

// count is nets.Count, remembered; zeros for a net that cannot be built, which
// fails with a message of its own when it is opened.
func (s *Sweep) count(net string) (params, macs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.counts[net]
	if !known {
		if arch, err := nets.ParseArch(net); err == nil {
			c[0], c[1], _ = nets.Count(arch, model.Geometry(s.Data))
		}
		if s.counts == nil {
			s.counts = map[string][2]int64{}
		}
		s.counts[net] = c
	}
	return c[0], c[1]
}

// start describes the run in its record.
func (s *Sweep) start(run experiments.Run, info device.Info) *record.Start {
	arch, _ := nets.ParseArch(run.Net)
	params, macs := s.count(run.Net)
	st := record.Start{
		Net: run.Net, Depth: arch.Depth, Residual: arch.Residual, Seed: run.Seed, Params: params, Macs: macs,
		Steps: run.Schedule.Stop, Batch: run.Batch, Data: s.Data.Title, Precision: run.Precision, Device: info.Name,
	}
	if !s.Data.Canonical {
		st.Machine = append(st.Machine, s.Data.Title)
	}
	if !info.GPU {
		st.Machine = append(st.Machine, "CPU")
	}
	if arch.Residual {
		st.Shortcut = string(arch.Shortcut)
	}
	st = Seen(s.Plan, run, st)
	return &st
}

// Seen is how a question sees the run that a record is of: under its own name, with
// its own caveats and those of the machine and the data.
func Seen(p *experiments.Plan, run experiments.Run, st record.Start) record.Start {
	machine := st.Machine
	if machine == nil { // a record of before runs were shared
		for _, c := range st.Caveats {
			if c == "CPU" || c == st.Data {
				machine = append(machine, c)
			}
		}
	}
	run.Precision = st.Precision
	st.ID, st.Variant, st.Extends, st.DataSet = run.ID, run.Variant, run.Source(), run.Data
	st.Continues, st.From = run.Continue, run.From
	st.Varied = nil
	for i, key := range p.Varied.Keys {
		st.Varied = append(st.Varied, record.Value{Key: key, Value: p.Varied.Values[run.Variant][i]})
	}
	st.Paper, st.Caveats = run.Paper()
	st.Caveats = append(append(st.Caveats, p.Caveats...), machine...)
	if slices.Contains(machine, st.Data) {
		st.Paper = false
	}
	return st
}
