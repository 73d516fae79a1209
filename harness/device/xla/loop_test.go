// Tests of launches: loops of steps, loops of equal blocks, losses that are not finite, and
// the cache of executables.

package xla

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// small opens a session of a tiny net with random weights and generated images.
func small(t *testing.T, d *Device, net string) (device.Session, device.Programs) {
	t.Helper()
	return smallWith(t, d, net, func(*compile.Config) {})
}

// smallWith is small with a changed configuration.
func smallWith(t *testing.T, d *Device, net string, change func(*compile.Config)) (device.Session, device.Programs) {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	cfg := compile.Config{
		Config: nets.Config{Batch: 4, Channels: 3, Size: 8, Classes: 10, Group: 2, Eps: 1e-5},
		Images: 20, Pad: 2, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	}
	change(&cfg)
	var p device.Programs
	if p.Train, err = compile.Compile(a, nets.Train, cfg); err != nil {
		t.Fatal(err)
	}
	evalCfg := cfg
	evalCfg.Group = 0
	if p.Eval, err = compile.Compile(a, nets.Eval, evalCfg); err != nil {
		t.Fatal(err)
	}
	s, err := d.Open(p, device.Options{Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	graph, err := a.Build(nets.Eval, cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range graph.Params {
		if err := s.Write(x.Name, nets.Init(x, 1, false)); err != nil {
			t.Fatal(err)
		}
	}
	pixels, labels := make([]uint8, 20*3*8*8), make([]int32, 20)
	for i := range pixels {
		pixels[i] = uint8(i * i >> 4)
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	mean := make([]float32, 3*8*8)
	for i := range mean {
		mean[i] = 120
	}
	for name, v := range map[string]any{"images": pixels, "labels": labels, "mean": mean, "scale": []float32{0.02, 0.02, 0.02}} {
		if err := s.Write(name, v); err != nil {
			t.Fatal(err)
		}
	}
	return s, p
}

func smallPlan(first, steps int) device.Launch {
	p := device.Launch{First: first}
	for i := first; i < first+steps; i++ {
		for slot := range 4 {
			p.Rows = append(p.Rows, device.Row{int32((4*i + slot) % 20), int32(i % 5), int32(slot), int32(i%2 + 2*(4*i+slot))})
		}
		p.Rates = append(p.Rates, device.Rates{Learning: 0.02, Statistics: 0.1})
	}
	return p
}

// trained calls Train once for each number of steps, and returns metrics and state.
func trained(t *testing.T, s device.Session, p device.Programs, calls ...int) ([]device.Metric, []float32) {
	t.Helper()
	var all []device.Metric
	for _, n := range calls {
		m := make([]device.Metric, n)
		if err := s.Train(smallPlan(len(all), n), m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m...)
	}
	var state []float32
	for _, name := range []string{"params", "momenta", "stats"} {
		id, _ := p.Train.Lookup(name)
		v := make([]float32, p.Train.Buffers[id].Shape.Len())
		if err := s.Read(name, v); err != nil {
			t.Fatal(err)
		}
		state = append(state, v...)
	}
	return all, state
}

// The loop that a GPU runs: many steps in one launch give the same bits as in several
// launches, and almost the same values as steps without a loop.
func TestLoop(t *testing.T) {
	t.Run("one device", func(t *testing.T) { testLoop(t, "resnet-8/shortcut-dropout=0.5", 0) })
	t.Run("two replicas", func(t *testing.T) { testLoop(t, "plain-8", 2) })
}

func testLoop(t *testing.T, net string, replicas int) {
	devices := make([]int, max(1, replicas))
	small := func(t *testing.T, d *Device, net string) (device.Session, device.Programs) {
		return smallWith(t, d, net, func(c *compile.Config) { c.Replicas = replicas })
	}
	d := openWith(t, Options{Loop: 4, Quick: true, Devices: devices})
	if n := d.Info().Launch; n != 4 {
		t.Fatalf("%d steps a launch, want 4", n)
	}
	s, p := small(t, d, net)
	metrics, state := trained(t, s, p, 7) // launches of 4 and 3
	for _, calls := range [][]int{{1, 1, 1, 1, 1, 1, 1}, {3, 4}} {
		other, _ := small(t, d, net)
		m, x := trained(t, other, p, calls...)
		for i := range m {
			if m[i] != metrics[i] {
				t.Errorf("calls of %v: step %d is %+v, in one call %+v", calls, i, m[i], metrics[i])
			}
		}
		for i := range x {
			if math.Float32bits(x[i]) != math.Float32bits(state[i]) {
				t.Fatalf("calls of %v: value %d of the state is %v, in one call %v", calls, i, x[i], state[i])
			}
		}
	}
	single, _ := small(t, openWith(t, Options{Quick: true, Devices: devices}), net)
	m, x := trained(t, single, p, 7)
	for i := range m {
		if e := math.Abs(float64(m[i].Loss - metrics[i].Loss)); !(e <= 1e-4*float64(m[i].Loss)) {
			t.Errorf("step %d: loss %v, without a loop %v", i, metrics[i].Loss, m[i].Loss)
		}
	}
	if len(x) != len(state) || m[6].Loss == m[0].Loss {
		t.Error("nothing was learned")
	}
}

// Equal blocks in a loop, inside the loop of steps, compute the same as one by one: after
// one step, every tensor to within bound times its largest element. (After more steps the
// difference in rounding has grown, because these nets are deep and the images small.)
func TestRolled(t *testing.T) {
	if testskip.Everything() {
		t.Run("one batch", func(t *testing.T) { testRolled(t, "resnet-38/B", 0, 1e-4) })
	}
	t.Run("micro-batches", func(t *testing.T) { testRolled(t, "resnet-26/B", 1, 1e-3) }) // nested loops; batch norm over one image rounds more
}

func testRolled(t *testing.T, net string, micro int, bound float64) {
	one, rolled := open(t, 0), open(t, 2)
	rolled.unrolled = 1
	var sessions [2]device.Session
	var p device.Programs
	var metrics [2][]device.Metric
	for i, d := range []*Device{one, rolled} {
		sessions[i], p = smallWith(t, d, net, func(c *compile.Config) {
			if micro > 0 {
				c.Group, c.MicroBatch = micro, micro
			}
		})
		metrics[i], _ = trained(t, sessions[i], p, 1)
	}
	near := func(what string, got, want, bound float64) {
		t.Helper()
		if !(math.Abs(got-want) <= bound) {
			t.Fatalf("%s: %v, one by one %v", what, got, want)
		}
	}
	near("loss", float64(metrics[1][0].Loss), float64(metrics[0][0].Loss), 1e-5)
	for _, arena := range []program.Arena{program.Param, program.Grad, program.Optimizer, program.Stat} {
		for _, id := range p.Train.Views(arena) {
			b := &p.Train.Buffers[id]
			var v [2][]float32
			for i, s := range sessions {
				v[i] = make([]float32, b.Shape.Len())
				if err := s.Read(b.Name, v[i]); err != nil {
					t.Fatal(err)
				}
			}
			var size float32
			for _, x := range v[0] {
				size = max(size, x, -x)
			}
			for i := range v[0] {
				near(b.Name, float64(v[1][i]), float64(v[0][i]), bound*float64(size))
			}
		}
	}
	var counts [2]device.Counts
	for i, s := range sessions {
		var err error
		if counts[i], err = s.Eval(smallPlan(0, 5).Rows); err != nil {
			t.Fatal(err)
		}
	}
	near("loss of an evaluation", counts[1].Loss, counts[0].Loss, 1e-3*counts[0].Loss)
}

// A loss that is not finite ends the loop at its step, and the state stays as it was.
func TestLoopNotFinite(t *testing.T) {
	d := open(t, 4)
	good, p := small(t, d, "plain-8")
	_, state := trained(t, good, p, 1)

	s, _ := small(t, d, "plain-8")
	trained(t, s, p, 1)
	w := make([]float32, 16*27)
	if err := s.Read("conv1.weight", w); err != nil {
		t.Fatal(err)
	}
	keep := w[5]
	w[5] = float32(math.NaN())
	if err := s.Write("conv1.weight", w); err != nil {
		t.Fatal(err)
	}
	var nan *device.NonFiniteError
	m := make([]device.Metric, 4)
	if err := s.Train(smallPlan(1, 4), m); !errors.As(err, &nan) {
		t.Fatalf("error %v, want a NonFiniteError", err)
	}
	if nan.Step != 1 || nan.Layer != "conv1" || nan.Instr != "parameter conv1.weight" {
		t.Errorf("%+v, want step 1 and the parameter conv1.weight", *nan)
	}
	w[5] = keep
	if err := s.Write("conv1.weight", w); err != nil {
		t.Fatal(err)
	}
	_, after := trained(t, s, p)
	for i := range after {
		if math.Float32bits(after[i]) != math.Float32bits(state[i]) {
			t.Fatalf("value %d of the state is %v after the failed step, was %v", i, after[i], state[i])
		}
	}
}

// A compiled program is kept on disk and found again; a damaged file is replaced.
func TestCache(t *testing.T) {
	path, err := Find("", libDir)
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	dir := t.TempDir()
	var first []float32
	for _, round := range []string{"compiled", "kept", "damaged"} {
		d, err := Open(path, Options{Cache: dir, Quick: true})
		if err != nil {
			t.Fatal(err)
		}
		s, p := small(t, d, "plain-8")
		_, state := trained(t, s, p, 2)
		if first == nil {
			first = state
		}
		for i := range state {
			if math.Float32bits(state[i]) != math.Float32bits(first[i]) {
				t.Fatalf("%s: value %d of the state is %v, was %v", round, i, state[i], first[i])
			}
		}
		if err := errors.Join(s.Close(), d.Close()); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) != 2 {
			t.Fatalf("%s: the folder holds %v, want two programs", round, files)
		}
		if round == "kept" {
			for _, f := range files {
				if err := os.Truncate(f, 100); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
