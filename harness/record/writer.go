// Writes records: one line for each event, in one write.

package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"depthlab/harness/disk"
)

// Sink takes the events of one run as they happen: a Writer, a Progress, or several of
// them through Tee. None is safe for concurrent use.
type Sink interface {
	Event(e Event) error
}

// Tee passes every event to all sinks, even if one of them fails.
func Tee(sinks ...Sink) Sink { return tee(sinks) }

type tee []Sink

func (t tee) Event(e Event) error {
	var errs []error
	for _, s := range t {
		errs = append(errs, s.Event(e))
	}
	return errors.Join(errs...)
}

// Writer appends events to a record, one JSON object on each line.
type Writer struct {
	f    *disk.File
	size int64 // number of bytes of complete lines
}

// Create begins a new record at path and replaces an old one. It makes the folder if
// necessary.
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

// OpenAppend opens a record to continue it, after Truncate has reset it to the
// checkpoint. It removes an incomplete last line.
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

// Event writes e as one line in one write, so that a reader never sees a part of two
// lines, even after a kill. It fills in Time if it is empty. It leaves out a Loss or
// Error that is NaN or infinite, because JSON has neither; the "stop" event says why.
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
		if n > 0 { // disk full: remove the partial line, so that the record stays readable
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

// Sync makes all events so far survive a loss of power. Call it before writing a
// checkpoint: a record may be ahead of its checkpoint, never behind it.
func (w *Writer) Sync() error { return w.f.Sync() }

// Close syncs and closes the record.
func (w *Writer) Close() error { return w.f.Close() }

// Truncate resets the record at path to the checkpoint of step, so that the record of a
// resumed run equals that of an uninterrupted one. It removes
//
//   - all events of later steps,
//   - "responses", "measured", "stop" and "end" events of any step,
//   - if the test of step comes after the checkpoint, also its "eval", "full" and "rate"
//     events. That is so if untested is set, and if step is the run's last.
//
// Otherwise a run must write all events of a step, new learning rates included, before it
// saves the checkpoint. The remaining lines are kept byte for byte. The file is replaced
// atomically.
func Truncate(path string, step int, untested bool) error {
	return rewrite(path, func(e Event, line []byte, last int) []byte {
		later := e.Step > step
		switch e.Kind {
		case "responses", "measured", "stop", "end":
			later = true
		case "eval", "full", "rate":
			later = later || e.Step == step && (untested || step == last)
		}
		if later {
			return nil
		}
		return line
	})
}

// Amend adds an event to the record of a finished run, before its "end". All other lines
// are kept byte for byte. The file is replaced atomically.
func Amend(path string, added Event) error {
	added.Time = cmp.Or(added.Time, time.Now().UTC().Format(time.RFC3339))
	text, err := json.Marshal(added)
	if err != nil {
		return fmt.Errorf("%s: %q event: %w", path, added.Kind, err)
	}
	if len(text) >= maxLine {
		return fmt.Errorf("%s: %q event of %d bytes, over the limit of %d", path, added.Kind, len(text), maxLine)
	}
	return rewrite(path, func(e Event, line []byte, _ int) []byte {
		if e.Kind == "end" {
			line = slices.Concat(text, []byte{'\n'}, line)
		}
		return line
	})
}

// rewrite replaces each line of the record at path by what change makes of it. last is
// the run's last step.
func rewrite(path string, change func(e Event, line []byte, last int) []byte) error {
	r, err := Read(path)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var text []byte
	for _, e := range r.Events { // one event on each line, in order
		end := bytes.IndexByte(raw, '\n') + 1
		text = append(text, change(e, raw[:end], r.Start.Steps)...)
		raw = raw[end:]
	}
	return disk.Write(path, text)
}
