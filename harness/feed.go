package harness

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
)

// feed gives a device photos that are decoded while it computes: batches come
// out of the loader's ring, go where a resident data set would lie, and rows
// point at them. It is for one goroutine.
type feed struct {
	session device.Session
	photos  *data.Set // of training and test set, as if they lay in memory
	batch   int
	launch  int // batches that the device holds

	loader *data.Loader // of training
	next   int          // the step whose batch it gives next
	images []uint8      // of a launch
	labels []int32

	waited time.Duration // for training's batches, since the last lap
	idle   time.Duration // before
	failed []*data.Error // unreadable files, each once
	known  map[string]bool
}

// ringBytes bounds the memory of what is decoded ahead, and of what the device
// holds of it.
const ringBytes = 256 << 20

// held is how many images the device holds, and how many steps a launch may
// have: all images and as many as the device likes where they are resident.
func held(run experiments.Run, src *data.Source, info device.Info) (images, launch int) {
	launch = max(1, info.Launch)
	if src.Train.Photos == nil {
		return src.Train.N + src.Test.N, launch
	}
	launch = max(1, min(launch, ringBytes/(run.Batch*3*src.Train.Area())))
	return launch * run.Batch, launch
}

func newFeed(session device.Session, photos *data.Set, batch, launch int) *feed {
	n := batch * launch
	return &feed{
		session: session, photos: photos, batch: batch, launch: launch,
		images: make([]uint8, n*3*photos.Area()), labels: make([]int32, n), known: map[string]bool{},
	}
}

func (f *feed) start(shots func(batch int, dst []data.Shot) []data.Shot) (*data.Loader, error) {
	ahead := max(2, min(8, ringBytes/(f.batch*3*f.photos.Area())))
	return data.NewLoader(f.photos, f.batch, ahead, shots)
}

// take puts up to a launch of the loader's batches on the device and gives the
// rows that point at them; none behind the last.
func (f *feed) take(l *data.Loader, n int) (rows []device.Row, err error) {
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
			if !f.known[e.Name] {
				f.known[e.Name] = true
				f.failed = append(f.failed, e)
			}
		}
	}
	if n := len(f.failed) + len(f.photos.Photos.Broken); float64(n) > data.MostBroken*float64(f.photos.N) {
		last := f.failed[len(f.failed)-1]
		return nil, fmt.Errorf("%d of %d photos are unreadable, more than %g %%; the last is %w", n, f.photos.N, 100*data.MostBroken, last)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	w := writer{session: f.session}
	w.write("images", f.images)
	w.write("labels", f.labels)
	return rows, w.err
}

// train gives the rows of steps first to first+n.
func (f *feed) train(plan data.Plan, look data.Look, first, n int) ([]device.Row, error) {
	if f.loader == nil || f.next != first {
		f.close()
		var err error
		f.loader, err = f.start(func(k int, dst []data.Shot) []data.Shot { return plan.Shots(first+k, look, dst) })
		if err != nil {
			return nil, err
		}
	}
	f.next = first + n
	began := time.Now()
	rows, err := f.take(f.loader, n)
	f.waited += time.Since(began)
	return rows, err
}

// each takes shots in the order given, batch by batch, to the device, and
// calls do with the rows of each launch.
func (f *feed) each(shots []data.Shot, do func(rows []device.Row) error) error {
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
func (f *feed) evaluate(shots []data.Shot) (sum device.Counts, err error) {
	err = f.each(shots, func(rows []device.Row) error {
		c, err := f.session.Eval(rows)
		sum.Images += c.Images
		sum.Wrong += c.Wrong
		sum.Loss += c.Loss
		return err
	})
	return sum, err
}

func (f *feed) close() {
	if f.loader != nil {
		f.loader.Close()
		f.loader = nil
	}
}

// watchPhotos names the photos that turned out to be unreadable.
func (t *trainer) watchPhotos() error {
	if t.feed == nil {
		return nil
	}
	var all []error
	for _, e := range t.feed.failed {
		if !slices.Contains(t.watch.Unreadable, e.Name) {
			t.watch.Unreadable = append(t.watch.Unreadable, e.Name)
			all = append(all, t.warn("an unreadable photo is left out: %v", e))
		}
	}
	return errors.Join(all...)
}

// waited is the share of the time since the last lap that the device waited
// for photos.
func (t *trainer) waited() float64 {
	d, w := t.clock.total-t.clock.lapStart, t.waitedSince()
	if t.feed == nil || d <= 0 {
		return 0
	}
	t.feed.waited, t.feed.idle = 0, t.feed.idle+w
	return math.Round(1000*w.Seconds()/d.Seconds()) / 1000
}

// waitedSince is the time since the last lap in which the device waited for
// photos.
func (t *trainer) waitedSince() time.Duration {
	if t.feed == nil {
		return 0
	}
	return t.feed.waited
}

// slowData says when the photos came slower than the device could take them;
// "" when they did not. seconds is what training took before this session.
func (t *trainer) slowData(seconds float64) string {
	if t.feed == nil {
		return ""
	}
	share := t.feed.idle.Seconds() / (t.clock.total.Seconds() - seconds)
	if !(share > 0.1) {
		return ""
	}
	return fmt.Sprintf("%s: the device waited %.0f %% of the time for photos: a faster disk, more CPU cores or libjpeg-turbo (%s decodes) would help", t.run.ID, 100*share, t.feed.photos.Photos.Library)
}
