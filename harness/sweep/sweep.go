// Package sweep trains all runs of a question: it finds those that are missing, distributes them
// to devices, and handles failures. Package train trains one run.
package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
	"depthlab/harness/record"
	"depthlab/harness/slurm"
	"depthlab/harness/store"
)

// Sweep trains all runs of a question on this machine.
type Sweep struct {
	Plan    *experiments.Plan       // precisions resolved
	File    string                  // path of the question's file
	View    store.View              // of the question
	Folders map[string]store.Folder // of the runs, by ID; nil for those of Place
	Data    *data.Source
	Device  device.Device // of place 0
	// Open opens the device of a place, for more runs at the same time or to replace a lost
	// device. It may be nil if one run is trained at a time.
	Open     func(place int) (device.Device, error)
	Places   int // number of places: devices, or groups of devices that share each step; 0 means 1
	Jobs     int // runs at the same time at each place; 0: as many as fit and are worth it
	Tasks    int // processes that share the runs, with this one; 0 means that it is not known to share them
	Progress *record.Progress
	Say      func(format string, args ...any) // prints one line for the user
	Version  string                           // of the program

	TensorBoard bool // also write event files
	// Leave leaves runs to other Slurm tasks of this question that train them. Run waits for all
	// other processes, and takes a run over if its process dies.
	Leave bool

	devices pool
	sizes   sizes
	ahead   ahead

	training atomic.Int64 // runs in training

	mu     sync.Mutex // guards locks and failed: several runs are trained at the same time
	locks  lock.Set
	failed map[string]bool // runs, by ID

	losses map[string]int // number of devices that a run has lost, by ID
}

// Run trains what is missing: it skips finished runs, resumes interrupted ones, and continues with
// the next run after a failure. Runs that another process trains come last; it waits for them, or
// leaves them (see Leave). The error names every run that failed. If ctx ended it is
// harness.ErrInterrupted.
//
// A disk that cannot be written to ends the sweep, because the other runs would fail, too. So does
// the loss of the last device. Checkpoints that were saved remain valid.
func (s *Sweep) Run(ctx context.Context) (err error) {
	if s.Folders == nil {
		s.Folders = Place(s.Plan, s.View.Store(), s.Data.Checksum, s.Device.Info(), "")
	}
	s.sizes.of, s.failed = s.Data, map[string]bool{}
	s.losses = map[string]int{}
	todo := unfinished(s.Plan, s.Folders)
	s.devices = pool{open: s.Open, all: []opened{{s.Device, 0}}, borrowed: true}
	defer func() { err = errors.Join(err, s.devices.close()) }()
	if slices.ContainsFunc(s.Plan.Runs, func(run experiments.Run) bool { return run.Keep.Best && run.Validation == 0 }) {
		s.Say("warning: the best weights are chosen by the test set, so their test error is biased; hold out validation images, such as validation: 5000")
	}
	if err := s.choose(todo); err != nil {
		return err
	}
	if err := checkSpace(s.View.Store(), todo, len(s.devices.all), &s.sizes); err != nil {
		return err
	}
	list := func() error { return s.View.Write(s.File, Entries(s.Plan, s.Folders)) }
	if err := s.View.Alone(ctx, list); err != nil {
		return err
	}
	s.ahead.set(todo, &s.sizes)
	before, failed, err := s.rounds(ctx)
	if err != nil {
		return errors.Join(err, errors.Join(failed...))
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

// rounds attends to all runs, and in further rounds to those that other processes trained. before is
// the number of runs that were finished already, failed the errors of runs that failed. err ends the
// sweep.
func (s *Sweep) rounds(ctx context.Context) (before int, failed []error, err error) {
	todo := make([]int, len(s.Plan.Runs))
	for i := range todo {
		todo[i] = i
	}
	s.longestFirst(todo)
	for round := 0; len(todo) > 0; round++ {
		var elsewhere []int
		wait := false // for one of them
		err := s.round(ctx, todo, round, func(i int, skipped bool, err error) {
			id := s.Plan.Runs[i].ID
			var held *lock.HeldError
			switch {
			case errors.As(err, &held), errors.Is(err, lock.ErrLost), errors.Is(err, errEarly):
				elsewhere = append(elsewhere, i)
				if !errors.Is(err, errEarly) && !s.leaves(held) {
					wait = true
				}
				if round == 0 && !errors.Is(err, errEarly) {
					s.say("%s: skipped for now: %v", id, err)
				}
			case err != nil:
				s.say("failed: %v", err)
				failed = append(failed, err)
				s.mu.Lock()
				s.failed[id] = true
				s.mu.Unlock()
			case skipped && round == 0:
				before++
			}
		})
		if err != nil {
			return before, failed, err
		}
		if len(elsewhere) == len(todo) {
			if s.Leave && !wait {
				s.say("Other tasks train or measure the remaining %d of %d runs.", len(todo), len(s.Plan.Runs))
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		todo = elsewhere
	}
	return before, failed, nil
}

// leaves reports whether a run is left to the process that holds its lock: a living Slurm task of this
// question. A process of another question does not measure what this one draws, nor train the runs that
// begin as this run. held is nil if the holder is not known.
func (s *Sweep) leaves(held *lock.HeldError) bool {
	if !s.Leave || held == nil || !held.Alive {
		return false
	}
	array, _, isTask := strings.Cut(held.Holder.Job, "_")
	if own, _, _ := strings.Cut(slurm.This().ID, "_"); isTask && array == own {
		return true
	}
	submitted, _ := slurm.Submissions(s.View.Slurm()) // Run waits for tasks of those that cannot be read
	return isTask && slices.ContainsFunc(submitted, func(other slurm.Submission) bool { return other.Job == array })
}

// longestFirst sorts runs by decreasing work if several are trained at the same time, so that no
// long run is left alone at the end. Runs that begin with the weights of another run come last.
// Runs that share a CPU keep their order: one that is left alone uses all of it.
func (s *Sweep) longestFirst(todo []int) {
	if len(s.devices.all) < 2 || s.Places < 2 && !s.Device.Info().GPU {
		return
	}
	key := func(i int) float64 {
		if sourceOf(s.Plan, s.Plan.Runs[i]) != nil {
			return 0
		}
		return s.ahead.of(i)
	}
	slices.SortStableFunc(todo, func(i, j int) int { return cmp.Compare(key(j), key(i)) })
}

// mostLosses is the number of lost devices after which a run fails: it probably causes the losses.
const mostLosses = 3

// again reports whether a run whose device was lost is tried again, from its last checkpoint.
func (s *Sweep) again(i int, err error) bool {
	id := s.Plan.Runs[i].ID
	s.losses[id]++
	if s.losses[id] >= mostLosses {
		return false
	}
	s.say("%s resumes from its last checkpoint: %v", id, err)
	return true
}

// round attends to the runs of todo, one on each device at a time, and calls took with the result of
// each. A run whose device is lost resumes on a new device or another one. After an error that ends
// the sweep it begins no more runs, waits for those in training, and returns that error.
func (s *Sweep) round(ctx context.Context, todo []int, round int, took func(i int, skipped bool, err error)) (halt error) {
	type outcome struct {
		i, device int
		skipped   bool
		err       error
	}
	var idle []int // devices
	for i := range s.devices.all {
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
			dev := s.devices.all[d].Device
			go func() {
				skipped, err := s.attend(ctx, i, round, dev)
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
		case errors.As(o.err, &lost) && s.again(o.i, o.err):
			todo = append([]int{o.i}, todo...)
		default:
			took(o.i, o.skipped, o.err)
		}
		if !errors.As(o.err, &lost) {
			idle = append(idle, o.device)
		} else if err := s.devices.replace(o.device); err == nil {
			idle = append(idle, o.device)
		} else if busy == 0 && len(idle) == 0 && len(todo) > 0 {
			halt = cmp.Or(halt, fmt.Errorf("%d runs are not finished, because no device is left (%w; %w); the same command resumes from the last checkpoints", len(todo), o.err, err))
		} else {
			s.say("continuing with one device less: %v", err)
		}
	}
}

// say prints a line for the user, and redraws the progress bar after it.
func (s *Sweep) say(format string, args ...any) {
	s.Progress.Aside(func() { s.Say(format, args...) })
}

// unfinished lists the runs that are not finished.
func unfinished(p *experiments.Plan, folders map[string]store.Folder) (left []indexed) {
	for i, run := range p.Runs {
		if f, err := folders[run.ID].Find(); err != nil || f != store.Complete {
			left = append(left, indexed{i, run})
		}
	}
	return left
}

// indexed is a run and its place in the plan.
type indexed struct {
	i   int
	run experiments.Run
}
