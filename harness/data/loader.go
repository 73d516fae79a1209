package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"depthlab/harness/data/photo"
)

// Batch is a number of decoded photos.
type Batch struct {
	Images []uint8 // (N, 3, rows, columns)
	Labels []int32
	Rows   []Row    // one for each: itself, as it is or flipped, or -1 for a slot that is empty or whose file is unreadable
	Failed []*Error // the unreadable ones

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

// Loader decodes batches of photos ahead of who takes them, into a ring of as
// many as were asked for. What comes out does not depend on the number of
// threads.
type Loader struct {
	set   *Set
	order chan *Batch // filled or being filled, as they are taken
	free  chan *Batch
	stop  chan struct{}
	held  *Batch // taken last
}

// task is one slot of a batch.
type task struct {
	batch *Batch
	slot  int
}

// NewLoader begins to decode: batch by batch, each of as many slots as shots
// appends for it, at most most; none ends it. Shots is called from one
// goroutine. Ahead is the number of batches in the ring.
func NewLoader(set *Set, most, ahead int, shots func(batch int, dst []Shot) []Shot) (*Loader, error) {
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

// hand gives the slots of batch after batch to the workers.
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

// fill decodes one slot, with file as memory, which it gives back.
func (l *Loader) fill(c *photo.Cutter, file []byte, t task) []byte {
	b, s := t.batch, t.batch.shots[t.slot]
	b.Rows[t.slot], b.Labels[t.slot] = Row{-1}, 0
	if s.Image >= 0 && l.set.Photos.Broken[s.Image] == "" {
		n := 3 * s.View.W * s.View.H
		var err error
		file, err = readInto(file, filepath.Join(l.set.Photos.Dir, l.set.Photos.Names[s.Image]))
		if err == nil {
			err = c.Cut(b.Images[t.slot*n:][:n], file, s.View)
		}
		if err != nil {
			b.errs[t.slot] = err
		} else {
			row := Row{int32(t.slot)}
			if s.Flip {
				row[3] = 1
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

// readInto reads a file into memory that is used again.
func readInto(b []byte, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return b, errors.Unwrap(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return b, err
	}
	n := int(info.Size())
	if cap(b) < n {
		b = make([]byte, n+n/2)
	}
	b = b[:n]
	_, err = io.ReadFull(f, b)
	return b, err
}

// Next waits for the next batch, which stays as it is until Next is called
// again; io.EOF behind the last.
func (l *Loader) Next() (*Batch, error) {
	if l.held != nil {
		l.free <- l.held
		l.held = nil
	}
	b, ok := <-l.order
	if !ok {
		return nil, io.EOF
	}
	<-b.ready
	l.held = b
	return b, nil
}

// Close stops decoding.
func (l *Loader) Close() { close(l.stop) }
