// Tests of the compiler: golden dumps of programs, number of instructions, arenas and
// micro-batches.

package compile

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

var regen = flag.Bool("regen", false, "rewrite golden files")

func config(batch int) Config {
	return Config{
		Config: nets.Config{Batch: batch, Channels: 3, Size: 32, Classes: 10, Eps: 1e-5},
		Images: 100, Pad: 4, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	}
}

func compiled(t testing.TB, net string, m nets.Mode, c Config) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(a, m, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The golden dumps record what the compiler emits. If they change, read the diff.
func TestDump(t *testing.T) {
	for _, c := range []struct {
		net  string
		size int
		mode nets.Mode
	}{
		{"plain-8", 32, nets.Train}, {"resnet-8", 32, nets.Train}, {"resnet-8/B", 32, nets.Train}, {"resnet-8", 32, nets.Eval}, {"resnet-8", 32, nets.Calibrate},
		{"resnet-18", 64, nets.Train}, {"resnet-11/bottleneck", 32, nets.Train}, {"resnet-8/preact", 32, nets.Train},
		{"resnet-8/gate=exclusive", 32, nets.Train}, {"resnet-8/shortcut-dropout=0.5", 32, nets.Train}, {"resnet-8/shortcut-dropout=0.5", 32, nets.Eval},
	} {
		cfg := config(4)
		cfg.Group, cfg.Size = 2, c.size
		p := compiled(t, c.net, c.mode, cfg)
		var b strings.Builder
		p.Dump(&b)
		file := filepath.Join("testdata", strings.ReplaceAll(c.net, "/", "_")+"_"+c.mode.String()+".txt")
		if *regen {
			if err := os.WriteFile(file, []byte(b.String()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs from what was compiled; go test ./nets/compile -regen, and read the diff", file)
		}
	}
}

// In a training step one convolution has three instructions, one batch norm two, and each
// sum of gradients one: nothing is computed twice.
func TestInstructions(t *testing.T) {
	p := compiled(t, "resnet-20", nets.Train, config(2))
	count := map[string]int{}
	for _, c := range p.Code {
		name, _, _ := strings.Cut(c.Kernel.String(), " ")
		if strings.Contains(c.Kernel.String(), "grad") {
			name += " grad"
		}
		count[name]++
	}
	for name, want := range map[string]int{"conv": 19, "conv grad": 37, "batchnorm": 19, "batchnorm grad": 19, "add": 9, "pad": 2, "pad grad": 2, "sgd": 1, "moving": 19} {
		if count[name] != want {
			t.Errorf("%d instructions %q, want %d", count[name], name, want)
		}
	}
}

func TestNoOptimizer(t *testing.T) {
	a, err := nets.ParseArch("plain-8")
	if err != nil {
		t.Fatal(err)
	}
	c := config(2)
	c.Optimizer = nil
	if _, err := Compile(a, nets.Train, c); err == nil || !strings.Contains(err.Error(), "no optimizer") {
		t.Errorf("got %v", err)
	}
	if _, err := Compile(a, nets.Eval, c); err != nil {
		t.Error(err)
	}
}

func TestDecayOfWeightsOnly(t *testing.T) {
	c := config(2)
	c.WeightsOnly = true
	p := compiled(t, "plain-8", nets.Train, c)
	n := len(p.Code)
	weights, vectors := p.Code[n-2].Kernel.(kernel.SGD), p.Code[n-1].Kernel.(kernel.SGD)
	if weights.Decay != 1e-4 || vectors.Decay != 0 {
		t.Errorf("decays %g and %g", weights.Decay, vectors.Decay)
	}
}

// Every optimizer compiles, with weight decay on all parameters and on the weights only.
func TestOptimizers(t *testing.T) {
	for _, k := range []kernel.Optimizer{kernel.SGD{Momentum: 0.9}, kernel.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}} {
		for _, weightsOnly := range []bool{false, true} {
			c := config(2)
			c.Optimizer, c.WeightsOnly = k, weightsOnly
			updates := 0
			for _, i := range compiled(t, "plain-8", nets.Train, c).Code {
				if _, ok := i.Kernel.(kernel.Optimizer); ok {
					updates++
				}
			}
			if want := 1 + map[bool]int{true: 1}[weightsOnly]; updates != want {
				t.Errorf("%s, decay of weights only %v: %d updates, want %d", k, weightsOnly, updates, want)
			}
		}
	}
}

// The programs of one net have equal packed arenas.
func TestArenasAgree(t *testing.T) {
	train := compiled(t, "resnet-8/C", nets.Train, config(4))
	for _, m := range []nets.Mode{nets.Eval, nets.Calibrate} {
		p := compiled(t, "resnet-8/C", m, config(4))
		for _, arena := range []program.Arena{program.Param, program.Stat} {
			if p.Bytes[arena] != train.Bytes[arena] {
				t.Errorf("%s: %s arena of %d bytes, in training %d", m, arena, p.Bytes[arena], train.Bytes[arena])
			}
			for _, id := range p.Views(arena) {
				b := p.Buffers[id]
				other, ok := train.Lookup(b.Name)
				if !ok || train.Buffers[other].Offset != b.Offset {
					t.Errorf("%s: %s is elsewhere in training", m, b.Name)
				}
			}
		}
	}
}

// With micro-batches a program needs the work space of one micro-batch, and the batch
// statistics of the others. Each micro-batch has the same instructions, with two sums of
// metrics and one of gradients in between.
func TestMicroBatches(t *testing.T) {
	c := config(32)
	c.Group = 4
	for _, net := range []string{"plain-20", "resnet-20/B"} {
		c.MicroBatch = 32
		whole := compiled(t, net, nets.Train, c)
		c.MicroBatch = 0
		if other := compiled(t, net, nets.Train, c); other.Hash() != whole.Hash() {
			t.Errorf("%s: one micro-batch is not the whole batch", net)
		}
		update := 0
		for _, i := range whole.Code {
			if i.Phase == program.Update {
				update++
			}
		}
		for _, parts := range []int{2, 4, 8} {
			c.MicroBatch = 32 / parts
			p := compiled(t, net, nets.Train, c)
			if got, want := float64(p.Bytes[program.Work]), float64(whole.Bytes[program.Work])/float64(parts); got > 1.03*want {
				t.Errorf("%s in %d: %.0f bytes of work, want about %.0f", net, parts, got, want)
			}
			if p.Bytes[program.Grad] != 2*whole.Bytes[program.Grad] {
				t.Errorf("%s in %d: %d bytes of gradients, want twice %d", net, parts, p.Bytes[program.Grad], whole.Bytes[program.Grad])
			}
			if got, want := len(p.Code), (len(whole.Code)-update)*parts+3*(parts-1)+update; got != want {
				t.Errorf("%s in %d: %d instructions, want %d", net, parts, got, want)
			}
		}
	}
	a, _ := nets.ParseArch("plain-20")
	c.MicroBatch = 12
	if _, err := Compile(a, nets.Train, c); err == nil {
		t.Error("32 images were cut into micro-batches of 12")
	}
}

// A replica has its share of the images, and its loss is its share of the mean over the
// batch. There is one all-reduce, before the update: gradients, running statistics and
// metrics. An evaluation has none.
func TestReplicas(t *testing.T) {
	c := config(32)
	c.Group, c.Replicas = 4, 2
	one, two := config(32), c
	one.Group = 4
	for _, m := range []nets.Mode{nets.Train, nets.Eval, nets.Calibrate} {
		p, whole := compiled(t, "resnet-8", m, two), compiled(t, "resnet-8", m, one)
		if p.Replicas != 2 || whole.Replicas != 0 {
			t.Errorf("%s: %d and %d replicas, want 2 and 0 for one", m, p.Replicas, whole.Replicas)
		}
		if got := p.Buffers[p.Rows].Shape; !got.Equal(kernel.Shape{16, 4}) {
			t.Errorf("%s: rows %v, want 16", m, got)
		}
		var sums []string
		for i, c := range p.Code {
			switch k := c.Kernel.(type) {
			case kernel.AllReduce:
				for _, id := range c.Out {
					sums = append(sums, p.Buffers[id].Name)
				}
				if m == nets.Train && i != len(p.Code)-2 {
					t.Errorf("instruction %d of %d adds up", i, len(p.Code))
				}
			case kernel.CrossEntropy:
				if want := map[bool]int{true: 0, false: 32}[m == nets.Eval]; k.Of != want {
					t.Errorf("%s: %s, want the mean of %d", m, k, want)
				}
			case kernel.MovingAverage:
				if k.Replicas != 2 {
					t.Errorf("%s: %s, want a share", m, k)
				}
			}
		}
		if want := map[nets.Mode]string{nets.Train: "grads stats loss wrong", nets.Calibrate: "stats loss wrong"}[m]; strings.Join(sums, " ") != want {
			t.Errorf("%s: adds up %q, want %q", m, sums, want)
		}
	}
	c.MicroBatch = 8
	if p := compiled(t, "plain-8", nets.Train, c); p.Buffers[p.Input].Shape[0] != 8 {
		t.Errorf("micro-batches of %v", p.Buffers[p.Input].Shape)
	}
	c.Replicas, c.MicroBatch = 1, 0
	if p := compiled(t, "plain-8", nets.Train, c); p.Hash() != compiled(t, "plain-8", nets.Train, one).Hash() {
		t.Error("one replica is not one device")
	}
}

// A batch that replicas cannot share is refused, with the numbers that are possible.
func TestReplicasRefused(t *testing.T) {
	a, err := nets.ParseArch("plain-8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		batch, group, replicas int
		mode                   nets.Mode
		want                   string
	}{
		{32, 8, 3, nets.Train, "3 replicas do not divide a batch of 32 images; possible: 1, 2 or 4 replicas"},
		{128, 64, 4, nets.Train, "4 replicas have 32 images each of a batch of 128, which splits batch norm's groups of 64 images; possible: 1 or 2 replicas"},
		{128, 128, 2, nets.Train, "possible: 1 replicas"},
		{128, 0, 16, nets.Calibrate, "the statistics of all 128 images of a batch, but each of 16 replicas has only 8 of them; possible: groups of 1, 2, 4 or 8 images"},
		{128, 0, 3, nets.Calibrate, "do not divide a batch of 128"},
		{10, 0, 4, nets.Eval, "possible: 1, 2, 5 or 10 replicas"},
	} {
		cfg := config(c.batch)
		cfg.Group, cfg.Replicas = c.group, c.replicas
		if _, err := Compile(a, c.mode, cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d images in groups of %d on %d replicas: error %v, want one with %q", c.batch, c.group, c.replicas, err, c.want)
		}
	}
}

// The largest net of the paper compiles in seconds.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		p := compiled(b, "resnet-1202", nets.Train, config(128))
		b.ReportMetric(float64(len(p.Code)), "instructions")
	}
}
