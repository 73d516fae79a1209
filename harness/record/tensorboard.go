// TensorBoard: writes the events as its event files.

package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"depthlab/harness/disk"
)

// TensorBoard is a sink that writes a run's errors, losses, learning rate and speed for
// TensorBoard. Figures and tables do not use it: they read the record.
type TensorBoard struct {
	f     *disk.File
	began time.Time // when the run would have begun without any pause
}

// NewTensorBoard begins a run's event file in dir, a folder for this run only. It
// replaces older event files. past are the events that the record already has; it writes
// them first.
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
	// The file must begin with the version of its event format: 2.
	text := framed(appendBytes(newEvent(t.began), 3, []byte("brain.Event:2")))
	for _, e := range past {
		text = append(text, t.encode(e)...)
	}
	if err := disk.Write(path, text); err != nil {
		return nil, err
	}
	t.f, err = disk.Append(path)
	return t, err
}

// Event writes the values of e that TensorBoard shows, if any.
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

// encode returns e as a framed event, or nothing.
func (t *TensorBoard) encode(e Event) []byte {
	var values []byte
	add := func(tag string, x float64) {
		if x == x { // not NaN
			value := appendBytes(nil, 1, []byte(tag))
			value = protowire.AppendTag(value, 2, protowire.Fixed32Type)
			value = protowire.AppendFixed32(value, math.Float32bits(float32(x)))
			values = appendBytes(values, 1, value)
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
	event := newEvent(t.began.Add(seconds(e.Seconds)))
	event = protowire.AppendTag(event, 2, protowire.VarintType)
	event = protowire.AppendVarint(event, uint64(e.Step))
	return framed(appendBytes(event, 5, values))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// newEvent begins an event with its time (Event in tensorflow/core/util/event.proto).
func newEvent(at time.Time) []byte {
	b := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixMicro())/1e6))
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// framed adds TFRecord's frame: length, CRC of the length, data, CRC of the data.
func framed(data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out := binary.LittleEndian.AppendUint32(length, masked(length))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, masked(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's masked CRC-32C. The mask is there because the CRC of data that
// contain CRCs is weak.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
