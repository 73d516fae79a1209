// Tests of measuring accuracy, with a script in place of PyTorch.

package bench

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/state"
	"depthlab/harness/train"
)

// smallRun is a run with a step that is fast on ref.
func smallRun(t *testing.T) (experiments.Run, *data.Source) {
	t.Helper()
	q, err := experiments.Parse("small", []byte("question: Small?\nnets: [plain-8]\ndata: preview\nbatch: 4\nbatch_norm: {group: 2}\ninput: {pad: 2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	run := q.Plans[0].Runs[0]
	run.Precision = string(device.FP32)
	return run, data.Preview(100, 10)
}

// answer writes a file in the format of torch_gradient.py, and returns its path. Each route
// has the gradient of a step on ref, times 1 plus its value in off.
func answer(t *testing.T, run experiments.Run, src *data.Source, off map[string]float32) string {
	t.Helper()
	dir := t.TempDir()
	if err := train.Steps(run, src, ref.New(), 1, dir); err != nil {
		t.Fatal(err)
	}
	step, err := readVectors(train.StepFile(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	var all []state.Tensor
	for name, g := range step.under("grad.") {
		for route, share := range off {
			v := make([]float32, len(g))
			for i := range v {
				v[i] = g[i] * (1 + share)
			}
			all = append(all, state.Float32(route+"."+name, []int{len(v)}, v))
		}
	}
	path := filepath.Join(dir, "torch.safetensors")
	if err := state.WriteFile(path, nil, all); err != nil {
		t.Fatal(err)
	}
	return path
}

// A script that copies a known answer stands for PyTorch.
func TestAccuracy(t *testing.T) {
	run, src := smallRun(t)
	for _, c := range []struct {
		exact, mkldnn, native float32 // relative difference from ref's gradient
		ours, limit           float64
		fails                 bool
	}{
		{0, 0.01, 0.02, 0, 0.06, false},
		{1, 1.02, 1.01, 0.5, 0.03, true}, // our gradient is half of float64's
	} {
		file := answer(t, run, src, map[string]float32{"float64": c.exact, "mkldnn": c.mkldnn, "native": c.native})
		python := fakePython(t, `[ "$2 $3 $7" = "plain-8 2 fp32" ] || exit 1
cp `+file+` "$6" && echo ready 2.11`)
		r, err := Accuracy(context.Background(), run, src, []device.Device{ref.New()}, python)
		if err != nil {
			t.Fatal(err)
		}
		if r.Torch != "2.11" || len(r.Ours) != 1 || r.Ours[0].Device != "ref" || math.Abs(r.Ours[0].Error-c.ours) > 1e-6 || math.Abs(r.Limit()-c.limit) > 1e-5 {
			t.Errorf("%+v: want an error of %v, limit %v", r, c.ours, c.limit)
		}
		if err := r.Inaccurate(); (err != nil) != c.fails {
			t.Errorf("%+v: %v", r, err)
		}
	}
	_, err := Accuracy(context.Background(), run, src, []device.Device{ref.New()}, fakePython(t, "echo skip no numpy"))
	if err == nil || !strings.Contains(err.Error(), "no numpy") {
		t.Errorf("without PyTorch: %v", err)
	}
}

func TestDistance(t *testing.T) {
	want := vectors{"a": {3, 0}, "b": {4}}
	for _, c := range []struct {
		got  vectors
		far  float64
		says string
	}{
		{vectors{"a": {3, 0}, "b": {4}}, 0, ""},
		{vectors{"a": {0, 0}, "b": {0}}, 1, ""},
		{vectors{"a": {3, 1}, "b": {4}}, 0.2, ""},
		{vectors{"a": {3, 0}}, 0, "gradient of b has 0 values, want 1"},
		{vectors{"a": {3, 0}, "b": {4}, "c": {1}}, 0, "3 parameters, want 2"},
	} {
		far, err := distance(c.got, want)
		if c.says == "" && (err != nil || math.Abs(far-c.far) > 1e-12) || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%v: %v, %v; want %v %q", c.got, far, err, c.far, c.says)
		}
	}
	if far, _ := distance(vectors{"a": {float32(math.NaN()), 0}, "b": {4}}, want); far == far {
		t.Errorf("the distance of NaN is %v", far)
	}
	nan := AccuracyResult{Route: map[string]float64{"native": 1}, Ours: []DeviceAccuracy{{Error: math.NaN()}}}
	if nan.Inaccurate() == nil {
		t.Error("no error for NaN")
	}
}
