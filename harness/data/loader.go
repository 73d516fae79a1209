// The loader: decodes photos ahead of training in several threads.

package data

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"depthlab/harness/data/photo"
)

// Batch is a batch of decoded photos.
type Batch struct {
	Images []uint8 // (N, 3, H, W), or (N, H, W, 3) if interleaved
	Labels []int32
	Rows   []Row    // one for each image: the image itself, flipped or not; index -1 for an empty slot or an unreadable file
	Failed []*Error // errors of the unreadable files

	shots []Shot
	errs  []error
	left  atomic.Int32
	ready chan struct{}
}

// Error says that a photo could not be read.
type Error struct {
	Name string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Name, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Loader decodes batches of photos ahead of their use, into a ring buffer of batches. The
// result does not depend on the number of threads.
type Loader struct {
	set   *Set
	order chan *Batch // batches that are decoded or being decoded, in the order of Next
	free  chan *Batch
	stop  chan struct{}
	held  *Batch // the batch of the latest Next
}

// task is one slot of a batch.
type task struct {
	batch *Batch
	slot  int
}

// Layout is the order of the bytes of an image.
type Layout = photo.Layout

const (
	Planar      = photo.Planar      // (3, H, W)
	Interleaved = photo.Interleaved // (H, W, 3)
)

// NewLoader starts decoding, batch after batch. shots appends the slots of a batch, at
// most most of them; no slots end the sequence. It is called from one goroutine. ahead is
// the number of batches in the ring.
func NewLoader(set *Set, layout Layout, most, ahead int, shots func(batch int, dst []Shot) []Shot) (*Loader, error) {
	l := &Loader{set: set, order: make(chan *Batch, ahead), free: make(chan *Batch, ahead), stop: make(chan struct{})}
	for range ahead {
		l.free <- &Batch{
			Images: make([]uint8, most*3*set.Area()), Labels: make([]int32, most),
			Rows: make([]Row, most), errs: make([]error, most),
		}
	}
	tasks := make(chan task)
	for range runtime.GOMAXPROCS(0) {
		c, err := photo.NewCutter(set.Photos.Library)
		if err != nil {
			close(tasks)
			return nil, err
		}
		c.Layout = layout
		go func() {
			defer c.Close()
			var file []byte
			for t := range tasks {
				file = l.fill(c, file, t)
			}
		}()
	}
	go l.hand(tasks, shots)
	return l, nil
}

// hand passes the slots of one batch after another to the workers.
func (l *Loader) hand(tasks chan<- task, shots func(int, []Shot) []Shot) {
	defer close(tasks)
	defer close(l.order)
	for i := 0; ; i++ {
		var b *Batch
		select {
		case b = <-l.free:
		case <-l.stop:
			return
		}
		b.shots = shots(i, b.shots[:0])
		n := len(b.shots)
		if n == 0 {
			return
		}
		pixels := len(b.Images) / cap(b.Labels)
		b.Images, b.Labels, b.Rows, b.errs = b.Images[:n*pixels], b.Labels[:n], b.Rows[:n], b.errs[:n]
		clear(b.errs)
		b.Failed, b.ready = nil, make(chan struct{})
		b.left.Store(int32(n))
		l.order <- b
		for slot := range b.shots {
			select {
			case tasks <- task{b, slot}:
			case <-l.stop:
				return
			}
		}
	}
}

// fill decodes one slot. It uses file as a buffer and returns it.
func (l *Loader) fill(c *photo.Cutter, file []byte, t task) []byte {
	b, s := t.batch, t.batch.shots[t.slot]
	b.Rows[t.slot], b.Labels[t.slot] = Row{-1}, 0
	if s.Image >= 0 && l.set.Photos.Broken[s.Image] == "" {
		n := 3 * s.View.W * s.View.H
		var err error
		file, err = l.set.Photos.read(s.Image, file)
		if err == nil {
			err = c.Cut(b.Images[t.slot*n:][:n], file, s.View)
		}
		if err != nil {
			b.errs[t.slot] = err
		} else {
			row := Row{int32(t.slot), 0, 0, s.Noise}
			if s.Flip {
				row[3] |= 1
			}
			b.Rows[t.slot], b.Labels[t.slot] = row, l.set.Labels[s.Image]
		}
	}
	if b.left.Add(-1) == 0 {
		for slot, err := range b.errs {
			if err != nil {
				b.Failed = append(b.Failed, &Error{l.set.Photos.Names[b.shots[slot].Image], err})
			}
		}
		close(b.ready)
	}
	return file
}

// Next waits for the next batch and returns it. The batch is valid until the next call of
// Next. After the last batch, or after Close, it returns io.EOF.
func (l *Loader) Next() (*Batch, error) {
	if l.held != nil {
		l.free <- l.held
		l.held = nil
	}
	b, ok := <-l.order
	if !ok {
		return nil, io.EOF
	}
	select {
	case <-b.ready:
	case <-l.stop:
		return nil, io.EOF
	}
	l.held = b
	return b, nil
}

// Close stops decoding. It may be called while Next waits.
func (l *Loader) Close() { close(l.stop) }
