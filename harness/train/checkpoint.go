package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/harness/weights"
	"depthlab/nets/program"
)

// progress is what a checkpoint holds beside tensors.
type progress struct {
	Made    store.Session // by which process
	Window  window
	Watch   watch
	Warm    bool
	Plateau plateau
	Best    best
	Seconds float64 // of training
	Lap     float64 // of these, when the window began
	Waited  float64 // seconds that the device waited for photos since then
}

// save writes a checkpoint: parameters, the optimizer's state and running statistics, and
// where the run stands. The record is made to last first: it may be ahead of
// a checkpoint, never behind.
func (t *Trainer) save() error {
	if err := errors.Join(t.held.Check(), t.rec.Sync()); err != nil {
		return fmt.Errorf("run %s: %w", t.Run.ID, err)
	}
	tensors, err := t.Tensors(program.Persistent()...)
	if err != nil {
		return err
	}
	seconds := t.clock.total.Seconds()
	meta, err := json.Marshal(progress{
		Made: t.made, Window: t.window, Watch: t.watch, Warm: t.warm, Plateau: t.still, Best: t.best,
		Seconds: seconds, Lap: t.clock.lapStart.Seconds(), Waited: t.waitedSince().Seconds(),
	})
	if err != nil {
		return err
	}
	err = state.Save(t.folder.Checkpoints(), t.folder.Name(), &state.Checkpoint{
		Step: t.step, Tensors: tensors, Meta: map[string]string{"progress": string(meta)},
	})
	if err != nil {
		return fmt.Errorf("run %s: checkpoint at step %d: %w", t.Run.ID, t.step, err)
	}
	t.origin.Reached(t.step, seconds)
	return errors.Join(t.forgetWorse(), t.folder.WriteProvenance(t.origin))
}

// resume takes up the newest sound checkpoint, if there is one. Where it was made
// with other arithmetic the run goes on, and a warning says so.
func (t *Trainer) resume() (warnings []string, err error) {
	c, warnings, err := state.Latest(t.folder.Checkpoints(), t.folder.Name())
	if err != nil || c == nil {
		return warnings, err
	}
	var p progress
	if err := json.Unmarshal([]byte(c.Meta["progress"]), &p); err != nil {
		return warnings, fmt.Errorf("checkpoint of run %s at step %d: %w", t.Run.ID, c.Step, err)
	}
	if text := t.made.Changed(p.Made); text != "" && p.Made.Device.Name != "" {
		warnings = append(warnings, fmt.Sprintf("goes on with other arithmetic than before (%s): its last bits may differ from those of a run that was not stopped", text))
	}
	have := map[string]*state.Tensor{}
	for i := range c.Tensors {
		have[c.Tensors[i].Name] = &c.Tensors[i]
	}
	w := model.Writer{Session: t.Session}
	for _, b := range t.Views(program.Persistent()...) {
		x, ok := have[b.Name]
		if !ok {
			return warnings, fmt.Errorf("checkpoint of run %s at step %d lacks %s", t.Run.ID, c.Step, b.Name)
		}
		v, err := x.Float32s()
		if err != nil {
			return warnings, err
		}
		w.Write(b.Name, v)
	}
	t.step, t.window, t.watch, t.warm, t.still, t.best = c.Step, p.Window, p.Watch, p.Warm, p.Plateau, p.Best
	t.clock.total, t.clock.lapStart = seconds(p.Seconds), seconds(p.Lap)
	if t.Feed != nil {
		t.Feed.Waited = seconds(p.Waited)
	}
	return warnings, w.Err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// openRecord begins the record, or takes it back to the checkpoint.
func (t *Trainer) openRecord(start *record.Start) (*record.Writer, error) {
	path := t.folder.Record()
	if !t.fresh() {
		if err := record.Truncate(path, t.step); err != nil {
			return nil, fmt.Errorf("run %s: %w", t.Run.ID, err)
		}
		return record.OpenAppend(path)
	}
	w, err := record.Create(path)
	if err != nil {
		return nil, err
	}
	return w, errors.Join(w.Event(record.Event{Kind: "start", Start: start}), t.history(w),
		w.Event(record.Event{Kind: "rate", Step: t.step, Rate: exact(t.rate(t.step))}))
}

// writeWeights writes the net as it is now to a file: parameters and running statistics,
// and how an image is prepared for it. chosenBy is the set of images whose error the
// weights were chosen by, "" for none.
func (t *Trainer) writeWeights(path, chosenBy string) error {
	tensors, err := t.Tensors(program.Param, program.Stat)
	if err != nil {
		return err
	}
	shape := t.Programs.Train.Buffers[t.Programs.Train.Mean].Shape
	info := weights.Info{
		Net: t.Run.Net, Data: t.Run.Data, Steps: t.step, Eps: t.Run.BatchNorm.Eps,
		Classes: t.Classes, Size: shape[1], Channels: shape[0], Averaged: t.Run.BatchNorm.Batches,
		ChosenBy: chosenBy,
	}
	if t.Feed != nil {
		info.Side = t.Run.Input.Scale[0]
	}
	if err := t.held.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.Run.ID, err)
	}
	return weights.Write(path, info, tensors, t.Mean, t.Scale)
}
