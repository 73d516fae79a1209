// Package model is the net of a run, opened on a device with its data. It trains steps,
// evaluates, and reads and writes tensors. It knows one net, and no folders, records or
// schedules.
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

// Model is the net of a run, opened on a device with its data and its initial weights. It is
// not safe for concurrent use.
type Model struct {
	Run        experiments.Run
	Session    device.Session
	Programs   device.Programs
	Images     Images
	Input      Normalisation
	Launch     int   // largest number of steps in one Train call
	Feed       *Feed // decodes photos; nil if the data set is resident on the device
	Classes    int
	ClassNames []string // of photos and own images, by label; nil for other data sets
	Layers     Layers

	sampler data.Sampler
	look    data.Look
}

// Open compiles the programs of a run, opens a session for them, and writes data and initial
// weights. folder is where the device keeps the executables of a deterministic run, for its
// next session; "" to keep none.
func Open(run experiments.Run, src *data.Source, dev device.Device, folder string) (*Model, error) {
	p, err := Compile(run, src, dev.Info())
	if err != nil {
		return nil, err
	}
	return open(run, src, dev, p, folder)
}

// OpenTests is Open for a net that is not trained: it has no training program.
func OpenTests(run experiments.Run, src *data.Source, dev device.Device) (*Model, error) {
	p, err := Compile(run, src, dev.Info())
	if err != nil {
		return nil, err
	}
	p.Train = nil
	return open(run, src, dev, p, "")
}

func open(run experiments.Run, src *data.Source, dev device.Device, p device.Programs, folder string) (*Model, error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return nil, err
	}
	m := &Model{Run: run, Programs: p, Classes: src.Train.Classes, ClassNames: src.Classes}
	if m.Images, err = imagesOf(run, src); err != nil {
		return nil, err
	}
	_, m.Launch = Held(run, src, dev.Info())
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

// Of returns a Model for a session into which the caller wrote data and weights. Only Train,
// Steps and Close may be called.
func Of(session device.Session, sampler data.Sampler) *Model {
	m := &Model{Session: session, Launch: max(1, session.Info().Launch), sampler: sampler}
	m.Run.Batch = sampler.Batch
	return m
}

// fill writes data, normalisation and initial weights into the session.
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

// Write calls Session.Write. After an error it does nothing.
func (w *Writer) Write(name string, src any) {
	if w.Err == nil {
		w.Err = w.Session.Write(name, src)
	}
}

// Compile compiles the programs of a run: training, evaluation and, if tests use averaged
// batch norm statistics, their calibration. info.Replicas devices share each step.
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

// config is the configuration of a run's programs. images is the number of images that each
// device holds.
func config(run experiments.Run, set *data.Set, images int) compile.Config {
	group := run.BatchNorm.Group
	if group == 0 {
		group = run.Micro // statistics of a micro-batch
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

// Share returns an error if so many devices cannot share a batch of the run. The error says
// what is possible.
func Share(run experiments.Run, replicas int) error {
	c := config(run, &data.Set{}, 0)
	c.Replicas = replicas
	if err := c.Share(nets.Train); err != nil {
		return fmt.Errorf("--replicas %d: %s: %w (batch and batch_norm.group in the file)", replicas, run.ID, err)
	}
	return nil
}

// optimizer converts an optimizer of a recipe.
func optimizer(o experiments.Optimizer) kernel.Optimizer {
	decay := float32(o.Decay)
	if o.Adam() {
		return kernel.Adam{Beta1: o.Betas[0], Beta2: o.Betas[1], Eps: o.Eps, Decay: decay, Decoupled: o.Form == "adamw"}
	}
	forms := map[string]kernel.MomentumForm{"caffe": kernel.Caffe, "pytorch": kernel.PyTorch, "nesterov": kernel.Nesterov}
	return kernel.SGD{Momentum: float32(o.Momentum), Decay: decay, Form: forms[o.Form]}
}

// Geometry is the configuration of a net that depends on the images: channels, size, classes.
func Geometry(src *data.Source) nets.Config {
	return nets.Config{Channels: src.Train.Channels, Size: src.Train.Size, Classes: src.Train.Classes}
}

// Resolve sets a run's precision: to that of the command line unless it is "", and auto to
// bf16 if the device has instructions for it, else to fp32.
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
