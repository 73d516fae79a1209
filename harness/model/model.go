// Package model is the net of a run, opened on a device with its data: batches go in,
// losses, errors and tensors come out. It knows one run, no folder, no record and no
// schedule.
package model

import (
	"fmt"
	"slices"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Model is the net of a run, opened on a device with its data and, at first,
// its initial weights.
type Model struct {
	Run      experiments.Run
	Session  device.Session
	Programs device.Programs
	Train    []int32 // images trained on, as rows of the resident data set
	Test     []int32 // images tested on
	TestSet  string  // "test" or "validation"
	Launch   int     // steps that one Train call may hold
	Feed     *Feed   // of photos; nil where the data set is resident
	Mean     []float32
	Scale    []float32
	Classes  int
	Path     Path

	plan data.Plan
	look data.Look
}

// Open compiles the programs of a run and prepares a session for them. The
// data set, resident or not, is the training set followed by the test set.
func Open(run experiments.Run, src *data.Source, dev device.Device) (*Model, error) {
	return OpenIn("", run, src, dev)
}

// OpenIn is Open for a run that has a folder for what the device compiles, if
// it is to be deterministic.
func OpenIn(folder string, run experiments.Run, src *data.Source, dev device.Device) (*Model, error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return nil, err
	}
	m := &Model{Run: run, TestSet: "test"}
	if err := m.split(src); err != nil {
		return nil, err
	}
	images, launch := Held(run, src, dev.Info())
	m.Launch = launch
	if m.Programs, err = Compile(arch, run, &src.Train, images); err != nil {
		return nil, err
	}
	o := device.Options{Precision: device.Precision(run.Precision), Deterministic: !run.AnyOrder}
	if o.Deterministic {
		o.Folder = folder
	}
	if m.Session, err = dev.Open(m.Programs, o); err != nil {
		return nil, err
	}
	if src.Train.Photos != nil {
		m.Feed = NewFeed(m.Session, data.Join(&src.Train, &src.Test), run.Batch, launch)
	}
	if err := m.fill(arch, src); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Compile compiles what a run needs: training, evaluation and, where tests use
// averaged statistics of batch norm, the forward passes for these.
func Compile(arch nets.Arch, run experiments.Run, set *data.Set, images int) (p device.Programs, err error) {
	c := compileConfig(run, set, images)
	if p.Train, err = compile.Compile(arch, nets.Train, c); err != nil {
		return p, err
	}
	if p.Eval, err = compile.Compile(arch, nets.Eval, c); err != nil {
		return p, err
	}
	if run.BatchNorm.Batches > 0 || run.Extend != "" {
		p.Calibrate, err = compile.Compile(arch, nets.Calibrate, c)
	}
	return p, err
}

func compileConfig(run experiments.Run, set *data.Set, images int) compile.Config {
	group := run.BatchNorm.Group
	if group == 0 {
		group = run.Micro // then statistics are those of a micro-batch
	}
	return compile.Config{
		Config: nets.Config{
			Batch: run.Batch, Channels: set.Channels, Size: set.Size, Classes: set.Classes,
			Group: group, Eps: float32(run.BatchNorm.Eps), Smoothing: run.Smoothing,
		},
		Images: images, Pad: run.Input.Pad, MicroBatch: run.Micro,
		Optimizer: optimizer(run.Optimizer), WeightsOnly: run.Optimizer.Decays == "weights",
	}
}

func optimizer(o experiments.Optimizer) kernel.Optimizer {
	decay := float32(o.Decay)
	if o.Adam() {
		return kernel.Adam{Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, Decay: decay, Decoupled: o.Form == "adamw"}
	}
	forms := map[string]kernel.MomentumForm{"caffe": kernel.Caffe, "pytorch": kernel.PyTorch, "nesterov": kernel.Nesterov}
	return kernel.SGD{Momentum: float32(o.Momentum), Decay: decay, Form: forms[o.Form]}
}

// Geometry is what a net has to know of the images.
func Geometry(src *data.Source) nets.Config {
	return nets.Config{Channels: src.Train.Channels, Size: src.Train.Size, Classes: src.Train.Classes}
}

// split says which images are trained and tested on.
func (m *Model) split(src *data.Source) error {
	if in := m.Run.Input; src.Train.Photos != nil {
		switch n, known := src.Train.N, dataset.Of(m.Run.Data); {
		case m.Run.Train == 0 && n != known.Train:
			return fmt.Errorf("%s has %d photos to train on, %s %d, by which the question counts epochs: write train: %d into it", src.Train.Photos.Dir, n, known.Title, known.Train, n-m.Run.Validation)
		case src.Train.Size != in.Crop:
			return fmt.Errorf("run %s: a crop of %d, but the question's other runs have %d", m.Run.ID, in.Crop, src.Train.Size)
		}
	}
	train, held, err := data.Split(src.Train.N, m.Run.Train, m.Run.Validation)
	if err != nil {
		return err
	}
	m.Train, m.Test = train, held
	if m.Run.Validation > 0 {
		m.TestSet = "validation"
	} else {
		m.Test = make([]int32, src.Test.N)
		for i := range m.Test {
			m.Test[i] = int32(src.Train.N + i)
		}
	}
	m.plan = data.Plan{
		Seed: m.Run.Seed, N: src.Train.N, Images: train,
		Batch: m.Run.Batch, Pad: m.Run.Input.Pad, Flip: m.Run.Input.Flip,
	}
	return nil
}

// fill writes data, preprocessing and first weights into the session.
func (m *Model) fill(arch nets.Arch, src *data.Source) error {
	m.Classes = src.Train.Classes
	w := Writer{Session: m.Session}
	stats, err := m.statistics(src)
	if err != nil {
		return err
	}
	if m.Feed == nil {
		w.Write("images", slices.Concat(src.Train.Images, src.Test.Images))
		w.Write("labels", slices.Concat(src.Train.Labels, src.Test.Labels))
	}
	var fill []float32
	m.Mean, m.Scale, fill = Normalisation(m.Run.Input, &src.Train, stats)
	w.Write("mean", m.Mean)
	w.Write("scale", m.Scale)
	w.Write("fill", fill)
	params, norms, err := arch.Leaves(Geometry(src))
	if err != nil {
		return err
	}
	m.Path = pathOf(params, norms)
	for _, p := range params {
		w.Write(p.Name, nets.Init(p, m.Run.Seed, m.Run.Init == "fan_out"))
	}
	for _, n := range norms {
		ones := make([]float32, n.Channels)
		for i := range ones {
			ones[i] = 1
		}
		w.Write(n.Name+".running_var", ones)
	}
	return w.Err
}

// statistics are of the images trained on; with those of photos comes how
// training sees them.
func (m *Model) statistics(src *data.Source) (data.Statistics, error) {
	if m.Feed == nil {
		return src.Train.Statistics(m.Train), nil
	}
	in := m.Run.Input
	stats, err := src.Train.PhotoStatistics(m.Train, in.Scale[0])
	m.look = data.Look{Size: in.Crop, Scale: [2]int(in.Scale), Axes: stats.Axes}
	for i, v := range stats.Spread {
		// Krizhevsky et al. 2012, section 4.1, with pixels in [0, 1].
		m.look.Shift[i] = in.Colour * v / 255
	}
	return stats.Statistics, err
}

// Decoder names what decodes photos: others round otherwise.
func (m *Model) Decoder() string {
	if m.Feed == nil {
		return ""
	}
	return m.Feed.Photos.Photos.Library.String()
}

// Close ends the session and what feeds it.
func (m *Model) Close() error {
	if m.Feed != nil {
		m.Feed.close()
	}
	return m.Session.Close()
}

// Writer keeps the first error of a row of writes.
type Writer struct {
	Session device.Session
	Err     error
}

func (w *Writer) Write(name string, src any) {
	if w.Err == nil {
		w.Err = w.Session.Write(name, src)
	}
}

// Normalisation gives what the Batch kernel subtracts (C,H,W), multiplies with
// (C) and puts outside of the image (C).
func Normalisation(in experiments.Input, set *data.Set, stats data.Statistics) (mean, scale, fill []float32) {
	area := set.Area()
	mean, scale, fill = make([]float32, set.Channels*area), make([]float32, set.Channels), make([]float32, set.Channels)
	for c := range set.Channels {
		var outside float32
		for i := c * area; i < (c+1)*area; i++ {
			switch in.Mean {
			case "pixel":
				mean[i], outside = stats.Pixel[i], stats.Mean[c]
			case "channel":
				mean[i], outside = stats.Mean[c], stats.Mean[c]
			}
		}
		scale[c] = 1
		if in.Std == "channel" && stats.Std[c] > 0 {
			scale[c] = 1 / stats.Std[c]
		}
		if in.PadWith == "black" {
			fill[c] = -outside * scale[c]
		}
	}
	return mean, scale, fill
}

// Rows are the batches of steps first to first+n. Photos are on the device
// then, until the next call.
func (m *Model) Rows(first, n int) ([]device.Row, error) {
	if m.Feed != nil {
		return m.Feed.train(m.plan, m.look, first, n)
	}
	rows := make([]device.Row, 0, n*m.Run.Batch)
	for step := first; step < first+n; step++ {
		rows = m.plan.Rows(step, rows)
	}
	return rows, nil
}

// Evaluate classifies images of the data set.
func (m *Model) Evaluate(images []int32) (device.Counts, error) {
	if m.Feed != nil {
		in := m.Run.Input
		return m.Feed.evaluate(data.Shots(images, []data.Shot{data.Centre(in.Crop, in.Scale[0])}))
	}
	return m.Session.Eval(data.EvalRows(images, m.Run.Batch, m.Run.Input.Pad))
}

// Average replaces the running statistics of batch norm by true averages over
// mini-batches of training images at the present weights, at most an epoch of them:
// the k-th enters with the share 1/k (the authors' README on test statistics,
// github.com/KaimingHe/deep-residual-networks). They are the batches that would
// follow the last step, the same ones each time.
func (m *Model) Average(batches int) error {
	if m.Feed != nil { // waiting for these photos is no part of training
		waited := m.Feed.Waited
		defer func() { m.Feed.Waited = waited }()
	}
	n := max(1, min(batches, len(m.Train)/m.Run.Batch))
	for k := 0; k < n; {
		p := device.Plan{First: m.Run.Schedule.Stop + k}
		var err error
		if p.Rows, err = m.Rows(p.First, min(m.Launch, n-k)); err != nil {
			return err
		}
		for range len(p.Rows) / m.Run.Batch {
			k++
			p.Rates = append(p.Rates, device.Rates{Statistics: 1 / float32(k)})
		}
		if err := m.Session.Calibrate(p); err != nil {
			return fmt.Errorf("averaging batch norm's statistics: %w", err)
		}
	}
	return nil
}

// Views lists the named tensors of arenas, in the order of their memory.
func (m *Model) Views(arenas ...program.Arena) []program.Buffer {
	p := m.Programs.Train
	if p == nil {
		p = m.Programs.Eval
	}
	var views []program.Buffer
	for _, a := range arenas {
		for _, id := range p.Views(a) {
			if b := p.Buffers[id]; !b.Part {
				views = append(views, b)
			}
		}
	}
	return views
}

// OneClass warns of training images that are all of one class; "" for others.
func (m *Model) OneClass(src *data.Source) string {
	first := src.Train.Labels[m.Train[0]]
	for _, i := range m.Train {
		if src.Train.Labels[i] != first {
			return ""
		}
	}
	return fmt.Sprintf("all %d training images are of class %d: there is nothing to tell apart", len(m.Train), first)
}

// Resolve settles what a recipe leaves to the machine: precision auto is bf16
// where the device computes in it natively, else fp32. A precision given on the
// command line ("" for none) replaces the file's.
func Resolve(r *experiments.Run, info device.Info, precision string) {
	if precision != "" {
		r.Precision = precision
	}
	if r.Precision != "auto" {
		return
	}
	r.Precision = string(device.FP32)
	if info.Bfloat16 {
		r.Precision = string(device.BF16)
	}
}
