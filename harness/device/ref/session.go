// The session of device ref.

package ref

import (
	"errors"
	"fmt"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

type session struct {
	info     device.Info
	programs device.Programs
	machines []*machine // in the order of programs.All()
}

func (s *session) Info() device.Info        { return s.info }
func (s *session) Choices() []device.Choice { return nil }
func (s *session) Close() error             { return nil }

// machine returns the machine that runs p.
func (s *session) machine(p *program.Program, what string) (*machine, error) {
	for _, m := range s.machines {
		if m.p == p && p != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("ref: the session has no program to %s", what)
}

// find gives every distinct tensor behind a name. Input buffers of programs
// with different batches differ in shape ("rows", "input"): the first holds.
func (s *session) find(name string) (kernel.Tensor, error) {
	for _, m := range s.machines {
		id, ok := m.p.Lookup(name)
		if !ok {
			continue
		}
		if m.p.Buffers[id].Arena == program.Work {
			return kernel.Tensor{}, fmt.Errorf("ref: buffer %s is work space, its content does not outlive the step", name)
		}
		return m.values[id], nil
	}
	return kernel.Tensor{}, fmt.Errorf("ref: no buffer is called %s", name)
}

func (s *session) Write(name string, src any) error {
	t, err := s.find(name)
	if err != nil {
		return err
	}
	return device.Copy(name, t, src, true)
}

func (s *session) Read(name string, dst any) error {
	t, err := s.find(name)
	if err != nil {
		return err
	}
	return device.Copy(name, t, dst, false)
}

func (s *session) Train(plan device.Plan, metrics []device.Metric) error {
	m, err := s.machine(s.programs.Train, "train")
	if err != nil {
		return err
	}
	if len(metrics) != len(plan.Rates) {
		return fmt.Errorf("ref: %d metrics for %d steps", len(metrics), len(plan.Rates))
	}
	forward := m.p.ForwardEnd()
	return steps(m, plan, func(i int) error {
		m.run(0, forward, nil)
		loss := m.values[m.p.Loss].F32
		if !finite(loss) {
			return m.firstNonFinite(plan.First + i)
		}
		metrics[i] = device.Metric{Loss: loss[0], Wrong: int(m.values[m.p.Wrong].F32[0])}
		m.run(forward, len(m.p.Code), nil)
		return nil
	})
}

// steps sets rows and rates of each step of the plan and calls f.
func steps(m *machine, plan device.Plan, f func(i int) error) error {
	rows, rates := m.values[m.p.Rows], m.values[m.p.Rates]
	batch := rows.Shape[0]
	if len(plan.Rows) != batch*len(plan.Rates) {
		return fmt.Errorf("ref: a plan of %d rows for %d steps of %d images", len(plan.Rows), len(plan.Rates), batch)
	}
	for i, r := range plan.Rates {
		if err := setRows(m, rows, plan.Rows[i*batch:][:batch]); err != nil {
			return err
		}
		rates.F32[0], rates.F32[1] = r.Learning, r.Statistics
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// setRows checks rows against the data set and the padding, and copies them.
func setRows(m *machine, dst kernel.Tensor, rows []device.Row) error {
	images := m.values[m.p.Images].Shape
	var top, left int32
	for _, c := range m.p.Code {
		if k, ok := c.Kernel.(kernel.Batch); ok {
			top, left = int32(images[2]+2*k.Pad-k.H), int32(images[3]+2*k.Pad-k.W)
		}
	}
	for i, r := range rows {
		if r[0] < -1 || int(r[0]) >= images[0] {
			return fmt.Errorf("ref: row %d asks for image %d of %d", i, r[0], images[0])
		}
		if r[1] < 0 || r[1] > top || r[2] < 0 || r[2] > left {
			return fmt.Errorf("ref: row %d crops at (%d, %d), which is outside the padded image", i, r[1], r[2])
		}
		copy(dst.I32[i*4:], r[:])
	}
	return nil
}

func (s *session) Eval(rows []device.Row) (device.Counts, error) {
	var c device.Counts
	m, err := s.machine(s.programs.Eval, "evaluate")
	if err != nil {
		return c, err
	}
	buf := m.values[m.p.Rows]
	batch := buf.Shape[0]
	if len(rows)%batch != 0 {
		return c, fmt.Errorf("ref: %d rows to evaluate are not a multiple of the batch of %d", len(rows), batch)
	}
	for ; len(rows) > 0; rows = rows[batch:] {
		if err := setRows(m, buf, rows[:batch]); err != nil {
			return c, err
		}
		m.run(0, len(m.p.Code), nil)
		images := 0
		for _, r := range rows[:batch] {
			if r[0] >= 0 {
				images++
			}
		}
		c.Images += images
		c.Wrong += int(m.values[m.p.Wrong].F32[0])
		c.Loss += float64(m.values[m.p.Loss].F32[0]) * float64(images)
	}
	return c, nil
}

func (s *session) Calibrate(plan device.Plan) error {
	m, err := s.machine(s.programs.Calibrate, "calibrate")
	if err != nil {
		return err
	}
	return steps(m, plan, func(i int) error {
		m.run(0, len(m.p.Code), nil)
		if !finite(m.values[m.p.Loss].F32) {
			return errors.Join(errors.New("calibration"), m.firstNonFinite(plan.First+i))
		}
		return nil
	})
}
