package harness

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/record"
	"depthlab/nets"
	"depthlab/nets/kernel"
)

// measuring is a batch norm that also measures its response.
type measuring struct {
	kernel.BatchNorm
	std *float64
}

func (k measuring) Ref(out, in []kernel.Tensor) {
	k.BatchNorm.Ref(out, in)
	bare := kernel.BatchNorm{Eps: k.Eps, Group: k.Group}
	y := kernel.Tensor{Shape: out[0].Shape, F32: make([]float32, len(out[0].F32))}
	bare.Ref([]kernel.Tensor{y, out[1], out[2]}, in[:3])
	var sum, square float64
	for _, v := range y.F32 {
		sum += float64(v)
	}
	mean := sum / float64(len(y.F32))
	for _, v := range y.F32 {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	*k.std = math.Sqrt(square / float64(len(y.F32)))
}

// The responses that follow from scale, shift and running variance alone are
// those of a batch, for every layer of nets that have been trained a little.
func TestResponses(t *testing.T) {
	for _, net := range []string{"plain-14", "resnet-8/C", "resnet-8/single", "resnet-8/preact"} {
		s := smallSweep(t, t.TempDir())
		run, err := s.Plan.Run(net, 0)
		if err != nil {
			t.Fatal(err)
		}
		run.Optimizer.Form = "pytorch" // a rate of 0 moves nothing
		m := &model{run: run}
		if err := m.split(s.Data); err != nil {
			t.Fatal(err)
		}
		arch, err := nets.ParseArch(net)
		if err != nil {
			t.Fatal(err)
		}
		if m.programs, err = programs(arch, run, &s.Data.Train, s.Data.Train.N+s.Data.Test.N); err != nil {
			t.Fatal(err)
		}
		measured := map[string]*float64{}
		for i, c := range m.programs.Train.Code {
			if k, ok := c.Kernel.(kernel.BatchNorm); ok {
				measured[c.Layer] = new(float64)
				m.programs.Train.Code[i].Kernel = measuring{k, measured[c.Layer]}
			}
		}
		if m.session, err = ref.New().Open(m.programs, device.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := m.fill(arch, s.Data); err != nil {
			t.Fatal(err)
		}
		const steps = 12
		rows, err := m.rows(0, steps)
		if err != nil {
			t.Fatal(err)
		}
		plan := device.Plan{Rows: rows}
		for i := range steps {
			rate := float32(0.1)
			if i == steps-1 {
				rate = 0 // what is read is what was measured
			}
			plan.Rates = append(plan.Rates, device.Rates{Learning: rate, Statistics: 0.5})
		}
		if err := m.session.Train(plan, make([]device.Metric, steps)); err != nil {
			t.Fatal(err)
		}
		got, err := m.responses()
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != arch.Depth-1 || len(m.path.weights) != arch.Depth {
			t.Fatalf("%s: %d responses and %d layers of weights", net, len(got), len(m.path.weights))
		}
		moved := false
		for i, name := range m.path.norms {
			want := *measured[name]
			if math.Abs(got[i]-want) > 1e-3*want {
				t.Errorf("%s, %s: response %g, measured %g", net, name, got[i], want)
			}
			moved = moved || math.Abs(want-1) > 0.01
		}
		if !moved {
			t.Errorf("%s: the responses are those that it began with", net)
		}
	}
}

// A run records the gradients of every layer at each test and at the end, with
// the norm that the device's gradients have, and the responses once.
func TestLayersAreRecorded(t *testing.T) {
	dir := t.TempDir()
	s := smallSweep(t, dir)
	seen := map[string][]float64{}
	s.Device = &spying{ref.New(), seen} // devices can be compared
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	rec, err := record.Read(at(dir, "resnet-8-seed0").Record())
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

// spying notes the norm of each gradient that is read.
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

// poisoned is a device whose gradient of one layer is not finite, while its loss
// is, or that cannot read it.
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

// A gradient or a response that is not finite ends its run as a loss does: with
// the step and the layer, in a "stop" event. So does one that cannot be read,
// but where the device says that it gives none away.
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
		{"not given away", poisoned{buffer: "grad.fc.bias", fails: &device.UnsupportedError{Device: "x", What: "that"}}, 0, ""},
	} {
		dir := t.TempDir()
		s := smallSweep(t, dir)
		c.device.Device = ref.New()
		s.Device = c.device
		err := s.Run(context.Background())
		rec, unread := record.Read(at(dir, "plain-8-seed0").Record())
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
			t.Errorf("%s: error %v is, or is not, a *NonFiniteError", c.name, err)
		}
		if last := rec.Events[len(rec.Events)-1]; !strings.Contains(rec.Stopped(), c.says) || last.Step != c.step {
			t.Errorf("%s: the record ends with %q at step %d, want %q at %d", c.name, rec.Stopped(), last.Step, c.says, c.step)
		}
	}
}
