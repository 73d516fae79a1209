// Tests of the kernels in C.

package cpu

import (
	"bytes"
	"encoding/json"
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

// The kernels in C are right with vectors of 16, too, which AVX-512 will have: their
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
	lanes, err := os.ReadFile("avx512_amd64.go")
	if err != nil {
		t.Fatal(err)
	}
	wide := bytes.Replace(lanes, []byte("kernels256, 8"), []byte("kernels256, 16"), 1)
	if bytes.Equal(wide, lanes) {
		t.Fatal("avx512_amd64.go does not say how many lanes there are")
	}
	if err := os.WriteFile(filepath.Join(folder, "avx512_amd64.go"), wide, 0o666); err != nil {
		t.Fatal(err)
	}
	replaced := map[string]string{}
	for _, name := range []string{"kernels_amd64.s", "kernels_amd64.go", "avx512_amd64.go"} {
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

// The kernels in C compute the same bits on any number of threads.
func TestThreads(t *testing.T) {
	const net, batch = "resnet-8", 32
	arch, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	params, _, err := arch.Leaves(nets.Config{Channels: 3, Size: 32, Classes: 10})
	if err != nil {
		t.Fatal(err)
	}
	// trained gives the parameters after one step, and the loss.
	trained := func(threads int) map[string][]float32 {
		d, err := Open("", threads)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		s, err := d.Open(device.Programs{Train: compiled(t, net, nets.Train, batch, 32)}, device.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		start(t, s, net)
		m := make([]device.Metric, 1)
		if err := s.Train(planOf(1, batch, 0.01), m); err != nil {
			t.Fatal(err)
		}
		state := map[string][]float32{"loss": {m[0].Loss}}
		for _, p := range params {
			x := nets.Init(p, 7, false)
			if err := s.Read(p.Name, x); err != nil {
				t.Fatal(err)
			}
			state[p.Name] = x
		}
		return state
	}
	want := trained(1)
	for _, threads := range []int{2, 4} {
		for name, got := range trained(threads) {
			for i, v := range got {
				if math.Float32bits(v) != math.Float32bits(want[name][i]) {
					t.Errorf("%d threads: %s[%d] is %g, with one thread %g", threads, name, i, v, want[name][i])
					break
				}
			}
		}
	}
}
