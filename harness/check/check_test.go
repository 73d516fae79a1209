// Tests that the checks of gpu-check accept correct devices, and find wrong ones.

package check_test

import (
	"errors"
	"strings"
	"testing"

	"depthlab/harness/check"
	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/device/ref"
	"depthlab/harness/sweep/sweeptest"
)

// small is a device to check with a small net.
func small(t *testing.T, dev device.Device) *check.Checked {
	s := sweeptest.NewSmall(t, t.TempDir())
	return &check.Checked{Run: s.Plan.Runs[0], Data: s.Data, Device: dev}
}

// changed is a device with changed sessions, and launches of many steps.
type changed struct {
	device.Device
	change func(device.Session) device.Session
	opened *int64 // sessions until now, each of which takes a byte that is never freed; nil for none
}

func (c changed) Info() device.Info {
	i := c.Device.Info()
	i.Launch = 12
	return i
}

func (c changed) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := c.Device.Open(p, o)
	if err != nil {
		return nil, err
	}
	if c.opened != nil {
		*c.opened++
	}
	return c.change(s), nil
}

func (c changed) Memory() (limit, used int64) {
	if c.opened == nil {
		return 1 << 30, 1 << 20
	}
	return 1 << 30, *c.opened
}

func same(s device.Session) device.Session { return s }

// disturbed changes a parameter once in each call of Train.
type disturbed struct{ device.Session }

func (s disturbed) Train(p device.Launch, m []device.Metric) error {
	if err := s.Session.Train(p, m); err != nil {
		return err
	}
	bias := make([]float32, 10)
	if err := s.Read("fc.bias", bias); err != nil {
		return err
	}
	bias[3] += 0.01
	return s.Write("fc.bias", bias)
}

// forgetful does not take over momenta.
type forgetful struct{ device.Session }

func (s forgetful) Write(name string, src any) error {
	if strings.HasPrefix(name, "momentum.") {
		return nil
	}
	return s.Session.Write(name, src)
}

// hasty evaluates all images but one.
type hasty struct{ device.Session }

func (s hasty) Eval(rows []device.Row) (device.Counts, error) {
	c, err := s.Session.Eval(rows)
	c.Images--
	return c, err
}

// staging copies data when they are used. If it is wrong, one pixel of each image differs.
type staging struct {
	device.Session
	wrong bool
}

type staged struct {
	images []uint8
	labels []int32
}

func (staged) Free() error { return nil }

func (s staging) ChannelsLast() bool { return false }

func (s staging) Stage(images []uint8, labels []int32) (device.Staged, error) {
	images = append([]uint8(nil), images...)
	for i := 0; s.wrong && i < len(images); i += len(images) / len(labels) {
		images[i] ^= 0x80
	}
	return staged{images, labels}, nil
}

func (s staging) Use(b device.Staged) error {
	return errors.Join(s.Write("images", b.(staged).images), s.Write("labels", b.(staged).labels))
}

// Every check passes on a correct device, or does not apply to it.
func TestChecksPass(t *testing.T) {
	able := changed{ref.New(), func(s device.Session) device.Session { return staging{s, false} }, nil}
	for _, c := range check.Checks {
		var no *device.UnsupportedError
		if text, err := c.Run(small(t, devicetest.Sound())); err != nil && !errors.As(err, &no) {
			t.Errorf("%s: %q, %v", c.Name, text, err)
		}
		if text, err := c.Run(small(t, able)); err != nil || text == "" {
			t.Errorf("%s, on a device that can do all: %q, %v", c.Name, text, err)
		}
	}
	one, two := small(t, ref.New()), []device.Device{ref.New(), ref.New()}
	if text, err := one.Each(two); err != nil || !strings.Contains(text, "on 2 devices at the same time") || strings.Contains(text, "other algorithms") {
		t.Errorf("each: %q, %v", text, err)
	}
	if text, err := one.Together(ref.Together(2)); err != nil || !strings.Contains(text, "batch 4 on 2 devices") {
		t.Errorf("together: %q, %v", text, err)
	}
	for _, run := range []func() (string, error){
		func() (string, error) { return one.Each(two[:1]) },
		func() (string, error) { return one.Together(ref.New()) },
	} {
		var no *device.UnsupportedError
		if text, err := run(); !errors.As(err, &no) || !strings.Contains(err.Error(), "only one device was found or chosen") {
			t.Errorf("with one device: %q, %v", text, err)
		}
	}
}

// Each check fails on a device with the fault that it looks for.
func TestChecksFail(t *testing.T) {
	faults := devicetest.Faulty()
	with := func(change func(device.Session) device.Session) device.Device { return changed{ref.New(), change, nil} }
	disturbing := with(func(s device.Session) device.Session { return disturbed{s} })
	checks := map[string]func(c *check.Checked) (string, error){
		"every device":     func(c *check.Checked) (string, error) { return c.Each([]device.Device{ref.New(), c.Device}) },
		"devices together": func(c *check.Checked) (string, error) { return small(t, ref.New()).Together(c.Device) },
	}
	for _, c := range check.Checks {
		checks[c.Name] = c.Run
	}
	for _, c := range []struct {
		check string
		dev   device.Device
		says  string
	}{
		{"first losses compared with ref", faults["updates have the wrong sign"], "expected that of ref"},
		{"first losses compared with ref", faults["gradients have the wrong sign"], "expected that of ref"},
		{"first losses compared with ref", faults["the loss is NaN"], "NaN or Inf"},
		{"one launch compared with many", disturbing, ", expected "},
		{"resume", with(func(s device.Session) device.Session { return forgetful{s} }), ", expected "},
		{"resume", disturbing, ", expected "},
		{"evaluation", with(func(s device.Session) device.Session { return hasty{s} }), "7 images tested, want 8"},
		{"memory", changed{ref.New(), same, new(int64)}, "memory leak"},
		{"input", with(func(s device.Session) device.Session { return staging{s, true} }), "on data that was copied during training"},
		{"every device", disturbing, "device 1 of 2: "},
		{"devices together", sweeptest.Faulty{Device: ref.Together(2), Buffer: "loss", Scale: 1.01}, "on one device"},
		{"devices together", changed{ref.Together(2), func(s device.Session) device.Session { return forgetful{s} }, nil}, "resumed: "},
	} {
		text, err := checks[c.check](small(t, c.dev))
		var no *device.UnsupportedError
		if err == nil || errors.As(err, &no) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v; want an error that says %q", c.check, text, err, c.says)
		}
	}
}

// stubborn opens no second session, and each one fails when it is closed.
type stubborn struct {
	device.Device
	opened *int
}

type unclosed struct{ device.Session }

func (s unclosed) Close() error { return errors.Join(s.Session.Close(), errors.New("does not close")) }

func (s stubborn) Open(p device.Programs, o device.Options) (device.Session, error) {
	if *s.opened++; *s.opened > 1 {
		return nil, errors.New("no memory is left")
	}
	return s.Device.Open(p, o)
}

// Errors of opening and closing sessions reach the report.
func TestCheckErrors(t *testing.T) {
	for _, c := range check.Checks {
		if c.Name != "resume" {
			continue
		}
		if _, err := c.Run(small(t, stubborn{ref.New(), new(int)})); err == nil || !strings.Contains(err.Error(), "no memory is left") {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	open := changed{ref.New(), func(s device.Session) device.Session { return unclosed{s} }, nil}
	if _, err := small(t, open).Each([]device.Device{open, open}); err == nil || strings.Count(err.Error(), "does not close") != 1 {
		t.Errorf("closing: %v", err)
	}
}
