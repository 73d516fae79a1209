// Forecasts: what XLA compiles a training step to for a GPU that need not be present,
// and how long it takes at least.

package xla

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/hlo"
	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// targets holds XLA's description of each GPU (GpuTargetConfigProto), from openxla/xla,
// xla/backends/gpu/target_config/specs.
//
//go:embed targets/*.txtpb
var targets embed.FS

// Targets lists the GPUs that NewForecast can compile for.
func Targets() []string {
	files, _ := targets.ReadDir("targets") // embedded: cannot fail
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".txtpb"))
	}
	return names
}

// Links are the bandwidths of NVLink in each of Targets, in bytes per second in one
// direction (NVIDIA's data sheets give the sum of both directions).
var Links = map[string]float64{"a100": 300e9, "h100": 450e9, "b200": 900e9}

// Assumed are the numbers by which counts become times. A bandwidth or link of 0 means
// that of the data sheet.
type Assumed struct {
	Launch    float64 // shortest time of a kernel, in seconds
	Bandwidth float64 // of memory, in bytes per second
	Link      float64 // between GPUs, in bytes per second in one direction
}

// Forecast is what XLA compiles one training step to, and a lower bound of its time, from
// the assumed numbers. With replicas, all numbers except Batch are those of one GPU.
type Forecast struct {
	Net            string           `json:"net"`
	Precision      device.Precision `json:"precision"`
	Target         string           `json:"target"`
	Batch          int              `json:"batch"`
	Replicas       int              `json:"replicas"` // GPUs that share the batch
	ConvLayers     int              `json:"conv_layers"`
	Convolutions   int              `json:"convolutions"` // forward and both gradients
	CuDNN          int              `json:"cudnn_calls"`
	Kernels        int              `json:"kernels_per_step"`
	PerLayer       float64          `json:"kernels_per_conv_layer"`
	Kinds          []Kind           `json:"kinds"`
	Bytes          int64            `json:"bytes_per_step"` // read and written by kernels
	AllReduces     []AllReduce      `json:"all_reduces,omitempty"`
	Temporaries    int64            `json:"temporaries_bytes"`
	CompileSeconds float64          `json:"compile_seconds"`
	Bandwidth      float64          `json:"bandwidth_bytes_per_s"`
	Launch         float64          `json:"launch_seconds"`   // of a kernel, at least
	Link           float64          `json:"link_bytes_per_s"` // between GPUs, in one direction
	Bound          float64          `json:"bound_seconds"`    // sum over kernels of max(Launch, bytes/Bandwidth); an all-reduce counts its own bound if that is larger
}

// AllReduce is one all-reduce of a step (a call of NCCL).
type AllReduce struct {
	Bytes   int64   `json:"bytes"`         // size of the vector that is summed
	Seconds float64 `json:"bound_seconds"` // a ring sends 2 (N-1)/N of the vector over each link
}

// Kind is the number of kernels of one kind, their memory traffic and their bound.
type Kind struct {
	Kind     string  `json:"kind"`
	Kernels  int     `json:"kernels"`
	PerLayer float64 `json:"per_conv_layer"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"bound_seconds"`
}

// NewForecast compiles a training program for one of Targets with the CUDA plugin at path,
// and counts its kernels. The program is compiled as for training: many steps in a
// launch, deterministic, on as many GPUs as it has replicas. No GPU is needed.
func NewForecast(path, target string, p *program.Program, precision device.Precision, a Assumed) (*Forecast, error) {
	config, err := targets.ReadFile("targets/" + target + ".txtpb")
	if err != nil {
		return nil, fmt.Errorf("xla: target %q: expected one of %s", target, strings.Join(Targets(), ", "))
	}
	module, err := lower.Lower(p, lower.Options{Precision: precision, Steps: launch})
	if err != nil {
		return nil, err
	}
	if err := pjrt.Quiet(); err != nil {
		return nil, err
	}
	plugin, err := pjrt.Open(path)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	compiled, err := compileKnown(compileOptions("cuda", true), func(o pjrt.CompileOptions) (*pjrt.Compiled, error) {
		return plugin.CompileFor(string(config), module.Text, module.Replicas, o)
	})
	if err != nil {
		return nil, cannotCompile(module.Text, err)
	}
	defer compiled.Destroy()
	f := &Forecast{
		Precision: precision, Target: target, Batch: module.Batch * module.Replicas, Replicas: module.Replicas,
		Launch: a.Launch, Bandwidth: a.Bandwidth, Link: a.Link, CompileSeconds: time.Since(start).Seconds(),
	}
	f.Net, _, _ = strings.Cut(p.Name, " ")
	if f.Bandwidth == 0 {
		f.Bandwidth = sheet(string(config), "memory_bandwidth")
	}
	if f.Link == 0 {
		f.Link = Links[target]
	}
	for _, c := range p.Code {
		switch c.Kernel.(type) {
		case kernel.Conv:
			f.ConvLayers++
			f.Convolutions++
		case kernel.ConvGradInput, kernel.ConvGradWeight:
			f.Convolutions++
		}
	}
	memory, err := compiled.Memory()
	if err != nil {
		return nil, err
	}
	f.Temporaries = memory.Temporaries
	optimized, err := compiled.Optimized()
	if err != nil {
		return nil, err
	}
	kernels, err := hlo.Kernels(optimized)
	if err != nil {
		return nil, err
	}
	f.count(kernels)
	return f, nil
}

// count adds up the kernels of a step.
func (f *Forecast) count(kernels []hlo.Kernel) {
	f.Kernels = len(kernels)
	f.PerLayer = float64(f.Kernels) / float64(f.ConvLayers)
	for _, kind := range hlo.Kinds {
		f.Kinds = append(f.Kinds, Kind{Kind: kind})
	}
	for _, k := range kernels {
		x := &f.Kinds[slices.Index(hlo.Kinds, k.Kind)]
		t := max(f.Launch, float64(k.Bytes)/f.Bandwidth)
		if k.Kind == hlo.AllReduce {
			n, bytes := float64(f.Replicas), k.Bytes/2 // k.Bytes counts reading and writing the vector
			t = max(t, 2*(n-1)/n*float64(bytes)/f.Link)
			f.AllReduces = append(f.AllReduces, AllReduce{bytes, t})
		}
		x.Kernels++
		x.Bytes += k.Bytes
		x.Seconds += t
		f.Bytes += k.Bytes
		f.Bound += t
		if k.Kind == hlo.Convolution {
			f.CuDNN++
		}
	}
	for i := range f.Kinds {
		f.Kinds[i].PerLayer = float64(f.Kinds[i].Kernels) / float64(f.ConvLayers)
	}
}

// sheet returns a number of a target's description, in bytes or bytes per second.
func sheet(config, name string) float64 {
	v, _ := strconv.ParseFloat(regexp.MustCompile(name + `:\s*(\d+)`).FindStringSubmatch(config)[1], 64)
	return v
}
