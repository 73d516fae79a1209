// Checkpoints: where a run stands, saved and taken up again.

package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/harness/weights"
	"depthlab/nets/program"
)

// progress is what a checkpoint holds beside tensors. A field that an older checkpoint
// lacks reads as zero.
type progress struct {
	Made     store.Session // by which process
	Window   running
	Watch    watch
	schedule         // whose fields older checkpoints have here, too
	Best     best    // test; zero if its weights are not to be kept
	Before   float64 `json:",omitempty"` // seconds of training of the run that this one goes on from
	Untested bool    `json:",omitempty"` // the test of this step is still to be made
	Rate     float32 `json:",omitempty"` // learning rate of the latest step
	Seconds  float64 // of training
	Lap      float64 // of these, when the window began
	Waited   float64 // seconds that the device waited for photos since then
}

// save writes a checkpoint: parameters, the optimizer's state, running statistics, and
// where the run stands. The record is made to last first: it may be ahead of a
// checkpoint, never behind.
func (t *Trainer) save() error {
	if err := errors.Join(t.task.Lock.Check(), t.rec.Sync()); err != nil {
		return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
	}
	tensors, err := t.net.Tensors(program.Persistent()...)
	if err != nil {
		return err
	}
	t.at.Seconds, t.at.Lap, t.at.Waited = t.clock.total.Seconds(), t.clock.lapStart.Seconds(), (t.clock.waited - t.clock.lapWaited).Seconds()
	meta, err := json.Marshal(t.at)
	if err != nil {
		return err
	}
	folder := t.task.Folder
	err = state.Save(folder.Checkpoints(), folder.Name(), &state.Checkpoint{
		Step: t.Step, Tensors: tensors, Meta: map[string]string{"progress": string(meta)},
	})
	if err != nil {
		return fmt.Errorf("run %s: checkpoint at step %d: %w", t.net.Run.ID, t.Step, err)
	}
	t.origin.Reached(t.Step, t.at.Seconds)
	return errors.Join(t.forgetWorse(), folder.WriteProvenance(t.origin))
}

// resume takes up the newest sound checkpoint in a folder, if there is one: its tensors
// go into the net. If it was made with other arithmetic the run continues, and a warning
// says so.
func resume(folder store.Folder, net *model.Model, made store.Session) (at progress, step int, warnings []string, err error) {
	c, warnings, err := state.Latest(folder.Checkpoints(), folder.Name())
	if err != nil || c == nil {
		return progress{Made: made}, net.Run.From, warnings, err
	}
	failed := func(err error) error {
		return fmt.Errorf("checkpoint of run %s at step %d: %w", net.Run.ID, c.Step, err)
	}
	if err := json.Unmarshal([]byte(c.Meta["progress"]), &at); err != nil {
		return at, 0, warnings, failed(err)
	}
	if text := made.Changed(at.Made); text != "" && at.Made.Device.Name != "" {
		warnings = append(warnings, fmt.Sprintf("goes on with other arithmetic than before (%s): its last bits may differ from those of a run that was not stopped", text))
	}
	at.Made = made
	have := map[string]state.Tensor{}
	for _, x := range c.Tensors {
		have[x.Name] = x
	}
	var wanted []state.Tensor
	for _, b := range model.Views(net.Programs.Train, program.Persistent()...) {
		x, ok := have[b.Name]
		if !ok {
			return at, 0, warnings, failed(fmt.Errorf("it lacks %s", b.Name))
		}
		wanted = append(wanted, x)
	}
	if err := net.Load(wanted); err != nil {
		return at, 0, warnings, failed(err)
	}
	return at, c.Step, warnings, nil
}

// resumed is a clock that goes on from a checkpoint.
func resumed(at progress) stopwatch {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return stopwatch{total: seconds(at.Seconds), lapStart: seconds(at.Lap), lapWaited: -seconds(at.Waited)}
}

// saveWeights writes the net as it is after a step: parameters and running statistics, and
// how an image is prepared for it. chosenBy is the set of images whose error the weights
// were chosen by, "" for none.
func saveWeights(path string, net *model.Model, tensors []state.Tensor, step int, chosenBy string) error {
	run, p := net.Run, net.Programs.Train
	shape := p.Buffers[p.Mean].Shape
	info := weights.Info{
		Net: run.Net, Data: run.Data, Steps: step, Eps: run.BatchNorm.Eps,
		Classes: net.Classes, Size: shape[1], Channels: shape[0], Averaged: run.BatchNorm.Batches,
		ChosenBy: chosenBy, Names: net.ClassNames,
	}
	info.Side = run.Input.Size
	if net.Feed != nil {
		info.Side = run.Input.Scale[0]
	}
	return weights.Write(path, info, tensors, net.Input)
}
