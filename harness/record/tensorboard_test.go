// Tests of the TensorBoard files, byte for byte.

package record

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var regen = flag.Bool("regen", false, "rewrite testdata/tensorboard.events, if TensorBoard reads it correctly")

// A run of two points, then resumed. testdata has the file, byte for byte, that the
// library of TensorBoard 2.21 read correctly. If $DEPTHLAB_TENSORBOARD_PYTHON names a
// Python that has this library, it reads the file again.
func TestTensorBoard(t *testing.T) {
	dir := t.TempDir()
	past := []Event{
		{Kind: "start", Start: &Start{ID: "a"}},
		{Kind: "train", Step: 50, Rate: 0.1, Loss: num(2.25), Error: num(80), Seconds: 5, ImagesPerS: 100},
		{Kind: "eval", Step: 50, Set: "test", Loss: num(2), Error: num(75), Seconds: 5},
	}
	for i := range 2 { // the second file replaces the first, whose name has another time
		tb, err := newTensorBoard(filepath.Join(dir, "a"), past, time.Unix(1.6e9+int64(i)*1e8, 0))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []Event{
			{Kind: "train", Step: 300, Rate: 0.01, Error: num(40.5), Seconds: 30},
			{Kind: "warn", Step: 300, Text: "nothing to be seen"},
			{Kind: "full", Step: 64000, Set: "train", Error: num(1.5), Seconds: 6400},
		} {
			if err := tb.Event(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := tb.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "a", "*"))
	if len(files) != 1 {
		t.Fatalf("files %q, want one", files)
	}
	got, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/tensorboard.events"
	python := os.Getenv("DEPTHLAB_TENSORBOARD_PYTHON")
	if python != "" {
		readByTensorBoard(t, python, filepath.Join(dir, "a"))
	}
	if *regen && !t.Failed() {
		if python == "" {
			t.Fatal("-regen needs $DEPTHLAB_TENSORBOARD_PYTHON, a Python that has TensorBoard")
		}
		if err := os.WriteFile(golden, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file is not %s, which TensorBoard could read (%v): set $DEPTHLAB_TENSORBOARD_PYTHON, and use -regen\n%x\nwant\n%x", golden, err, got, want)
	}
}

// readByTensorBoard checks that TensorBoard finds the curves of TestTensorBoard in dir.
func readByTensorBoard(t *testing.T, python, dir string) {
	t.Helper()
	script := `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
print(json.dumps({tag: [[e.step, e.value, e.wall_time] for e in a.Scalars(tag)] for tag in a.Tags()["scalars"]}))
`
	cmd := exec.Command(python, "-c", script, dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	var got map[string][][3]float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"error/train": "50:80 300:40.5", "loss/train": "50:2.25", "rate": "50:0.1 300:0.01", "images_per_s": "50:100",
		"error/test": "50:75", "loss/test": "50:2", "error/full_train": "64000:1.5",
	}
	for tag, points := range got {
		var words []string
		for _, p := range points {
			words = append(words, fmt.Sprintf("%g:%.5g", p[0], p[1]))
		}
		if text := strings.Join(words, " "); text != want[tag] {
			t.Errorf("%s: %s, want %s", tag, text, want[tag])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d curves, want %d", len(got), len(want))
	}
	if p := got["error/train"]; len(p) == 2 && (p[1][2]-p[0][2] < 24.9 || p[1][2]-p[0][2] > 25.1) {
		t.Errorf("25 seconds of training lie between the points, not %g", p[1][2]-p[0][2])
	}
}

// The frame equals TFRecord's, byte for byte: an empty record and a known CRC.
func TestFrame(t *testing.T) {
	if got := fmt.Sprintf("%x", framed(nil)); got != "0000000000000000"+"29039807"+"d8ea82a2" {
		t.Errorf("empty record: %s", got)
	}
	// 0xe3069283 is the published check value of CRC-32C.
	if got, want := masked([]byte("123456789")), uint32(0xe3069283>>15|0xe3069283<<17&0xffffffff)+0xa282ead8; got != want {
		t.Errorf("%x, want %x", got, want)
	}
	began := TensorBoard{began: time.Unix(1, 500000000)}
	event := fmt.Sprintf("%x", began.encode(Event{Kind: "train", Step: 300, Rate: 0.5, Loss: num(2.25), Seconds: 30}))
	if want := "2e00000000000000c5cb57fa" + "090000000000803f40" + "10ac02" + // frame, time, step
		"2a20" + "0a11" + "0a0a6c6f73732f747261696e" + "1500001040" + // loss/train: 2.25
		"0a0b" + "0a0472617465" + "150000003f" + "62bb24db"; event != want { // rate: 0.5; frame
		t.Errorf("event: %s, want %s", event, want)
	}
}
