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

// find returns the tensors of a name, one for each replica. Programs with different
// batches have input buffers of different shapes ("rows", "input"); it returns those of
// the first program.
func (s *session) find(name string) ([]kernel.Tensor, error) {
	for _, m := range s.machines {
		id, ok := m.p.Lookup(name)
		if !ok {
			continue
		}
		if m.p.Buffers[id].Arena == program.Work {
			return nil, fmt.Errorf("ref: buffer %s is work space, so its content is lost after the step", name)
		}
		var all []kernel.Tensor
		for _, values := range m.replicas {
			all = append(all, values[id])
		}
		return all, nil
	}
	return nil, fmt.Errorf("ref: no buffer is called %s", name)
}

func (s *session) Write(name string, src any) error {
	all, err := s.find(name)
	for i, t := range all {
		part := src
		if n := len(all); device.Len(src) == n*t.Shape.Len() {
			part = device.Part(src, i, n)
		}
		err = errors.Join(err, device.Copy(name, t, part, true))
	}
	return err
}

func (s *session) Read(name string, dst any) error {
	all, err := s.find(name)
	if err != nil {
		return err
	}
	return device.Copy(name, all[0], dst, false)
}

func (s *session) Train(plan device.Launch, metrics []device.Metric) error {
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
		if !m.finite() {
			return m.firstNonFinite(plan.First + i)
		}
		m.run(forward, len(m.p.Code), nil)
		values := m.replicas[0] // equal on all replicas after the all-reduce
		metrics[i] = device.Metric{Loss: values[m.p.Loss].F32[0], Wrong: int(values[m.p.Wrong].F32[0])}
		return nil
	})
}

// finite reports whether the losses of all replicas are finite.
func (m *machine) finite() bool {
	for _, values := range m.replicas {
		if !finite(values[m.p.Loss].F32) {
			return false
		}
	}
	return true
}

// batch is the number of rows of a step, for all replicas together.
func (m *machine) batch() int { return len(m.replicas) * m.p.Buffers[m.p.Rows].Shape[0] }

// steps sets rows and rates of each step of the plan and calls f.
func steps(m *machine, plan device.Launch, f func(i int) error) error {
	batch := m.batch()
	if len(plan.Rows) != batch*len(plan.Rates) {
		return fmt.Errorf("ref: a plan of %d rows for %d steps of %d images", len(plan.Rows), len(plan.Rates), batch)
	}
	for i, r := range plan.Rates {
		if err := setRows(m, plan.Rows[i*batch:][:batch]); err != nil {
			return err
		}
		for _, values := range m.replicas {
			rates := values[m.p.Rates].F32
			rates[0], rates[1] = r.Learning, r.Statistics
		}
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// setRows checks rows against the data set and the padding, and distributes them: the
// first rows go to the first replica.
func setRows(m *machine, rows []device.Row) error {
	images := m.p.Buffers[m.p.Images].Shape
	var top, left int32
	for _, c := range m.p.Code {
		if k, ok := c.Kernel.(kernel.Batch); ok {
			top, left = int32(images[2]+2*k.Pad-k.H), int32(images[3]+2*k.Pad-k.W)
		}
	}
	share := len(rows) / len(m.replicas)
	for i, r := range rows {
		if r[0] < -1 || int(r[0]) >= images[0] {
			return fmt.Errorf("ref: row %d asks for image %d of %d", i, r[0], images[0])
		}
		if r[1] < 0 || r[1] > top || r[2] < 0 || r[2] > left {
			return fmt.Errorf("ref: row %d crops at (%d, %d), which is outside the padded image", i, r[1], r[2])
		}
		copy(m.replicas[i/share][m.p.Rows].I32[i%share*4:], r[:])
	}
	return nil
}

func (s *session) Eval(rows []device.Row) (device.Counts, error) {
	var c device.Counts
	m, err := s.machine(s.programs.Eval, "evaluate")
	if err != nil {
		return c, err
	}
	batch := m.batch()
	if len(rows)%batch != 0 {
		return c, fmt.Errorf("ref: %d rows to evaluate are not a multiple of the batch of %d", len(rows), batch)
	}
	for ; len(rows) > 0; rows = rows[batch:] {
		if err := setRows(m, rows[:batch]); err != nil {
			return c, err
		}
		m.run(0, len(m.p.Code), nil)
		share := batch / len(m.replicas)
		for i, values := range m.replicas {
			images := 0
			for _, r := range rows[i*share:][:share] {
				if r[0] >= 0 {
					images++
				}
			}
			c.Images += images
			c.Wrong += int(values[m.p.Wrong].F32[0])
			c.Loss += float64(values[m.p.Loss].F32[0]) * float64(images)
		}
	}
	return c, nil
}

func (s *session) Calibrate(plan device.Launch) error {
	m, err := s.machine(s.programs.Calibrate, "calibrate")
	if err != nil {
		return err
	}
	return steps(m, plan, func(i int) error {
		m.run(0, len(m.p.Code), nil)
		if !m.finite() {
			return errors.Join(errors.New("calibration"), m.firstNonFinite(plan.First+i))
		}
		return nil
	})
}
