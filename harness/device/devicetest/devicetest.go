// Package devicetest is the conformance suite of devices: it compares what every device
// computes with the kernels' references. A device's own test is
//
//	func TestDevice(t *testing.T) { devicetest.Run(t, start, device.FP32, device.BF16); devicetest.Golden(t, start); devicetest.GoldenImageNet(t, start, 64, 224) }
//
// There are guard bands around the outputs of single kernels. They detect stray writes on a
// device that keeps a Program's arenas as they are. If a device has its own layout, its own
// test has to check bands inside it.
package devicetest

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/testskip"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Run checks a device against its contract, in each of these precisions.
func Run(t *testing.T, start func(testing.TB) device.Device, precisions ...device.Precision) {
	for i, p := range precisions {
		t.Run(string(p), func(t *testing.T) {
			dev := start(t)
			defer dev.Close()
			s := &suite{dev: dev, precision: p}
			t.Run("info", s.info)
			t.Run("kernels", s.kernels)
			t.Run("nonfinite", s.nonfinite)
			t.Run("steps", s.steps)
			t.Run("eval", s.eval)
			t.Run("unsupported", s.unsupported)
			if i > 0 && !testskip.Everything() {
				return // the rest is not about arithmetic: the first precision shows it
			}
			t.Run("optimizers", s.optimizers)
			t.Run("micro-batches", s.microBatches)
			t.Run("dropout", s.dropout)
			t.Run("launch", s.launch)
			t.Run("repeat", s.repeat)
			t.Run("calibrate", s.calibrate)
			t.Run("buffers", s.buffers)
			t.Run("errors", s.errors)
			t.Run("nan", s.nan)
		})
	}
}

// suite is a device under test in one precision.
type suite struct {
	dev       device.Device
	precision device.Precision
}

func (s *suite) info(t *testing.T) {
	i := s.dev.Info()
	if i.Name == "" || i.Hardware == "" || i.Launch < 1 {
		t.Errorf("%+v: want a name, the hardware and at least one step a launch", i)
	}
}

// net is a net with its programs and everything that a session starts from.
type net struct {
	name     string
	salt     string  // seed of all values
	away     float64 // distance of batch norm's shifts from 0, with alternating sign
	cfg      compile.Config
	programs device.Programs
	graph    *nets.Graph
}

// Eval programs have another batch than training, as in real runs.
const evalBatch = 6

func newNet(t testing.TB, name string, batch, group, size int, salt string) *net {
	t.Helper()
	return newWideNet(t, name, batch, group, size, size, salt)
}

// newWideNet makes a net for images of size rows and width columns.
func newWideNet(t testing.TB, name string, batch, group, size, width int, salt string) *net {
	t.Helper()
	arch, err := nets.ParseArch(name)
	if err != nil {
		t.Fatal(err)
	}
	n := &net{name: name, salt: salt, cfg: compile.Config{
		Config: nets.Config{Batch: batch, Channels: 3, Size: size, Width: width, Classes: 10, Group: group, Eps: 1e-5},
		Images: 24, Pad: 2, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	}}
	if n.graph, err = arch.Build(nets.Eval, n.cfg.Config); err != nil {
		t.Fatal(err)
	}
	forEval := n.cfg
	forEval.Batch, forEval.Group = evalBatch, 0
	for _, c := range []struct {
		dst  **program.Program
		mode nets.Mode
		cfg  compile.Config
	}{{&n.programs.Train, nets.Train, n.cfg}, {&n.programs.Eval, nets.Eval, forEval}, {&n.programs.Calibrate, nets.Calibrate, n.cfg}} {
		if *c.dst, err = compile.Compile(arch, c.mode, c.cfg); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// trainOnly is the same net without the programs that only tests of evaluation and
// calibration run: a device may compile for seconds what it opens.
func (n *net) trainOnly() *net {
	c := *n
	c.programs = device.Programs{Train: n.programs.Train}
	return &c
}

// cut is the same net, trained in micro-batches.
func (n *net) cut(t testing.TB, images int) *net {
	t.Helper()
	arch, err := nets.ParseArch(n.name)
	if err != nil {
		t.Fatal(err)
	}
	c := *n
	c.cfg.MicroBatch = images
	if c.programs.Train, err = compile.Compile(arch, nets.Train, c.cfg); err != nil {
		t.Fatal(err)
	}
	return &c
}

// End is the time after which no more tests begin: they are skipped as OutOfTime. The
// zero value means never. gpu-check runs the suite with little time.
var End time.Time

// OutOfTime is the message of tests that are skipped for lack of time.
const OutOfTime = "out of time"

func late(t testing.TB) {
	t.Helper()
	if !End.IsZero() && time.Now().After(End) {
		testskip.Skip(t, OutOfTime)
	}
}

// session is a device.Session with methods that end the test on an error.
type session struct {
	device.Session
	t testing.TB
}

// open opens a session of the net on the device, and writes the data set and the initial
// values to it.
func (s *suite) open(t testing.TB, n *net) *session {
	t.Helper()
	return open(t, s.dev, n, device.Options{Precision: s.precision, Deterministic: true})
}

func open(t testing.TB, dev device.Device, n *net, o device.Options) *session {
	t.Helper()
	late(t)
	raw, err := dev.Open(n.programs, o)
	var no *device.UnsupportedError
	if errors.As(err, &no) {
		testskip.Skip(t, "%v", no)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &session{raw, t}
	n.fill(s)
	return s
}

// reference opens a session of ref with the same values.
func reference(t testing.TB, n *net) *session {
	t.Helper()
	return open(t, ref.New(), n, device.Options{})
}

func (n *net) fill(s *session) {
	c := n.cfg
	pixels := c.Channels * c.Size * c.Columns()
	s.write("images", bytesOf(n.salt+"images", c.Images*pixels))
	labels := make([]int32, c.Images)
	for i := range labels {
		labels[i] = int32(i % c.Classes)
	}
	s.write("labels", labels)
	mean := make([]float32, pixels)
	for i, u := range uniform(n.salt+"mean", pixels) {
		mean[i] = float32(math.Floor(120 + 16*u))
	}
	s.write("mean", mean)
	s.write("scale", []float32{1. / 64, 1. / 128, 1. / 32})
	s.write("fill", []float32{0, 0.25, -0.5})
	for _, p := range n.graph.Params {
		s.write(p.Name, n.firstValue(p))
	}
	for _, b := range n.graph.Norms {
		ones := make([]float32, b.Channels)
		for i := range ones {
			ones[i] = 1
		}
		s.write(b.Name+".running_var", ones)
	}
}

// firstValue is the initial value of a parameter: He's variance 2/fan-in as a uniform
// distribution for weights, values around 1 for scales and around 0 (or n.away) for
// shifts and bias. They are not constant, so that a wrong gradient of them is noticed.
func (n *net) firstValue(p *nets.Param) []float32 {
	shape := p.Node.Shape()
	w := make([]float32, shape.TotalSize())
	add, times := 0.0, 0.25
	switch {
	case p.Kind.IsWeight():
		times = math.Sqrt(6 / float64(len(w)/shape[0]))
		if n.away != 0 && p.Kind == nets.LinearWeight {
			times /= 16 // because the features are large
		}
	case p.Kind == nets.Scale:
		add = 1
	case p.Kind == nets.Bias:
		add, times = float64(p.Start), 0.125
	}
	for i, u := range uniform(n.salt+p.Name, len(w)) {
		if p.Kind == nets.Shift {
			add = n.away * float64(1-2*(i%2))
		}
		// The conversion keeps the compiler from fusing: golden.py rounds twice.
		w[i] = float32(add + float64(u*times))
	}
	return w
}

// plan makes a plan of steps steps, beginning at step first. It depends only on the step
// numbers.
func (n *net) plan(first, steps int, rate float32) device.Launch {
	p := device.Launch{First: first}
	for step := first; step < first+steps; step++ {
		for slot := range n.cfg.Batch {
			h := Hashes(fmt.Sprintf("%srow %d %d", n.salt, step, slot), 3)
			around := uint32(2*n.cfg.Pad + 1)
			index := (step*n.cfg.Batch + slot) % n.cfg.Images
			p.Rows = append(p.Rows, device.Row{int32(index), int32(h[0] % around), int32(h[1] % around), int32(h[2])})
		}
		p.Rates = append(p.Rates, device.Rates{Learning: rate, Statistics: 0.1})
	}
	return p
}

func (s *session) write(name string, v any) {
	s.t.Helper()
	if err := s.Write(name, v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) read(name string, n int) []float32 {
	s.t.Helper()
	v := make([]float32, n)
	if err := s.Read(name, v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *session) train(p device.Launch) []device.Metric {
	s.t.Helper()
	m := make([]device.Metric, len(p.Rates))
	if err := s.Train(p, m); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// state returns everything that training changes, by name: parameters, optimizer state
// and running statistics.
func (s *session) state(n *net) map[string][]float32 {
	s.t.Helper()
	p := n.programs.Train
	all := map[string][]float32{}
	for _, a := range program.Persistent() {
		for _, id := range p.Views(a) {
			b := &p.Buffers[id]
			all[b.Name] = s.read(b.Name, b.Shape.Len())
		}
	}
	return all
}

// sameBits compares two states bit by bit, NaN included.
func sameBits(t testing.TB, what string, got, want map[string][]float32) {
	t.Helper()
	for name := range want {
		if len(got[name]) != len(want[name]) {
			t.Errorf("%s: %s has %d elements, had %d", what, name, len(got[name]), len(want[name]))
			return
		}
		if i := differ(got[name], want[name]); i >= 0 {
			t.Errorf("%s: %s[%d] is %v, was %v", what, name, i, got[name][i], want[name][i])
			return
		}
	}
}

// differ is the first index at which the bits of two slices of one length differ, or -1.
func differ(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// largest returns the largest absolute difference and the largest absolute wanted value.
func largest(got, want []float32) (diff, size float64) {
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		diff, size = max(diff, d), max(size, math.Abs(float64(want[i])))
	}
	return diff, size
}

// Hashes are n 32-bit numbers that depend only on the name: FNV-1a, then an integer mixer
// of seed and index. testdata/golden.py has the same function.
func Hashes(name string, n int) []uint32 {
	seed := uint32(2166136261)
	for _, b := range []byte(name) {
		seed = (seed ^ uint32(b)) * 16777619
	}
	h := make([]uint32, n)
	for i := range h {
		x := seed + uint32(i)*0x9E3779B9
		x = (x ^ x>>16) * 0x21F0AAAD
		x = (x ^ x>>16) * 0x735A2D97
		h[i] = x ^ x>>15
	}
	return h
}

// uniform returns values in [-1, 1) that are multiples of 2^-23, so exact in float32.
func uniform(name string, n int) []float64 {
	u := make([]float64, n)
	for i, h := range Hashes(name, n) {
		u[i] = float64(h>>8)/(1<<23) - 1
	}
	return u
}

func bytesOf(name string, n int) []uint8 {
	b := make([]uint8, n)
	for i, h := range Hashes(name, n) {
		b[i] = uint8(h >> 24)
	}
	return b
}
