// Tests of measuring speed, with scripts in place of PyTorch and JAX.

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
)

// fakePython is the path of an interpreter that ignores its arguments and runs script.
func fakePython(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

// Frameworks that start are measured; for the others the reason is kept.
func TestStep(t *testing.T) {
	python := fakePython(t, `[ "$7" = compiled ] && { echo "skip no compiler"; exit; }
echo ready 2.11
while read n; do echo $n; done`) // one second for each step
	r, err := Step(context.Background(), ref.New(), Options{
		Net: "plain-8", Precision: device.FP32, Batch: 4, Rounds: 2, Round: time.Millisecond,
		Torch: python, Compiled: true, JAX: python, More: []device.Device{ref.New()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.TorchImages != 4 || r.JAXImages != 4 || r.TorchCompiled != 0 {
		t.Errorf("%v, %v and %v images/s of the others, want 4, 4 and none", r.TorchImages, r.JAXImages, r.TorchCompiled)
	}
	if r.Torch != "2.11" || r.Skipped["torch compiled"] != "no compiler" || len(r.Skipped) != 1 {
		t.Errorf("version %q, skipped %v", r.Torch, r.Skipped)
	}
	if r.ImagesPerS <= 0 || r.Ratio <= 0 || r.Ratio != r.RatioBest || r.Jobs != 2 || r.JobsImages <= 0 {
		t.Errorf("%+v", r)
	}
}

// limited is a device with a given instruction set.
type limited struct {
	device.Device
	isa string
}

func (d limited) Instructions() string { return d.isa }

// The other frameworks are limited to our instruction set.
func TestLimits(t *testing.T) {
	python := fakePython(t, `[ "$ATEN_CPU_CAPABILITY $ONEDNN_MAX_CPU_ISA" = "$WANT" ] || { echo "skip limits: $ATEN_CPU_CAPABILITY $ONEDNN_MAX_CPU_ISA"; exit; }
echo ready 2.11
while read n; do echo $n; done`)
	for _, c := range []struct{ isa, want string }{{"avx2", "avx2 AVX2"}, {"avx512", " "}} {
		t.Setenv("ATEN_CPU_CAPABILITY", "")
		t.Setenv("ONEDNN_MAX_CPU_ISA", "")
		t.Setenv("WANT", c.want)
		r, err := Step(context.Background(), limited{ref.New(), c.isa}, Options{
			Net: "plain-8", Precision: device.FP32, Batch: 4, Rounds: 1, Round: time.Millisecond, Torch: python,
		})
		if err != nil || r.Torch != "2.11" || (r.Limits != nil) != (c.isa == "avx2") {
			t.Errorf("%s: %v, skipped %v, limits %v", c.isa, err, r.Skipped, r.Limits)
		}
	}
}

// counted is a context that is canceled after a number of calls of Err.
type counted struct {
	context.Context
	left *int
}

func (c counted) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A signal ends the measurement wherever it arrives: no medians of fewer rounds are returned, and
// nothing is called late. After a deadline the rounds until then count.
func TestCanceled(t *testing.T) {
	o := Options{Net: "plain-8", Precision: device.FP32, Batch: 1, Rounds: 3, Round: time.Millisecond}
	for left := range 4 {
		r, err := Step(counted{context.Background(), &left}, ref.New(), o)
		if !errors.Is(err, context.Canceled) || r.ImagesPerS != 0 {
			t.Errorf("%d calls of Err before the signal: %+v, %v", left, r, err)
		}
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	o.Torch = fakePython(t, "sleep 100")
	if r, err := Step(canceled, ref.New(), o); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before PyTorch starts: %+v, %v", r, err)
	}
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	if r, err := Step(late, ref.New(), o); err != nil || r.ImagesPerS <= 0 || r.Skipped["torch"] != "it was not ready in time" {
		t.Errorf("after a deadline: %+v, %v", r, err)
	}
	run, src := smallRun(t)
	if _, err := Accuracy(canceled, run, src, []device.Device{ref.New()}, o.Torch); !errors.Is(err, context.Canceled) {
		t.Errorf("accuracy: %v", err)
	}
}

func TestRivalErrors(t *testing.T) {
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx                  context.Context
		python, script, want string
	}{
		{context.Background(), "", "echo skip no PyTorch", "no PyTorch"},
		{context.Background(), "", "echo first >&2; echo broken >&2; exit 3", "exit status 3): broken"},
		{context.Background(), "/no/python", "", "no such file"},
		{late, "", "sleep 100", "not ready in time"},
		{canceled, "", "sleep 100", "context canceled"},
	} {
		if c.python == "" {
			c.python = fakePython(t, c.script)
		}
		_, err := startRival(c.ctx, "torch", c.python, torchStep, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.script, err, c.want)
		}
	}
	r, err := startRival(context.Background(), "torch", fakePython(t, "echo ready 1; read n; exit 4"), torchStep, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := r.run(1); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("a process that ends: %v", err)
	}
	if got := fmt.Sprint(median(nil), median([]float64{3, 1}), median([]float64{3, 1, 7})); got != "0 2 3" {
		t.Errorf("medians %s", got)
	}
}
