// Package check tests whether a device computes correctly: once on real nets, for
// gpu-check, and during training, for --validate.
package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/program"
)

// Checks are the checks on real nets, in the order in which they run. Each returns a line
// for the report. The error says what is wrong; a *device.UnsupportedError means that the
// check does not apply to this device.
var Checks = []struct {
	Name string
	Run  func(c *Checked) (string, error)
	Once bool // run in fp32 only
}{
	{"first losses compared with ref", (*Checked).losses, true},
	{"one launch compared with many", (*Checked).launches, false},
	{"resume", (*Checked).resume, false},
	{"evaluation", (*Checked).evaluate, false},
	{"memory", (*Checked).memory, false},
	{"input", (*Checked).input, true},
}

// Checked is a device to check, with the run and the data that it is checked on.
type Checked struct {
	Run    experiments.Run
	Data   *data.Source
	Device device.Device
}

// losses compares the losses of the first steps in fp32 with those of ref. The bound is
// 1e-3 of each loss, because differences in rounding grow from step to step.
func (c *Checked) losses() (string, error) {
	const steps, batch, bound = 20, 8, 1e-3
	small := *c
	small.Run.Batch, small.Run.BatchNorm.Group, small.Run.Precision = batch, 0, string(device.FP32)
	got, err := small.first(small.Device, steps)
	if err != nil {
		return "", err
	}
	want, err := small.first(ref.New(), steps)
	if err != nil {
		return "", err
	}
	worst := 0.0
	for i := range want {
		e := math.Abs(float64(got[i].Loss-want[i].Loss)) / float64(want[i].Loss)
		if !(e <= bound) {
			return "", fmt.Errorf("step %d: loss %v, expected that of ref, %v", i+1, got[i].Loss, want[i].Loss)
		}
		worst = max(worst, e)
	}
	return fmt.Sprintf("%d losses of %s, fp32, batch %d: the largest relative difference is %.1e", steps, c.Run.Net, batch, worst), nil
}

// first trains the first steps of the run on a device.
func (c *Checked) first(dev device.Device, steps int) (m []device.Metric, err error) {
	x, err := model.Open(c.Run, c.Data, dev, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	return x.Steps(0, steps, steps, rates)
}

// rates has a low learning rate: at 0.01, differences in rounding exceed the bound of losses
// within ten steps on any device.
var rates = device.Rates{Learning: 0.001, Statistics: 0.1}

// whole reads all state that training changes.
func whole(m *model.Model) ([]state.Tensor, error) { return m.Tensors(program.Persistent()...) }

// sameBits returns an error with the first element of a whose bits differ from b's.
func sameBits(a, b []state.Tensor) error {
	for i := range a {
		x, err := a[i].Float32s()
		if err != nil {
			return err
		}
		y, err := b[i].Float32s()
		if err != nil {
			return err
		}
		for j := range x {
			if math.Float32bits(x[j]) != math.Float32bits(y[j]) {
				return fmt.Errorf("%s[%d] is %v, expected %v", a[i].Name, j, x[j], y[j])
			}
		}
	}
	return nil
}

// run trains 12 steps in calls of each steps, and returns the state. After carry steps it
// moves the state to a new session; 0 for no new session.
func (c *Checked) run(each, carry int) (after []state.Tensor, err error) {
	const steps = 12
	if carry > 0 {
		if after, err = c.part(0, carry, each, nil); err != nil {
			return nil, err
		}
	}
	return c.part(carry, steps, each, after)
}

// part trains the steps from first to before end in a session of its own, which begins with
// the state before (nil: that of a new run), and returns the state.
func (c *Checked) part(first, end, each int, before []state.Tensor) (_ []state.Tensor, err error) {
	m, err := model.Open(c.Run, c.Data, c.Device, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := m.Load(before); err != nil {
		return nil, err
	}
	if _, err := m.Steps(first, end-first, each, rates); err != nil {
		return nil, err
	}
	return whole(m)
}

// launches compares the state after one call of 12 steps with that after 12 calls.
func (c *Checked) launches() (string, error) {
	one, err := c.run(12, 0)
	if err != nil {
		return "", err
	}
	many, err := c.run(1, 0)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("12 steps of %s, %s, in one call and in 12: the same bits", c.Run.Net, c.Run.Precision), sameBits(many, one)
}

// resume compares the state of a resumed run with that of an uninterrupted one.
func (c *Checked) resume() (string, error) {
	straight, err := c.run(12, 0)
	if err != nil {
		return "", err
	}
	resumed, err := c.run(12, 5)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("12 steps of %s, %s, resumed after 5 in a new session: the same bits", c.Run.Net, c.Run.Precision), sameBits(resumed, straight)
}

// evaluate evaluates the whole test set.
func (c *Checked) evaluate() (_ string, err error) {
	m, err := model.Open(c.Run, c.Data, c.Device, "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	start := time.Now()
	n, err := m.Evaluate(context.Background(), m.Images.Test)
	if err != nil {
		return "", err
	}
	if n.Images != len(m.Images.Test) {
		return "", fmt.Errorf("%d images tested, want %d", n.Images, len(m.Images.Test))
	}
	work := m.Programs.Train.Bytes[program.Work]
	return fmt.Sprintf("%d images in %.1f s; a training step needs %d MiB for activations in float32", n.Images, time.Since(start).Seconds(), work>>20), nil
}

// memory opens, trains and closes three sessions: the memory in use must not grow.
func (c *Checked) memory() (string, error) {
	limit, before := model.Memory(c.Device)
	if limit == 0 {
		return "", &device.UnsupportedError{Device: c.Device.Info().Name, What: "reporting the memory in use"}
	}
	var open, closed []int64
	for range 3 {
		during, err := c.held()
		if err != nil {
			return "", err
		}
		_, after := model.Memory(c.Device)
		open, closed = append(open, during), append(closed, after)
	}
	if closed[2] > closed[1] {
		return "", fmt.Errorf("memory leak: %d bytes are in use before, %d, %d and %d after one, two and three sessions", before, closed[0], closed[1], closed[2])
	}
	return fmt.Sprintf("%s, %s: %d of %d MiB in use between launches, %d after the session", c.Run.Net, c.Run.Precision, open[2]>>20, limit>>20, closed[2]>>20), nil
}

// held is the memory in use after a few steps, in bytes, while the session is open.
func (c *Checked) held() (used int64, err error) {
	m, err := model.Open(c.Run, c.Data, c.Device, "")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, m.Session.Close()) }()
	if _, err := m.Steps(0, 2, 2, rates); err != nil {
		return 0, err
	}
	_, used = model.Memory(c.Device)
	return used, nil
}

// Try evaluates a small net on a device. Opening a device is not enough, because a GPU's
// libraries are loaded when they are first used.
func Try(dev device.Device) error {
	arch, err := nets.ParseArch("plain-8")
	if err != nil {
		return err
	}
	const images, classes = 2, 10
	p, err := compile.Compile(arch, nets.Eval, compile.Config{
		Config: nets.Config{Batch: images, Channels: 3, Size: 8, Classes: classes, Eps: 1e-5}, Images: images,
	})
	if err != nil {
		return err
	}
	s, err := dev.Open(device.Programs{Eval: p}, device.Options{})
	if err != nil {
		return err
	}
	c, err := s.Eval([]device.Row{{0}, {1}})
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if want := images * math.Log(classes); !(math.Abs(c.Loss-want) < 1e-3) { // all weights are zero
		return fmt.Errorf("%s computes a loss of %v, expected %v", dev.Info().Name, c.Loss, want)
	}
	return nil
}
