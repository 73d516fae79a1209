// Writes every tensor of a run's first steps, to compare with another framework.

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

// StepFile is the path of the file that Steps writes for a step, counted from 1.
func StepFile(dir string, step int) string {
	return filepath.Join(dir, fmt.Sprintf("step-%06d.safetensors", step))
}

// Steps trains the first n steps of a run, and writes a StepFile for each: input (N, C, H, W) as
// the net sees it, label (N), rate (1), loss (1); for each parameter NAME its value before the
// step (param.NAME), its gradient without weight decay (grad.NAME) and its value after it
// (after.NAME); and running statistics after the step (stats_after.NAME). A run that begins with a
// file of weights does so here, too, and the StepFiles note what training would warn of: the weights
// are another net's, or have another last layer.
func Steps(run experiments.Run, src *data.Source, dev device.Device, n int, dir string) (err error) {
	if run.BatchNorm.Group == 0 {
		run.BatchNorm.Group = run.Micro
	}
	run.Micro = 0 // write the whole batch
	net, err := model.Open(run, src, dev, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	about := map[string]string{"net": run.Net, "data": src.Title}
	if experiments.IsFile(run.Init) {
		notes, err := beginWith(net, run.Init)
		if err != nil {
			return err
		}
		about["init"] = run.Init
		for i, e := range notes {
			about[fmt.Sprintf("warning%d", i+1)] = e.Text
		}
	}
	for step := range n {
		seen, err := traced(net, step)
		if err != nil {
			return err
		}
		if err := state.WriteFile(StepFile(dir, step+1), about, seen); err != nil {
			return err
		}
	}
	return nil
}

// traced trains a step, counted from 0, and returns the tensors that Steps writes.
func traced(net *model.Model, step int) ([]state.Tensor, error) {
	before, err := net.Tensors(program.Param)
	if err != nil {
		return nil, err
	}
	rate := learningRate(net.Run, schedule{}, step)
	metrics, err := net.Steps(step, 1, 1, device.Rates{Learning: rate, Statistics: float32(net.Run.BatchNorm.Momentum)})
	if err != nil {
		return nil, err
	}
	out := []state.Tensor{
		state.Float32("rate", []int{1}, []float32{rate}),
		state.Float32("loss", []int{1}, []float32{metrics[0].Loss}),
	}
	batch, err := net.Batch()
	if err != nil {
		return nil, err
	}
	out = append(out, batch...)
	for _, part := range []struct {
		arena  program.Arena
		prefix string
	}{{program.Grad, ""}, {program.Param, "after."}, {program.Stat, "stats_after."}} {
		tensors, err := net.Tensors(part.arena)
		if err != nil {
			return nil, err
		}
		out = append(out, renamed(part.prefix, tensors)...)
	}
	return append(out, renamed("param.", before)...), nil
}

func renamed(prefix string, ts []state.Tensor) []state.Tensor {
	out := slices.Clone(ts)
	for i := range out {
		out[i].Name = prefix + out[i].Name
	}
	return out
}
