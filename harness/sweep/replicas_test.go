// Tests of runs whose steps several devices share (data parallel).

package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness"
	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// Devices that share each step have the losses of one device with micro-batches, and resume bit for
// bit. A run can resume on another number of devices, with a warning.
func TestReplicas(t *testing.T) {
	text := strings.NewReplacer("batch: 4", "batch: 8", "group: 0", "group: 4", "pairs: {depths: [8]}", "nets: [resnet-8]").Replace(sweeptest.Small)
	begin := func(dir, more string, dev device.Device) *sweep.Sweep {
		s := sweeptest.New(t, text+more, dir, dev, "")
		s.Data = datatest.Noise()
		return s
	}
	const id = "resnet-8-seed0"
	parts, shared, stopped, moved := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	if err := begin(parts, "micro_batch: 4\n", ref.New()).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := begin(shared, "", ref.Together(2)).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	// losses returns losses and errors of training and tests, in their order.
	losses := func(dir string) (all []float64) {
		for _, e := range sweeptest.Read(t, dir, id).Events {
			if e.Loss != nil {
				all = append(all, *e.Loss, *e.Error)
			}
		}
		return all
	}
	want := losses(parts)
	near := func(what, dir string, bound float64) {
		t.Helper()
		got := losses(dir)
		if len(got) != len(want) || len(got) < 16 {
			t.Fatalf("%s: %d losses and errors, with micro-batches %d", what, len(got), len(want))
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= bound*want[i]) {
				t.Errorf("%s: the %dth is %v, with micro-batches %v", what, i, got[i], want[i])
			}
		}
	}
	near("shared", shared, 1e-6)

	// Two runs at a time, each on two devices, use four.
	four := sweeptest.New(t, text+"seeds: [0, 1]\n", t.TempDir(), ref.Together(2), "")
	four.Data, four.Places, four.Jobs = datatest.Noise(), 2, 1
	four.Open = func(int) (device.Device, error) { return ref.Together(2), nil }
	var said []string
	four.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := four.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "training 2 runs at a time on 4 devices") {
		t.Errorf("said %q", text)
	}

	if n := sweeptest.Interrupted(t, func() *sweep.Sweep { return begin(stopped, "", ref.Together(2)) }); n < 2 {
		t.Errorf("stopped only %d times", n)
	}
	if !reflect.DeepEqual(sweeptest.Outcome(t, stopped), sweeptest.Outcome(t, shared)) {
		t.Error("an interrupted run ends differently")
	}

	for i, dev := range []device.Device{ref.Together(2), ref.New(), ref.Together(2)} {
		ctx := context.Background()
		if i < 2 {
			ctx = sweeptest.StopAfter(3)
		}
		if err := begin(moved, "", dev).Run(ctx); i < 2 && !errors.Is(err, harness.ErrInterrupted) || i == 2 && err != nil {
			t.Fatal(err)
		}
	}
	near("moved", moved, 1e-4) // nets on 4x4 pixels amplify differences in rounding
	warned := strings.Join(sweeptest.Warnings(t, moved, id), "\n")
	for _, want := range []string{"replicas 2 -> 1, which adds in another order", "replicas 1 -> 2, which adds in another order"} {
		if !strings.Contains(warned, want) {
			t.Errorf("warned %q, want %q", warned, want)
		}
	}
	p, err := store.ReadProvenance(sweeptest.At(moved, id))
	if err != nil || len(p.Sessions) != 3 || p.Sessions[2].Device.Replicas != 2 {
		t.Errorf("sessions %+v, %v; want three, the last on 2 devices", p.Sessions, err)
	}
}
