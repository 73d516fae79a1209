// The first steps of a run, every tensor, to compare with another framework.
package train

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/nets/program"
)

// Steps trains a run for n steps from its first weights and writes to
// dir/step-000001.safetensors and on what each step saw and did: input
// (N,C,H,W) as the net sees it, label, rate, loss, and for each parameter
// NAME param.NAME, grad.NAME (without weight decay) and after.NAME, and for
// the running statistics stats_after.NAME.
func Steps(run experiments.Run, src *data.Source, dev device.Device, n int, dir string) (err error) {
	if run.BatchNorm.Group == 0 {
		run.BatchNorm.Group = run.Micro
	}
	run.Micro = 0 // the whole batch is to be seen
	m, err := model.Open(run, src, dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	t := &Trainer{Model: m}
	for step := range n {
		before, err := m.Tensors(program.Param)
		if err != nil {
			return err
		}
		rows, err := m.Rows(step, 1)
		if err != nil {
			return err
		}
		rate := t.rate(step)
		metric := make([]device.Metric, 1)
		err = m.Session.Train(device.Plan{
			First: step, Rows: rows,
			Rates: []device.Rates{{Learning: rate, Statistics: float32(run.BatchNorm.Momentum)}},
		}, metric)
		if err != nil {
			return err
		}
		out := []state.Tensor{
			state.Float32("rate", []int{1}, []float32{rate}),
			state.Float32("loss", []int{1}, []float32{metric[0].Loss}),
		}
		rest, err := m.Batch()
		if err != nil {
			return err
		}
		out = append(out, rest...)
		for _, part := range []struct {
			arena  program.Arena
			prefix string
		}{{program.Grad, ""}, {program.Param, "after."}, {program.Stat, "stats_after."}} {
			ts, err := m.Tensors(part.arena)
			if err != nil {
				return err
			}
			out = append(out, renamed(part.prefix, ts)...)
		}
		out = append(out, renamed("param.", before)...)
		path := filepath.Join(dir, fmt.Sprintf("step-%06d.safetensors", step+1))
		if err := state.WriteFile(path, map[string]string{"net": run.Net, "data": src.Title}, out); err != nil {
			return err
		}
	}
	return nil
}

func renamed(prefix string, ts []state.Tensor) []state.Tensor {
	out := slices.Clone(ts)
	for i := range out {
		out[i].Name = prefix + out[i].Name
	}
	return out
}
