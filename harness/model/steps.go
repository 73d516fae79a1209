// Steps of a net, and what they leave in it.
package model

import (
	"errors"

	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/nets/program"
)

// Steps trains steps from first on, so many in each call.
func (m *Model) Steps(first, n, each int) ([]device.Metric, error) {
	var all []device.Metric
	for n > 0 {
		k := min(n, each, m.Launch)
		rows, err := m.Rows(first, k)
		if err != nil {
			return nil, err
		}
		plan := device.Plan{First: first, Rows: rows}
		for range k {
			plan.Rates = append(plan.Rates, device.Rates{Learning: 0.001, Statistics: 0.1})
		}
		metrics := make([]device.Metric, k)
		if err := m.Session.Train(plan, metrics); err != nil {
			return nil, err
		}
		all = append(all, metrics...)
		first, n = first+k, n-k
	}
	return all, nil
}

// Idle trains so many launches at rate 0, from a step on.
func (m *Model) Idle(first, launches int) error {
	for range launches {
		rows, err := m.Rows(first, m.Launch)
		if err != nil {
			return err
		}
		plan := device.Plan{First: first, Rows: rows, Rates: make([]device.Rates, m.Launch)}
		if err := m.Session.Train(plan, make([]device.Metric, m.Launch)); err != nil {
			return err
		}
		first += m.Launch
	}
	return nil
}

// Tensors reads the named tensors of arenas from the device.
func (m *Model) Tensors(arenas ...program.Arena) ([]state.Tensor, error) {
	var out []state.Tensor
	for _, b := range m.Views(arenas...) {
		v := make([]float32, b.Shape.Len())
		if err := m.Session.Read(b.Name, v); err != nil {
			return nil, err
		}
		out = append(out, state.Float32(b.Name, b.Shape, v))
	}
	return out, nil
}

// Batch reads the images and labels of the latest step.
func (m *Model) Batch() ([]state.Tensor, error) {
	p := m.Programs.Train
	shape := p.Buffers[p.Input].Shape
	input, label := make([]float32, shape.Len()), make([]int32, shape[0])
	if err := errors.Join(m.Session.Read("input", input), m.Session.Read("label", label)); err != nil {
		return nil, err
	}
	return []state.Tensor{state.Float32("input", shape, input), state.Int32("label", []int{shape[0]}, label)}, nil
}
