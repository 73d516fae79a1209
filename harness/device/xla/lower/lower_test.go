// Tests of the lowered text: golden files, loops, micro-batches, replicas, precision.

package lower

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

var regen = flag.Bool("regen", false, "rewrite golden files")

func compiled(t testing.TB, net string, m nets.Mode, group int) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, m, compile.Config{
		Config: nets.Config{Batch: 4, Channels: 3, Size: 32, Classes: 10, Group: group, Eps: 1e-5},
		Images: 100, Pad: 4, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Golden texts show every change of the lowering: read the diff.
func TestText(t *testing.T) {
	for _, c := range []struct {
		file, net string
		mode      nets.Mode
		group     int
		o         Options
	}{
		{"resnet-8_B_train_bf16_loop", "resnet-8/B", nets.Train, 2, Options{Precision: device.BF16, Steps: 10}},
		{"resnet-8_calibrate", "resnet-8", nets.Calibrate, 0, Options{}},
		{"resnet-8_eval_tf32", "resnet-8", nets.Eval, 0, Options{Precision: device.TF32}},
		{"plain-20_eval_rolled", "plain-20", nets.Eval, 0, Options{Unrolled: 1}},
	} {
		m, err := Lower(compiled(t, c.net, c.mode, c.group), c.o)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, c.file, m.Text)
	}
}

// Two micro-batches are written, however many there are.
func TestMicroBatches(t *testing.T) {
	a, err := nets.ParseArch("resnet-8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ images, convolutions, loops int }{{12, 20, 0}, {6, 2 * 20, 0}, {3, 2 * 20, 1}, {1, 2 * 20, 1}} {
		p, err := compile.Compile(a, nets.Train, compile.Config{
			Config: nets.Config{Batch: 12, Channels: 3, Size: 32, Classes: 10, Group: 1, Eps: 1e-5},
			Images: 100, Pad: 4, MicroBatch: c.images, Optimizer: kernel.SGD{},
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Lower(p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(m.Text, "stablehlo.convolution"); n != c.convolutions {
			t.Errorf("micro-batches of %d: %d convolutions, want %d", c.images, n, c.convolutions)
		}
		if n := strings.Count(m.Text, "stablehlo.while"); n != c.loops {
			t.Errorf("micro-batches of %d: %d loops, want %d", c.images, n, c.loops)
		}
	}
}

// A training step on replicas has one all-reduce, of gradients, running statistics, loss
// and errors together; an evaluation has none.
func TestReplicas(t *testing.T) {
	a, err := nets.ParseArch("plain-8")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode           nets.Mode
		replicas, want int
	}{{nets.Train, 4, 1}, {nets.Calibrate, 4, 1}, {nets.Eval, 4, 0}, {nets.Train, 1, 0}} {
		p, err := compile.Compile(a, c.mode, compile.Config{
			Config: nets.Config{Batch: 12, Channels: 3, Size: 32, Classes: 10, Group: 3, Eps: 1e-5},
			Images: 100, Pad: 4, Replicas: c.replicas, Optimizer: kernel.SGD{},
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Lower(p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(m.Text, "stablehlo.all_reduce"); n != c.want || m.Replicas != c.replicas || m.Batch != 12/c.replicas {
			t.Errorf("%s on %d replicas: %d all-reduces, %d replicas of %d images", c.mode, c.replicas, n, m.Replicas, m.Batch)
		}
		if got := strings.Contains(m.Text, "mhlo.num_replicas"); got != (c.replicas > 1) {
			t.Errorf("%s on %d replicas: the module has num_replicas: %v", c.mode, c.replicas, got)
		}
		elements := (p.Bytes[program.Grad]+p.Bytes[program.Stat])/4 + 2
		if sum := "[[0, 1, 2, 3]]> : tensor<1x4xi64>"; c.want == 1 && (!strings.Contains(m.Text, sum) || !strings.Contains(m.Text, fmt.Sprintf("}) : (tensor<%dxf32>)", elements))) {
			t.Errorf("%s: no all-reduce of %d elements", c.mode, elements)
		}
	}
}

// Equal blocks become loops: in the forward pass all blocks of a stage, except a first one
// that differs from the others; in the backward pass one less, because its input is not
// from the loop.
func TestRepeats(t *testing.T) {
	type found struct {
		layer                  string
		period, count, stacked int
	}
	for _, c := range []struct {
		net  string
		mode nets.Mode
		want []found
	}{
		{"resnet-20", nets.Train, nil},
		{"resnet-44", nets.Train, []found{
			{"layer1.0.conv1", 6, 7, 8}, {"layer2.1.conv1", 6, 6, 8}, {"layer3.1.conv1", 6, 6, 8},
			{"layer3.6.bn2", 7, 5, 0}, {"layer2.6.bn2", 7, 5, 0}, {"layer1.6.bn2", 7, 6, 0},
		}},
		{"resnet-44/C", nets.Train, []found{
			{"layer1.0.conv1", 9, 7, 11}, {"layer2.1.conv1", 9, 6, 11}, {"layer3.1.conv1", 9, 6, 11},
			{"layer3.6.bn2", 10, 5, 0}, {"layer2.6.bn2", 10, 5, 0}, {"layer1.6.bn2", 10, 6, 0},
		}},
		{"plain-20", nets.Calibrate, []found{{"bn1", 3, 6, 0}, {"layer2.0.bn1", 3, 5, 0}, {"layer3.0.bn1", 3, 5, 0}}},
		{"resnet-152", nets.Eval, []found{{"layer2.1.conv1", 6, 7, 0}, {"layer3.1.conv1", 6, 35, 0}}},
	} {
		p := compiled(t, c.net, c.mode, 0)
		code := averagesEarly(p)
		if len(code) != len(p.Code) {
			t.Fatalf("%s: %d instructions of %d", c.net, len(code), len(p.Code))
		}
		var got []found
		for _, l := range findRepeats(p, code, len(code)) {
			got = append(got, found{code[l.at].Layer, l.period, l.count, len(l.stacked)})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %s: loops %v, want %v", c.net, c.mode, got, c.want)
		}
	}
}

// Only very deep nets become loops, because loops cost kernels.
func TestUnrolled(t *testing.T) {
	for net, loops := range map[string]int{"resnet-110": 0, "resnet-164/bottleneck": 0, "resnet-1202": 6} {
		m, err := Lower(compiled(t, net, nets.Train, 0), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(m.Text, "stablehlo.while"); n != loops {
			t.Errorf("%s: %d loops, want %d", net, n, loops)
		}
	}
}

// Diagnose checks all that the forward part computes, and the parameters that it reads, in
// order.
func TestDiagnose(t *testing.T) {
	m, probes, err := Diagnose(compiled(t, "plain-8", nets.Train, 0), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Probe{
		{"batch", "batch 32x32 p4"},
		{"conv1", "parameter conv1.weight"}, {"conv1", "conv 3x3 s1 p1 ->16"},
		{"bn1", "parameter bn1.weight"}, {"bn1", "parameter bn1.bias"},
		{"bn1", "batchnorm +relu"}, {"bn1", "batchnorm +relu"}, {"bn1", "batchnorm +relu"}, // y, mean, variance
	}
	for i, w := range want {
		if probes[i] != w {
			t.Errorf("probe %d is %+v, want %+v", i, probes[i], w)
		}
	}
	if m.Written != 0 || strings.Contains(m.Text, "aliasing") || strings.Contains(m.Text, "grad") {
		t.Error("the module writes state or computes gradients")
	}
	if flags := fmt.Sprintf("-> (tensor<%dxi1>)", len(probes)); !strings.Contains(m.Text, flags) {
		t.Errorf("the module does not return %s", flags)
	}
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name+".mlir")
	if *regen {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs from what was lowered; go test ./harness/device/xla/lower -regen, and read the diff", file)
	}
}

// In bf16 the operands and results of convolutions are bfloat16: activations, weights and
// their gradients. The state is float32 in every precision.
func TestPrecision(t *testing.T) {
	p := compiled(t, "resnet-8", nets.Train, 0)
	for precision, operand := range map[device.Precision]string{device.FP32: "xf32>", device.TF32: "xf32>", device.BF16: "xbf16>"} {
		m, err := Lower(p, Options{Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		convolutions := 0
		for _, line := range strings.Split(m.Text, "\n") {
			if !strings.Contains(line, "stablehlo.convolution") {
				continue
			}
			convolutions++
			if strings.Count(line, operand) != 3 {
				t.Errorf("%s: operands and result are not all %s in %s", precision, operand, line)
			}
			if strings.Contains(line, "HIGHEST") != (precision == device.FP32) {
				t.Errorf("%s: wrong precision in %s", precision, line)
			}
		}
		if want := 3*7 - 1; convolutions != want {
			t.Errorf("%s: %d convolutions, want %d", precision, convolutions, want)
		}
		head, _, _ := strings.Cut(m.Text, ") -> (")
		if strings.Contains(head, "bf16") {
			t.Errorf("%s: the state holds bfloat16: %s", precision, head)
		}
	}
}

func TestUnsupported(t *testing.T) {
	p := compiled(t, "plain-8", nets.Train, 0)
	var no *device.UnsupportedError
	if _, err := Lower(p, Options{Precision: "fp8"}); !errors.As(err, &no) {
		t.Errorf("precision fp8: %v, want an UnsupportedError", err)
	}
	q := *p
	q.Code = append([]program.Instr(nil), p.Code...)
	q.Code[3].Kernel = alien{q.Code[3].Kernel}
	if _, err := Lower(&q, Options{}); !errors.As(err, &no) || !strings.Contains(err.Error(), "alien") {
		t.Errorf("an unknown kernel: %v, want an UnsupportedError that names it", err)
	}
}

type alien struct{ kernel.Kernel }

func (alien) String() string { return "alien" }

// Writing and reading pieces of an arena.
func TestArena(t *testing.T) {
	var b text
	whole := value{"%s", f32, []int{10}}
	a := newArena(whole)
	if v := a.read(&b, 0, 10); v.name != "%s" || b.Len() != 0 {
		t.Errorf("the whole is %+v after %q", v, b.String())
	}
	x, y := value{"%x", f32, []int{2, 2}}, value{"%y", f32, []int{3}}
	a.write(2, x) // s s x x x x s s s s
	a.write(5, y) // s s x x x y y y s s
	if v := a.read(&b, 5, 3); v.name != "%y" || b.Len() != 0 {
		t.Errorf("what was written is %+v after %q", v, b.String())
	}
	a.read(&b, 0, 2, 5)
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " : ")
		got = append(got, line)
	}
	want := []string{
		"%0 = stablehlo.slice %s [0:2:1]",
		"%1 = stablehlo.reshape %x", "%2 = stablehlo.slice %1 [0:3:1]",
		"%3 = stablehlo.slice %s [8:10:1]",
		"%4 = stablehlo.concatenate %0, %2, %y, %3, dim = 0",
		"%5 = stablehlo.reshape %4",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
