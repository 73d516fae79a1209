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
