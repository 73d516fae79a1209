// Feed: decodes, prefetches and stages photos.

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

// Feed supplies a device with photos: while the device computes one batch, the next one is
// copied to it, and later ones are decoded. It is not safe for concurrent use.
type Feed struct {
	session device.Stager
	Photos  *data.Set // photos of the training set, followed by those of the test set
	batch   int
	share   int // images of a batch on one device

	training *pipe // nil before the first batch
	next     int   // step of the next batch in training

	Waited   time.Duration // time that training waited for batches
	Failures *Failures
}

// Failures lists unreadable files, each once.
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

// ringBytes is the largest size of prefetched batches in memory.
const ringBytes = 256 << 20

// Held is the number of images that each device holds, and the largest number of steps in a
// launch. A resident data set: all images, and info.Launch. Photos: the device's share of a
// batch, and one step, during which the next batch is copied.
func Held(run experiments.Run, src *data.Source, info device.Info) (images, launch int) {
	if src.Train.Photos == nil {
		return src.Train.N + src.Test.N, max(1, info.Launch)
	}
	return run.Batch / max(1, info.Replicas), 1
}

// NewFeed returns a feed for a session. batch is the number of images of its programs, on all
// devices together.
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

// pipe prefetches batches. One batch is staged on the device, later ones are decoded.
type pipe struct {
	loader *data.Loader
	ready  chan load // closed after the last one
	stop   chan struct{}
}

// load is a staged batch.
type load struct {
	rows   []device.Row
	staged device.Staged
	failed []*data.Error
	err    error
}

// start begins to decode and stage batches. shots appends the photos of a batch to dst.
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

// stage copies a batch to the device. Rows index the images of their own replica.
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

// free releases a staged batch that is not used.
func (x load) free() error {
	if x.staged == nil {
		return nil
	}
	return x.staged.Free()
}

// close ends a pipe, and frees its staged batches.
func (p *pipe) close() error {
	close(p.stop)
	p.loader.Close()
	var all []error
	for x := range p.ready {
		all = append(all, x.free())
	}
	return errors.Join(all...)
}

// take makes the next batch of a pipe the one that the device uses, and returns its rows;
// none after the last batch. It fails if too many photos are unreadable.
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

// train makes the batch of a step the one that the device uses, and returns its rows. It
// starts a new pipe unless the step follows the previous one.
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

// Each stages shots in their order, batch by batch, and calls do with the rows of each batch.
// If ctx ends first, the error is ctx's.
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

// each is Each for shots that are made batch by batch. The pipe of training is not affected.
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

// evaluate classifies photos, with one crop of each.
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

// Waited is the time that training has waited for photos since Open; 0 without photos.
func (m *Model) Waited() time.Duration {
	if m.Feed == nil {
		return 0
	}
	return m.Feed.Waited
}

// close ends the pipe of training.
func (f *Feed) close() error {
	p := f.training
	f.training = nil
	if p == nil {
		return nil
	}
	return p.close()
}

// writing is a Stager for sessions on a CPU, which have none. Stage keeps a batch in memory,
// and Use writes it: on a CPU the copy takes little time.
type writing struct{ device.Session }

// written is a batch that writing keeps.
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
