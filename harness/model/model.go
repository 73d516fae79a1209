// Package model is the net of a run, opened on a device with its data: batches go in;
// losses, errors and tensors come out. It knows one net, and no folder, record or
// schedule.
package model

import (
	"errors"
	"fmt"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
)

// Model is the net of a run, opened on a device with its data and its initial weights.
// It is for one goroutine.
type Model struct {
	Run        experiments.Run
	Session    device.Session
	Programs   device.Programs
	Images     Images
	Input      Normalisation
	Launch     int   // largest number of steps in one Train call
	Feed       *Feed // decodes photos; nil if the data set lies on the device
	Classes    int
	ClassNames []string // of photos and own images, by label; nil for none
	Layers     Layers

	sampler data.Sampler
	look    data.Look
}

// Open compiles the programs of a run and opens a session for them. Folder is where the
// device keeps what it compiles, for a deterministic run to continue with; "" for
// nowhere.
func Open(run experiments.Run, src *data.Source, dev device.Device, folder string) (*Model, error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return nil, err
	}
	m := &Model{Run: run, Classes: src.Train.Classes, ClassNames: src.Classes}
	if m.Images, err = imagesOf(run, src); err != nil {
		return nil, err
	}
	_, m.Launch = Held(run, src, dev.Info())
	if m.Programs, err = Compile(run, src, dev.Info()); err != nil {
		return nil, err
	}
	o := device.Options{Precision: device.Precision(run.Precision), Deterministic: !run.AnyOrder}
	if o.Deterministic {
		o.Folder = folder
	}
	if m.Session, err = dev.Open(m.Programs, o); err != nil {
		return nil, err
	}
	m.sampler = data.Sampler{
		Seed: run.Seed, N: src.Train.N, Images: m.Images.Train, Batch: run.Batch, Pad: run.Input.Pad, Flip: run.Input.Flip,
	}
	if src.Train.Photos != nil {
		m.Feed = NewFeed(m.Session, data.Join(&src.Train, &src.Test), run.Batch)
	}
	if err := m.fill(arch, src); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Of is the net of a session that the caller has filled, for Train and Steps alone.
func Of(session device.Session, sampler data.Sampler) *Model {
	m := &Model{Session: session, Launch: max(1, session.Info().Launch), sampler: sampler}
	m.Run.Batch = sampler.Batch
	return m
}

// fill writes the data, its preprocessing and the initial weights into the session.
func (m *Model) fill(arch nets.Arch, src *data.Source) error {
	stats, look, err := statistics(m.Run, src, m.Images.Train)
	if err != nil {
		return err
	}
	m.look = look
	m.Input = Normalise(m.Run.Input, &src.Train, stats)
	w := Writer{Session: m.Session}
	if m.Feed == nil {
		images, labels := resident(src)
		w.Write("images", images)
		w.Write("labels", labels)
	}
	w.Write("mean", m.Input.Mean)
	w.Write("scale", m.Input.Scale)
	w.Write("fill", m.Input.Fill)
	params, norms, err := arch.Leaves(Geometry(src))
	if err != nil {
		return err
	}
	m.Layers = LayersOf(params, norms)
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

// Close closes the session, and stops the decoding of photos.
func (m *Model) Close() error {
	var err error
	if m.Feed != nil {
		err = m.Feed.close()
	}
	return errors.Join(err, m.Session.Close())
}

// Writer writes buffers of a session and keeps the first error.
type Writer struct {
	Session device.Session
	Err     error
}

// Write is device.Session's, and does nothing after an error.
func (w *Writer) Write(name string, src any) {
	if w.Err == nil {
		w.Err = w.Session.Write(name, src)
	}
}

// Compile compiles what a run needs: training, evaluation and, if tests use averaged
// statistics of batch norm, the forward passes for these. As many devices share a step as
// info says.
func Compile(run experiments.Run, src *data.Source, info device.Info) (p device.Programs, err error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return p, err
	}
	images, _ := Held(run, src, info)
	c := config(run, &src.Train, images)
	c.Replicas = info.Replicas
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

func config(run experiments.Run, set *data.Set, images int) compile.Config {
	group := run.BatchNorm.Group
	if group == 0 {
		group = run.Micro // then the statistics are those of a micro-batch
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

// Share checks that so many devices can share a batch of the run. The error says what is
// possible.
func Share(run experiments.Run, replicas int) error {
	c := config(run, &data.Set{}, 0)
	c.Replicas = replicas
	if err := c.Share(nets.Train); err != nil {
		return fmt.Errorf("--replicas %d: %s: %w (batch and batch_norm.group in the file)", replicas, run.ID, err)
	}
	return nil
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

// Resolve settles a run's precision: auto is bf16 if the device computes it natively, else
// fp32. A precision of the command line replaces the file's; "" for none.
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
