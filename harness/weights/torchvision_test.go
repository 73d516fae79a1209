// Tests that compare our scores with those of torchvision's nets.

package weights

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/cpu"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/device/ref"
	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/harness/testskip"
	"depthlab/nets"
)

// The ResNets of torchvision, with weights that are hashes of their names: as a state_dict that
// PyTorch wrote, and as a file of ours, exported for PyTorch. The scores of an image (the logarithms
// of the softmax) agree in both directions.
//
// testdata/torchvision.json has PyTorch's scores, and testdata/exported.json the SHA-256 of the
// exported files that PyTorch 2.11 loaded with these scores. If $DEPTHLAB_TORCH is the path of a
// Python with PyTorch, they are computed again.
func TestTorchvision(t *testing.T) {
	text, err := os.ReadFile("testdata/torchvision.json")
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string][]float64{}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile("testdata/exported.json"); err != nil {
		t.Fatal(err)
	}
	loaded := map[string]string{}
	if err := json.Unmarshal(text, &loaded); err != nil {
		t.Fatal(err)
	}
	python := os.Getenv("DEPTHLAB_TORCH")
	dev := fastest(t)
	for name, want := range golden {
		if !testskip.Everything() && (strings.Contains(name, "-101/") || strings.Contains(name, "-152/")) {
			continue // the deepest bottleneck nets
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ours, exported, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "exported"), filepath.Join(dir, "theirs")
			writeHashed(t, name, ours)
			agree(t, "from our file", scores(t, name, ours, dev), want)
			if net, class, err := Export(ours, exported); err != nil || net != name || class != "" {
				t.Fatalf("export: %s, %v", net, err)
			}
			agree(t, "from the exported file", scores(t, name, exported, dev), want)
			file, err := os.ReadFile(exported)
			if err != nil {
				t.Fatal(err)
			}
			if sum := fmt.Sprintf("%x", sha256.Sum256(file)); sum != loaded[name] {
				t.Errorf("the exported file has the SHA-256 %s, PyTorch loaded one of %s: set $DEPTHLAB_TORCH to a Python that has PyTorch and, if it loads this one, write that into testdata/exported.json", sum, loaded[name])
			}
			if python == "" {
				return
			}
			cmd := exec.Command(python, "testdata/torchvision.py", name, theirs, exported)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("PyTorch on the exported file: %v", err)
			}
			var got []float64
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			agree(t, "PyTorch with the exported file", got, want)
			agree(t, "from PyTorch's file", scores(t, name, theirs, dev), want)
		})
	}
}

// fastest opens the fastest device of this machine that computes in fp32.
func fastest(t *testing.T) device.Device {
	t.Helper()
	path, err := cpu.Find(filepath.Join("..", "..", ".lib"))
	if err != nil {
		testskip.Part(t, "cpu: %v", err)
		return ref.New()
	}
	dev, err := cpu.Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

func agree(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i, w := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-w) <= 1e-4) {
			t.Fatalf("%s: scores %v, want %v", what, got, want)
		}
	}
}

// imageSide is the size of the image, classes the number of its scores.
const imageSide, classes = 64, 10

// scores returns the scores of the image: the logarithms of the softmax.
func scores(t *testing.T, name, file string, dev device.Device) []float64 {
	t.Helper()
	return scoresOf(t, name, dev, EvalOptions{Weights: file, Mean: []float32{0.485, 0.456, 0.406}, Std: []float32{0.229, 0.224, 0.225}})
}

func scoresOf(t *testing.T, name string, dev device.Device, o EvalOptions) []float64 {
	t.Helper()
	arch, err := nets.ParseArch(name)
	if err != nil {
		t.Fatal(err)
	}
	set := data.Set{Labels: make([]int32, 1), N: 1, Channels: 3, Size: imageSide, Classes: classes}
	for _, h := range devicetest.Hashes("image", 3*imageSide*imageSide) {
		set.Images = append(set.Images, uint8(h>>24))
	}
	o.Set, o.Batch, o.Precision = "test", 1, device.FP32
	w, err := Read(o.Weights)
	if err != nil {
		t.Fatal(err)
	}
	session, err := o.open(w, arch, &data.Source{Train: set, Test: set}, &set, 1, 1, dev)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	to := model.Writer{Session: session}
	to.Write("images", set.Images)
	if to.Err != nil {
		t.Fatal(to.Err)
	}
	if _, err := session.Eval([]device.Row{{}}); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, classes)
	if err := session.Read("logits", logits); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	var out []float64
	for _, v := range logits {
		out = append(out, float64(v)-math.Log(sum))
	}
	return out
}

// writeHashed writes a file of weights in the format of a training run.
func writeHashed(t *testing.T, name, path string) {
	t.Helper()
	arch, err := nets.ParseArch(name)
	if err != nil {
		t.Fatal(err)
	}
	params, norms, err := arch.Leaves(nets.Config{Channels: 3, Size: imageSide, Classes: classes, Eps: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	var out []state.Tensor
	put := func(name string, shape []int, add, times float64) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		w := make([]float32, n)
		for i, h := range devicetest.Hashes(name, n) {
			u := float64(h>>8)/(1<<23) - 1
			w[i] = float32(add + float64(u*times))
		}
		out = append(out, state.Float32(name, shape, w))
	}
	for _, p := range params {
		shape := p.Node.Shape()
		fan := float64(shape.TotalSize() / shape[0])
		switch p.Kind {
		case nets.ConvWeight:
			put(p.Name, shape, 0, math.Sqrt(6/fan))
		case nets.LinearWeight:
			put(p.Name, shape, 0, math.Sqrt(1/fan))
		case nets.Scale:
			put(p.Name, shape, 0.5, 0.1)
		default:
			put(p.Name, shape, 0, 0.1)
		}
	}
	for _, n := range norms {
		put(n.Name+".running_mean", []int{n.Channels}, 0, 0.1)
		put(n.Name+".running_var", []int{n.Channels}, 1, 0.2)
	}
	put(meanName, []int{3, imageSide, imageSide}, 100, 1)
	put(scaleName, []int{3}, 0.01, 0.001)
	info, err := json.Marshal(Info{Net: name, Steps: 1, Eps: 1e-5, Classes: classes, Size: imageSide, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := state.WriteFile(path, map[string]string{"depthlab": string(info)}, out); err != nil {
		t.Fatal(err)
	}
}

func TestExportErrors(t *testing.T) {
	dir := t.TempDir()
	ours, foreign := filepath.Join(dir, "ours"), filepath.Join(dir, "foreign")
	writeHashed(t, "resnet-18/torchvision", ours)
	if err := state.WriteFile(foreign, nil, []state.Tensor{state.Float32("fc.bias", []int{1}, []float32{1})}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{filepath.Join(dir, "nothing"), filepath.Join(dir, "out"), "no such file"},
		{foreign, filepath.Join(dir, "out"), "expected weights that a training run"},
		{ours, ours, "would overwrite"},
		{ours, filepath.Join(foreign, "out"), "not a directory"},
	} {
		if _, _, err := Export(c.from, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("export from %s to %s: %v, want %q", c.from, c.to, err, c.want)
		}
	}
	w, err := Read(ours)
	if err != nil || w.Input.Mean == nil {
		t.Errorf("the weights themselves are damaged: %v", err)
	}
	// Weights of another net.
	arch, _ := nets.ParseArch("resnet-34/torchvision")
	_, err = EvalOptions{Weights: ours}.open(w, arch, &data.Source{}, &data.Set{}, 1, 1, nil)
	if err == nil || !strings.Contains(err.Error(), "holds the weights of resnet-18/torchvision") {
		t.Errorf("another net: %v", err)
	}
}
