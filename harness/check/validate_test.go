// Tests that --validate finds devices that compute wrongly.

package check_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/check"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/device/ref"
	"depthlab/harness/model"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
)

// Correct devices pass, with the same bits as without validation, also in bfloat16. A wrong
// loss, parameter or statistic is found at the next compared step, and named.
func TestValidate(t *testing.T) {
	want := sweeptest.Undisturbed(t)
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	s.Device = check.Validating{Device: s.Device, Every: 2}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	sweeptest.Same(t, dir, want)
	for name, dev := range sweeptest.Devices(t) {
		if name == "ref" {
			continue
		}
		for _, precision := range []string{"fp32", "bf16"} {
			if name == "xla" && precision == "bf16" && !testskip.Everything() {
				continue
			}
			t.Run(name+"/"+precision, func(t *testing.T) {
				if err := sweeptest.New(t, sweeptest.Question, t.TempDir(), check.Validating{Device: dev, Every: 3}, precision).Run(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
	}

	for buffer, c := range map[string]struct {
		scale float32
		says  string
	}{
		"loss":             {1.01, "the loss"},
		"bn1.weight":       {1.01, "the update of bn1.weight"},
		"bn1.running_mean": {1.1, "in bn1.running_mean"},
	} {
		dir := t.TempDir()
		s := sweeptest.NewSmall(t, dir)
		s.Device = check.Validating{Device: sweeptest.Faulty{Device: ref.New(), Buffer: buffer, Scale: c.scale, OnRead: false}, Every: 3}
		err := s.Run(context.Background())
		var differs *check.DiffersError
		if !errors.As(err, &differs) || differs.Step != 3 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want a *check.DiffersError at step 3 that says %q", buffer, err, c.says)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*")); len(left) == 0 && err != nil {
			t.Errorf("%s: no checkpoint is left", buffer)
		}
	}
}

// A device that updates nothing, or wrongly, or has gradients of the wrong sign, is found in
// every precision. A device without a fault passes.
func TestValidateFindsFaults(t *testing.T) {
	validated := func(dev device.Device, p device.Precision) error {
		s := sweeptest.NewSmall(t, t.TempDir())
		for i := range s.Plan.Runs {
			s.Plan.Runs[i].Precision = string(p)
		}
		s.Device = check.Validating{Device: dev, Every: 2}
		return s.Run(context.Background())
	}
	for _, p := range []device.Precision{device.FP32, device.TF32, device.BF16} {
		if err := validated(devicetest.Sound(), p); err != nil {
			t.Errorf("a sound device in %s: %v", p, err)
		}
		for fault, dev := range devicetest.Faulty() {
			var differs *check.DiffersError
			if err := validated(dev, p); !errors.As(err, &differs) {
				t.Errorf("in %s, when %s: error %v, want a *check.DiffersError", p, fault, err)
			}
		}
	}
}

// limited is a device with a memory of its own.
type limited struct{ device.Device }

func (limited) Memory() (limit, used int64) { return 3 << 30, 1 << 30 }

// A validated device reports the memory of its device, by which batches are divided and
// the number of concurrent runs is limited.
func TestValidatingTellsMemory(t *testing.T) {
	for _, dev := range []device.Device{limited{ref.New()}, ref.New()} {
		limit, used := model.Memory(dev)
		if l, u := model.Memory(check.Validating{Device: dev, Every: 1}); l != limit || u != used {
			t.Errorf("a memory of %d, %d in use, becomes %d, %d", limit, used, l, u)
		}
		run, src := experiments.Run{}, data.Preview(8, 8)
		if got, want := model.Room(check.Validating{Device: dev, Every: 1}, run, src), model.Room(dev, run, src); limit > 0 && got != want {
			t.Errorf("%d bytes are free, not %d", got, want)
		}
	}
}
