package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/lock"
	"depthlab/harness/record"
)

// Status is where a run stands.
type Status struct {
	ID         string    `json:"id"`
	State      State     `json:"state"`
	Step       int       `json:"step"`
	Steps      int       `json:"steps"`
	Train      *float64  `json:"train_error,omitempty"` // running, percent; nil: not known yet
	Test       *float64  `json:"test_error,omitempty"`  // percent; nil: not known yet
	ImagesPerS float64   `json:"images_per_s,omitempty"`
	Left       float64   `json:"seconds_left,omitempty"` // of training, at that speed
	Seen       time.Time `json:"seen,omitzero"`          // last sign of life
	By         string    `json:"by,omitempty"`           // who trains it
	Why        string    `json:"why,omitempty"`          // it stopped, or cannot be read
}

// State of a run.
type State string

const (
	Waiting     State = "waiting"
	Training    State = "training"
	Silent      State = "silent" // in hand on another machine, without a sign of life for long
	Interrupted State = "interrupted"
	Failed      State = "failed"
	Finished    State = "finished"
)

// silence is how long a living process gives no sign of life at most.
const silence = 3 * time.Minute

// Statuses tells where every run stands whose results are in dir,
// results/NAME/PROFILE: those of its question.yaml in their order, then others
// that have a record. It only reads, and may be asked while others train.
func Statuses(dir string) ([]Status, error) {
	var all []Status
	known := map[string]bool{}
	q, err := experiments.Load(filepath.Join(dir, "question.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		for _, run := range q.Plans[0].Runs {
			known[run.ID] = true
			all = append(all, statusOf(dir, run.ID, run.Schedule.Stop))
		}
	}
	files, err := fs.Glob(os.DirFS(filepath.Join(dir, "runs")), "*.jsonl")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if id := strings.TrimSuffix(file, ".jsonl"); !known[id] {
			all = append(all, statusOf(dir, id, 0))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no runs there; expected a folder such as results/NAME/PROFILE", dir)
	}
	return all, nil
}

func statusOf(dir, id string, steps int) Status {
	s := Status{ID: id, State: Waiting, Steps: steps}
	path := recordPath(dir, id)
	if info, err := os.Stat(path); err == nil {
		s.Seen = info.ModTime()
	}
	rec, err := record.Read(path)
	switch {
	case err == nil:
		s.read(rec)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrEmpty):
		s.State, s.Why = Failed, err.Error()
	}
	if s.State == Finished {
		return s
	}
	holder, err := lock.Read(lockPath(dir, id))
	if err != nil || holder.Dead() {
		return s
	}
	if holder.Beating.After(s.Seen) {
		s.Seen = holder.Beating
	}
	s.State, s.By, s.Why = Training, holder.String(), ""
	if time.Since(s.Seen) > silence {
		s.State = Silent
	}
	return s
}

// read takes from a record what it knows.
func (s *Status) read(rec *record.RunRecord) {
	s.State, s.Step, s.Steps = Interrupted, rec.Step(), rec.Start.Steps
	for _, e := range rec.Events {
		switch e.Kind {
		case "train":
			s.Train, s.ImagesPerS = e.Error, e.ImagesPerS
		case "eval":
			s.Test = e.Error
		}
	}
	switch why := rec.Stopped(); {
	case rec.Finished():
		s.State = Finished
	case why != "":
		s.State, s.Why = Failed, why
	case s.ImagesPerS > 0:
		s.Left = float64((s.Steps-s.Step)*rec.Start.Batch) / s.ImagesPerS
	}
}
