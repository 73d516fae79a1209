// Photos on their way to a device.

package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
)

// Feed gives a device photos: while it computes one batch, the next one is copied to it,
// and those after are decoded. It is for one goroutine.
type Feed struct {
	session device.Stager
	Photos  *data.Set // of training and test set, as if they lay in memory
	batch   int
	share   int // images of a batch on one device

	training *pipe // nil before the first batch
	next     int   // the step whose batch it gives next

	Waited   time.Duration // for the batches of training
	Failures *Failures
}

// Failures are unreadable files, each once.
type Failures struct {
	All   []*data.Error
	known map[string]bool
}

func (f *Failures) add(e *data.Error) {
	if f.known == nil {
		f.known = map[string]bool{}
	}
	if !f.known[e.Name] {
		f.known[e.Name] = true
		f.All = append(f.All, e)
	}
}

// ringBytes bounds the memory of what is decoded ahead.
const ringBytes = 256 << 20

// Held is how many images each device holds, and how many steps a launch may have: all
// images and as many as the device likes where they are resident. Of photos it is the
// device's share of a batch, and one step: the next batch comes in the meantime.
func Held(run experiments.Run, src *data.Source, info device.Info) (images, launch int) {
	if src.Train.Photos == nil {
		return src.Train.N + src.Test.N, max(1, info.Launch)
	}
	return run.Batch / max(1, info.Replicas), 1
}

// NewFeed feeds a session whose programs have so many images, on all devices together.
func NewFeed(session device.Session, photos *data.Set, batch int) *Feed {
	stager, ok := session.(device.Stager)
	if !ok {
		stager = writing{session}
	}
	return &Feed{
		session: stager, Photos: photos, batch: batch, share: batch / max(1, session.Info().Replicas),
		Failures: new(Failures),
	}
}

// pipe is batches on their way. One is on the device and waits for its turn.
type pipe struct {
	loader *data.Loader
	ready  chan load // closed behind the last one
	stop   chan struct{}
}

// load is a batch on the device.
type load struct {
	rows   []device.Row
	staged device.Staged
	failed []*data.Error
	err    error
}

// start decodes the batches of shots and stages them.
func (f *Feed) start(shots func(batch int, dst []data.Shot) []data.Shot) (*pipe, error) {
	layout := data.Planar
	if f.session.ChannelsLast() {
		layout = data.Interleaved
	}
	ahead := max(2, min(8, ringBytes/(f.batch*3*f.Photos.Area())))
	l, err := data.NewLoader(f.Photos, layout, f.batch, ahead, shots)
	if err != nil {
		return nil, err
	}
	p := &pipe{loader: l, ready: make(chan load), stop: make(chan struct{})}
	go func() {
		defer close(p.ready)
		for {
			b, err := l.Next()
			if err == io.EOF {
				return
			}
			x := load{err: err}
			if err == nil {
				x = f.stage(b)
			}
			select {
			case p.ready <- x:
			case <-p.stop:
				x.free()
				return
			}
		}
	}()
	return p, nil
}

// stage copies a batch to the device. Its rows count from the first image of their own
// device.
func (f *Feed) stage(b *data.Batch) load {
	x := load{failed: b.Failed}
	for _, r := range b.Rows {
		if r[0] >= 0 {
			r[0] %= int32(f.share)
		}
		x.rows = append(x.rows, r)
	}
	x.staged, x.err = f.session.Stage(b.Images, b.Labels)
	return x
}

func (x load) free() error {
	if x.staged == nil {
		return nil
	}
	return x.staged.Free()
}

// close ends a pipe, and frees what is on the device.
func (p *pipe) close() error {
	close(p.stop)
	p.loader.Close()
	var all []error
	for x := range p.ready {
		all = append(all, x.free())
	}
	return errors.Join(all...)
}

// take makes the next batch of a pipe the device's and gives its rows; none behind the
// last.
func (f *Feed) take(p *pipe) ([]device.Row, error) {
	x, more := <-p.ready
	if !more {
		return nil, nil
	}
	if x.err != nil {
		return nil, x.err
	}
	for _, e := range x.failed {
		f.Failures.add(e)
	}
	if n := len(f.Failures.All) + len(f.Photos.Photos.Broken); float64(n) > data.MostBroken*float64(f.Photos.N) {
		last := f.Failures.All[len(f.Failures.All)-1]
		return nil, errors.Join(fmt.Errorf("%d of %d photos are unreadable, more than %g %%; the last is %w", n, f.Photos.N, 100*data.MostBroken, last), x.free())
	}
	return x.rows, f.session.Use(x.staged)
}

// train gives the rows of a step.
func (f *Feed) train(sampler data.Sampler, look data.Look, step int) ([]device.Row, error) {
	began := time.Now()
	defer func() { f.Waited += time.Since(began) }()
	if f.training == nil || f.next != step {
		if err := f.close(); err != nil {
			return nil, err
		}
		var err error
		f.training, err = f.start(func(k int, dst []data.Shot) []data.Shot { return sampler.Shots(step+k, look, dst) })
		if err != nil {
			return nil, err
		}
	}
	f.next = step + 1
	return f.take(f.training)
}

// Each takes shots in the order given, batch by batch, to the device, and
// calls do with the rows of each batch. The error is ctx's if that ended first.
func (f *Feed) Each(ctx context.Context, shots []data.Shot, do func(rows []device.Row) error) error {
	return f.each(ctx, func(k int, dst []data.Shot) []data.Shot {
		from := min(k*f.batch, len(shots))
		dst = append(dst, shots[from:min(from+f.batch, len(shots))]...)
		for len(dst) > 0 && len(dst) < f.batch {
			dst = append(dst, data.Shot{Image: -1})
		}
		return dst
	}, do)
}

// each is Each for shots that are made batch by batch. Training's next batch stays where
// it is.
func (f *Feed) each(ctx context.Context, shots func(batch int, dst []data.Shot) []data.Shot, do func(rows []device.Row) error) (err error) {
	p, err := f.start(shots)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := f.take(p)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := do(rows); err != nil {
			return err
		}
	}
}

// evaluate classifies photos, each in one view.
func (f *Feed) evaluate(ctx context.Context, shots []data.Shot) (sum device.Counts, err error) {
	err = f.Each(ctx, shots, func(rows []device.Row) error {
		c, err := f.session.Eval(rows)
		sum.Images += c.Images
		sum.Wrong += c.Wrong
		sum.Loss += c.Loss
		return err
	})
	return sum, err
}

// Waited is how long training has waited for photos since Open; 0 without photos.
func (m *Model) Waited() time.Duration {
	if m.Feed == nil {
		return 0
	}
	return m.Feed.Waited
}

func (f *Feed) close() error {
	p := f.training
	f.training = nil
	if p == nil {
		return nil
	}
	return p.close()
}

// writing stages batches for a session that takes them when it does not compute: on a
// CPU, where a copy is nothing beside a step.
type writing struct{ device.Session }

type written struct {
	images []uint8
	labels []int32
}

func (written) Free() error { return nil }

func (writing) ChannelsLast() bool { return false }

func (writing) Stage(images []uint8, labels []int32) (device.Staged, error) {
	return written{append([]uint8(nil), images...), append([]int32(nil), labels...)}, nil
}

func (w writing) Use(x device.Staged) error {
	b := x.(written)
	return errors.Join(w.Write("images", b.images), w.Write("labels", b.labels))
}
