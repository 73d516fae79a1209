// Accuracy of the gradient of one training step, compared with PyTorch's.

package bench

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/harness/train"
)

//go:embed torch_gradient.py
var torchGradient []byte

// Routes are PyTorch's two ways to compute on a CPU, as torch_gradient.py names them: with
// oneDNN (mkldnn), and with its own kernels.
var Routes = []string{"mkldnn", "native"}

// AccuracyFactor times the error of PyTorch's worse route is the largest accepted error.
const AccuracyFactor = 3

// AccuracyResult holds relative errors of the gradient of one training step in a precision,
// compared with float64: the Euclidean norm of the difference over the norm of the gradient,
// all parameters together.
type AccuracyResult struct {
	Net       string             `json:"net"`
	Data      string             `json:"data"`
	Precision string             `json:"precision"`
	Batch     int                `json:"batch"`
	Torch     string             `json:"torch"`        // version
	Route     map[string]float64 `json:"torch_errors"` // by route
	Ours      []DeviceAccuracy   `json:"ours"`
}

// DeviceAccuracy is the error of one of our devices.
type DeviceAccuracy struct {
	Device   string  `json:"device"`
	Hardware string  `json:"hardware"`
	Error    float64 `json:"error"`
}

// Limit is the largest accepted error.
func (r AccuracyResult) Limit() float64 {
	worse := 0.0
	for _, e := range r.Route {
		worse = max(worse, e)
	}
	return AccuracyFactor * worse
}

// Inaccurate returns an error with the first device whose error is above the limit, nil if
// there is none.
func (r AccuracyResult) Inaccurate() error {
	for _, d := range r.Ours {
		if !(d.Error <= r.Limit()) { // NaN is above the limit, too
			return fmt.Errorf("%s on %s: the error of the gradient is %.1e, expected at most %.1e (%d times the error of PyTorch's worse route)", r.Net, d.Device, d.Error, r.Limit(), AccuracyFactor)
		}
	}
	return nil
}

// Accuracy measures the gradient of the first step of a run in its precision, fp32 or bf16, on
// each device and in PyTorch (bf16 by autocast), which also computes it in float64. All use the
// same parameters and batch. python is the path of a Python with PyTorch.
func Accuracy(ctx context.Context, run experiments.Run, src *data.Source, devices []device.Device, python string) (r AccuracyResult, err error) {
	r = AccuracyResult{Net: run.Net, Data: src.Title, Precision: run.Precision, Batch: run.Batch, Route: map[string]float64{}}
	dir, err := os.MkdirTemp("", "depthlab-accuracy")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	var steps []string
	for _, dev := range devices {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		to := filepath.Join(dir, strconv.Itoa(len(steps)))
		if err := train.Steps(run, src, dev, 1, to); err != nil {
			return r, fmt.Errorf("%s: %w", dev.Info().Name, err)
		}
		steps = append(steps, train.StepFile(to, 1))
	}
	out := filepath.Join(dir, "torch.safetensors")
	torch, err := startRival(ctx, "torch", python, torchGradient, nil, run.Net,
		strconv.Itoa(run.BatchNorm.Group), fmt.Sprint(float64(float32(run.BatchNorm.Eps))), steps[0], out, run.Precision)
	if err != nil {
		return r, fmt.Errorf("PyTorch: %w", err)
	}
	torch.close()
	r.Torch = torch.version
	theirs, err := readVectors(out)
	if err != nil {
		return r, err
	}
	exact := theirs.under("float64.")
	for _, route := range Routes {
		if r.Route[route], err = distance(theirs.under(route+"."), exact); err != nil {
			return r, fmt.Errorf("PyTorch's %s: %w", route, err)
		}
	}
	for i, dev := range devices {
		ours, err := readVectors(steps[i])
		if err != nil {
			return r, err
		}
		d := DeviceAccuracy{Device: dev.Info().Name, Hardware: dev.Info().Hardware}
		if d.Error, err = distance(ours.under("grad."), exact); err != nil {
			return r, fmt.Errorf("%s: %w", d.Device, err)
		}
		r.Ours = append(r.Ours, d)
	}
	return r, nil
}

// vectors are tensors by name.
type vectors map[string][]float32

// readVectors reads the float32 tensors of a safetensors file.
func readVectors(path string) (vectors, error) {
	f, err := state.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v := vectors{}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.DType != "F32" {
			continue
		}
		if v[t.Name], err = t.Float32s(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return v, nil
}

// under returns the vectors whose names begin with prefix, by the rest of their names.
func (v vectors) under(prefix string) vectors {
	out := vectors{}
	for name, x := range v {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out[rest] = x
		}
	}
	return out
}

// distance is the Euclidean norm of got - want over that of want, all vectors together.
func distance(got, want vectors) (float64, error) {
	var difference, size float64
	for name, w := range want {
		g := got[name]
		if len(g) != len(w) {
			return 0, fmt.Errorf("the gradient of %s has %d values, want %d", name, len(g), len(w))
		}
		for i := range w {
			d := float64(g[i]) - float64(w[i])
			difference, size = difference+d*d, size+float64(w[i])*float64(w[i])
		}
	}
	if len(got) != len(want) || size == 0 {
		return 0, fmt.Errorf("gradients of %d parameters, want %d that are not all 0", len(got), len(want))
	}
	return math.Sqrt(difference / size), nil
}
