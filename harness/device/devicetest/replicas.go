// Conformance of data parallel training: several replicas against one device.

package devicetest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/program"
)

// Replicas compares nets on several devices together (data parallel) with the same nets
// on one device, cut into as many micro-batches: the results differ only by the order of
// one sum. start opens that many devices as one.
func Replicas(t *testing.T, start func(t testing.TB, devices int) device.Device) {
	for _, devices := range []int{2, 4} {
		if devices > 2 && !testskip.Everything() {
			continue
		}
		t.Run(fmt.Sprintf("%d replicas", devices), func(t *testing.T) {
			dev := start(t, devices)
			defer dev.Close()
			s := &suite{dev: dev, precision: device.FP32}
			const batch = 8
			one := newNet(t, "resnet-8", batch, 2, 8, "29")
			r := &replicas{suite: s, devices: devices, one: one.cut(t, batch/devices), all: one.spread(t, devices)}
			t.Run("steps", r.steps)
			t.Run("resume", r.resume)
			t.Run("eval", r.eval)
			t.Run("calibrate", r.calibrate)
			t.Run("not finite", r.notFinite)
			one = newNet(t, "resnet-8/shortcut-dropout=0.5", batch, 2, 8, "12").trainOnly()
			r = &replicas{suite: s, devices: devices, one: one.cut(t, batch/devices), all: one.spread(t, devices).trainOnly()}
			t.Run("dropout", r.steps)
		})
	}
}

// PaperGroups compares one step in the groups of batch norm that the paper's GPUs had:
// 2 of 64 images on CIFAR-10, 8 of 32 on ImageNet; and 4 of 32.
func PaperGroups(t *testing.T, start func(t testing.TB, devices int) device.Device) {
	for _, c := range []struct {
		devices, group int
		all            bool // only where everything is tested
	}{{2, 64, false}, {4, 32, true}, {8, 32, true}} {
		if c.all && !testskip.Everything() {
			continue
		}
		t.Run(fmt.Sprintf("%d of %d", c.devices, c.group), func(t *testing.T) {
			dev := start(t, c.devices)
			defer dev.Close()
			one := newNet(t, "plain-8", c.devices*c.group, c.group, 4, "12")
			r := &replicas{suite: &suite{dev: dev, precision: device.FP32}, devices: c.devices, one: one.trainOnly().cut(t, c.group), all: one.spread(t, c.devices).trainOnly()}
			a, b := r.open(t, r.one), r.open(t, r.all)
			plan := r.all.plan(0, 1, 0.02)
			want, got := a.train(plan)[0], b.train(plan)[0]
			if e := math.Abs(float64(got.Loss - want.Loss)); !(e <= 1e-6*float64(want.Loss)) || got.Wrong != want.Wrong {
				t.Errorf("%+v, on one device %+v", got, want)
			}
			r.alike(t, "after a step", b, a, 1e-4, program.Grad, program.Stat, program.Param, program.Optimizer)
		})
	}
}

// replicas is a net on several devices, and the same net on one device.
type replicas struct {
	*suite
	devices  int
	one, all *net // one is cut into micro-batches
}

// spread makes the same net for several devices.
func (n *net) spread(t testing.TB, devices int) *net {
	t.Helper()
	arch, err := nets.ParseArch(n.name)
	if err != nil {
		t.Fatal(err)
	}
	c := *n
	c.cfg.Replicas = devices
	forEval := c.cfg
	forEval.Batch, forEval.Group = evalBatch/2*devices, 0
	for _, p := range []struct {
		dst  **program.Program
		mode nets.Mode
		cfg  compile.Config
	}{{&c.programs.Train, nets.Train, c.cfg}, {&c.programs.Eval, nets.Eval, forEval}, {&c.programs.Calibrate, nets.Calibrate, c.cfg}} {
		if *p.dst, err = compile.Compile(arch, p.mode, p.cfg); err != nil {
			t.Fatal(err)
		}
	}
	return &c
}

// exact reports whether the device adds in the order of the definition.
func (r *replicas) exact() bool { return r.dev.Info().Name == "ref" }

// alike compares the arenas of two sessions, tensor by tensor. On ref only running
// statistics differ: replicas round their shares to float32 before they add them.
func (r *replicas) alike(t testing.TB, what string, got, want *session, bound float64, arenas ...program.Arena) {
	t.Helper()
	worst := 0.0
	p := r.all.programs.Train
	for _, a := range arenas {
		for _, id := range p.Views(a) {
			b := &p.Buffers[id]
			g, w := got.read(b.Name, b.Shape.Len()), want.read(b.Name, b.Shape.Len())
			diff, size := largest(g, w)
			worst = max(worst, diff/size)
			if !(diff <= bound*size) || a != program.Stat && r.exact() && differ(g, w) >= 0 {
				t.Errorf("%s: %s is %.2g of its largest element away from one device's, bound %.2g", what, b.Name, diff/size, bound)
			}
		}
	}
	t.Logf("%s: at most %.2g of the largest element away", what, worst)
}

// steps trains ten steps and compares losses, errors, gradients and state.
func (r *replicas) steps(t *testing.T) {
	one, all := r.open(t, r.one), r.open(t, r.all)
	if got := all.Info().Replicas; got != r.devices {
		t.Errorf("the session has %d replicas, want %d", got, r.devices)
	}
	const bound = 1e-4 // sums of float32 in another order, amplified by batch norms of few elements
	step := func(first, n int) {
		t.Helper()
		plan := r.all.plan(first, n, 0.02)
		want := one.train(plan)
		for i, got := range all.train(plan) {
			if e := math.Abs(float64(got.Loss-want[i].Loss)) / float64(want[i].Loss); !(e <= bound) || got.Wrong != want[i].Wrong || r.exact() && got != want[i] {
				t.Errorf("step %d: %+v, on one device %+v", first+i, got, want[i])
			}
		}
	}
	step(0, 1)
	r.alike(t, "after a step", all, one, bound, program.Grad, program.Stat, program.Param, program.Optimizer)
	step(1, 9)
	r.alike(t, "after ten", all, one, 10*bound, program.Stat, program.Param, program.Optimizer)

	// A checkpoint moves from many devices to one, and back.
	for name, v := range all.state(r.all) {
		one.write(name, v)
	}
	step(10, 1)
	r.alike(t, "moved to one device", all, one, bound, program.Grad, program.Stat, program.Param)
	for name, v := range one.state(r.one) {
		all.write(name, v)
	}
	step(11, 1)
	r.alike(t, "moved to many", all, one, bound, program.Grad, program.Stat, program.Param)
}

// resume continues from the middle, bit for bit.
func (r *replicas) resume(t *testing.T) {
	whole := r.open(t, r.all)
	want := whole.train(r.all.plan(0, 3, 0.05))
	half := whole.state(r.all)
	want = append(want, whole.train(r.all.plan(3, 3, 0.05))...)
	resumed := r.open(t, r.all)
	for name, v := range half {
		resumed.write(name, v)
	}
	for i, got := range resumed.train(r.all.plan(3, 3, 0.05)) {
		if got != want[3+i] {
			t.Errorf("step %d: %+v, not stopped %+v", 3+i, got, want[3+i])
		}
	}
	sameBits(t, "resumed", resumed.state(r.all), whole.state(r.all))
}

// eval splits an evaluation over the replicas, with empty slots.
func (r *replicas) eval(t *testing.T) {
	one, all := r.open(t, r.one), r.open(t, r.all)
	r.one.statistics(one)
	r.one.statistics(all)
	rows := evalRows(r.one)
	for range 2 { // a multiple of both batches
		rows = append(rows, rows...)
	}
	want, err := one.Eval(rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := all.Eval(rows)
	if err != nil {
		t.Fatal(err)
	}
	if got.Images != want.Images || got.Wrong != want.Wrong || !(math.Abs(got.Loss-want.Loss) <= 1e-6*want.Loss) {
		t.Errorf("%+v, on one device %+v", got, want)
	}
	if err := all.Train(device.Launch{Rows: rows[:1], Rates: make([]device.Rates, 1)}, make([]device.Metric, 1)); err == nil {
		t.Error("a plan of 1 row is taken for a step")
	}
}

// calibrate averages statistics over the groups of all replicas.
func (r *replicas) calibrate(t *testing.T) {
	one, all := r.open(t, r.one), r.open(t, r.all)
	plan := r.all.plan(0, 3, 0)
	for i := range plan.Rates {
		plan.Rates[i].Statistics = 1 / float32(i+1)
	}
	if err := errors.Join(one.Calibrate(plan), all.Calibrate(plan)); err != nil {
		t.Fatal(err)
	}
	bound := 1e-5
	p := r.all.programs.Train
	for _, id := range p.Views(program.Stat) {
		b := &p.Buffers[id]
		if diff, size := largest(all.read(b.Name, b.Shape.Len()), one.read(b.Name, b.Shape.Len())); !(diff <= bound*size) {
			t.Errorf("%s is %.2g of its largest element away from one device's, bound %.2g", b.Name, diff/size, bound)
		}
	}
}

// notFinite: one image on the last replica makes the step fail, and no replica changes.
func (r *replicas) notFinite(t *testing.T) {
	h := r.open(t, r.all)
	mean := make([]float32, 3*8*8)
	mean[0] = float32(math.NaN()) // the first pixel: only the last crop has it
	h.write("mean", mean)
	plan := r.all.plan(3, 1, 0.02)
	for i := range plan.Rows {
		plan.Rows[i][1], plan.Rows[i][2] = 4, 4
	}
	last := len(plan.Rows) - 1
	plan.Rows[last][1], plan.Rows[last][2] = 2, 2
	before := h.state(r.all)
	err := h.Train(plan, make([]device.Metric, 1))
	var nan *device.NonFiniteError
	if !errors.As(err, &nan) || nan.Step != 3 || nan.Layer != "batch" {
		t.Fatalf("error %v, want a NonFiniteError of layer batch in step 3", err)
	}
	sameBits(t, "after the failed step", h.state(r.all), before)
	h.write("mean", make([]float32, len(mean)))
	h.train(r.all.plan(4, 1, 0.02))
}
