// Tests of records: resumed records equal uninterrupted ones, reading is strict, curves
// and progress are right.

package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func num(x float64) *float64 { return &x }

// write makes the record of a run of 200 steps, logged every 10 steps, tested and saved
// every 50. It writes steps from+1 to to. late is added to the seconds.
func write(t *testing.T, path string, from, to int, late float64) {
	t.Helper()
	open := Create
	if from > 0 {
		open = OpenAppend
	}
	w, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(e Event) {
		e.Time = "2015-12-10T00:00:00Z"
		if err := w.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if from == 0 {
		put(Event{Kind: "start", Start: &Start{ID: "plain-8-seed0", Net: "plain-8", Depth: 8, Steps: 200, Batch: 128}})
		put(Event{Kind: "rate", Rate: 0.1})
		put(Event{Kind: "eval", Set: "test", Error: num(95)})
		put(Event{Kind: "full", Set: "train", Error: num(94)})
	}
	for s := from + 1; s <= to; s++ {
		if s%10 == 0 {
			put(Event{Kind: "train", Step: s, Rate: 0.1, Loss: num(1 / float64(s)), Error: num(100 / float64(s)), Seconds: late + float64(s), ImagesPerS: late})
		}
		if s == 100 {
			put(Event{Kind: "rate", Step: s, Rate: 0.01})
		}
		if s%50 == 0 {
			put(Event{Kind: "gradients", Step: s, Layers: []float64{float64(s), 2}})
		}
		if s%50 == 0 && s < 200 {
			put(Event{Kind: "eval", Step: s, Set: "test", Error: num(float64(90 - s/10))})
		}
	}
	if to == 200 {
		put(Event{Kind: "eval", Step: 200, Set: "test", Error: num(75)})
		put(Event{Kind: "full", Step: 200, Set: "train", Error: num(0.5)})
		put(Event{Kind: "responses", Step: 200, Layers: []float64{3}})
		put(Event{Kind: "end", Step: 200})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestResumedRecordEqualsUndisturbed(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.jsonl")
	write(t, whole, 0, 200, 0)
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ killed, saved int }{{137, 100}, {100, 100}, {63, 50}, {199, 150}, {200, 200}, {200, 150}, {30, 0}} {
		path := filepath.Join(dir, "cut.jsonl")
		write(t, path, 0, c.killed, 0)
		f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		f.WriteString(`{"kind":"train","st`) // the kill
		f.Close()
		if err := Truncate(path, c.saved, false); err != nil {
			t.Fatal(err)
		}
		if c.saved == 0 {
			if err := os.Truncate(path, 0); err != nil { // nothing was saved: the run starts again
				t.Fatal(err)
			}
		}
		write(t, path, c.saved, 200, 0)
		got, _ := os.ReadFile(path)
		if !bytes.Equal(got, want) {
			t.Errorf("killed at %d, saved at %d:\n%s\nwant\n%s", c.killed, c.saved, got, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOpenAppendCutsTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	write(t, path, 0, 20, 0)
	want, _ := os.ReadFile(path)
	f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"kind":`)
	f.Close()
	w, err := OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSummary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	write(t, path, 0, 200, 0)
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := r.FinalTrain(); !ok || got != 0.5 { // the last 5 % of 200 steps have one event
		t.Errorf("FinalTrain %v %v", got, ok)
	}
	if got, ok := r.FinalTest(); !ok || got != 75 {
		t.Errorf("FinalTest %v %v", got, ok)
	}
	if got, ok := r.BestTest(); !ok || got != 75 {
		t.Errorf("BestTest %v %v", got, ok)
	}
	if got, ok := r.FullTrain(); !ok || got != 0.5 {
		t.Errorf("FullTrain %v %v", got, ok)
	}
	if !r.Finished() || r.Stopped() != "" || r.Step() != 200 || r.Seconds() != 200 {
		t.Error(r.Finished(), r.Stopped(), r.Step(), r.Seconds())
	}
	if got := r.RateChanges(); len(got) != 1 || got[0] != (RateChange{100, 0.1, 0.01}) {
		t.Error(got)
	}
	if n := len(r.TrainCurve()); n != 20 {
		t.Error(n)
	}
	if got := r.Began(); got != (Errors{Test: 95, Train: 94}) {
		t.Error(got)
	}
	if g := r.Gradients(); len(g) != 4 || g[3].Step != 200 || g[3].Norms[0] != 200 || len(r.Responses()) != 1 {
		t.Error(g, r.Responses())
	}
	gaps := r.GapCurve() // none before the first mini-batch
	want := 75 - (100/160.0+100/170.0+100/180.0+100/190.0+100/200.0)/5
	if len(gaps) != 4 || gaps[0].Step != 50 || math.Abs(gaps[3].Error-want) > 1e-12 {
		t.Errorf("%v, want %v at the end", gaps, want)
	}
}

func TestFinalTrainIsWeighted(t *testing.T) {
	r := &RunRecord{Start: Start{Steps: 1000}}
	for _, p := range []struct {
		step int
		err  float64
	}{{940, 50}, {960, 4}, {990, 2}, {1000, 1}} {
		r.Events = append(r.Events, Event{Kind: "train", Step: p.step, Error: num(p.err)})
	}
	got, ok := r.FinalTrain()
	if want := (20*4 + 30*2 + 10*1) / 60.0; !ok || math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	r.Events = r.Events[:3]
	if _, ok := r.FinalTrain(); ok {
		t.Error("a final error before the last step")
	}
}

func TestReadIsStrict(t *testing.T) {
	const start = `{"kind":"start","step":0,"start":{"id":"a","net":"plain-8","depth":8,"residual":false,"seed":0,"params":1,"macs":1,"steps":100,"batch":1,"data":"","precision":"","device":"","paper":false,"caveats":null}}` + "\n"
	for _, c := range []struct{ text, want string }{
		{`{"kind":"end","step":1}` + "\n", `:1: "end" event: the first event`},
		{start + start, `:2: "start" event`},
		{start + "\n", ":2: empty line"},
		{start + `{"kind":"train","step":1}{"kind":"train","step":2}` + "\n", ":2: more than one"},
		{start + `{"kind":"train","step":"1"}` + "\n", ":2: json"},
		{start + `{"kind":"train","stop":1}` + "\n", `:2: json: unknown field "stop"`},
		{start + `{"kind":"trian","step":1}` + "\n", `:2: unknown kind of event "trian"`},
		{start + `{"kind":"train","step":10}` + "\n" + `{"kind":"train","step":10}` + "\n", ":3: \"train\" event: step 10 comes after step 10"},
		{start + `{"kind":"train","step":101}` + "\n", ":2: \"train\" event: step 101 is after the last, 100"},
		{start + `{"kind":"gradients","step":1}` + "\n", ":2: \"gradients\" event of step 1 without layers"},
		{start + `{"kind":"warn","step":-1}` + "\n", ":2: \"warn\" event: step -1"},
		{start + `{"kind":"train","step":10}` + "\n" + `{"kind":"rate","step":9,"rate":0.1}` + "\n", ":3: \"rate\" event: step 9 comes after step 10"},
		{`{"kind":"start","step":0}` + "\n", ":1: \"start\" event without"},
		{start + `{"kind":"warn","text":"` + strings.Repeat("x", maxLine) + `"}` + "\n", ":2: line longer than"},
	} {
		path := filepath.Join(t.TempDir(), "r.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "r.jsonl"+c.want) {
			t.Errorf("%.60q: %v, want %s", c.text, err, c.want)
		}
	}
}

// Sort gives the order of the figures. Stray finds copies made by other programs by their
// names.
func TestSortAndStray(t *testing.T) {
	var rs []*RunRecord
	for _, s := range []Start{{Net: "resnet-8", Depth: 8, Residual: true}, {Net: "plain-14", Depth: 14}, {Net: "plain-8", Depth: 8, Seed: 10}, {Net: "plain-8", Depth: 8, Seed: 9}} {
		rs = append(rs, &RunRecord{Start: s})
	}
	Sort(rs)
	var got []string
	for _, r := range rs {
		got = append(got, r.Start.Net)
	}
	if s := strings.Join(got, " "); s != "plain-8 plain-8 plain-14 resnet-8" || rs[0].Start.Seed != 9 {
		t.Error(s)
	}
	whole := &RunRecord{Start: Start{ID: "a"}}
	for name, c := range map[string]struct {
		r    *RunRecord
		want bool
	}{
		"a.jsonl": {whole, false}, "a (conflicted copy 2026-01-02).jsonl": {whole, true}, "a.sync-conflict-20260102-030405-ABCDEFG.jsonl": {whole, true},
		"a (1).jsonl": {nil, true}, "a copy.jsonl": {nil, true}, "b.jsonl": {nil, false},
	} {
		if got := Stray(name, c.r); got != c.want {
			t.Errorf("%s: stray %v, want %v", name, got, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "beginning.jsonl")
	os.WriteFile(path, []byte(`{"kind`), 0o666)
	if _, err := Read(path); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

func TestNoNumberIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	w, _ := Create(path)
	w.Event(Event{Kind: "start", Start: &Start{Net: "plain-8", Steps: 9}})
	if err := w.Event(Event{Kind: "train", Step: 1, Loss: num(math.NaN()), Error: num(90)}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if p := r.TrainCurve()[0]; !math.IsNaN(p.Loss) || p.Error != 90 {
		t.Error(p)
	}
}

// play runs a short run with a Progress whose clock advances 20 ms with each step.
func play(p *Progress) {
	at := time.Date(2015, 12, 10, 0, 0, 0, 0, time.UTC)
	p.now = func() time.Time { return at }
	rec := RunRecord{Start: Start{Net: "resnet-20", Seed: 3, Steps: 1000, Batch: 128}}
	for s := 10; s <= 500; s += 10 {
		rec.Events = append(rec.Events, Event{Kind: "train", Step: s, Error: num(40)})
	}
	r := p.Begin(2, 8, rec, 500, func(v float64) time.Duration {
		return time.Duration(6 * 128 * 1000 / v * float64(time.Second))
	})
	for s := 501; s <= 1000; s++ {
		at = at.Add(20 * time.Millisecond)
		r.Step(s, Metric{0.1, math.NaN(), math.NaN()})
		if s%50 == 0 {
			r.Event(Event{Kind: "train", Step: s, Rate: 0.1, Loss: num(0.25), Error: num(7.5)})
		}
		if s == 700 {
			r.Event(Event{Kind: "rate", Step: s, Rate: 0.01})
			r.Event(Event{Kind: "eval", Step: s, Set: "test", Error: num(9.25)})
		}
	}
	r.Event(Event{Kind: "end", Step: 1000})
}

func TestPlainLines(t *testing.T) {
	var b bytes.Buffer
	play(&Progress{Every: 4 * time.Second, lines: []io.Writer{&b}})
	want := `2/8 resnet-20 seed 3: begins, 1000 steps, resumes after step 500
2/8 resnet-20 seed 3: step 700/1000, running error 7.50 %, 6s left, 2m06s for all, loss 0.2500, 6400 images/s, rate 0.1
2/8 resnet-20 seed 3: step 700, rate is now 0.01
2/8 resnet-20 seed 3: step 700, test error 9.25 %
2/8 resnet-20 seed 3: step 900/1000, running error 7.50 %, 2s left, 2m02s for all, loss 0.2500, 6400 images/s, rate 0.1
2/8 resnet-20 seed 3: step 1000/1000, running error 7.50 %, 0s left, 2m00s for all, loss 0.2500, 6400 images/s, rate 0.1
2/8 resnet-20 seed 3: finished, training error 7.50 %, test error 9.25 %, took 10s
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}

// Each name has one meaning: while a run trains, its running error is shown. At the end
// the training error of the table is shown, even if a part of it was recorded before a
// resume.
func TestFinishedSaysTheTrainingErrorOfTheTable(t *testing.T) {
	var b bytes.Buffer
	rec := RunRecord{Start: Start{Net: "plain-8", Steps: 1000, Batch: 4}, Events: []Event{
		{Kind: "train", Step: 950, Error: num(90)}, {Kind: "train", Step: 970, Error: num(10)},
	}}
	whole := rec
	p := &Progress{lines: []io.Writer{&b}, now: time.Now}
	r := p.Begin(1, 1, rec, 970, nil)
	for _, e := range []Event{{Kind: "train", Step: 1000, Error: num(5)}, {Kind: "full", Step: 1000, Set: "train", Error: num(1)}, {Kind: "end", Step: 1000}} {
		whole.Events = append(whole.Events, e)
		if err := r.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok := whole.FinalTrain(); !ok || e != 7 {
		t.Errorf("the table says %v %v, want 7", e, ok)
	}
	for _, want := range []string{"running error 5.00 %", "full training error 1.00 %", "finished, training error 7.00 %"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// A warning that is over is no longer listed. Other warnings and later ones are.
func TestWarningsThatAreOver(t *testing.T) {
	warn := func(step int, of string) Event { return Event{Kind: "warn", Step: step, Of: of, Text: "odd"} }
	over := func(step int) Event { return Event{Kind: "over", Step: step, Of: OfGuessing, Text: "it learns"} }
	for _, c := range []struct {
		events []Event
		want   []int // steps
	}{
		{nil, nil},
		{[]Event{warn(1, ""), warn(2, OfGuessing)}, []int{1, 2}},
		{[]Event{warn(1, ""), warn(2, OfGuessing), over(3)}, []int{1}},
		{[]Event{warn(1, OfGuessing), over(2), warn(3, OfGuessing)}, []int{3}},
	} {
		var got []int
		for _, w := range (&RunRecord{Events: c.events}).Warnings() {
			got = append(got, w.Step)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: warnings of steps %v, want %v", c.events, got, c.want)
		}
	}
}

// Events carry the time at which they were written.
func TestTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Truncate(time.Second)
	w.Event(Event{Kind: "start", Start: &Start{Net: "plain-8", Steps: 9}})
	w.Close()
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Time(); got.Before(before) || got.After(time.Now()) {
		t.Errorf("the last event was written at %v, began at %v", got, before)
	}
	r.Events[0].Time = ""
	if got := r.Time(); !got.IsZero() {
		t.Errorf("a record of an older version: %v", got)
	}
}

func TestBarFitsItsLine(t *testing.T) {
	for _, width := range []int{20, 24, 40, 60, 80, 120, 200} {
		var b bytes.Buffer
		play(&Progress{bar: &b, width: func() int { return width }})
		lines := strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\r' || r == '\n' })
		longest := ""
		for _, l := range lines {
			l = strings.NewReplacer("\x1b[0K", "", "\x1b[2K", "").Replace(l)
			if len(l) > len(longest) && !strings.Contains(l, "finished") {
				longest = l
			}
		}
		if len(longest) > width || width >= 40 && longest == "" {
			t.Errorf("%d columns, terminal has %d: %q", len(longest), width, longest)
		}
		if width == 200 {
			for _, s := range []string{"%", "2/8 resnet-20 seed 3", "images/s", "for all", "left", "loss", "error", "rate", "step"} {
				if !strings.Contains(longest, s) {
					t.Errorf("no %q in %q", s, longest)
				}
			}
		}
	}
}

// Several runs share the bar. When one ends, its part of the bar goes.
func TestSeveralRuns(t *testing.T) {
	var b bytes.Buffer
	at := time.Date(2015, 12, 10, 0, 0, 0, 0, time.UTC)
	p := &Progress{bar: &b, width: func() int { return 200 }, now: func() time.Time { return at }}
	var all []*Shown
	for i, net := range []string{"plain-20", "resnet-20"} {
		all = append(all, p.Begin(i+1, 3, RunRecord{Start: Start{Net: net, Steps: 100, Batch: 128}}, 0, func(v float64) time.Duration {
			return time.Duration(128 * 100 / v * float64(time.Second))
		}))
	}
	at = at.Add(time.Second)
	for i, r := range all {
		r.Step(10*(i+1), Metric{0.1, 2, 50})
	}
	at = at.Add(time.Second)
	all[1].Step(21, Metric{0.1, 2, 50})
	for _, want := range []string{"2624 images/s", "1/3 plain-20 seed 0 step 10/100", "2/3 resnet-20 seed 0 step 21/100"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %q", want, &b)
		}
	}
	// 90 steps at 10/s, 79 at 10.5/s and 100 at 10.5/s, two runs at a time.
	if got := strings.Join(all[1].status(), ", "); !strings.Contains(got, "8s left, 13s for all") {
		t.Errorf("status %q", got)
	}
	all[0].Event(Event{Kind: "end", Step: 100})
	b.Reset()
	all[1].Step(100, Metric{0.1, 2, 50})
	if s := b.String(); strings.Contains(s, "plain-20") || !strings.Contains(s, "resnet-20") {
		t.Errorf("after the end of one: %q", s)
	}
	all[1].Close()
	if len(p.runs) > 0 || p.pb != nil {
		t.Error("something is still shown")
	}
}

// The speed is that of training. The remaining time has the tests, too.
func TestSpeedWithoutTests(t *testing.T) {
	at := time.Date(2015, 12, 10, 0, 0, 0, 0, time.UTC)
	p := &Progress{now: func() time.Time { return at }}
	r := p.Begin(1, 2, RunRecord{Start: Start{Net: "plain-56", Steps: 2000, Batch: 128}}, 500, func(v float64) time.Duration {
		return time.Duration(128 * 1000 / v * float64(time.Second))
	})
	for step := 501; step <= 1010; step++ {
		at = at.Add(time.Second)
		r.Step(step, Metric{0.1, 2, 50})
		if step%100 == 0 {
			for _, set := range []string{"test", "validation"} {
				at = at.Add(25 * time.Second)
				r.Event(Event{Kind: "eval", Step: step, Set: set, Error: num(10)})
			}
		}
		if got := strings.Join(r.status(), ", "); !strings.Contains(got, ", 128 images/s,") {
			t.Fatalf("step %d: status %q, want 128 images/s", step, got)
		}
	}
	// 100 steps and their two tests take 150 seconds: 990 steps are left, and 1000 of the next run.
	if got := strings.Join(r.status(), ", "); !strings.Contains(got, "24m45s left, 49m45s for all") {
		t.Errorf("status %q", got)
	}
}

func TestProgressOnAFileWritesLines(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := NewProgress(f, nil, time.Now)
	p.Every = 0
	play(p)
	got, _ := os.ReadFile(f.Name())
	if n := strings.Count(string(got), "\n"); n != 14 || bytes.ContainsAny(got, "\r\x1b") {
		t.Errorf("%d lines:\n%s", n, got)
	}
}

func TestTee(t *testing.T) {
	var b bytes.Buffer
	path := filepath.Join(t.TempDir(), "r.jsonl")
	w, _ := Create(path)
	w.Close()
	s := Tee(w, (&Progress{lines: []io.Writer{&b}, now: time.Now}).Begin(1, 1, RunRecord{}, 0, nil))
	if err := s.Event(Event{Kind: "warn", Text: "odd"}); err == nil || !strings.Contains(b.String(), "odd") {
		t.Error(err, b.String())
	}
}

// Any file is refused with the line at fault, or is a record that Writer writes equally,
// that Truncate can reset to any step, and that figures can be drawn from.
func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.jsonl")
	writeSeed := func(events ...Event) {
		w, err := Create(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range events {
			if err := w.Event(e); err != nil {
				f.Fatal(err)
			}
		}
		w.Close()
		text, _ := os.ReadFile(path)
		f.Add(text)
		f.Add(text[:len(text)*2/3])
	}
	start := Event{Kind: "start", Start: &Start{ID: "a", Net: "plain-8", Depth: 8, Steps: 20, Batch: 4, Caveats: []string{"x"}}}
	writeSeed(start)
	writeSeed(start, Event{Kind: "rate", Rate: 0.1}, Event{Kind: "train", Step: 10, Rate: 0.1, Loss: num(2), Error: num(90), Seconds: 1, ImagesPerS: 40},
		Event{Kind: "rate", Step: 10, Rate: 0.01}, Event{Kind: "eval", Step: 10, Set: "test", Error: num(80)}, Event{Kind: "warn", Step: 11, Text: "a"},
		Event{Kind: "train", Step: 20, Rate: 0.01, Error: num(70)}, Event{Kind: "eval", Step: 20, Set: "test"}, Event{Kind: "full", Step: 20, Set: "train", Error: num(1)}, Event{Kind: "end", Step: 20})
	writeSeed(start, Event{Kind: "stop", Step: 3, Text: "NaN"})
	f.Add([]byte(""))
	f.Add([]byte("\n"))
	f.Add([]byte(`{"kind":"start","step":9223372036854775807,"start":{"net":"x","steps":9223372036854775807}}` + "\n"))
	f.Add([]byte(strings.Repeat("[", 20000) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := read("x.jsonl", bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrEmpty) && !strings.HasPrefix(err.Error(), "x.jsonl:") {
				t.Fatalf("without its line: %v", err)
			}
			return
		}
		r.RateChanges()
		r.FinalTrain()
		r.FullTrain()
		r.FinalTest()
		r.BestTest()
		if r.Finished() && r.Stopped() != "" {
			t.Fatal("finished and stopped")
		}
		if step := r.Step(); step < 0 || step > r.Start.Steps && r.Events[0].Step <= r.Start.Steps {
			t.Fatalf("step %d of %d", step, r.Start.Steps)
		}
		for _, e := range r.Events {
			var out bytes.Buffer
			if err := json.NewEncoder(&out).Encode(e); err != nil {
				t.Fatalf("read, but not written: %v", err)
			}
			if again, err := parse(out.Bytes()); err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("%+v is written as %s, and read as %+v, %v", e, &out, again, err)
			}
		}
	})
}
