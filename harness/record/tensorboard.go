package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"depthlab/harness/disk"
)

// TensorBoard is a sink that writes a run for TensorBoard to look at: its
// errors, losses, rate and speed. The record stays the one that counts.
type TensorBoard struct {
	f     *disk.File
	began time.Time // the run's, had it never paused
}

// NewTensorBoard begins a run's event file in dir, a folder of its own, in
// place of older ones. It writes down past, what the record has already.
func NewTensorBoard(dir string, past []Event) (*TensorBoard, error) {
	return newTensorBoard(dir, past, time.Now())
}

func newTensorBoard(dir string, past []Event, now time.Time) (*TensorBoard, error) {
	old, err := filepath.Glob(filepath.Join(escapeGlob(dir), "events.out.tfevents.*"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%d.depthlab", now.Unix()))
	t := &TensorBoard{began: now}
	for _, e := range past {
		if began := now.Add(-seconds(e.Seconds)); began.Before(t.began) {
			t.began = began
		}
	}
	// Version 2 of the events: all that there is to be said first.
	text := framed(append(field(nil, 1, fixed64(wall(t.began))), field(nil, 3, []byte("brain.Event:2"))...))
	for _, e := range past {
		text = append(text, t.encode(e)...)
	}
	if err := disk.Write(path, text); err != nil {
		return nil, err
	}
	t.f, err = disk.Append(path)
	return t, err
}

// Event writes what is to be seen of e, if anything.
func (t *TensorBoard) Event(e Event) error {
	text := t.encode(e)
	if len(text) == 0 {
		return nil
	}
	_, err := t.f.Write(text)
	return err
}

// Close closes the file.
func (t *TensorBoard) Close() error { return t.f.Close() }

// encode is e as a framed event, or nothing.
func (t *TensorBoard) encode(e Event) []byte {
	var values []byte
	add := func(tag string, x float64) {
		if x == x { // not NaN
			value := field(field(nil, 1, []byte(tag)), 2, fixed32(float32(x)))
			values = field(values, 1, value)
		}
	}
	switch e.Kind {
	case "train":
		add("error/train", number(e.Error))
		add("loss/train", number(e.Loss))
		add("rate", e.Rate)
		if e.ImagesPerS > 0 {
			add("images_per_s", e.ImagesPerS)
		}
	case "eval":
		add("error/"+e.Set, number(e.Error))
		add("loss/"+e.Set, number(e.Loss))
	case "full":
		add("error/full_"+e.Set, number(e.Error))
	}
	if len(values) == 0 {
		return nil
	}
	event := field(nil, 1, fixed64(wall(t.began.Add(seconds(e.Seconds)))))
	event = field(event, 2, varint(e.Step))
	return framed(field(event, 5, values))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func wall(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// The little of protocol buffers that an event needs. A field's number and the
// kind of its value come first: 0 varint, 1 eight bytes, 2 counted bytes, 5
// four bytes.
type (
	varint  uint64
	fixed64 float64
	fixed32 float32
)

func field[T []byte | varint | fixed64 | fixed32](b []byte, number byte, value T) []byte {
	switch v := any(value).(type) {
	case varint:
		return binary.AppendUvarint(append(b, number<<3), uint64(v))
	case fixed64:
		return binary.LittleEndian.AppendUint64(append(b, number<<3|1), math.Float64bits(float64(v)))
	case fixed32:
		return binary.LittleEndian.AppendUint32(append(b, number<<3|5), math.Float32bits(float32(v)))
	case []byte:
		return append(binary.AppendUvarint(append(b, number<<3|2), uint64(len(v))), v...)
	}
	panic("record: no such kind of field")
}

// framed is TFRecord's frame: length, its check, data, their check.
func framed(data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out := binary.LittleEndian.AppendUint32(length, masked(length))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, masked(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is a CRC-32C that TFRecord turns a little, since a CRC over data that
// hold CRCs is a weak one.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
