// Package bench times training steps, alone and side by side with other
// frameworks in one run.
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

// Options of a benchmark.
type Options struct {
	Net       string
	Precision device.Precision
	Batch     int
	Rounds    int           // of ours and theirs in turn; the medians count
	Round     time.Duration // how long a round of ours is to take
	Torch     string        // a Python with PyTorch; "" for none
	Compiled  bool          // PyTorch compiled, too: minutes on top
	JAX       string        // a Python with JAX; "" for none
	Threads   int           // of PyTorch
	// More are further devices, for a last measurement of all at a time.
	More []device.Device
}

// Result is a row of the benchmark. Speeds are medians over the rounds, of
// whole training steps: batch selection, augmentation, forward, backward,
// update, loss and error read by the host. Start and compilation are not in
// them.
type Result struct {
	Net           string            `json:"net"`
	Precision     string            `json:"precision"`
	Device        string            `json:"device"`
	Hardware      string            `json:"hardware"`
	Batch         int               `json:"batch"`
	ImagesPerS    float64           `json:"images_per_s"`
	MsPerStep     float64           `json:"ms_per_step"`
	UsPerLayer    float64           `json:"us_per_conv_layer"` // of a step
	Jobs          int               `json:"jobs,omitempty"`    // trained at a time for the next number
	JobsImages    float64           `json:"jobs_images_per_s,omitempty"`
	Torch         string            `json:"torch,omitempty"`              // version
	TorchImages   float64           `json:"torch_images_per_s,omitempty"` // eager
	TorchCompiled float64           `json:"torch_compiled_images_per_s,omitempty"`
	JAX           string            `json:"jax,omitempty"` // version
	JAXImages     float64           `json:"jax_images_per_s,omitempty"`
	Ratio         float64           `json:"ratio,omitempty"`         // to eager PyTorch: median of the rounds' ratios
	RatioBest     float64           `json:"ratio_to_best,omitempty"` // to the fastest of compiled PyTorch and JAX
	Skipped       map[string]string `json:"skipped,omitempty"`       // who could not be compared with, and why
	StartToStep   float64           `json:"start_to_step_seconds"`   // compile, open and first step
	Parts         []Part            `json:"parts,omitempty"`
	Peak          *Part             `json:"peak,omitempty"`   // what the CPU reaches here at most, of multiply-adds and of memory
	Limits        []string          `json:"limits,omitempty"` // set for the others, so that they use no newer instructions than ours: variables of the environment
}

// Part is the time of one kind of instruction in a step.
type Part struct {
	Kind   string  `json:"kind"`
	Ms     float64 `json:"ms"`
	GFlops float64 `json:"gflop_per_s"`
	GBytes float64 `json:"gb_per_s"`
}

// moved is the bytes that an instruction must read and write. Kernels count
// float32; between load and update, bf16 halves that.
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

// Rivals, by their names in Result.Skipped.
const (
	eager    = "torch"
	compiled = "torch compiled"
	jax      = "jax"
)

// stepper is a net under training.
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

// dataSet is what a net is timed on: as many images as fit into memory easily.
type dataSet struct{ images, size, pad, classes int }

func dataOf(a nets.Arch) dataSet {
	if a.ImageNet() {
		return dataSet{images: 256, size: 224, classes: 1000}
	}
	return dataSet{images: 10000, size: 32, pad: 4, classes: 10}
}

// Batch is how many images a net is timed with unless told otherwise.
func Batch(a nets.Arch) int {
	if a.ImageNet() {
		return 32
	}
	return 128
}

// Step times the training step of a net on random images, of the size of
// CIFAR-10 (32x32) or ImageNet (224x224), as the net is for. What has not begun
// when ctx ends is left out.
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
	if _, err := us.run(us.net.Launch); err != nil { // warm
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
		d, err := us.run(steps)
		if err != nil {
			return r, err
		}
		ours := float64(steps*o.Batch) / d.Seconds()
		speeds[""] = append(speeds[""], ours)
		for _, other := range rivals {
			n := max(1, steps/2) // the slower ones
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

// peak measures what the CPU can do at most.
func peak(dev *cpu.Device) (*Part, error) {
	flops, bytes, err := dev.Peak()
	return &Part{Kind: "peak", GFlops: flops / 1e9, GBytes: bytes / 1e9}, err
}

// limits are variables of the environment that keep PyTorch, its oneDNN and XLA to
// the instructions that the device keeps to.
func limits(dev device.Device) []string {
	if d, ok := dev.(interface{ Instructions() string }); ok && d.Instructions() == "avx2" {
		return []string{"ATEN_CPU_CAPABILITY=avx2", "ONEDNN_MAX_CPU_ISA=AVX2", "XLA_FLAGS=--xla_cpu_max_isa=AVX2"}
	}
	return nil
}

// rivals starts those that were asked for, one after the other: each chooses
// its kernels by timing. Whoever does not start is skipped.
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

// together trains on all devices at a time, and gives the images per second of
// all.
func together(us *stepper, arch nets.Arch, p *program.Program, steps int, o Options) (float64, error) {
	all := []*stepper{us}
	for _, dev := range o.More {
		s, err := newStepper(dev, arch, p, o)
		if err != nil {
			return 0, err
		}
		defer s.net.Close()
		if _, err := s.run(s.net.Launch); err != nil { // warm
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

// convolutions counts the layers of convolution of a training program.
func convolutions(p *program.Program) (n int) {
	for _, c := range p.Code {
		if _, ok := c.Kernel.(kernel.Conv); ok {
			n++
		}
	}
	return n
}

// median of the values; 0 of none.
func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Clone(x)
	sort.Float64s(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// randomNet writes first weights and random images.
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
