// Package bench measures the speed of training steps, alone and alternating with other
// frameworks.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/cpu"
	"depthlab/harness/model"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Options are the options of a benchmark.
type Options struct {
	Net       string
	Precision device.Precision
	Batch     int
	Rounds    int           // ours and theirs alternate; the result is the median over rounds
	Round     time.Duration // duration of one of our rounds
	Torch     string        // path of a Python with PyTorch; "" for none
	Compiled  bool          // also measure torch.compile, which takes minutes
	JAX       string        // path of a Python with JAX; "" for none
	Threads   int           // threads of PyTorch
	// More are further devices. At the end, all devices train at the same time.
	More []device.Device
}

// Result is a row of the benchmark. Speeds are medians over the rounds, of whole training
// steps: batch selection, augmentation, forward, backward, update, and reading loss and
// error. They do not include start and compilation.
type Result struct {
	Net           string            `json:"net"`
	Precision     string            `json:"precision"`
	Device        string            `json:"device"`
	Hardware      string            `json:"hardware"`
	Batch         int               `json:"batch"`
	ImagesPerS    float64           `json:"images_per_s"`
	MsPerStep     float64           `json:"ms_per_step"`
	UsPerLayer    float64           `json:"us_per_conv_layer"` // time of a step over the number of convolution layers
	Jobs          int               `json:"jobs,omitempty"`    // devices that train at the same time in JobsImages
	JobsImages    float64           `json:"jobs_images_per_s,omitempty"`
	Torch         string            `json:"torch,omitempty"`              // version
	TorchImages   float64           `json:"torch_images_per_s,omitempty"` // eager
	TorchCompiled float64           `json:"torch_compiled_images_per_s,omitempty"`
	JAX           string            `json:"jax,omitempty"` // version
	JAXImages     float64           `json:"jax_images_per_s,omitempty"`
	Ratio         float64           `json:"ratio,omitempty"`         // our speed over that of eager PyTorch: median of the rounds' ratios
	RatioBest     float64           `json:"ratio_to_best,omitempty"` // the same for the faster of compiled PyTorch and JAX
	Skipped       map[string]string `json:"skipped,omitempty"`       // frameworks that were not measured, and why
	StartToStep   float64           `json:"start_to_step_seconds"`   // compile, open and first step
	Parts         []Part            `json:"parts,omitempty"`
	Peak          *Part             `json:"peak,omitempty"`   // measured peak of the CPU: multiply-adds and memory bandwidth
	Limits        []string          `json:"limits,omitempty"` // environment variables of the others, so that they use the same instruction set
}

// Part is the time of one kind of instruction in a step, and what it reaches.
type Part struct {
	Kind   string  `json:"kind"`
	Ms     float64 `json:"ms"`
	GFlops float64 `json:"gflop_per_s"`
	GBytes float64 `json:"gb_per_s"`
}

// moved is the bytes that an instruction must read and write. r.Bytes counts float32; in
// bf16 it is half in the forward and backward phases.
func moved(r device.Timing, p device.Precision) int64 {
	if p == device.BF16 && (r.Phase == program.Forward.String() || r.Phase == program.Backward.String()) {
		return r.Bytes / 2
	}
	return r.Bytes
}

// parts sums the profile of a training program by kind of instruction.
func parts(rows []device.Timing, precision device.Precision) []Part {
	var order []string
	sums := map[string]*Part{}
	var flops, bytes = map[string]int64{}, map[string]int64{}
	for _, r := range rows {
		if r.Calls == 0 {
			continue
		}
		var words []string // without sizes: "conv grad weight"
		for _, w := range strings.Fields(r.Kernel) {
			if !strings.ContainsAny(w, "0123456789>") {
				words = append(words, w)
			}
		}
		kind := strings.Join(words, " ")
		if sums[kind] == nil {
			sums[kind] = &Part{Kind: kind}
			order = append(order, kind)
		}
		sums[kind].Ms += 1000 * r.Seconds / float64(r.Calls)
		flops[kind] += r.Flops
		bytes[kind] += moved(r, precision)
	}
	var out []Part
	for _, kind := range order {
		p := sums[kind]
		if p.Ms > 0 {
			p.GFlops, p.GBytes = float64(flops[kind])/p.Ms/1e6, float64(bytes[kind])/p.Ms/1e6
		}
		out = append(out, *p)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Ms > out[j].Ms })
	return out
}

// Names of the other frameworks, as in Result.Skipped.
const (
	eager    = "torch"
	compiled = "torch compiled"
	jax      = "jax"
)

// stepper is a net that is trained.
type stepper struct {
	net  *model.Model
	done int // steps
}

func newStepper(dev device.Device, arch nets.Arch, p *program.Program, o Options) (*stepper, error) {
	session, err := dev.Open(device.Programs{Train: p}, device.Options{Precision: o.Precision, Deterministic: true, Profile: true})
	if err != nil {
		return nil, err
	}
	set := dataOf(arch)
	if err := randomNet(session, arch, set); err != nil {
		session.Close()
		return nil, err
	}
	return &stepper{net: model.Of(session, data.Sampler{Seed: 1, N: set.images, Batch: o.Batch, Pad: set.pad, Flip: true})}, nil
}

// run takes n steps.
func (s *stepper) run(n int) (time.Duration, error) {
	start := time.Now()
	_, err := s.net.Steps(s.done, n, s.net.Launch, device.Rates{Learning: 0.01, Statistics: 0.1})
	s.done += n
	return time.Since(start), err
}

// dataSet is the random data set that a net is measured on.
type dataSet struct{ images, size, pad, classes int }

func dataOf(a nets.Arch) dataSet {
	if a.ImageNet() {
		return dataSet{images: 256, size: 224, classes: 1000}
	}
	return dataSet{images: 10000, size: 32, pad: 4, classes: 10}
}

// Batch is the default batch of a net.
func Batch(a nets.Arch) int {
	if a.ImageNet() {
		return 32
	}
	return 128
}

// Step measures the training step of a net on random images of the net's size, 32x32
// (CIFAR-10) or 224x224 (ImageNet). After ctx's deadline it begins no further round. If ctx is
// canceled, the error is ctx's.
func Step(ctx context.Context, dev device.Device, o Options) (r Result, err error) {
	arch, err := nets.ParseArch(o.Net)
	if err != nil {
		return r, err
	}
	started, set := time.Now(), dataOf(arch)
	p, err := compile.Compile(arch, nets.Train, compile.Config{
		Config: nets.Config{Batch: o.Batch, Channels: 3, Size: set.size, Classes: set.classes, Eps: 1e-5},
		Images: set.images, Pad: set.pad, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4, Form: kernel.PyTorch},
	})
	if err != nil {
		return r, err
	}
	us, err := newStepper(dev, arch, p, o)
	if err != nil {
		return r, err
	}
	defer us.net.Close()
	if _, err := us.run(1); err != nil {
		return r, err
	}
	info := us.net.Session.Info()
	r = Result{
		Net: arch.String(), Precision: string(o.Precision), Device: info.Name, Hardware: info.Hardware, Batch: o.Batch,
		StartToStep: time.Since(started).Seconds(), Skipped: map[string]string{},
	}
	if _, err := us.run(us.net.Launch); err != nil { // warm up
		return r, err
	}
	warm, err := us.run(2 * us.net.Launch)
	if err != nil {
		return r, err
	}
	steps := max(1, int(o.Round*time.Duration(2*us.net.Launch)/max(warm, 1)))
	r.Limits = limits(dev)
	rivals, stop := o.rivals(ctx, info.GPU, &r)
	defer stop()
	speeds, ratios := map[string][]float64{}, map[string][]float64{}
	for i := 0; i < o.Rounds && (i == 0 || ctx.Err() == nil); i++ {
		if err := canceled(ctx); err != nil {
			return r, err
		}
		d, err := us.run(steps)
		if err != nil {
			return r, err
		}
		ours := float64(steps*o.Batch) / d.Seconds()
		speeds[""] = append(speeds[""], ours)
		for _, other := range rivals {
			n := max(1, steps/2) // they are usually slower
			d, err := other.run(n)
			if err != nil {
				if len(speeds[other.name]) == 0 {
					r.Skipped[other.name] = err.Error()
				}
				continue
			}
			theirs := float64(n*o.Batch) / d.Seconds()
			speeds[other.name], ratios[other.name] = append(speeds[other.name], theirs), append(ratios[other.name], ours/theirs)
		}
	}
	if err := canceled(ctx); err != nil { // the last round may have lost its rivals
		return r, err
	}
	r.ImagesPerS, r.MsPerStep = median(speeds[""]), 1000*float64(o.Batch)/median(speeds[""])
	r.UsPerLayer = 1000 * r.MsPerStep / float64(convolutions(p))
	r.TorchImages, r.TorchCompiled, r.JAXImages = median(speeds[eager]), median(speeds[compiled]), median(speeds[jax])
	r.Ratio = median(ratios[eager])
	for _, name := range []string{compiled, jax} {
		if ratio := median(ratios[name]); ratio > 0 && (r.RatioBest == 0 || ratio < r.RatioBest) {
			r.RatioBest = ratio
		}
	}
	stop()
	if len(o.More) > 0 && ctx.Err() == nil {
		r.Jobs = 1 + len(o.More)
		if r.JobsImages, err = together(us, arch, p, steps, o); err != nil {
			return r, err
		}
	}
	if p, ok := us.net.Session.(device.Profiled); ok {
		r.Parts = parts(p.Profile(), o.Precision)
		r.Peak, err = peak(dev.(*cpu.Device))
	}
	return r, err
}

// canceled is ctx's error, but nil after a deadline: the rounds until then count.
func canceled(ctx context.Context) error {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// peak measures the CPU's peak.
func peak(dev *cpu.Device) (*Part, error) {
	flops, bytes, err := dev.Peak()
	return &Part{Kind: "peak", GFlops: flops / 1e9, GBytes: bytes / 1e9}, err
}

// limits are environment variables that limit PyTorch, its oneDNN and XLA to the instruction
// set of the device; nil if they need no limit.
func limits(dev device.Device) []string {
	if d, ok := dev.(interface{ Instructions() string }); ok && d.Instructions() == "avx2" {
		return []string{"ATEN_CPU_CAPABILITY=avx2", "ONEDNN_MAX_CPU_ISA=AVX2", "XLA_FLAGS=--xla_cpu_max_isa=AVX2"}
	}
	return nil
}

// rivals starts the other frameworks, one after the other because each chooses kernels by
// timing. Those that do not start are added to r.Skipped.
func (o Options) rivals(ctx context.Context, gpu bool, r *Result) (all []*rival, stop func()) {
	where := "cpu"
	if gpu {
		where = "cuda"
	}
	args := []string{r.Net, strconv.Itoa(o.Batch), r.Precision, where, strconv.Itoa(o.Threads)}
	for _, c := range []struct {
		name, python string
		script       []byte
		more         []string
		version      *string
	}{
		{eager, o.Torch, torchStep, nil, &r.Torch},
		{jax, o.JAX, jaxStep, nil, &r.JAX},
		{compiled, o.Torch, torchStep, []string{"compiled"}, &r.Torch},
	} {
		if c.python == "" || c.name == compiled && !o.Compiled {
			continue
		}
		other, err := startRival(ctx, c.name, c.python, c.script, r.Limits, append(args, c.more...)...)
		if err != nil {
			r.Skipped[c.name] = err.Error()
			continue
		}
		*c.version = other.version
		all = append(all, other)
	}
	return all, sync.OnceFunc(func() {
		for _, other := range all {
			other.close()
		}
	})
}

// together trains on all devices at the same time, and returns images per second of all.
func together(us *stepper, arch nets.Arch, p *program.Program, steps int, o Options) (float64, error) {
	all := []*stepper{us}
	for _, dev := range o.More {
		s, err := newStepper(dev, arch, p, o)
		if err != nil {
			return 0, err
		}
		defer s.net.Close()
		if _, err := s.run(s.net.Launch); err != nil { // warm up
			return 0, err
		}
		all = append(all, s)
	}
	var group sync.WaitGroup
	errs := make([]error, len(all))
	start := time.Now()
	for i, s := range all {
		group.Go(func() { _, errs[i] = s.run(steps) })
	}
	group.Wait()
	return float64(len(all)*steps*o.Batch) / time.Since(start).Seconds(), errors.Join(errs...)
}

// convolutions is the number of convolution layers of a training program.
func convolutions(p *program.Program) (n int) {
	for _, c := range p.Code {
		if _, ok := c.Kernel.(kernel.Conv); ok {
			n++
		}
	}
	return n
}

// median is the median of the values, 0 if there are none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Clone(x)
	sort.Float64s(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// randomNet writes initial weights and random images.
func randomNet(s device.Session, arch nets.Arch, set dataSet) error {
	params, norms, err := arch.Leaves(nets.Config{Channels: 3, Size: set.size, Classes: set.classes})
	if err != nil {
		return err
	}
	image := 3 * set.size * set.size
	pixels, labels := make([]uint8, set.images*image), make([]int32, set.images)
	state := uint32(1)
	for i := range pixels {
		state = state*1664525 + 1013904223
		pixels[i] = uint8(state >> 24)
	}
	for i := range labels {
		labels[i] = int32(i % set.classes)
	}
	mean, scale := make([]float32, image), []float32{1, 1, 1}
	for i := range mean {
		mean[i] = 128
	}
	writes := []struct {
		name string
		data any
	}{{"images", pixels}, {"labels", labels}, {"mean", mean}, {"scale", scale}}
	for _, w := range writes {
		if err := s.Write(w.name, w.data); err != nil {
			return err
		}
	}
	for _, p := range params {
		if err := s.Write(p.Name, nets.Init(p, 0, false)); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	for _, n := range norms {
		ones := make([]float32, n.Channels)
		for i := range ones {
			ones[i] = 1
		}
		if err := s.Write(n.Name+".running_var", ones); err != nil {
			return err
		}
	}
	return nil
}
