//go:build nightly

// Nightly tests, which take many minutes, or measure times on an otherwise idle machine
// (.ci/nightly).

package sweep_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"depthlab/harness/record"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/plots"
)

// A long run does not use more and more memory, files or goroutines, and its record is drawn in
// 2 s.
func TestSoakSteps(t *testing.T) {
	const steps = 100_000
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	s.Plan.Runs = s.Plan.Runs[:1]
	if dev := sweeptest.Devices(t)["cpu"]; dev != nil {
		s.Device = dev
	}
	r := &s.Plan.Runs[0]
	r.Batch, r.Schedule.Stop, r.LogEvery, r.EvalEvery, r.SaveEvery = 2, steps, 50, 5000, 5000
	var before usage
	logged := 0
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s.Progress = record.NewProgress(null, onWrite(func() {
		if logged++; logged == 200 {
			before = used(t)
		}
	}), time.Now)
	s.Progress.Every = 0
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	flatUsage(t, before, used(t))
	records, err := sweeptest.Recorded(dir)
	if err != nil || len(records) != 1 || records[0].Step() != steps {
		t.Fatalf("%d records, %v", len(records), err)
	}
	began := time.Now()
	if err := plots.Draw(dir, plots.Question{Name: "soak", Figures: []string{"training_curves"}}, records); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("drawn in %v, want at most 2 s", took)
	}
}

// The records of nine nets with five seeds of 64,000 steps are drawn in 5 s, with at most 500 MB.
func TestDrawLarge(t *testing.T) {
	dir := t.TempDir()
	for i, net := range strings.Fields("plain-20 plain-32 plain-44 plain-56 resnet-20 resnet-32 resnet-44 resnet-56 resnet-110") {
		for seed := range 5 {
			start := record.Start{ID: fmt.Sprintf("%s-seed%d", net, seed), Net: net, Depth: 20 + 12*(i%4), Residual: strings.HasPrefix(net, "resnet"),
				Seed: uint64(seed), Steps: 64000, Batch: 128, Data: "CIFAR-10", Precision: "fp32", Device: "test"}
			if net == "resnet-110" {
				start.Depth = 110
			}
			var text strings.Builder
			first, err := json.Marshal(record.Event{Kind: "start", Start: &start})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "%s\n", first)
			for step := 50; step <= 64000; step += 50 {
				fmt.Fprintf(&text, `{"kind":"train","step":%d,"rate":0.1,"loss":1.5,"error":%.4f,"seconds":%d,"images_per_s":1000}`+"\n", step, 90-float64(step%977)/100, step)
				if step%400 == 0 {
					fmt.Fprintf(&text, `{"kind":"eval","step":%d,"set":"test","loss":1.5,"error":%.4f}`+"\n", step, 80-float64(step)/1000)
				}
			}
			text.WriteString(`{"kind":"full","step":64000,"set":"train","error":1}` + "\n" + `{"kind":"end","step":64000}` + "\n")
			path := filepath.Join(dir, "runs", start.ID+"-0123456789ab", "record.jsonl")
			os.MkdirAll(filepath.Dir(path), 0o777)
			if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	records, err := sweeptest.Recorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := time.Since(began)
	if err := plots.Draw(dir, plots.Question{Name: "large", Figures: plots.Names()}, records); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	took, spent := time.Since(began), after.Sys // of the whole process, including earlier tests
	t.Logf("read in %v, all in %v, %d MB from the system, %d MB allocated", read, took, spent/1e6, (after.TotalAlloc-before.TotalAlloc)/1e6)
	if took > 5*time.Second || spent > 500e6 {
		t.Errorf("took %v and %d MB, want at most 5 s and 500 MB", took, spent/1e6)
	}
}

// onWrite is a Writer that calls a function for each write.
type onWrite func()

func (w onWrite) Write(b []byte) (int, error) { w(); return len(b), nil }
