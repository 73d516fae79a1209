// Photos on their way to a device.

package model

import (
	"context"
	"fmt"
	"io"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
)

// Feed gives a device photos that are decoded while it computes: batches come
// out of the loader's ring, go where a resident data set would lie, and rows
// point at them. It is for one goroutine.
type Feed struct {
	session device.Session
	Photos  *data.Set // of training and test set, as if they lay in memory
	batch   int
	launch  int // batches that the device holds

	loader *data.Loader // of training
	next   int          // the step whose batch it gives next
	images []uint8      // of a launch
	labels []int32

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

// ringBytes bounds the memory of what is decoded ahead, and of what the device
// holds of it.
const ringBytes = 256 << 20

// Held is how many images the device holds, and how many steps a launch may
// have: all images and as many as the device likes where they are resident.
func Held(run experiments.Run, src *data.Source, info device.Info) (images, launch int) {
	launch = max(1, info.Launch)
	if src.Train.Photos == nil {
		return src.Train.N + src.Test.N, launch
	}
	launch = max(1, min(launch, ringBytes/(run.Batch*3*src.Train.Area())))
	return launch * run.Batch, launch
}

// NewFeed feeds a session whose programs take batch images a step and hold launch batches.
func NewFeed(session device.Session, photos *data.Set, batch, launch int) *Feed {
	n := batch * launch
	return &Feed{
		session: session, Photos: photos, batch: batch, launch: launch,
		images: make([]uint8, n*3*photos.Area()), labels: make([]int32, n), Failures: new(Failures),
	}
}

func (f *Feed) start(shots func(batch int, dst []data.Shot) []data.Shot) (*data.Loader, error) {
	ahead := max(2, min(8, ringBytes/(f.batch*3*f.Photos.Area())))
	return data.NewLoader(f.Photos, f.batch, ahead, shots)
}

// take puts up to a launch of the loader's batches on the device and gives the
// rows that point at them; none behind the last.
func (f *Feed) take(l *data.Loader, n int) (rows []device.Row, err error) {
	pixels := len(f.images) / len(f.labels)
	for range n {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		at := len(rows)
		copy(f.images[at*pixels:], b.Images)
		copy(f.labels[at:], b.Labels)
		for _, r := range b.Rows {
			if r[0] >= 0 {
				r[0] += int32(at)
			}
			rows = append(rows, r)
		}
		for _, e := range b.Failed {
			f.Failures.add(e)
		}
	}
	if n := len(f.Failures.All) + len(f.Photos.Photos.Broken); float64(n) > data.MostBroken*float64(f.Photos.N) {
		last := f.Failures.All[len(f.Failures.All)-1]
		return nil, fmt.Errorf("%d of %d photos are unreadable, more than %g %%; the last is %w", n, f.Photos.N, 100*data.MostBroken, last)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	w := Writer{Session: f.session}
	w.Write("images", f.images)
	w.Write("labels", f.labels)
	return rows, w.Err
}

// train gives the rows of steps first to first+n.
func (f *Feed) train(sampler data.Sampler, look data.Look, first, n int) ([]device.Row, error) {
	if f.loader == nil || f.next != first {
		f.close()
		var err error
		f.loader, err = f.start(func(k int, dst []data.Shot) []data.Shot { return sampler.Shots(first+k, look, dst) })
		if err != nil {
			return nil, err
		}
	}
	f.next = first + n
	began := time.Now()
	rows, err := f.take(f.loader, n)
	f.Waited += time.Since(began)
	return rows, err
}

// Each takes shots in the order given, batch by batch, to the device, and
// calls do with the rows of each launch. The error is ctx's if that ended first.
func (f *Feed) Each(ctx context.Context, shots []data.Shot, do func(rows []device.Row) error) error {
	l, err := f.start(func(k int, dst []data.Shot) []data.Shot {
		from := min(k*f.batch, len(shots))
		dst = append(dst, shots[from:min(from+f.batch, len(shots))]...)
		for len(dst) > 0 && len(dst) < f.batch {
			dst = append(dst, data.Shot{Image: -1})
		}
		return dst
	})
	if err != nil {
		return err
	}
	defer l.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := f.take(l, f.launch)
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

func (f *Feed) close() {
	if f.loader != nil {
		f.loader.Close()
		f.loader = nil
	}
}
