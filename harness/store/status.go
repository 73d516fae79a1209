// Status of runs: waiting, training, silent, interrupted, failed, finished.

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"depthlab/harness/record"
)

// Status describes how far a run is and who trains it.
type Status struct {
	ID         string    `json:"id"`
	State      State     `json:"state"`
	Step       int       `json:"step"`
	Steps      int       `json:"steps"`
	Running    *float64  `json:"running_error,omitempty"` // error on the latest mini-batches, percent; nil: not known yet
	Train      *float64  `json:"train_error,omitempty"`   // training error at the end, as in the tables, percent; nil: not known yet
	Test       *float64  `json:"test_error,omitempty"`    // percent; nil: not known yet
	ImagesPerS float64   `json:"images_per_s,omitempty"`
	Left       float64   `json:"seconds_left,omitempty"` // training time left, at that speed
	Seen       time.Time `json:"seen,omitzero"`          // latest heartbeat of the lock, or time of the last event
	By         string    `json:"by,omitempty"`           // process that trains it
	Job        string    `json:"job,omitempty"`          // Slurm's job that trains it, or trained it last
	JobState   string    `json:"job_state,omitempty"`    // as Slurm has it: RUNNING, PENDING, ...; "" if it was not asked, or has forgotten the job
	Node       string    `json:"node,omitempty"`         // machine of the process that trains it
	Restarts   int       `json:"restarts,omitempty"`     // of the job, when it was last seen
	Why        string    `json:"why,omitempty"`          // why it stopped or cannot be read
}

// State is the state of a run.
type State string

const (
	Waiting     State = "waiting"
	Training    State = "training"
	Silent      State = "silent" // a process on another machine has it, but gave no heartbeat for long
	Interrupted State = "interrupted"
	Failed      State = "failed"
	Finished    State = "finished"
)

// silence is the longest time that a living process gives no heartbeat.
const silence = 3 * time.Minute

var now = time.Now // a test sets another clock

// Statuses returns the status of every run of a question: the runs of its question.yaml
// in their order, then others of its list. It only reads, so it may be called while
// others train. If a file cannot be read, it returns an error in addition to the rest.
func Statuses(v View) ([]Status, error) {
	_, entries, err := v.Read()
	errs := []error{err}
	at := map[string]Folder{}
	for _, e := range entries {
		at[e.ID] = v.Folder(e)
	}
	var all []Status
	q, err := Load(v)
	switch {
	case err == nil:
		for _, run := range q.Plans[0].Runs {
			all = append(all, StatusOf(at[run.ID], run.ID, run.Schedule.Stop))
			delete(at, run.ID)
		}
	case !errors.Is(err, fs.ErrNotExist):
		errs = append(errs, fmt.Errorf("%v; its runs that have not begun are not listed", err)) // not an error of the input: the user did not name that file
	}
	for _, e := range entries {
		if _, left := at[e.ID]; left {
			all = append(all, StatusOf(at[e.ID], e.ID, 0))
		}
	}
	if err := errors.Join(errs...); len(all) > 0 || err != nil {
		return all, err
	}
	return nil, fmt.Errorf("%s: no runs there; expected a folder such as results/NAME/PROFILE", v)
}

// StatusOf returns the status of the run that a question calls id and that takes this
// number of steps (0: as its record says). The folder is "" if the run was never begun.
func StatusOf(f Folder, id string, steps int) Status {
	if f == "" {
		return Status{ID: id, State: Waiting, Steps: steps}
	}
	rec, err := record.Read(f.Record())
	return Held(f, Recorded(f, id, steps, rec, err))
}

// Recorded is the status according to the run's files. rec and err are the result of
// reading its record.
func Recorded(f Folder, id string, steps int, rec *record.RunRecord, err error) Status {
	s := Status{ID: id, State: Waiting, Steps: steps}
	switch {
	case err == nil:
		s.read(rec)
		s.Seen = lastEvent(f, rec)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrEmpty):
		s.State, s.Why = Failed, err.Error()
	}
	if info, err := os.Stat(f.Record()); err == nil && s.Seen.IsZero() {
		s.Seen = info.ModTime()
	}
	if s.State == Finished {
		if _, err := os.Stat(f.Weights()); errors.Is(err, fs.ErrNotExist) {
			s.Why = "its weights are missing"
		}
		return s
	}
	made, err := ReadProvenance(f)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Why = err.Error()
	}
	if err == nil && len(made.Sessions) > 0 {
		last := made.Sessions[len(made.Sessions)-1]
		s.Job, s.Restarts = last.Job, last.Restart
	}
	return s
}

// Held adds to a status from Recorded whether a process trains the run now.
func Held(f Folder, s Status) Status {
	if s.State == Finished {
		return s
	}
	holder, held := f.Holder()
	if !held {
		return s
	}
	if holder.Beating.After(s.Seen) {
		s.Seen = holder.Beating
	}
	s.State, s.By, s.Why = Training, holder.String(), ""
	s.Node = holder.Host
	if s.Job != holder.Job {
		s.Job, s.Restarts = holder.Job, 0 // it has the lock, and has not begun
	}
	if now().Sub(holder.Beating) > silence { // by the file system's clock; that of the holder may be ahead
		s.State = Silent
	}
	return s
}

// lastEvent is when the record was last written. The file's modification time does not
// help: it may be the time of a copy or a checkout. A record of an older version has no
// times; then run.json has it for a finished run. Zero if neither is known.
func lastEvent(f Folder, rec *record.RunRecord) time.Time {
	if t := rec.Time(); !t.IsZero() || !rec.Finished() {
		return t
	}
	p, err := ReadProvenance(f)
	if err != nil {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339, p.Finished)
	return t
}

// read fills in what the record says.
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
