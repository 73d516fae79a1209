// Training steps, evaluation, and tensors in and out.

package model

import (
	"context"
	"errors"
	"fmt"

	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/nets/program"
)

// rows returns the rows of steps first to first+n-1, where n is at most Launch. The photos of
// these rows stay on the device until the next call.
func (m *Model) rows(first, n int) ([]device.Row, error) {
	if m.Feed != nil {
		return m.Feed.train(m.sampler, m.look, first)
	}
	rows := make([]device.Row, 0, n*m.Run.Batch)
	for step := first; step < first+n; step++ {
		rows = m.sampler.Rows(step, rows)
	}
	return rows, nil
}

// Train trains len(rates) steps, at most Launch, from step first on, in one launch. It writes
// loss and wrong answers of each step to metrics, which has the same length.
func (m *Model) Train(first int, rates []device.Rates, metrics []device.Metric) error {
	rows, err := m.rows(first, len(rates))
	if err != nil {
		return err
	}
	return m.Session.Train(device.Launch{First: first, Rows: rows, Rates: rates}, metrics)
}

// Steps trains n steps, from step first on, at constant rates, in launches of at most
// launch steps. Rates of zero change no parameter.
func (m *Model) Steps(first, n, launch int, rates device.Rates) ([]device.Metric, error) {
	all := make([]device.Metric, 0, n)
	for n > 0 {
		k := min(n, launch, m.Launch)
		constant, metrics := make([]device.Rates, k), make([]device.Metric, k)
		for i := range constant {
			constant[i] = rates
		}
		if err := m.Train(first, constant, metrics); err != nil {
			return nil, err
		}
		all = append(all, metrics...)
		first, n = first+k, n-k
	}
	return all, nil
}

// Evaluate classifies images. If ctx ends first, the error is ctx's.
func (m *Model) Evaluate(ctx context.Context, images []int32) (device.Counts, error) {
	if err := ctx.Err(); err != nil {
		return device.Counts{}, err
	}
	if m.Feed != nil {
		in := m.Run.Input
		return m.Feed.evaluate(ctx, data.Shots(images, []data.Shot{data.Centre(in.Crop, in.Scale[0])}))
	}
	return m.Session.Eval(data.EvalRows(images, m.Run.Batch, m.Run.Input.Pad))
}

// Average replaces the running statistics of batch norm with true averages over mini-batches
// of training images at the current weights, at most one epoch: the k-th batch has the weight
// 1/k (the authors' README on test statistics, github.com/KaimingHe/deep-residual-networks).
// The batches are those after the last step of the schedule, the same each time. The earlier
// statistics do not matter. If ctx ends first, the error is ctx's.
func (m *Model) Average(ctx context.Context, batches int) error {
	first, n, k := m.Run.Schedule.Stop, max(1, min(batches, len(m.Images.Train)/m.Run.Batch)), 0
	calibrate := func(rows []device.Row) error {
		p := device.Launch{First: first + k, Rows: rows}
		for range len(rows) / m.Run.Batch {
			k++
			p.Rates = append(p.Rates, device.Rates{Statistics: 1 / float32(k)})
		}
		if err := m.Session.Calibrate(p); err != nil {
			return fmt.Errorf("averaging batch norm's statistics: %w", err)
		}
		return nil
	}
	if m.Feed != nil {
		sampler := m.sampler
		return m.Feed.each(ctx, func(i int, dst []data.Shot) []data.Shot {
			if i == n {
				return dst
			}
			return sampler.Shots(first+i, m.look, dst)
		}, calibrate)
	}
	for k < n {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := m.rows(first+k, min(m.Launch, n-k))
		if err == nil {
			err = calibrate(rows)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Views lists the named tensors of a program's arenas, in the order of their memory.
func Views(p *program.Program, arenas ...program.Arena) (all []program.Buffer) {
	for _, a := range arenas {
		for _, id := range p.Views(a) {
			if b := p.Buffers[id]; !b.Part {
				all = append(all, b)
			}
		}
	}
	return all
}

// Tensors reads the named tensors of arenas from the device.
func (m *Model) Tensors(arenas ...program.Arena) ([]state.Tensor, error) {
	var out []state.Tensor
	for _, b := range Views(m.Programs.Train, arenas...) {
		v := make([]float32, b.Shape.Len())
		if err := m.Session.Read(b.Name, v); err != nil {
			return nil, err
		}
		out = append(out, state.Float32(b.Name, b.Shape, v))
	}
	return out, nil
}

// Load writes tensors to the buffers of the same names.
func (m *Model) Load(tensors []state.Tensor) error {
	w := Writer{Session: m.Session}
	for i := range tensors {
		v, err := tensors[i].Float32s()
		if err != nil {
			return err
		}
		w.Write(tensors[i].Name, v)
	}
	return w.Err
}

// Batch reads the images (N, C, H, W) and labels (N) of the latest step.
func (m *Model) Batch() ([]state.Tensor, error) {
	p := m.Programs.Train
	shape := p.Buffers[p.Input].Shape
	input, label := make([]float32, shape.Len()), make([]int32, shape[0])
	if err := errors.Join(m.Session.Read("input", input), m.Session.Read("label", label)); err != nil {
		return nil, err
	}
	return []state.Tensor{state.Float32("input", shape, input), state.Int32("label", []int{shape[0]}, label)}, nil
}
