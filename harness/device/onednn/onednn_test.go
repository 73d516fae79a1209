package onednn

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// open gives the device on two threads, or skips.
func open(t testing.TB) *Device {
	t.Helper()
	path, err := Find("../../../.lib")
	if err != nil {
		t.Skip(err)
	}
	d, err := Open(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d.(*Device)
}

// builder makes small programs whose operands can all be read.
type builder struct{ p program.Program }

func (b *builder) buffer(name string, t kernel.DType, a program.Arena, s kernel.Shape) program.BufID {
	x := program.Buffer{Name: name, Shape: s, Type: t, Arena: a, Offset: b.p.Bytes[a], First: -1}
	b.p.Bytes[a] += (x.Bytes() + program.Align - 1) / program.Align * program.Align
	b.p.Buffers = append(b.p.Buffers, x)
	return program.BufID(len(b.p.Buffers) - 1)
}

// apply appends an instruction; its outputs are new buffers of the arena,
// named after prefix.
func (b *builder) apply(k kernel.Kernel, a program.Arena, prefix string, in ...program.BufID) []program.BufID {
	var shapes []kernel.Shape
	for _, id := range in {
		shapes = append(shapes, b.p.Buffers[id].Shape)
	}
	outs, err := k.Shape(shapes)
	if err != nil {
		panic(err)
	}
	var ids []program.BufID
	for i, s := range outs {
		t := kernel.Float32
		if k, ok := k.(kernel.Types); ok {
			t = k.Types()[i]
		}
		ids = append(ids, b.buffer(fmt.Sprint(prefix, i), t, a, s))
	}
	b.p.Code = append(b.p.Code, program.Instr{Kernel: k, Out: ids, In: in, Layer: prefix, Phase: program.Forward})
	return ids
}

// finish adds the buffers that a session expects of a step, and sets lives.
func (b *builder) finish() *program.Program {
	for _, x := range []struct {
		name  string
		t     kernel.DType
		a     program.Arena
		shape kernel.Shape
	}{
		{"images", kernel.Uint8, program.Input, kernel.Shape{5, 3, 32, 32}}, {"rows", kernel.Int32, program.Input, kernel.Shape{1, 4}},
		{"rates", kernel.Float32, program.Input, kernel.Shape{2}},
		{"loss", kernel.Float32, program.Metric, kernel.Shape{1}}, {"wrong", kernel.Float32, program.Metric, kernel.Shape{1}},
	} {
		if _, ok := b.p.Lookup(x.name); !ok {
			b.buffer(x.name, x.t, x.a, x.shape)
		}
	}
	for i := range b.p.Buffers {
		x := &b.p.Buffers[i]
		x.Last = len(b.p.Code)
		if x.Arena != program.Work {
			continue
		}
		for j, c := range b.p.Code {
			for _, id := range c.Out {
				if int(id) == i {
					x.First, x.Last = j, j
				}
			}
			for _, id := range c.In {
				if int(id) == i {
					x.Last = j
				}
			}
		}
	}
	return &b.p
}

// random fills a buffer by name: the meaning of small integers is the kernel's.
func random(s device.Session, b *program.Buffer, r *rand.Rand) error {
	n := b.Shape.Len()
	switch b.Type {
	case kernel.Float32:
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
			if strings.HasPrefix(b.Name, "var") {
				x[i] = x[i]*x[i] + 0.1
			}
		}
		return s.Write(b.Name, x)
	case kernel.Int32:
		x := make([]int32, n)
		for i := range x {
			x[i] = int32(r.IntN(10)) - 1
		}
		if b.Name == "rows" {
			for i := range n / 4 {
				x[i*4], x[i*4+1], x[i*4+2], x[i*4+3] = int32(r.IntN(6))-1, int32(r.IntN(9)), int32(r.IntN(9)), int32(r.IntN(2))
			}
		}
		return s.Write(b.Name, x)
	}
	x := make([]uint8, n)
	for i := range x {
		x[i] = uint8(r.IntN(256))
		if b.Name == "labels" {
			x[i] %= 10
		}
	}
	return s.Write(b.Name, x)
}

// read gives a buffer as float64 numbers.
func read(t *testing.T, s device.Session, b *program.Buffer) []float64 {
	t.Helper()
	out := make([]float64, b.Shape.Len())
	var err error
	switch b.Type {
	case kernel.Float32:
		x := make([]float32, len(out))
		err = s.Read(b.Name, x)
		for i, v := range x {
			out[i] = float64(v)
		}
	case kernel.Int32:
		x := make([]int32, len(out))
		err = s.Read(b.Name, x)
		for i, v := range x {
			out[i] = float64(v)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compare runs p on both devices with equal inputs and compares every buffer
// that can be read: the error against the buffer's root mean square.
func compare(t *testing.T, d device.Device, p *program.Program, o device.Options, bound float64) {
	t.Helper()
	var got, want device.Session
	for _, x := range []struct {
		d device.Device
		s *device.Session
	}{{d, &got}, {ref.New(), &want}} {
		s, err := x.d.Open(device.Programs{Train: p}, o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		*x.s = s
		r := rand.New(rand.NewPCG(1, 2))
		for i := range p.Buffers {
			if b := &p.Buffers[i]; b.Arena != program.Work {
				if err := random(s, b, r); err != nil {
					t.Fatal(err)
				}
			}
		}
		plan := device.Plan{Rates: []device.Rates{{Learning: 0.1, Statistics: 0.3}}}
		if id, ok := p.Lookup("rows"); ok {
			flat := make([]int32, p.Buffers[id].Shape.Len())
			if err := s.Read("rows", flat); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(flat); i += 4 {
				if len(flat) == 4 { // the row that finish adds is nobody's
					flat = []int32{-1, 0, 0, 0}
				}
				plan.Rows = append(plan.Rows, device.Row(flat[i:i+4]))
			}
		}
		if err := s.Train(plan, make([]device.Metric, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range p.Buffers {
		b := &p.Buffers[i]
		if b.Arena == program.Work || b.Type == kernel.Uint8 {
			continue
		}
		if e := difference(read(t, got, b), read(t, want, b)); !(e <= bound) {
			t.Errorf("%s %v: differs by %.2g of its root mean square, bound %.2g", b.Name, b.Shape, e, bound)
		}
	}
}

// difference is the largest error against the root mean square of want.
func difference(got, want []float64) float64 {
	var sq, most float64
	for i, w := range want {
		sq += w * w
		if d := math.Abs(got[i] - w); !(d <= most) {
			most = d // NaN sticks
		}
	}
	if most == 0 {
		return 0
	}
	return most / math.Sqrt(sq/float64(len(want)))
}

// distance is the norm of the difference against the norm of want.
func distance(got, want []float64) float64 {
	var sq, d float64
	for i, w := range want {
		sq += w * w
		d += (got[i] - w) * (got[i] - w)
	}
	if d == 0 {
		return 0
	}
	return math.Sqrt(d / sq)
}

// The shapes are those of the nets at a batch of 8.
func TestKernels(t *testing.T) {
	d := open(t)
	type buf struct {
		name  string
		shape kernel.Shape
	}
	sh := func(s ...int) kernel.Shape { return s }
	act := []kernel.Shape{sh(8, 16, 32, 32), sh(8, 32, 16, 16), sh(8, 64, 8, 8), sh(8, 10, 5, 7)}
	type test struct {
		k  kernel.Kernel
		in []buf
	}
	var tests []test
	add := func(k kernel.Kernel, in ...buf) { tests = append(tests, test{k, in}) }
	for _, c := range []struct {
		in, out, size, stride, pixels int
	}{{3, 16, 3, 1, 32}, {16, 16, 3, 1, 32}, {16, 32, 3, 2, 32}, {32, 32, 3, 1, 16}, {32, 64, 3, 2, 16}, {64, 64, 3, 1, 8}, {16, 32, 1, 2, 32}, {64, 16, 1, 1, 8}} {
		k := kernel.Conv{Size: c.size, Stride: c.stride, Pad: c.size / 2, Out: c.out}
		x, w, y := sh(8, c.in, c.pixels, c.pixels), sh(c.out, c.in, c.size, c.size), sh(8, c.out, c.pixels/c.stride, c.pixels/c.stride)
		add(k, buf{"x", x}, buf{"w", w})
		add(kernel.ConvGradWeight{Conv: k}, buf{"x", x}, buf{"dy", y})
		add(kernel.ConvGradInput{Conv: k, H: c.pixels, W: c.pixels}, buf{"w", w}, buf{"dy", y})
	}
	for _, s := range act {
		v := sh(s[1])
		for _, group := range []int{0, 4} {
			for _, m := range []struct{ add, relu bool }{{}, {false, true}, {true, true}, {true, false}} {
				k := kernel.BatchNorm{Eps: 1e-5, Group: group, Add: m.add, ReLU: m.relu}
				in := []buf{{"x", s}, {"scale", v}, {"shift", v}}
				infer := append(in, buf{"mean", v}, buf{"variance", v})
				if m.add {
					in, infer = append(in, buf{"add", s}), append(infer, buf{"add", s})
				}
				add(k, in...)
				if group == 0 {
					add(kernel.BatchNormInfer{Eps: 1e-5, Add: m.add, ReLU: m.relu}, infer...)
				}
				g := sh(1, s[1])
				if group > 0 {
					g[0] = 8 / group
				}
				in = []buf{{"x", s}, {"scale", v}, {"mean", g}, {"variance", g}}
				if m.relu {
					in = append(in, buf{"y", s})
				}
				add(kernel.BatchNormGrad{BatchNorm: k}, append(in, buf{"dy", s})...)
			}
		}
		add(kernel.Add{}, buf{"a", s}, buf{"b", s})
		add(kernel.AvgPool{}, buf{"x", s})
		add(kernel.AvgPoolGrad{H: s[2], W: s[3]}, buf{"dy", sh(s[0], s[1])})
	}
	for _, where := range []kernel.PadWhere{kernel.Trailing, kernel.Split} {
		k := kernel.Pad{Stride: 2, Out: 32, Where: where}
		add(k, buf{"x", act[0]})
		add(kernel.PadGrad{Pad: k, C: 16, H: 32, W: 32}, buf{"dy", act[1]})
	}
	x, w, y := sh(8, 64), sh(10, 64), sh(8, 10)
	add(kernel.Linear{Out: 10}, buf{"x", x}, buf{"w", w}, buf{"b", sh(10)})
	add(kernel.LinearGradInput{}, buf{"w", w}, buf{"dy", y})
	add(kernel.LinearGradWeight{}, buf{"x", x}, buf{"dy", y})
	add(kernel.LinearGradBias{}, buf{"dy", y})
	add(kernel.CrossEntropy{}, buf{"logits", y}, buf{"label", sh(8)})
	add(kernel.CrossEntropyGrad{}, buf{"logits", y}, buf{"label", sh(8)})
	add(kernel.Batch{Crop: 32, Pad: 4}, buf{"images", sh(5, 3, 32, 32)}, buf{"labels", sh(5)}, buf{"rows", sh(8, 4)},
		buf{"mean", sh(3, 32, 32)}, buf{"scale", sh(3)}, buf{"fill", sh(3)})

	types := map[string]kernel.DType{"label": kernel.Int32, "rows": kernel.Int32, "images": kernel.Uint8, "labels": kernel.Uint8}
	for _, layout := range []string{"blocked", "nhwc"} {
		for _, x := range tests {
			t.Run(fmt.Sprintf("%s/%s %v", layout, x.k, x.in[0].shape), func(t *testing.T) {
				var b builder
				var in []program.BufID
				for _, i := range x.in {
					in = append(in, b.buffer(i.name, types[i.name], program.Input, i.shape))
				}
				b.apply(x.k, program.Input, "out", in...)
				// Single precision sums of up to 8*32*32*9 products.
				compare(t, d, b.finish(), device.Options{Layout: layout}, 2e-5)
			})
		}
	}
}

// Batch norm and its gradient in one program share the rectifier's mask.
func TestNormMask(t *testing.T) {
	d := open(t)
	for _, group := range []int{0, 4} {
		for _, layout := range []string{"blocked", "nhwc"} {
			var b builder
			s := kernel.Shape{8, 16, 8, 8}
			k := kernel.BatchNorm{Eps: 1e-5, Group: group, ReLU: true}
			x, dy := b.buffer("x", kernel.Float32, program.Input, s), b.buffer("dy", kernel.Float32, program.Input, s)
			scale, shift := b.buffer("scale", kernel.Float32, program.Input, kernel.Shape{16}), b.buffer("shift", kernel.Float32, program.Input, kernel.Shape{16})
			f := b.apply(k, program.Work, "bn", x, scale, shift)
			b.apply(kernel.BatchNormGrad{BatchNorm: k}, program.Input, "grad", x, scale, f[1], f[2], f[0], dy)
			compare(t, d, b.finish(), device.Options{Layout: layout}, 2e-5)
		}
	}
}

const batch = 16

func compiled(t testing.TB, net string, m nets.Mode, n, group int) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, m, compile.Config{
		Config: nets.Config{Batch: n, Channels: 3, Size: 32, Classes: 10, Eps: 1e-5, Group: group},
		Images: 200, Pad: 4, Momentum: 0.9, Decay: 1e-4,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start writes a data set and initial parameters of a compiled net.
func start(t testing.TB, s device.Session, net string, p *program.Program) {
	t.Helper()
	write := func(name string, x any) {
		if err := s.Write(name, x); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	images, labels := make([]uint8, 200*3*32*32), make([]uint8, 200)
	for i := range labels {
		labels[i] = uint8(r.IntN(10))
	}
	for i := range images {
		images[i] = uint8(r.IntN(128)) + labels[i/3072]*12
	}
	write("images", images)
	write("labels", labels)
	mean := make([]float32, 3072)
	for i := range mean {
		mean[i] = 115
	}
	write("mean", mean)
	write("scale", []float32{0.015, 0.016, 0.017})
	write("fill", []float32{0, 0.1, 0.2})
	a, _ := nets.ParseArch(net)
	params, _, err := a.Leaves(nets.Config{Batch: 1, Channels: 3, Size: 32, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range params {
		write(x.Name, nets.Init(x, 7, false))
	}
	if id, ok := p.Lookup("stats"); ok {
		ones := make([]float32, p.Buffers[id].Shape.Len())
		for i := range ones {
			ones[i] = 1
		}
		write("stats", ones)
	}
}

func planOf(steps, n int, rate float32) device.Plan {
	r := rand.New(rand.NewPCG(5, 6))
	p := device.Plan{}
	for range steps {
		p.Rates = append(p.Rates, device.Rates{Learning: rate, Statistics: 0.1})
		for range n {
			p.Rows = append(p.Rows, device.Row{int32(r.IntN(200)), int32(r.IntN(9)), int32(r.IntN(9)), int32(r.IntN(2))})
		}
	}
	return p
}

// Whole steps agree with ref: losses, gradients, weights, statistics.
func TestSteps(t *testing.T) {
	d := open(t)
	for _, net := range []string{"plain-8", "resnet-8", "resnet-8-B"} {
		if _, err := nets.ParseArch(net); err != nil {
			continue
		}
		for _, group := range []int{0, 8} {
			for _, layout := range []string{"blocked", "nhwc"} {
				t.Run(fmt.Sprint(net, " g", group, " ", layout), func(t *testing.T) {
					p := device.Programs{Train: compiled(t, net, nets.Train, batch, group), Eval: compiled(t, net, nets.Eval, batch, group), Calibrate: compiled(t, net, nets.Calibrate, batch, group)}
					const steps = 1
					var ms [2][steps]device.Metric
					var counts [2]device.Counts
					var ss [2]device.Session
					for i, x := range []device.Device{d, ref.New()} {
						s, err := x.Open(p, device.Options{Layout: layout})
						if err != nil {
							t.Fatal(err)
						}
						defer s.Close()
						ss[i] = s
						start(t, s, net, p.Train)
						plan := planOf(steps, batch, 0.01)
						if err := s.Train(plan, ms[i][:]); err != nil {
							t.Fatal(err)
						}
						if counts[i], err = s.Eval(planOf(2, batch, 0).Rows); err != nil {
							t.Fatal(err)
						}
						if err := s.Calibrate(planOf(2, batch, 0)); err != nil {
							t.Fatal(err)
						}
					}
					for i := range steps {
						if e := math.Abs(float64(ms[0][i].Loss/ms[1][i].Loss) - 1); e > 1e-5 || ms[0][i].Wrong != ms[1][i].Wrong {
							t.Errorf("step %d: %v, ref has %v", i, ms[0][i], ms[1][i])
						}
					}
					if counts[0].Images != counts[1].Images || counts[0].Wrong != counts[1].Wrong || math.Abs(counts[0].Loss/counts[1].Loss-1) > 1e-5 {
						t.Errorf("evaluation: %v, ref has %v", counts[0], counts[1])
					}
					for i := range p.Train.Buffers {
						b := &p.Train.Buffers[i]
						if b.Arena == program.Work || b.Type == kernel.Uint8 {
							continue
						}
						// An activation within rounding of 0 may pass the
						// rectifier on one device alone, which moves single
						// gradients by a tenth and the whole by a hundredth.
						if e := distance(read(t, ss[0], b), read(t, ss[1], b)); !(e < 0.03) {
							t.Errorf("%s %v is %.2g of its norm away", b.Name, b.Shape, e)
						}
					}
				})
			}
		}
	}
}

// A repeated run is the same, bit for bit.
func TestRepeat(t *testing.T) {
	d := open(t)
	p := compiled(t, "resnet-8", nets.Train, 32, 0)
	var got [2][]float32
	for i := range got {
		s, err := d.Open(device.Programs{Train: p}, device.Options{Deterministic: true})
		if err != nil {
			t.Fatal(err)
		}
		start(t, s, "resnet-8", p)
		if err := s.Train(planOf(4, 32, 0.1), make([]device.Metric, 4)); err != nil {
			t.Fatal(err)
		}
		id, _ := p.Lookup("params")
		got[i] = make([]float32, p.Buffers[id].Shape.Len())
		if err := s.Read("params", got[i]); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	for i, v := range got[0] {
		if v != got[1][i] {
			t.Fatalf("parameter %d: %g, then %g", i, v, got[1][i])
		}
	}
}

// A step that is not finite names the layer and changes nothing.
func TestNonFinite(t *testing.T) {
	d := open(t)
	p := compiled(t, "resnet-8", nets.Train, batch, 0)
	s, err := d.Open(device.Programs{Train: p}, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	start(t, s, "resnet-8", p)
	plan := planOf(1, batch, 0.1)
	plan.First = 41
	for _, c := range []struct {
		value       float32
		layer, want string
	}{{float32(math.NaN()), "layer2.0.conv1", "parameter"}, {3e38, "layer2.0.conv1", "conv 3x3 s2 p1 ->32"}} {
		const name = "layer2.0.conv1.weight"
		id, _ := p.Lookup(name)
		w := make([]float32, p.Buffers[id].Shape.Len())
		if err := s.Read(name, w); err != nil {
			t.Fatal(err)
		}
		old := w[5]
		w[5] = c.value
		for i := range w[:100] {
			if c.want != "parameter" {
				w[i] = c.value
			}
		}
		if err := s.Write(name, w); err != nil {
			t.Fatal(err)
		}
		err := s.Train(plan, make([]device.Metric, 1))
		var n *device.NonFiniteError
		if !errors.As(err, &n) || n.Step != 41 || n.Layer != c.layer || n.Instr != c.want {
			t.Errorf("with %g: %v", c.value, err)
		}
		after := make([]float32, len(w))
		if err := s.Read(name, after); err != nil {
			t.Fatal(err)
		}
		for i := range w {
			if math.Float32bits(w[i]) != math.Float32bits(after[i]) {
				t.Fatalf("weight %d has changed", i)
			}
		}
		w[5] = old
		s.Write(name, w)
	}
}

// No primitive of the nets may fall back to a slow implementation: a first
// convolution in the wrong layout alone costs a second a step.
func TestImplementations(t *testing.T) {
	d := open(t)
	t.Setenv(EnvProfile, "1")
	for _, layout := range []string{"", "blocked", "nhwc"} {
		s, err := d.Open(device.Programs{Train: compiled(t, "resnet-20", nets.Train, 128, 0), Eval: compiled(t, "resnet-20", nets.Eval, 128, 0)}, device.Options{Layout: layout})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.(*Session).Profile() {
			for _, impl := range r.Impl {
				if strings.Contains(impl, "ref") || strings.Contains(impl, "gemm") && !strings.Contains(impl, "brgemm") {
					t.Errorf("layout %q: %s %s runs on %s", layout, r.Layer, r.Kernel, impl)
				}
			}
		}
		s.Close()
	}
}

func TestErrors(t *testing.T) {
	d := open(t)
	p := compiled(t, "resnet-8", nets.Train, batch, 0)
	var u *device.UnsupportedError
	if _, err := d.Open(device.Programs{Train: p}, device.Options{Layout: "diagonal"}); !errors.As(err, &u) {
		t.Errorf("layout: %v", err)
	}
	if _, err := d.Open(device.Programs{Train: p}, device.Options{Precision: device.BF16}); !d.Info().Bfloat16 && !errors.As(err, &u) {
		t.Errorf("bf16: %v", err)
	}
	s, err := d.Open(device.Programs{Train: p}, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s, "resnet-8", p)
	plan := planOf(1, batch, 0.1)
	if err := s.Write("rows", make([]int32, 3)); err == nil {
		t.Error("a write of the wrong length passed")
	}
	if err := s.Read("nothing", make([]int32, 3)); err == nil {
		t.Error("a read of an unknown buffer passed")
	}
	plan.Rows[3][0] = 200
	if err := s.Train(plan, make([]device.Metric, 1)); err == nil || !strings.Contains(err.Error(), "200") {
		t.Errorf("image out of range: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Train(planOf(1, batch, 0.1), make([]device.Metric, 1)); err == nil {
		t.Error("a closed session trains")
	}
	if _, err := Open("/nonexistent.so", 1); err == nil {
		t.Error("a library that is not there opens")
	}
}

// A step allocates nothing.
func TestAllocations(t *testing.T) {
	d := open(t)
	p := compiled(t, "resnet-8", nets.Train, batch, 0)
	s, err := d.Open(device.Programs{Train: p}, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	start(t, s, "resnet-8", p)
	m := make([]device.Metric, 9)
	one, nine := planOf(1, batch, 0.01), planOf(9, batch, 0.01)
	a := testing.AllocsPerRun(3, func() { s.Train(one, m[:1]) })
	b := testing.AllocsPerRun(3, func() { s.Train(nine, m) })
	if per := (b - a) / 8; per > 4 {
		t.Errorf("%.1f allocations a step", per)
	}
}

func BenchmarkStep(b *testing.B) {
	net := os.Getenv("NET")
	if net == "" {
		net = "resnet-20"
	}
	for _, layout := range []string{"blocked", "nhwc"} {
		b.Run(net+"/"+layout, func(b *testing.B) {
			d := open(b)
			p := compiled(b, net, nets.Train, 128, 0)
			s, err := d.Open(device.Programs{Train: p}, device.Options{Layout: layout})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			start(b, s, net, p)
			m := make([]device.Metric, 1)
			plan := planOf(1, 128, 0.01)
			best := time.Hour
			for b.Loop() {
				begin := time.Now()
				if err := s.Train(plan, m); err != nil {
					b.Fatal(err)
				}
				best = min(best, time.Since(begin))
			}
			b.ReportMetric(float64(best.Microseconds())/1e3, "best-ms")
		})
	}
}
