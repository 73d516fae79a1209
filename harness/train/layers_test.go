// Tests of recorded gradients and responses.

package train_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/harness/sweep/sweeptest"
)

// A run records the norm of every layer's gradient at each test and at the end, and the responses
// once.
func TestLayersAreRecorded(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	seen := map[string][]float64{}
	s.Device = spying{sweeptest.Fast(), seen}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	rec, err := record.Read(sweeptest.At(dir, "resnet-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	steps := []int{}
	for _, g := range rec.Gradients() {
		steps = append(steps, g.Step)
		if len(g.Norms) != 8 {
			t.Errorf("step %d: %d layers of 8", g.Step, len(g.Norms))
		}
	}
	if len(steps) != 2 || steps[0] != 3 || steps[1] != 6 {
		t.Errorf("gradients of steps %v, want 3 and 6", steps)
	}
	if len(rec.Responses()) != 7 {
		t.Errorf("%d responses of 7", len(rec.Responses()))
	}
	last := rec.Gradients()[len(steps)-1].Norms
	for i, name := range []string{"conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "layer3.0.conv1", "layer3.0.conv2", "fc"} {
		read := seen["grad."+name+".weight"]
		if want := read[len(read)-1]; math.Abs(last[i]-want) > 1e-3*want || want == 0 {
			t.Errorf("%s: norm %g, want %g", name, last[i], want)
		}
	}
}

// spying is a device that keeps the norm of each gradient that is read.
type spying struct {
	device.Device
	seen map[string][]float64
}

type spyingSession struct {
	device.Session
	seen map[string][]float64
}

func (s spying) Open(p device.Programs, o device.Options) (device.Session, error) {
	session, err := s.Device.Open(p, o)
	return spyingSession{session, s.seen}, err
}

func (s spyingSession) Read(name string, dst any) error {
	err := s.Session.Read(name, dst)
	if x, ok := dst.([]float32); ok && strings.HasPrefix(name, "grad.") {
		var sum float64
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		s.seen[name] = append(s.seen[name], math.Sqrt(sum))
	}
	return err
}

// poisoned is a device that returns value as the first element of a buffer, or fails to read the
// buffer.
type poisoned struct {
	device.Device
	buffer string
	value  float32
	fails  error
}

type poisonedSession struct {
	device.Session
	poisoned
}

func (p poisoned) Open(programs device.Programs, o device.Options) (device.Session, error) {
	s, err := p.Device.Open(programs, o)
	return poisonedSession{s, p}, err
}

func (p poisonedSession) Read(name string, dst any) error {
	err := p.Session.Read(name, dst)
	if x, ok := dst.([]float32); ok && name == p.buffer {
		x[0] = p.value
		err = errors.Join(err, p.fails)
	}
	return err
}

// A gradient or response that is not finite ends its run, like a loss: with step and layer in a
// "stop" event. A gradient that cannot be read ends the run, too, unless the device does not
// support reading gradients.
func TestNonFiniteLayersStopTheRun(t *testing.T) {
	broken := errors.New("bus error")
	for _, c := range []struct {
		name   string
		device poisoned
		step   int // of the "stop" event
		says   string
	}{
		{"NaN", poisoned{buffer: "grad.layer2.0.conv1.weight", value: float32(math.NaN())}, 2, "step 3: NaN or Inf first in layer layer2.0.conv1.weight (gradient)"},
		{"Inf", poisoned{buffer: "grad.fc.bias", value: float32(math.Inf(-1))}, 2, "step 3: NaN or Inf first in layer fc.bias (gradient)"},
		{"response", poisoned{buffer: "layer1.0.bn2.running_var", value: float32(math.Inf(1))}, 5, "step 6: NaN or Inf first in layer layer1.0.bn2 (response)"},
		{"unread", poisoned{buffer: "grad.fc.bias", fails: broken}, 3, "reading the gradients of step 3: bus error"},
		{"not supported", poisoned{buffer: "grad.fc.bias", fails: &device.UnsupportedError{Device: "x", What: "that"}}, 0, ""},
	} {
		dir := t.TempDir()
		s := sweeptest.NewSmall(t, dir)
		c.device.Device = sweeptest.Fast()
		s.Device = c.device
		err := s.Run(context.Background())
		rec, unread := record.Read(sweeptest.At(dir, "plain-8-seed0").Record())
		if unread != nil {
			t.Fatal(unread)
		}
		if c.says == "" {
			if err != nil || !rec.Finished() {
				t.Errorf("%s: %v, finished: %v", c.name, err, rec.Finished())
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "json") {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.says)
		}
		var nan *device.NonFiniteError
		if errors.As(err, &nan) != (c.device.fails == nil) {
			t.Errorf("%s: error %v: *NonFiniteError: %v, want %v", c.name, err, nan != nil, c.device.fails == nil)
		}
		if last := rec.Events[len(rec.Events)-1]; !strings.Contains(rec.Stopped(), c.says) || last.Step != c.step {
			t.Errorf("%s: the record ends with %q at step %d, want %q at %d", c.name, rec.Stopped(), last.Step, c.says, c.step)
		}
	}
}
