// Tests of the compiler: golden dumps of programs, number of instructions, arenas and
// micro-batches.

package compile

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestCompileTime(t *testing.T) {
	start := time.Now()
	p := compiled(t, "resnet-1202", nets.Train, config(128))
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("resnet-1202 compiled in %v, want under 20 s", d)
	} else {
		t.Logf("resnet-1202: %v, %d instructions, %d MiB of work at batch 128", d, len(p.Code), p.Bytes[program.Work]>>20)
	}
}
