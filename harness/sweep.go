package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/nets"
)

// Sweep is all runs of a question on this machine.
type Sweep struct {
	Plan   *experiments.Plan // precisions resolved
	Dir    string            // results/NAME/PROFILE
	Data   *data.Source
	Device device.Device
	// Open opens the same device again, for more runs at a time and in place of
	// one that was lost; it may be nil where Jobs is 1.
	Open     func() (device.Device, error)
	Jobs     int // runs at a time; 0: on a GPU as many as fit and are worth it, elsewhere 1
	Progress *record.Progress
	Say      func(format string, args ...any) // one line to the user
	Version  string                           // of the program

	TensorBoard bool // write tensorboard/ID, too
	Replace     bool // set runs aside that were made with another recipe or other data, and train them anew

	opened []device.Device // the device, and those that the sweep opened

	mu     sync.Mutex // guards what follows: several runs are under way
	locks  lock.Set
	ahead  map[int]float64     // runs that have not begun, by index: multiply-adds
	counts map[string][2]int64 // of nets: parameters and multiply-adds
	failed map[string]bool     // runs, by ID
}

// Run trains what is missing: it skips what is finished, goes on with what was
// interrupted, and after a failure with the next run. What another process has
// in hand comes last, and is waited for. The error names every run that
// failed; it is ErrInterrupted when ctx ended.
//
// A disk that cannot be written to ends the sweep: the other runs would fail
// of it, too. So does the loss of the last device. What was saved before stays
// valid.
func (s *Sweep) Run(ctx context.Context) (err error) {
	if err := s.checkSpace(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closeOpened()) }()
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
		err := s.round(ctx, todo, round, func(i int, skipped bool, err error) {
			var held *lock.HeldError
			switch {
			case errors.As(err, &held), errors.Is(err, lock.ErrLost), errors.Is(err, errEarly):
				elsewhere = append(elsewhere, i)
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
				halt = ErrInterrupted
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
		case errors.Is(o.err, ErrInterrupted):
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

func (s *Sweep) take(path string) (*lock.Lock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locks.Take(path)
}

// attend brings the i-th run to its end on a device; skipped says that it was there
// already. It is a *lock.HeldError that another process has it in hand.
func (s *Sweep) attend(ctx context.Context, i, round int, dev device.Device) (skipped bool, err error) {
	defer s.begun(i)
	run := s.Plan.Runs[i]
	found, err := s.find(run)
	if err != nil {
		return false, err
	}
	if found == finished {
		return true, errors.Join(s.tidy(run), s.finishedBoard(run))
	}
	if err := s.ready(run); err != nil {
		return false, err
	}
	held, err := s.take(lockPath(s.Dir, run.ID))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	found, err = s.find(run) // once more, now that nobody else changes it
	if err != nil {
		return false, err
	}
	if found == finished {
		return true, s.finishedBoard(run)
	}
	if found == another {
		if err := s.setAside(run, s.changes(run)); err != nil {
			return false, err
		}
	}
	if round > 0 && found == nothing {
		if rec, err := record.Read(recordPath(s.Dir, run.ID)); err == nil && rec.Stopped() != "" {
			return false, fmt.Errorf("run %s: another process stopped it: %s", run.ID, rec.Stopped())
		}
	}
	return false, s.train(ctx, i, run, held, dev)
}

// tidy removes what a process that was killed at the very end left of a
// finished run: of all that, its lock goes last.
func (s *Sweep) tidy(run experiments.Run) error {
	path := lockPath(s.Dir, run.ID)
	if _, err := lock.Read(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	held, err := s.take(path)
	var other *lock.HeldError
	if errors.As(err, &other) {
		return nil // it is just about to
	}
	if err != nil {
		return err
	}
	return errors.Join(s.removeTemporaries(run), removeCheckpoints(s.Dir, run.ID), held.Release())
}

// Alone runs f while no other process is in Alone for dir: for what several
// write there, as figures, tables and the question in a folder of results.
// Before, it removes what a killed one left half written.
func Alone(ctx context.Context, dir string, f func() error) (err error) {
	var locks lock.Set
	for {
		held, err := locks.Take(alonePath(dir))
		var other *lock.HeldError
		if err == nil {
			all := func(string) bool { return true }
			return errors.Join(disk.RemoveTemporaries(dir, all), f(), held.Release())
		}
		if !errors.As(err, &other) {
			return err
		}
		select {
		case <-ctx.Done():
			return ErrInterrupted
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func alonePath(dir string) string { return filepath.Join(dir, "alone.lock") }

// checkSpace refuses to begin a sweep that the disk has no room for.
func (s *Sweep) checkSpace() error {
	if err := disk.MakeDir(s.Dir); err != nil {
		return err
	}
	need := int64(8 << 20) // figures, tables, logs
	var most int64         // of checkpoints: runs have them while they are trained
	for _, run := range s.Plan.Runs {
		if f, err := s.find(run); err == nil && f == finished {
			continue
		}
		params, _ := s.count(run.Net)
		kept, passing := space(run, params)
		need += kept
		most = max(most, passing)
	}
	most *= int64(cmp.Or(s.Jobs, 1))
	need += most
	if free, known := disk.Free(s.Dir); known && free < need {
		return fmt.Errorf("%s has %d MiB free, this sweep needs about %d MiB (%d for checkpoints): make room, or let results be a link to a larger disk",
			s.Dir, free>>20, need>>20+1, most>>20+1)
	}
	return nil
}

// found is what stands in the results folder under a run's name.
type found int

const (
	nothing  found = iota // or a run that is to go on
	finished              // the run, trained to its end
	another               // a run of another recipe or other data
)

func (s *Sweep) find(run experiments.Run) (found, error) {
	old, err := readProvenance(s.Dir, run.ID)
	if errors.Is(err, os.ErrNotExist) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	if old.Proof.Run != run.Hash() || old.Proof.Data != s.Data.Checksum || old.Proof.Source != s.sourceHash(run) {
		return another, nil
	}
	rec, err := record.Read(recordPath(s.Dir, run.ID))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, record.ErrEmpty) {
		return nothing, nil
	}
	if err != nil || !rec.Finished() {
		return nothing, err
	}
	return finished, nil
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

func (s *Sweep) sourceHash(run experiments.Run) string {
	if r := s.source(run); r != nil {
		return r.Hash()
	}
	return ""
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
	found, err := s.find(*source)
	if err == nil && found != finished {
		err = errEarly
	}
	return err
}

// Superseded lists the runs in the results folder that the sweep has to set aside
// to train what is asked for: what is other, and what training them took.
func (s *Sweep) Superseded() (lines []string, err error) {
	for _, run := range s.Plan.Runs {
		found, err := s.find(run)
		if err != nil || found != another {
			continue // an error is said when the run's turn comes
		}
		old, err := readProvenance(s.Dir, run.ID)
		if err != nil {
			return nil, err
		}
		sessions := old.Sessions
		last := 0
		if len(sessions) > 0 {
			last = sessions[len(sessions)-1].Last
		}
		lines = append(lines, fmt.Sprintf("%s (%d of %d steps, %v of training): %s", run.ID, last, old.Run.Schedule.Stop,
			seconds(trained(sessions)).Round(time.Second), s.changes(run)))
	}
	return lines, nil
}

// setAside moves the files of a run to superseded/, where nothing reads them. It
// fails unless the user has agreed.
func (s *Sweep) setAside(run experiments.Run, why string) error {
	if !s.Replace {
		return fmt.Errorf("run %s was made otherwise (%s), and is kept: --replace moves it to superseded/ and trains it anew", run.ID, why)
	}
	to := filepath.Join(s.Dir, "superseded", run.ID+"-"+time.Now().UTC().Format("20060102T150405.000000"))
	if err := disk.MakeDir(to); err != nil {
		return err
	}
	files := []string{recordPath(s.Dir, run.ID), provenancePath(s.Dir, run.ID), weightsPath(s.Dir, run.ID)}
	for _, path := range append(files, state.Files(checkpoints(s.Dir), run.ID)...) {
		if err := os.Rename(path, filepath.Join(to, filepath.Base(path))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	s.say("%s: %s; the old run was moved to %s.", run.ID, why, to)
	return nil
}

// train takes the i-th run from where it stands to its end.
func (s *Sweep) train(ctx context.Context, i int, run experiments.Run, held *lock.Lock, dev device.Device) (err error) {
	cut, err := s.cut(run, dev)
	if err != nil {
		return fmt.Errorf("run %s: %w", run.ID, err)
	}
	if cut.Micro != run.Micro {
		s.say("%s", cutText(run.ID, run.Batch, cut.Micro))
	}
	m, err := openIn(compiledPath(s.Dir, run.ID), cut, s.Data, dev)
	if err != nil {
		return s.cannotOpen(run, err)
	}
	defer func() { err = errors.Join(err, m.close()) }()
	info := m.session.Info()
	if err := s.removeTemporaries(run); err != nil {
		return err
	}
	t := &trainer{model: m, dir: s.Dir, held: held, made: s.made(m, info), proof: proof{
		Run: run.Hash(), Program: m.programs.Train.Hash(), Data: s.Data.Checksum, Source: s.sourceHash(run),
	}}
	warnings, err := t.resume()
	var changed *changedError
	if errors.As(err, &changed) {
		if err := s.setAside(run, changed.What); err != nil {
			return err
		}
		warnings, err = nil, nil
	}
	if err != nil {
		return err
	}
	before, err := readProvenance(s.Dir, run.ID)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	start := s.start(run, m, info)
	w, err := t.openRecord(start)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	t.rec = w
	rec, err := record.Read(recordPath(s.Dir, run.ID))
	if err != nil {
		return err
	}
	t.origin = s.begin(t, before)
	t.origin.Run, t.origin.Micro = run, cut.Micro
	if err := t.origin.write(s.Dir); err != nil {
		return err
	}
	s.begun(i)
	shown := s.Progress.Begin(i+1, len(s.Plan.Runs), *rec, t.step, s.left(i))
	defer shown.Close()
	t.sink, t.show = record.Tee(w, shown), shown.Step
	if s.TensorBoard {
		board, failed := s.tensorBoard(rec)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, board.Close()) }()
		t.sink = record.Tee(t.sink, board)
	}
	if text := m.oneClass(s.Data); text != "" && t.step == 0 {
		warnings = append(warnings, text)
	}
	for _, text := range warnings {
		if err := t.warn("%s", text); err != nil {
			return err
		}
	}
	if t.step == 0 && run.Extend != "" {
		if err := t.extend(run.Source()); err != nil {
			return err
		}
	}
	took := t.clock.total.Seconds()
	if err := t.train(ctx); err != nil {
		return err
	}
	if text := t.slowData(took); text != "" {
		s.say("%s", text)
	}
	t.origin.Finished = utc()
	if err := t.origin.write(s.Dir); err != nil {
		return err
	}
	return t.end()
}

// cannotOpen says why a run is left alone here: one that was begun elsewhere keeps
// its precision, which this device may not have.
func (s *Sweep) cannotOpen(run experiments.Run, err error) error {
	var unsupported *device.UnsupportedError
	if _, begun := begunPrecision(s.Dir, run); begun && errors.As(err, &unsupported) {
		return fmt.Errorf("run %s was begun in %s and is left alone here (%w); another machine can go on with it, and --precision with --replace sets it aside and trains it anew", run.ID, run.Precision, err)
	}
	return fmt.Errorf("run %s: %w", run.ID, err)
}

// tensorBoard begins a run's event file with what is in its record.
func (s *Sweep) tensorBoard(rec *record.RunRecord) (*record.TensorBoard, error) {
	return record.NewTensorBoard(filepath.Join(s.Dir, "tensorboard", rec.Start.ID), rec.Events)
}

// finishedBoard writes the event file of a run that was finished before.
func (s *Sweep) finishedBoard(run experiments.Run) error {
	if !s.TensorBoard {
		return nil
	}
	rec, err := record.Read(recordPath(s.Dir, run.ID))
	if err != nil {
		return err
	}
	board, err := s.tensorBoard(rec)
	if err != nil {
		return err
	}
	return board.Close()
}

// removeTemporaries clears what a killed process left of a run half written.
func (s *Sweep) removeTemporaries(run experiments.Run) error {
	mine := func(name string) bool { return strings.HasPrefix(name, run.ID+".") } // of locks, too: then Take tries again
	return errors.Join(disk.RemoveTemporaries(filepath.Join(s.Dir, "runs"), mine), disk.RemoveTemporaries(filepath.Join(s.Dir, "weights"), mine))
}

// lookAhead notes the work of the runs that are to be trained.
func (s *Sweep) lookAhead() {
	ahead := map[int]float64{}
	for i, run := range s.Plan.Runs {
		if f, err := s.find(run); err == nil && f != finished {
			_, macs := s.count(run.Net)
			ahead[i] = float64(macs) * float64(run.Schedule.Stop*run.Batch)
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
			c[0], c[1], _ = nets.Count(arch, geometry(s.Data))
		}
		if s.counts == nil {
			s.counts = map[string][2]int64{}
		}
		s.counts[net] = c
	}
	return c[0], c[1]
}

// start describes the run in its record.
func (s *Sweep) start(run experiments.Run, m *model, info device.Info) *record.Start {
	arch, _ := nets.ParseArch(run.Net)
	params, macs := s.count(run.Net)
	paper, caveats := run.Paper()
	caveats = append(caveats, s.Plan.Caveats...)
	if run.Data == "cifar10" && !s.Data.Canonical {
		paper = false
		caveats = append(caveats, s.Data.Title)
	}
	if !info.GPU {
		caveats = append(caveats, "CPU")
	}
	st := &record.Start{
		ID: run.ID, Net: run.Net, Variant: run.Variant, Extends: run.Source(), Depth: arch.Depth, Residual: arch.Residual, Seed: run.Seed,
		Params: params, Macs: macs, Steps: run.Schedule.Stop, Batch: run.Batch,
		Data: s.Data.Title, Precision: run.Precision, Device: info.Name, Paper: paper, Caveats: caveats,
	}
	if arch.Residual {
		st.Shortcut = string(arch.Shortcut)
	}
	return st
}
