// Tests of the kernels in C.

package cpu

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
	"depthlab/nets"
)

// The kernels in C are right with vectors of 16, too, which AVX-512 has: their
// sources are compiled with two registers of AVX2 for each vector, and take the place of
// the committed ones in a run of the suite.
func TestWide(t *testing.T) {
	if !testskip.Everything() {
		testskip.Skip(t, "compiles all kernels, and this package")
	}
	if runtime.GOARCH != "amd64" || !slices.Contains(here(), avx2) {
		testskip.Hardware(t, "AVX2")
	}
	folder := t.TempDir()
	if out, err := exec.Command("python3", "kernels/generate.py", folder, "WIDE").CombinedOutput(); err != nil {
		testskip.Skip(t, "the kernels could not be compiled: %v\n%s", err, out)
	}
	lanes, err := os.ReadFile("vectors_amd64.go")
	if err != nil {
		t.Fatal(err)
	}
	wide := bytes.Replace(lanes, []byte("kernels256, 8,"), []byte("kernels256, 16,"), -1)
	if bytes.Equal(wide, lanes) {
		t.Fatal("vectors_amd64.go does not say how many lanes there are")
	}
	if err := os.WriteFile(filepath.Join(folder, "vectors_amd64.go"), wide, 0o666); err != nil {
		t.Fatal(err)
	}
	replaced := map[string]string{}
	for _, name := range []string{"kernels_amd64.s", "kernels_amd64.go", "vectors_amd64.go"} {
		path, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		replaced[path] = filepath.Join(folder, name)
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "test", "-overlay", overlay, "-run", "TestDevice/own|TestAccuracy/own|TestThreads|TestGuards", ".")
	cmd.Env = append(os.Environ(), testskip.All+"=") // the short tests
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The kernels in C compute the same bits on any number of threads, and with AVX-512 as with
// AVX2.
func TestThreads(t *testing.T) {
	for _, p := range precisions {
		want := trained(t, p, 1)
		for _, threads := range []int{2, 4} {
			equalBits(t, fmt.Sprintf("%s, %d threads", p, threads), trained(t, p, threads), want)
		}
		if p == device.FP32 && here()[0] == avx512 {
			t.Setenv(EnvCPU, avx2)
			equalBits(t, avx2, trained(t, p, 1), want)
			t.Setenv(EnvCPU, "")
		}
	}
}

// trained gives the parameters after a step, and the loss, of nets with every kind of
// convolution.
func trained(t *testing.T, precision device.Precision, threads int) map[string][]float32 {
	const batch = 32
	d, err := Open("", threads)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	state := map[string][]float32{}
	for _, net := range []string{"resnet-8", "resnet-11/bottleneck"} {
		arch, err := nets.ParseArch(net)
		if err != nil {
			t.Fatal(err)
		}
		params, _, err := arch.Leaves(nets.Config{Channels: 3, Size: 32, Classes: 10})
		if err != nil {
			t.Fatal(err)
		}
		s, err := d.Open(device.Programs{Train: compiled(t, net, nets.Train, batch, 32)}, device.Options{Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		start(t, s, net)
		m := make([]device.Metric, 1)
		if err := s.Train(planOf(1, batch, 0.01), m); err != nil {
			t.Fatal(err)
		}
		state[net+" loss"] = []float32{m[0].Loss}
		for _, p := range params {
			x := nets.Init(p, 7, false)
			if err := s.Read(p.Name, x); err != nil {
				t.Fatal(err)
			}
			state[net+" "+p.Name] = x
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return state
}

// equalBits compares the results of two runs; what names the first.
func equalBits(t *testing.T, what string, got, want map[string][]float32) {
	for name, values := range got {
		for i, v := range values {
			if math.Float32bits(v) != math.Float32bits(want[name][i]) {
				t.Errorf("%s: %s[%d] is %g, want %g", what, name, i, v, want[name][i])
				break
			}
		}
	}
}
