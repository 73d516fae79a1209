package harness

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/record"
)

func warnings(t *testing.T, dir, id string) []string {
	t.Helper()
	rec, err := record.Read(recordPath(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range rec.Events {
		if e.Kind == "warn" {
			all = append(all, e.Text)
		}
	}
	return all
}

// keeping keeps events.
type keeping struct{ events []record.Event }

func (k *keeping) Event(e record.Event) error {
	k.events = append(k.events, e)
	return nil
}

// A net that guesses is warned of when it had an epoch and 200 steps to learn,
// once; and it is said when it learns after all.
func TestGuessing(t *testing.T) {
	const large, small = 50000, 512 // images of an epoch
	for _, c := range []struct {
		name   string
		images int
		errors []float64 // of 100 steps each, of 128 images
		want   string
	}{
		{"it learns", large, []float64{80, 60, 50, 40, 30, 20, 10, 5}, ""},
		{"it learns slowly", large, []float64{90, 90, 89, 88, 87, 86, 85, 84}, ""},
		{"less than an epoch", large, []float64{90, 90, 90}, ""},
		{"an epoch of 4 steps is too few", small, []float64{90}, ""},
		{"it never learns", large, []float64{90, 90.1, 89.9, 90, 90, 90, 90, 90}, "warn at 400"},
		{"it never learns a small set", small, []float64{90, 90, 89, 91}, "warn at 200"},
		{"it learns late", large, []float64{90, 90, 90, 90, 89, 85, 80, 70}, "warn at 400, over at 800"},
		{"it forgets", small, []float64{90, 90, 50, 40, 90, 90}, "warn at 200, over at 400, warn at 600"},
	} {
		kept := &keeping{}
		tr := &trainer{model: &model{classes: 10, train: make([]int32, c.images)}, sink: kept}
		tr.run.Batch = 128
		for _, e := range c.errors {
			tr.step += 100
			if err := tr.watchError(e, 100); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, e := range kept.events {
			got = append(got, fmt.Sprintf("%s at %d", e.Kind, e.Step))
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

// A net that guesses is warned of once, also in a run that is interrupted; and
// so are data of one class.
func TestWarnings(t *testing.T) {
	defer func(n int) { guessingSteps = n }(guessingSteps)
	guessingSteps = 4
	still := func(dir string) *Sweep {
		s := smallSweep(t, dir)
		for i := range s.Plan.Runs {
			s.Plan.Runs[i].Schedule.Warmup, s.Plan.Runs[i].Optimizer.Rate = nil, 1e-9
			s.Plan.Runs[i].Schedule.Stop = 12 // three epochs
		}
		return s
	}
	whole, cut := t.TempDir(), t.TempDir()
	if err := still(whole).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := warnings(t, whole, "plain-8-seed0")
	if len(all) != 1 || !strings.Contains(all[0], "no better than guessing") {
		t.Errorf("warnings %q, want one of guessing", all)
	}
	interrupted(t, func() *Sweep { return still(cut) })
	if !reflect.DeepEqual(outcome(t, cut), outcome(t, whole)) {
		t.Error("an interrupted run warns otherwise")
	}

	dir := t.TempDir()
	s := smallSweep(t, dir)
	for i := range s.Data.Train.Labels {
		s.Data.Train.Labels[i] = 3
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if all := warnings(t, dir, "plain-8-seed0"); len(all) != 1 || !strings.Contains(all[0], "all 16 training images are of class 3") {
		t.Errorf("warnings %q, want one of the class", all)
	}
}

// faulty is a device whose sessions change what they read, or compute, of one
// buffer.
type faulty struct {
	device.Device
	buffer string
	scale  float32 // of its values
	onRead bool
}

type faultySession struct {
	device.Session
	*faulty
}

func (f faulty) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := f.Device.Open(p, o)
	return &faultySession{s, &f}, err
}

func (f *faultySession) change(x []float32) {
	for i := range x {
		x[i] *= f.scale
	}
}

func (f *faultySession) Read(name string, dst any) error {
	err := f.Session.Read(name, dst)
	if x, ok := dst.([]float32); ok && f.onRead && name == f.buffer {
		f.change(x)
	}
	return err
}

func (f *faultySession) Train(p device.Plan, m []device.Metric) error {
	if err := f.Session.Train(p, m); err != nil || f.onRead {
		return err
	}
	if f.buffer == "loss" {
		m[len(m)-1].Loss *= f.scale
		return nil
	}
	x := make([]float32, 16)
	if err := f.Session.Read(f.buffer, x); err != nil {
		return err
	}
	f.change(x)
	return f.Session.Write(f.buffer, x)
}

func TestVanishingGradients(t *testing.T) {
	dir := t.TempDir()
	s := smallSweep(t, dir)
	s.Device = faulty{ref.New(), "grad.layer2.0.conv1.weight", 1e-9, true}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	all := warnings(t, dir, "resnet-8-seed0")
	if !slices.ContainsFunc(all, func(w string) bool {
		return strings.Contains(w, "gradients vanish") && strings.Contains(w, "layer2.0.conv1.weight")
	}) {
		t.Errorf("warnings %q, want one of layer2.0.conv1", all)
	}
	if clean := t.TempDir(); smallSweep(t, clean).Run(context.Background()) != nil || strings.Contains(strings.Join(warnings(t, clean, "resnet-8-seed0"), " "), "vanish") {
		t.Error("gradients that are there are said to vanish")
	}
}

// tensorCores is a device that takes tf32 and computes in float32.
type tensorCores struct{ device.Device }

func (d tensorCores) Open(p device.Programs, o device.Options) (device.Session, error) {
	o.Precision = device.FP32
	return d.Device.Open(p, o)
}
