// Tests of the device: the conformance suite, and what it does not see.

package cpu

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/testskip"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// open gives the device on two threads, without oneDNN.
func open(t testing.TB) *Device { return openWith(t, "") }

// openOneDNN gives the device on two threads with oneDNN, for everything, or skips.
func openOneDNN(t testing.TB) *Device {
	t.Helper()
	path, err := Find("../../../.lib")
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	d, err := Open(path, 2)
	if err != nil { // it is for another CPU (this test under emulation), or libgomp is missing
		testskip.Skip(t, "%v", err)
	}
	return closing(t, d)
}

func openWith(t testing.TB, library string) *Device {
	t.Helper()
	d, err := Open(library, 2)
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, d)
}

// closing returns d, which the test closes at its end.
func closing(t testing.TB, d device.Device) *Device {
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d.(*Device)
}

var precisions = []device.Precision{device.FP32, device.BF16}

// inLayout is a device whose sessions do not follow the rule.
type inLayout struct {
	device.Device
	layout string
}

func (d inLayout) Open(p device.Programs, o device.Options) (device.Session, error) {
	o.Layout = d.layout
	return d.Device.Open(p, o)
}

// The conformance suite: without oneDNN, then in bfloat16 with it, then by it alone, in its
// layouts. oneDNN computes in bfloat16 only where the CPU has instructions for it.
func TestDevice(t *testing.T) {
	suite := func(name, layout string, open func(testing.TB) *Device, precisions ...device.Precision) {
		t.Run(name, func(t *testing.T) {
			start := func(t testing.TB) device.Device { return inLayout{open(t), layout} }
			devicetest.Run(t, start, precisions...)
			if precisions[0] == device.FP32 {
				devicetest.Golden(t, start)
				devicetest.GoldenImageNet(t, start, 64, 224)
			}
		})
	}
	native := open(t).Info().Bfloat16
	halves := func(name, layout string) {
		if native {
			suite(name, layout, openOneDNN, device.BF16)
			return
		}
		t.Run(name, func(t *testing.T) { testskip.Hardware(t, testskip.AVX512BF16) })
	}
	suite("own", "", open, precisions...)
	halves("beside oneDNN", "blocked")
	if !testskip.Everything() {
		return
	}
	halves("beside oneDNN nhwc", "nhwc")
	if here()[0] == avx512 {
		t.Setenv(EnvCPU, avx2)
		suite("avx2", "", open, precisions...)
		t.Setenv(EnvCPU, "")
	}
	t.Setenv(EnvKernels, "library")
	for _, layout := range []string{"blocked", "nhwc"} {
		suite("library "+layout, layout, openOneDNN, device.FP32)
		halves("library "+layout+" bf16", layout)
	}
}

// What the suite tries depends on the CPU: kernels for what this one lacks are not
// tried, which is said.
func TestCPU(t *testing.T) {
	d := open(t)
	for name, here := range map[string]bool{testskip.AVX512: here()[0] == avx512, testskip.AVX512BF16: d.cpu.Flags["avx512_bf16"], testskip.AMX: d.cpu.amx()} {
		t.Run(name, func(t *testing.T) {
			if !here {
				testskip.Hardware(t, name)
			}
		})
	}
}

// oneDNN computes in bfloat16 with AMX, or if a layout is asked for.
func TestLibraryWhereItHelps(t *testing.T) {
	if !open(t).Info().Bfloat16 {
		testskip.Hardware(t, testskip.AVX512BF16)
	}
	d := openOneDNN(t)
	for _, c := range []struct {
		layout    string
		precision device.Precision
		want      bool
	}{
		{"", device.BF16, d.cpu.amx()}, {"blocked", device.BF16, true}, {"", device.FP32, false}, {"blocked", device.FP32, false},
	} {
		s, err := d.Open(device.Programs{Train: compiled(t, "resnet-11/bottleneck", nets.Train, 8, 32)}, device.Options{Precision: c.precision, Layout: c.layout})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Info().Library != ""; got != c.want {
			t.Errorf("%+v: oneDNN %v", c, got)
		}
		s.Close()
	}
	if jobs := d.Info().Jobs; (jobs > 0) == d.cpu.amx() {
		t.Errorf("%d nets at a time", jobs)
	}
}

// A net is trained for each thread, at most four; one if oneDNN computes.
func TestJobsOfInfo(t *testing.T) {
	for _, c := range []struct {
		lib           *library
		threads, want int
	}{{nil, 1, 1}, {nil, 2, 2}, {nil, 16, 4}, {&library{}, 16, 0}} {
		if got := infoOf(&Device{isa: avx2, threads: c.threads, lib: c.lib}).Jobs; got != c.want {
			t.Errorf("%d threads, library %v: %d nets at a time, want %d", c.threads, c.lib != nil, got, c.want)
		}
	}
}

const batch = 16

func compiled(t testing.TB, net string, m nets.Mode, n, size int) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, m, compile.Config{
		Config: nets.Config{Batch: n, Channels: 3, Size: size, Classes: 10, Eps: 1e-5},
		Images: 200, Pad: 4, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// start writes a data set and initial parameters of a compiled net.
func start(t testing.TB, s device.Session, net string) {
	t.Helper()
	write := func(name string, x any) {
		if err := s.Write(name, x); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	images, labels := make([]uint8, 200*3*32*32), make([]int32, 200)
	for i := range labels {
		labels[i] = int32(r.IntN(10))
	}
	for i := range images {
		images[i] = uint8(r.IntN(256))
	}
	write("images", images)
	write("labels", labels)
	write("scale", []float32{0.015, 0.016, 0.017})
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	params, _, err := a.Leaves(nets.Config{Channels: 3, Size: 32, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range params {
		write(x.Name, nets.Init(x, 7, false))
	}
}

func planOf(steps, n int, rate float32) device.Launch {
	r := rand.New(rand.NewPCG(5, 6))
	p := device.Launch{}
	for range steps {
		p.Rates = append(p.Rates, device.Rates{Learning: rate, Statistics: 0.1})
		for range n {
			p.Rows = append(p.Rows, device.Row{int32(r.IntN(200)), int32(r.IntN(9)), int32(r.IntN(9)), int32(r.IntN(2))})
		}
	}
	return p
}

// Every instruction of the nets has a kernel, but for the loss, the bias and
// statistics; and no primitive of oneDNN may fall back to a slow implementation: a
// first convolution in the wrong layout alone costs a second a step.
func TestImplementations(t *testing.T) {
	check := func(d *Device, layout string, precision device.Precision) {
		for _, c := range []struct {
			net         string
			batch, size int
		}{{"resnet-20", 128, 32}, {"resnet-20/C", 128, 32}, {"resnet-164/bottleneck/preact", 32, 32}, {"resnet-18", 8, 224}, {"resnet-50/torchvision", 8, 224}} {
			s, err := d.Open(device.Programs{Train: compiled(t, c.net, nets.Train, c.batch, c.size), Eval: compiled(t, c.net, nets.Eval, c.batch, c.size)},
				device.Options{Layout: layout, Profile: true, Precision: precision})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range s.(*Session).Profile() {
				quick := slices.ContainsFunc([]string{"pad", "batch ", "linear grad bias", "cross entropy", "moving average"}, func(k string) bool { return strings.HasPrefix(r.Kernel, k) })
				own := slices.ContainsFunc(r.Impl, func(impl string) bool { return strings.HasPrefix(impl, "own:") })
				left := r.Kernel == "add" && r.Impl == nil // to the batch norm behind it
				if d.lib == nil && d.halves == nil && !own && !quick && !left {
					t.Errorf("%s, %s: %s %s runs on %q", c.net, precision, r.Layer, r.Kernel, r.Impl)
				}
				for _, impl := range r.Impl {
					// A matrix product is what a linear layer is; a convolution is not.
					gemm := strings.HasPrefix(impl, "gemm") && strings.HasPrefix(r.Kernel, "conv")
					if strings.HasPrefix(impl, "ref") || strings.HasPrefix(impl, "simple") || gemm {
						t.Errorf("layout %q: %s %s runs on %s", layout, r.Layer, r.Kernel, impl)
					}
				}
			}
			s.Close()
		}
	}
	d := open(t)
	for _, p := range precisions {
		check(d, "", p)
	}
	if !testskip.Everything() {
		return
	}
	layouts := []string{"", "blocked", "nhwc"}
	if d.Info().Bfloat16 {
		beside := openOneDNN(t)
		for _, layout := range layouts {
			check(beside, layout, device.BF16)
		}
	}
	t.Setenv(EnvKernels, "library")
	d = openOneDNN(t)
	for _, layout := range layouts {
		check(d, layout, device.FP32)
	}
}

func TestErrors(t *testing.T) {
	d := open(t)
	p := compiled(t, "resnet-8", nets.Train, batch, 32)
	var u *device.UnsupportedError
	if _, err := d.Open(device.Programs{Train: p}, device.Options{Layout: "diagonal"}); !errors.As(err, &u) {
		t.Errorf("layout: %v", err)
	}
	t.Setenv(EnvLayout, "diagonal")
	if _, err := d.Open(device.Programs{Train: p}, device.Options{}); !errors.As(err, &u) {
		t.Errorf("layout of the environment: %v", err)
	}
	t.Setenv(EnvLayout, "")
	if _, err := d.Open(device.Programs{Train: p}, device.Options{Precision: device.TF32}); !errors.As(err, &u) {
		t.Errorf("tf32: %v", err)
	}
	t.Setenv(EnvKernels, "library")
	if _, err := Open("/nonexistent.so", 1); err == nil {
		t.Error("a library that is not there opens")
	}
	if _, err := Open("", 1); !errors.As(err, &u) {
		t.Errorf("no library for what it is to do alone: %v", err)
	}
	t.Setenv(EnvKernels, "")
	for _, isa := range []string{avx512, avx2, neon, plain, "mmx"} {
		t.Setenv(EnvCPU, isa)
		d, err := Open("", 1)
		if has := isa != plain && slices.Contains(here(), isa); has != (err == nil) {
			t.Errorf("%s=%s on a CPU with %q: %v", EnvCPU, isa, here(), err)
		}
		if err == nil {
			d.Close()
		}
	}
	t.Setenv(EnvCPU, "")
	t.Setenv(EnvLibrary, "/nonexistent.so")
	if _, err := Find("."); err == nil {
		t.Error("a library that is not there is found")
	}
	t.Setenv(EnvLibrary, "")
	t.Setenv(EnvKernels, "library")
	d = openOneDNN(t)
	if _, err := d.Open(device.Programs{Train: p}, device.Options{Precision: device.BF16}); !d.Info().Bfloat16 && !errors.As(err, &u) {
		t.Errorf("bf16 by oneDNN without instructions for it: %v", err)
	}
}

// A step of 270 calls leaves no garbage to speak of.
func TestAllocations(t *testing.T) {
	d := open(t)
	s, err := d.Open(device.Programs{Train: compiled(t, "resnet-8", nets.Train, batch, 32)}, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	start(t, s, "resnet-8")
	m := make([]device.Metric, 9)
	one, nine := planOf(1, batch, 0.01), planOf(9, batch, 0.01)
	a := testing.AllocsPerRun(3, func() { s.Train(one, m[:1]) })
	b := testing.AllocsPerRun(3, func() { s.Train(nine, m) })
	if per := (b - a) / 8; per > 4 {
		t.Errorf("%.1f allocations a step", per)
	}
}

// The rectifier passes NaN of either sign, in both precisions.
func TestRectify(t *testing.T) {
	for _, v := range []float32{1, -1, 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
		math.Float32frombits(0x7fc00000), math.Float32frombits(0xffc00000), 1e-30, -1e-30, 3e38, -3e38} {
		wide := []uint32{math.Float32bits(v)}
		half := []uint16{uint16(wide[0] >> 16)}
		rectify(wide, 0x7f800000, 1<<31)
		rectify(half, 0x7f80, 1<<15)
		for _, got := range []float32{math.Float32frombits(wide[0]), math.Float32frombits(uint32(half[0]) << 16)} {
			if want := max(v, 0); math.Abs(float64(got-want)) > math.Abs(float64(want))/128 || (got != got) != (v != v) {
				t.Errorf("%g becomes %g", v, got)
			}
		}
	}
}

// Copies to bfloat16 round to the nearest, to an even number between two.
func TestHalf(t *testing.T) {
	for _, c := range []struct {
		v    uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf818000, 0xbf82},
		{0, 0}, {1 << 31, 1 << 15}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff},
	} {
		if got := half(c.v); got != c.want {
			t.Errorf("%08x becomes %04x, want %04x", c.v, got, c.want)
		}
	}
}

func TestAllFinite(t *testing.T) {
	for _, size := range []int{2, 4} {
		for n := 0; n <= 20; n += size {
			for at := size - 2; at < n; at += size {
				for _, c := range []struct {
					low, high byte
					want      bool
				}{{0x7f, 0x7f, true}, {0x7f, 0xff, true}, {0x80, 0x7f, false}, {0x80, 0xff, false}, {0xc0, 0x7f, false}, {0xff, 0xff, false}} {
					data := make([]byte, n)
					data[at], data[at+1] = c.low, c.high
					if got := allFinite(data, size); got != c.want {
						t.Errorf("%x in elements of %d bytes: %v", data, size, got)
					}
				}
			}
		}
	}
}

// A training step at the paper's batch: NET=resnet-56 for another net.
func BenchmarkStep(b *testing.B) {
	net := cmp.Or(os.Getenv("NET"), "resnet-20")
	for _, kernels := range []string{"own", "library"} {
		b.Run(net+"/"+kernels, func(b *testing.B) {
			open := open
			if kernels == "library" {
				b.Setenv(EnvKernels, kernels)
				open = openOneDNN
			}
			s, err := open(b).Open(device.Programs{Train: compiled(b, net, nets.Train, 128, 32)}, device.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			start(b, s, net)
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
