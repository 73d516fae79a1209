package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/nets/program"
)

// progress is what a checkpoint holds beside tensors.
type progress struct {
	Made    store.Session // by which process
	Window  window
	Watch   watch
	Warm    bool
	Plateau plateau
	Seconds float64 // of training
	Lap     float64 // of these, when the window began
	Waited  float64 // seconds that the device waited for photos since then
}

// save writes a checkpoint: parameters, the optimizer's state and running statistics, and
// where the run stands. The record is made to last first: it may be ahead of
// a checkpoint, never behind.
func (t *trainer) save() error {
	if err := errors.Join(t.held.Check(), t.rec.Sync()); err != nil {
		return fmt.Errorf("run %s: %w", t.run.ID, err)
	}
	tensors, err := t.tensors(program.Persistent()...)
	if err != nil {
		return err
	}
	seconds := t.clock.total.Seconds()
	meta, err := json.Marshal(progress{
		Made: t.made, Window: t.window, Watch: t.watch, Warm: t.warm, Plateau: t.still,
		Seconds: seconds, Lap: t.clock.lapStart.Seconds(), Waited: t.waitedSince().Seconds(),
	})
	if err != nil {
		return err
	}
	err = state.Save(t.folder.Checkpoints(), t.folder.Name(), &state.Checkpoint{
		Step: t.step, Tensors: tensors, Meta: map[string]string{"progress": string(meta)},
	})
	if err != nil {
		return fmt.Errorf("run %s: checkpoint at step %d: %w", t.run.ID, t.step, err)
	}
	t.origin.Reached(t.step, seconds)
	return t.folder.WriteProvenance(t.origin)
}

// tensors reads the named tensors of arenas from the device.
func (m *model) tensors(arenas ...program.Arena) ([]state.Tensor, error) {
	var out []state.Tensor
	for _, b := range m.views(arenas...) {
		v := make([]float32, b.Shape.Len())
		if err := m.session.Read(b.Name, v); err != nil {
			return nil, err
		}
		out = append(out, state.Float32(b.Name, b.Shape, v))
	}
	return out, nil
}

// resume takes up the newest sound checkpoint, if there is one. Where it was made
// with other arithmetic the run goes on, and a warning says so.
func (t *trainer) resume() (warnings []string, err error) {
	c, warnings, err := state.Latest(t.folder.Checkpoints(), t.folder.Name())
	if err != nil || c == nil {
		return warnings, err
	}
	var p progress
	if err := json.Unmarshal([]byte(c.Meta["progress"]), &p); err != nil {
		return warnings, fmt.Errorf("checkpoint of run %s at step %d: %w", t.run.ID, c.Step, err)
	}
	if text := t.made.Changed(p.Made); text != "" && p.Made.Device.Name != "" {
		warnings = append(warnings, fmt.Sprintf("goes on with other arithmetic than before (%s): its last bits may differ from those of a run that was not stopped", text))
	}
	have := map[string]*state.Tensor{}
	for i := range c.Tensors {
		have[c.Tensors[i].Name] = &c.Tensors[i]
	}
	w := writer{session: t.session}
	for _, b := range t.views(program.Persistent()...) {
		x, ok := have[b.Name]
		if !ok {
			return warnings, fmt.Errorf("checkpoint of run %s at step %d lacks %s", t.run.ID, c.Step, b.Name)
		}
		v, err := x.Float32s()
		if err != nil {
			return warnings, err
		}
		w.write(b.Name, v)
	}
	t.step, t.window, t.watch, t.warm, t.still = c.Step, p.Window, p.Watch, p.Warm, p.Plateau
	t.clock.total, t.clock.lapStart = seconds(p.Seconds), seconds(p.Lap)
	if t.feed != nil {
		t.feed.waited = seconds(p.Waited)
	}
	return warnings, w.err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// openRecord begins the record, or takes it back to the checkpoint.
func (t *trainer) openRecord(start *record.Start) (*record.Writer, error) {
	path := t.folder.Record()
	if t.step > 0 {
		if err := record.Truncate(path, t.step); err != nil {
			return nil, fmt.Errorf("run %s: %w", t.run.ID, err)
		}
		return record.OpenAppend(path)
	}
	w, err := record.Create(path)
	if err != nil {
		return nil, err
	}
	return w, errors.Join(w.Event(record.Event{Kind: "start", Start: start}),
		w.Event(record.Event{Kind: "rate", Rate: exact(t.rate(0))}))
}

// preprocessing is recorded with weights, so that eval can repeat it.
type preprocessing struct {
	Net      string  `json:"net"`
	Data     string  `json:"data"`
	Steps    int     `json:"steps"`
	Eps      float64 `json:"eps"`
	Classes  int     `json:"classes"`
	Size     int     `json:"size"`
	Channels int     `json:"channels"`
	Averaged int     `json:"averaged_batches"` // mini-batches that batch norm's statistics are averaged over; 0: moving averages
	Side     int     `json:"side,omitempty"`   // of photos: the shorter side in tests
}

// Names of the preprocessing in a file of weights: (pixel - mean) * scale.
const meanName, scaleName = "input.mean", "input.scale"

// saveWeights keeps the trained net: parameters and running statistics, and
// how an image is prepared for it.
func (t *trainer) saveWeights() error {
	tensors, err := t.tensors(program.Param, program.Stat)
	if err != nil {
		return err
	}
	shape := t.programs.Train.Buffers[t.programs.Train.Mean].Shape
	tensors = append(tensors, state.Float32(meanName, shape, t.mean), state.Float32(scaleName, []int{len(t.scale)}, t.scale))
	info := preprocessing{
		Net: t.run.Net, Data: t.run.Data, Steps: t.step, Eps: t.run.BatchNorm.Eps,
		Classes: t.classes, Size: shape[1], Channels: shape[0], Averaged: t.run.BatchNorm.Batches,
	}
	if t.feed != nil {
		info.Side = t.run.Input.Scale[0]
	}
	meta, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := t.held.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.run.ID, err)
	}
	return state.WriteFile(t.folder.Weights(), map[string]string{"depthlab": string(meta)}, tensors)
}
