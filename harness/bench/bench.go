package bench

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/onednn"
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
	Threads   int           // of PyTorch
}

// Result is a row of the benchmark. Speeds are medians over the rounds, of
// whole training steps: batch selection, augmentation, forward, backward,
// update, loss and error read by the host.
type Result struct {
	Net         string  `json:"net"`
	Precision   string  `json:"precision"`
	Device      string  `json:"device"`
	Batch       int     `json:"batch"`
	ImagesPerS  float64 `json:"images_per_s"`
	MsPerStep   float64 `json:"ms_per_step"`
	Torch       string  `json:"torch,omitempty"` // version
	TorchImages float64 `json:"torch_images_per_s,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"`       // median of the rounds' ratios
	StartToStep float64 `json:"start_to_step_seconds"` // compile, open and first step
	Parts       []Part  `json:"parts,omitempty"`
	Peak        *Part   `json:"peak,omitempty"` // what the library's best reach here
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
func moved(r onednn.Row, p device.Precision) int64 {
	if p == device.BF16 && (r.Phase == program.Forward.String() || r.Phase == program.Backward.String()) {
		return r.Bytes / 2
	}
	return r.Bytes
}

// parts sums the profile of a training program by kind of instruction.
func parts(rows []onednn.Row, precision device.Precision) []Part {
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

// peak measures what oneDNN's own kernels reach on this machine at their best: a
// convolution of 64 channels, and a sum of tensors that no cache holds.
func peak(dev device.Device, precision device.Precision) (*Part, error) {
	const n, size = 64, 64
	x, y := kernel.Shape{n, 16, size, size}, kernel.Shape{n, 64, size, size}
	conv := kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 64}
	p := &program.Program{Name: "peaks"}
	buffer := func(name string, s kernel.Shape, arena program.Arena, from, to int) program.BufID {
		b := program.Buffer{Name: name, Shape: s, Type: kernel.Float32, Arena: arena, Offset: p.Bytes[arena], First: from, Last: to}
		p.Bytes[arena] += b.Bytes()
		p.Buffers = append(p.Buffers, b)
		return program.BufID(len(p.Buffers) - 1)
	}
	in := buffer("x", x, program.Input, -1, 3)
	w1, w2 := buffer("w1", kernel.Shape{64, 16, 3, 3}, program.Input, -1, 3), buffer("w2", kernel.Shape{64, 64, 3, 3}, program.Input, -1, 3)
	a, b, c := buffer("a", y, program.Work, 0, 2), buffer("b", y, program.Work, 1, 2), buffer("c", y, program.Work, 2, 2)
	for i, k := range []program.Instr{
		{Kernel: conv, Out: []program.BufID{a}, In: []program.BufID{in, w1}},
		{Kernel: conv, Out: []program.BufID{b}, In: []program.BufID{a, w2}},
		{Kernel: kernel.Add{}, Out: []program.BufID{c}, In: []program.BufID{a, b}},
	} {
		k.Layer, k.Phase = fmt.Sprint(i), program.Forward
		p.Code = append(p.Code, k)
	}
	own := os.Getenv(onednn.EnvKernels)
	os.Setenv(onednn.EnvKernels, "library")
	s, err := dev.Open(device.Programs{Train: p}, device.Options{Precision: precision, Profile: true})
	os.Setenv(onednn.EnvKernels, own)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	best := &Part{Kind: "peak"}
	var before []onednn.Row
	for range 4 {
		if err := s.Train(device.Plan{Rates: make([]device.Rates, 1)}, make([]device.Metric, 1)); err != nil {
			return nil, err
		}
		rows := s.(*onednn.Session).Profile()
		if before != nil { // the first run touches the memory
			best.GFlops = max(best.GFlops, float64(rows[1].Flops)/(rows[1].Seconds-before[1].Seconds)/1e9)
			best.GBytes = max(best.GBytes, float64(moved(rows[2], precision))/(rows[2].Seconds-before[2].Seconds)/1e9)
		}
		before = rows
	}
	return best, nil
}

// Step times the training step of a net on random images of 32x32.
func Step(dev device.Device, o Options) (r Result, err error) {
	arch, err := nets.ParseArch(o.Net)
	if err != nil {
		return r, err
	}
	const images = 10000
	started := time.Now()
	p, err := compile.Compile(arch, nets.Train, compile.Config{
		Config: nets.Config{Batch: o.Batch, Channels: 3, Size: 32, Classes: 10, Eps: 1e-5},
		Images: images, Pad: 4, Momentum: 0.9, Decay: 1e-4, Form: kernel.PyTorch,
	})
	if err != nil {
		return r, err
	}
	session, err := dev.Open(device.Programs{Train: p}, device.Options{Precision: o.Precision, Profile: true})
	if err != nil {
		return r, err
	}
	defer session.Close()
	if err := randomNet(session, arch, images); err != nil {
		return r, err
	}
	plan := data.Plan{Seed: 1, N: images, Batch: o.Batch, Pad: 4, Flip: true}
	done, launch := 0, max(1, session.Info().Launch)
	run := func(n int) (time.Duration, error) {
		start := time.Now()
		for n > 0 {
			steps := device.Plan{First: done}
			for range min(n, launch) {
				steps.Rows = plan.Rows(done, steps.Rows)
				steps.Rates = append(steps.Rates, device.Rates{Learning: 0.01, Statistics: 0.1})
				done++
			}
			if err := session.Train(steps, make([]device.Metric, len(steps.Rates))); err != nil {
				return 0, err
			}
			n -= len(steps.Rates)
		}
		return time.Since(start), nil
	}
	if _, err := run(1); err != nil {
		return r, err
	}
	info := session.Info()
	r = Result{Net: arch.String(), Precision: string(o.Precision), Device: info.Name, Batch: o.Batch, StartToStep: time.Since(started).Seconds()}
	warm, err := run(2)
	if err != nil {
		return r, err
	}
	steps := max(1, int(o.Round*2/max(warm, 1)))
	var other *torch
	if o.Torch != "" {
		if other, err = startTorch(o.Torch, o.Net, o.Batch, r.Precision, o.Threads); err != nil {
			return r, err
		}
		defer other.close()
		if _, err := other.run(2); err != nil {
			return r, err
		}
		r.Torch = other.version
	}
	var ours, theirs, ratios []float64
	for range o.Rounds {
		d, err := run(steps)
		if err != nil {
			return r, err
		}
		ours = append(ours, float64(steps*o.Batch)/d.Seconds())
		if other == nil {
			continue
		}
		n := max(1, steps/2) // it is the slower one
		d, err = other.run(n)
		if err != nil {
			return r, err
		}
		theirs = append(theirs, float64(n*o.Batch)/d.Seconds())
		ratios = append(ratios, ours[len(ours)-1]/theirs[len(theirs)-1])
	}
	r.ImagesPerS, r.MsPerStep = median(ours), 1000*float64(o.Batch)/median(ours)
	if other != nil {
		r.TorchImages, r.Ratio = median(theirs), median(ratios)
	}
	if p, ok := session.(*onednn.Session); ok {
		r.Parts = parts(p.Profile(), o.Precision)
		r.Peak, err = peak(dev, o.Precision)
	}
	return r, err
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	sort.Float64s(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// randomNet writes first weights and random images.
func randomNet(s device.Session, arch nets.Arch, images int) error {
	params, norms, err := arch.Leaves(nets.Config{Channels: 3, Size: 32, Classes: 10})
	if err != nil {
		return err
	}
	pixels, labels := make([]uint8, images*3*32*32), make([]int32, images)
	state := uint32(1)
	for i := range pixels {
		state = state*1664525 + 1013904223
		pixels[i] = uint8(state >> 24)
	}
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	mean, scale := make([]float32, 3*32*32), []float32{1, 1, 1}
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
