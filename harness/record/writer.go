package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"depthlab/harness/disk"
)

// Sink takes the events of one run as they happen: a Writer, a Progress, or
// several of them through Tee. None is safe for use by two goroutines at once.
type Sink interface {
	Event(e Event) error
}

// Tee hands every event to all sinks, whether or not one of them fails.
func Tee(sinks ...Sink) Sink { return tee(sinks) }

type tee []Sink

func (t tee) Event(e Event) error {
	var errs []error
	for _, s := range t {
		errs = append(errs, s.Event(e))
	}
	return errors.Join(errs...)
}

// Writer appends events to a record, one JSON object a line.
type Writer struct {
	f    *disk.File
	size int64 // bytes of whole lines in the file
}

// Create begins a new record at path, in place of any old one. Its folder is
// made if need be.
func Create(path string) (*Writer, error) {
	if err := disk.Write(path, nil); err != nil {
		return nil, err
	}
	f, err := disk.Append(path)
	if err != nil {
		return nil, err
	}
	return &Writer{f: f}, nil
}

// OpenAppend opens a record to go on with, after Truncate has taken it back to
// the checkpoint. A last line that was never finished is cut off.
func OpenAppend(path string) (*Writer, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := disk.Append(path)
	if err != nil {
		return nil, err
	}
	whole := int64(bytes.LastIndexByte(raw, '\n') + 1)
	if whole < int64(len(raw)) {
		if err := f.Truncate(whole); err != nil {
			f.Close()
			return nil, err
		}
	}
	return &Writer{f: f, size: whole}, nil
}

// Event writes e as one line in one write, so that a reader, or a kill, never
// sees two halves mixed. Time is filled in where it is empty. A loss or error that is no number is left out: JSON
// has none, and the "stop" event says why.
func (w *Writer) Event(e Event) error {
	e.Loss, e.Error = finite(e.Loss), finite(e.Error)
	e.Time = cmp.Or(e.Time, time.Now().UTC().Format(time.RFC3339))
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("%s: %q event of step %d: %w", w.f.Name(), e.Kind, e.Step, err)
	}
	line = append(line, '\n')
	if len(line) > maxLine {
		return fmt.Errorf("%s: %q event of step %d has %d bytes, over the limit of %d", w.f.Name(), e.Kind, e.Step, len(line), maxLine)
	}
	n, err := w.f.Write(line)
	if err != nil {
		if n > 0 { // a full disk: take the half line back, so that the record stays readable
			err = errors.Join(err, w.f.Truncate(w.size))
		}
		return err
	}
	w.size += int64(n)
	return nil
}

func finite(x *float64) *float64 {
	if x == nil || math.IsNaN(*x) || math.IsInf(*x, 0) {
		return nil
	}
	return x
}

// Sync makes all events so far safe against a loss of power. Call it before a
// checkpoint is written: a record may be ahead of its checkpoint, never behind.
func (w *Writer) Sync() error { return w.f.Sync() }

// Close syncs and closes the record.
func (w *Writer) Close() error { return w.f.Close() }

// Truncate takes the record at path back to the checkpoint of step, so that a
// resumed run's record equals an undisturbed one's. It drops
//
//   - all events of later steps,
//   - "responses", "stop" and "end" events of any step,
//   - if step is the run's last, also its "eval" and "full" events: the final
//     tests come after the last checkpoint, and will be made again.
//
// At other steps a run must therefore log all of a step, a new rate too, and
// save then. The lines that stay are kept byte for byte. The file is replaced
// whole or not at all.
func Truncate(path string, step int) error {
	r, err := Read(path)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kept []byte
	for _, e := range r.Events { // one event a line, in order
		end := bytes.IndexByte(raw, '\n') + 1
		if !dropped(e, step, r.Start.Steps) {
			kept = append(kept, raw[:end]...)
		}
		raw = raw[end:]
	}
	return disk.Write(path, kept)
}

func dropped(e Event, step, last int) bool {
	switch e.Kind {
	case "responses", "stop", "end":
		return true
	case "eval", "full":
		return e.Step > step || e.Step == last
	}
	return e.Step > step
}
