// Package harness runs questions: it opens nets on a device, trains and tests
// them, keeps checkpoints and records, and sweeps over all runs of a question.
package harness

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

// model is the net of a run, opened on a device with its data and, at first,
// its initial weights.
type model struct {
	run      experiments.Run
	session  device.Session
	programs device.Programs
	plan     data.Plan
	train    []int32 // images trained on, as rows of the resident data set
	test     []int32 // images tested on
	testSet  string  // "test" or "validation"
	launch   int     // steps that one Train call may hold
	feed     *feed   // of photos; nil where the data set is resident
	look     data.Look
	mean     []float32
	scale    []float32
	classes  int
	path     path
}

// open compiles the programs of a run and prepares a session for them. The
// data set, resident or not, is the training set followed by the test set.
func open(run experiments.Run, src *data.Source, dev device.Device) (*model, error) {
	return openIn("", run, src, dev)
}

// openIn is open for a run that has a folder for what the device compiles, if
// it is to be deterministic.
func openIn(folder string, run experiments.Run, src *data.Source, dev device.Device) (*model, error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return nil, err
	}
	m := &model{run: run, testSet: "test"}
	if err := m.split(src); err != nil {
		return nil, err
	}
	images, launch := held(run, src, dev.Info())
	m.launch = launch
	if m.programs, err = programs(arch, run, &src.Train, images); err != nil {
		return nil, err
	}
	o := device.Options{Precision: device.Precision(run.Precision), Deterministic: !run.AnyOrder}
	if o.Deterministic {
		o.Folder = folder
	}
	if m.session, err = dev.Open(m.programs, o); err != nil {
		return nil, err
	}
	if src.Train.Photos != nil {
		m.feed = newFeed(m.session, data.Join(&src.Train, &src.Test), run.Batch, launch)
	}
	if err := m.fill(arch, src); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// programs compiles what a run needs: training, evaluation and, where tests use
// averaged statistics of batch norm, the forward passes for these.
func programs(arch nets.Arch, run experiments.Run, set *data.Set, images int) (p device.Programs, err error) {
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
			Group: group, Eps: float32(run.BatchNorm.Eps),
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

// geometry is what a net has to know of the images.
func geometry(src *data.Source) nets.Config {
	return nets.Config{Channels: src.Train.Channels, Size: src.Train.Size, Classes: src.Train.Classes}
}

// split says which images are trained and tested on.
func (m *model) split(src *data.Source) error {
	if in := m.run.Input; src.Train.Photos != nil {
		switch n, known := src.Train.N, dataset.Of(m.run.Data); {
		case m.run.Train == 0 && n != known.Train:
			return fmt.Errorf("%s has %d photos to train on, %s %d, by which the question counts epochs: write train: %d into it", src.Train.Photos.Dir, n, known.Title, known.Train, n-m.run.Validation)
		case src.Train.Size != in.Crop:
			return fmt.Errorf("run %s: a crop of %d, but the question's other runs have %d", m.run.ID, in.Crop, src.Train.Size)
		}
	}
	train, held, err := data.Split(src.Train.N, m.run.Train, m.run.Validation)
	if err != nil {
		return err
	}
	m.train, m.test = train, held
	if m.run.Validation > 0 {
		m.testSet = "validation"
	} else {
		m.test = make([]int32, src.Test.N)
		for i := range m.test {
			m.test[i] = int32(src.Train.N + i)
		}
	}
	m.plan = data.Plan{
		Seed: m.run.Seed, N: src.Train.N, Images: train,
		Batch: m.run.Batch, Pad: m.run.Input.Pad, Flip: m.run.Input.Flip,
	}
	return nil
}

// fill writes data, preprocessing and first weights into the session.
func (m *model) fill(arch nets.Arch, src *data.Source) error {
	m.classes = src.Train.Classes
	w := writer{session: m.session}
	stats, err := m.statistics(src)
	if err != nil {
		return err
	}
	if m.feed == nil {
		w.write("images", slices.Concat(src.Train.Images, src.Test.Images))
		w.write("labels", slices.Concat(src.Train.Labels, src.Test.Labels))
	}
	var fill []float32
	m.mean, m.scale, fill = normalisation(m.run.Input, &src.Train, stats)
	w.write("mean", m.mean)
	w.write("scale", m.scale)
	w.write("fill", fill)
	params, norms, err := arch.Leaves(geometry(src))
	if err != nil {
		return err
	}
	m.path = pathOf(params, norms)
	for _, p := range params {
		w.write(p.Name, nets.Init(p, m.run.Seed, m.run.Init == "fan_out"))
	}
	for _, n := range norms {
		ones := make([]float32, n.Channels)
		for i := range ones {
			ones[i] = 1
		}
		w.write(n.Name+".running_var", ones)
	}
	return w.err
}

// statistics are of the images trained on; with those of photos comes how
// training sees them.
func (m *model) statistics(src *data.Source) (data.Statistics, error) {
	if m.feed == nil {
		return src.Train.Statistics(m.train), nil
	}
	in := m.run.Input
	stats, err := src.Train.PhotoStatistics(m.train, in.Scale[0])
	m.look = data.Look{Size: in.Crop, Scale: [2]int(in.Scale), Axes: stats.Axes}
	for i, v := range stats.Spread {
		// Krizhevsky et al. 2012, section 4.1, with pixels in [0, 1].
		m.look.Shift[i] = in.Colour * v / 255
	}
	return stats.Statistics, err
}

// decoder names what decodes photos: others round otherwise.
func (m *model) decoder() string {
	if m.feed == nil {
		return ""
	}
	return m.feed.photos.Photos.Library.String()
}

// close ends the session and what feeds it.
func (m *model) close() error {
	if m.feed != nil {
		m.feed.close()
	}
	return m.session.Close()
}

// writer keeps the first error of a row of writes.
type writer struct {
	session device.Session
	err     error
}

func (w *writer) write(name string, src any) {
	if w.err == nil {
		w.err = w.session.Write(name, src)
	}
}

// normalisation gives what the Batch kernel subtracts (C,H,W), multiplies with
// (C) and puts outside of the image (C).
func normalisation(in experiments.Input, set *data.Set, stats data.Statistics) (mean, scale, fill []float32) {
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

// rows are the batches of steps first to first+n. Photos are on the device
// then, until the next call.
func (m *model) rows(first, n int) ([]device.Row, error) {
	if m.feed != nil {
		return m.feed.train(m.plan, m.look, first, n)
	}
	rows := make([]device.Row, 0, n*m.run.Batch)
	for step := first; step < first+n; step++ {
		rows = m.plan.Rows(step, rows)
	}
	return rows, nil
}

// evaluate classifies images of the data set.
func (m *model) evaluate(images []int32) (device.Counts, error) {
	if m.feed != nil {
		in := m.run.Input
		return m.feed.evaluate(data.Shots(images, []data.Shot{data.Centre(in.Crop, in.Scale[0])}))
	}
	return m.session.Eval(data.EvalRows(images, m.run.Batch, m.run.Input.Pad))
}

// average replaces the running statistics of batch norm by true averages over
// mini-batches of training images at the present weights, at most an epoch of them:
// the k-th enters with the share 1/k (the authors' README on test statistics,
// github.com/KaimingHe/deep-residual-networks). They are the batches that would
// follow the last step, the same ones each time.
func (m *model) average(batches int) error {
	if m.feed != nil { // waiting for these photos is no part of training
		waited := m.feed.waited
		defer func() { m.feed.waited = waited }()
	}
	n := max(1, min(batches, len(m.train)/m.run.Batch))
	for k := 0; k < n; {
		p := device.Plan{First: m.run.Schedule.Stop + k}
		var err error
		if p.Rows, err = m.rows(p.First, min(m.launch, n-k)); err != nil {
			return err
		}
		for range len(p.Rows) / m.run.Batch {
			k++
			p.Rates = append(p.Rates, device.Rates{Statistics: 1 / float32(k)})
		}
		if err := m.session.Calibrate(p); err != nil {
			return fmt.Errorf("averaging batch norm's statistics: %w", err)
		}
	}
	return nil
}

// views lists the named tensors of arenas, in the order of their memory.
func (m *model) views(arenas ...program.Arena) []program.Buffer {
	p := m.programs.Train
	if p == nil {
		p = m.programs.Eval
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
