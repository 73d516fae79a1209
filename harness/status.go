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
	Running    *float64  `json:"running_error,omitempty"` // of the latest mini-batches, percent; nil: not known yet
	Train      *float64  `json:"train_error,omitempty"`   // at the end, as in the tables, percent; nil: not known yet
	Test       *float64  `json:"test_error,omitempty"`    // percent; nil: not known yet
	ImagesPerS float64   `json:"images_per_s,omitempty"`
	Left       float64   `json:"seconds_left,omitempty"` // of training, at that speed
	Seen       time.Time `json:"seen,omitzero"`          // last sign of life: of the lock, or the time of the last event
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
// that have a record. It only reads, and may be asked while others train. Where
// question.yaml cannot be read, the error says so beside those with a record.
func Statuses(dir string) ([]Status, error) {
	var all []Status
	known := map[string]bool{}
	q, err := experiments.Load(filepath.Join(dir, "question.yaml"))
	var unread error
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unread = fmt.Errorf("%v; its runs that have not begun are not listed", err) // no bad input: nobody named that file
	}
	if err == nil {
		for _, run := range q.Plans[0].Runs {
			known[run.ID] = true
			all = append(all, statusOf(dir, run.ID, run.Schedule.Stop))
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(unread, err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".jsonl")
		if !ok || known[id] {
			continue
		}
		if rec, _ := record.Read(recordPath(dir, id)); !record.Stray(e.Name(), rec) {
			all = append(all, statusOf(dir, id, 0))
		}
	}
	if len(all) == 0 && unread == nil {
		return nil, fmt.Errorf("%s: no runs there; expected a folder such as results/NAME/PROFILE", dir)
	}
	return all, unread
}

func statusOf(dir, id string, steps int) Status {
	s := Status{ID: id, State: Waiting, Steps: steps}
	path := recordPath(dir, id)
	rec, err := record.Read(path)
	switch {
	case err == nil:
		s.read(rec)
		s.Seen = lastEvent(dir, rec)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrEmpty):
		s.State, s.Why = Failed, err.Error()
	}
	if info, err := os.Stat(path); err == nil && s.Seen.IsZero() {
		s.Seen = info.ModTime()
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

// lastEvent is when a record was written last: the file's own time is that of
// its copying, or of the checkout. A record of an older version does not say;
// of a finished run runs/ID.json does. Zero where neither is known.
func lastEvent(dir string, rec *record.RunRecord) time.Time {
	if t := rec.Time(); !t.IsZero() || !rec.Finished() {
		return t
	}
	p, err := readProvenance(dir, rec.Start.ID)
	if err != nil {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339, p.Finished)
	return t
}

// read takes from a record what it knows.
func (s *Status) read(rec *record.RunRecord) {
	s.State, s.Step, s.Steps = Interrupted, rec.Step(), rec.Start.Steps
	for _, e := range rec.Events {
		switch e.Kind {
		case "train":
			s.Running, s.ImagesPerS = e.Error, e.ImagesPerS
		case "eval":
			s.Test = e.Error
		}
	}
	if e, ok := rec.FinalTrain(); ok && rec.Finished() {
		s.Train = &e
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
