// Tests of records that are taken back to a checkpoint, or added to.

package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const rewritten = `{"kind":"start","step":0,"start":{"id":"r","net":"plain-8","steps":6}}
{"kind":"train","step":3,"error":90}
{"kind":"gradients","step":3,"layers":[1]}
{"kind":"eval","step":3,"set":"test","error":80}
{"kind":"rate","step":3,"rate":0.01}
{"kind":"train","step":6,"error":70}
{"kind":"eval","step":6,"set":"test","error":60}
{"kind":"full","step":6,"set":"train","error":60}
{"kind":"end","step":6}
`

// A checkpoint that was saved before the test of its step wants that test made again, and
// a learning rate that follows from it; gradients of that step are recorded already.
func TestTruncateToACheckpoint(t *testing.T) {
	for _, c := range []struct {
		step     int
		untested bool
		lines    int // kept
	}{{3, false, 5}, {3, true, 3}, {6, false, 6}, {6, true, 6}} {
		path := filepath.Join(t.TempDir(), "r.jsonl")
		if err := os.WriteFile(path, []byte(rewritten), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Truncate(path, c.step, c.untested); err != nil {
			t.Fatal(err)
		}
		want := strings.Join(strings.SplitAfter(rewritten, "\n")[:c.lines], "")
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("%+v: left is\n%s\nwant\n%s", c, got, want)
		}
	}
}

// An event that is added comes before the end: the record stays a finished one.
func TestAmend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	if err := os.WriteFile(path, []byte(rewritten), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Amend(path, Event{Kind: "responses", Step: 6, Layers: []float64{2}, Time: "now"}); err != nil {
		t.Fatal(err)
	}
	end := `{"kind":"end","step":6}`
	want := strings.Replace(rewritten, end, `{"kind":"responses","step":6,"layers":[2],"time":"now"}`+"\n"+end, 1)
	if got, _ := os.ReadFile(path); string(got) != want {
		t.Errorf("the record is\n%s\nwant\n%s", got, want)
	}
	if r, err := Read(path); err != nil || !r.Finished() || len(r.Responses()) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Measurements are found by their names and options, the latest of equal ones; a resume
// removes them; one that no reader would take is not written.
func TestMeasured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	if err := os.WriteFile(path, []byte(rewritten), 0o666); err != nil {
		t.Fatal(err)
	}
	add := func(draws, value float64) error {
		return Amend(path, Event{Kind: "measured", Step: 6, Measured: &Measured{
			Name: "lesion", Options: map[string]float64{"draws": draws}, Values: map[string][]float64{"error": {value}}}})
	}
	for _, x := range [][2]float64{{1, 10}, {2, 20}, {1, 30}} {
		if err := add(x[0], x[1]); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Read(path)
	if err != nil || !r.Finished() {
		t.Fatal(r, err)
	}
	for draws, want := range map[float64]float64{1: 30, 2: 20} {
		if m := r.Measured("lesion", map[string]float64{"draws": draws}); m == nil || m.Values["error"][0] != want {
			t.Errorf("%g draws: %v, want %g", draws, m, want)
		}
	}
	if m := r.Measured("lesion", nil); m.Values["error"][0] != 30 {
		t.Errorf("whatever the options: %v", m)
	}
	if r.Measured("lesion", map[string]float64{"draws": 3}) != nil || r.Measured("landscape", nil) != nil {
		t.Error("found what was not measured")
	}
	before, _ := os.ReadFile(path)
	large := Event{Kind: "measured", Step: 6, Measured: &Measured{Name: "x", Values: map[string][]float64{"v": make([]float64, maxLine)}}}
	if err := Amend(path, large); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("an event of more than a line: %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the record is changed")
	}
	if err := Truncate(path, 6, false); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); strings.Contains(string(text), "measured") {
		t.Errorf("a resumed run has measurements: %s", text)
	}
	if err := os.WriteFile(path, []byte(rewritten+`{"kind":"measured","step":6}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "does not say what was measured") {
		t.Errorf("a measurement of nothing: %v", err)
	}
}
