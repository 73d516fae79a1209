// Checkpoints: saving and resuming a run.

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

// progress is what a checkpoint holds beside tensors. Fields that an older checkpoint lacks
// are zero.
type progress struct {
	Made     store.Session // the process that made it
	Window   running
	Watch    watch
	schedule         // embedded, because older checkpoints have its fields here
	Best     best    // zero if the best weights are not kept
	Before   float64 `json:",omitempty"` // seconds of training of the run that this one continues
	Untested bool    `json:",omitempty"` // the test of this step was not made yet
	Rate     float32 `json:",omitempty"` // learning rate of the latest step
	Seconds  float64 // of training
	Lap      float64 // value of Seconds when the window began
	Waited   float64 // seconds that the device waited for photos since then
}

// save writes a checkpoint: parameters, optimizer state, running statistics and progress. It
// syncs the record first: the record may be ahead of a checkpoint, never behind.
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
	return errors.Join(t.kept.removeWorse(t.at.Best), store.WriteProvenance(folder, t.origin))
}

// resume loads the newest valid checkpoint of a folder into the net, and returns its progress
// and step. Without a checkpoint, step is the first step. If the checkpoint was made with other
// arithmetic the run resumes, with a warning.
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
		warnings = append(warnings, fmt.Sprintf("resumes with other arithmetic than before (%s): its last bits may differ from those of an uninterrupted run", text))
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
			return at, 0, warnings, failed(fmt.Errorf("it has no tensor %s", b.Name))
		}
		wanted = append(wanted, x)
	}
	if err := net.Load(wanted); err != nil {
		return at, 0, warnings, failed(err)
	}
	return at, c.Step, warnings, nil
}

// resumed is a clock that continues from a checkpoint.
func resumed(at progress) stopwatch {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return stopwatch{total: seconds(at.Seconds), lapStart: seconds(at.Lap), lapWaited: -seconds(at.Waited)}
}

// saveWeights writes the net after a step: parameters, running statistics and normalisation.
// chosenBy is the set of images by whose error the weights were chosen; "" for none.
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
