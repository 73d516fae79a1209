package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/record"
)

// described is a device that describes itself otherwise.
type described struct {
	device.Device
	as func(*device.Info)
}

type describedSession struct {
	device.Session
	as func(*device.Info)
}

func (d described) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	return describedSession{s, d.as}, err
}

func (d described) Info() device.Info {
	info := d.Device.Info()
	d.as(&info)
	return info
}

func (s describedSession) Info() device.Info {
	info := s.Session.Info()
	s.as(&info)
	return info
}

// A run that was stopped does not go on as something else. Without --replace it is
// left as it is, and the sweep says what changed; with it, it is set aside with its
// checkpoints.
func TestResumedOtherwise(t *testing.T) {
	for says, change := range map[string]func(s *Sweep){
		"precision: fp32 -> tf32": func(s *Sweep) {
			s.Device = tensorCores{s.Device}
			for i := range s.Plan.Runs {
				s.Plan.Runs[i].Precision = string(device.TF32)
			}
		},
		"seed: 0 -> 1":            func(s *Sweep) { s.Plan.Runs[0].Seed = 1 },
		"data: noise (noise) -> ": func(s *Sweep) { s.Data.Checksum = "other noise" },
	} {
		dir := t.TempDir()
		if err := smallSweep(t, dir).Run(&stopAfter{Context: context.Background(), n: 5}); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		s := smallSweep(t, dir)
		change(s)
		s.Replace = false
		if lines, err := s.Superseded(); err != nil || len(lines) != 1 || !strings.Contains(lines[0], says) || !strings.Contains(lines[0], "of 6 steps") {
			t.Errorf("would be set aside: %q, %v; want %s", lines, err, says)
		}
		if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "--replace") {
			t.Errorf("%s: set aside unasked: %v", says, err)
		}
		s = smallSweep(t, dir)
		change(s)
		var said []string
		s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if len(said) != 2 || !strings.HasPrefix(said[0], "plain-8-seed0: ") || !strings.Contains(said[0], says) {
			t.Errorf("said %q, want %q", said, says)
		}
		if old, _ := filepath.Glob(filepath.Join(dir, "superseded", "plain-8-seed0-*", "*.safetensors")); len(old) == 0 {
			t.Errorf("%s: its checkpoints are gone", says)
		}
	}
	a, b := proof{Run: "a", Program: "b", Data: "c"}, proof{Run: "a", Program: "d", Data: "c"}
	if got, want := a.differs(b), "program b -> d"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Two runs of one recipe do not differ; of two recipes, in what was changed and
// in what came out. A run that is asked for otherwise is set aside with the
// change spelled out.
func TestDiffAndChanges(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := smallSweep(t, dir).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	run := func(dir, end string) string { return filepath.Join(dir, "runs", "resnet-8-seed0"+end) }
	if d, err := Diff(run(a, ".json"), run(b, "")); err != nil || len(d) > 0 {
		t.Errorf("equal runs: %v, %v", d, err)
	}
	s := smallSweep(t, b)
	for i := range s.Plan.Runs {
		s.Plan.Runs[i].Optimizer.Rate = 0.05
	}
	s.Data.Checksum = "other noise"
	var said []string
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(said) != 2 || !strings.Contains(said[0], "optimizer.rate: 0.1 -> 0.05, data: noise (noise) -> noise (other noise)") {
		t.Errorf("said %q", said)
	}
	d, err := Diff(run(a, ".jsonl"), run(b, ".json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range d {
		names = append(names, one.Name)
	}
	all := strings.Join(names, " ")
	if !strings.HasPrefix(all, "proof.data proof.run run.optimizer.rate") {
		t.Errorf("differences %s", all)
	}
	if _, err := Diff(run(a, ".json"), filepath.Join(a, "weights")); err == nil || !strings.Contains(err.Error(), "expected a run's file") {
		t.Errorf("error %v", err)
	}

	records, _, err := record.ReadDir(filepath.Join(a, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range OriginOf(a, records) {
		if strings.Join(o.Versions, " ") != "test" || o.Recipe == "" || o.Checksum != "noise" || o.Steps != 6 || o.Finished == "" || !strings.HasPrefix(strings.Join(o.Devices, " "), "ref, ") {
			t.Errorf("incomplete: %+v", o)
		}
	}
	if o := OriginOf(t.TempDir(), records); len(o) != 2 || o[0].ID != "plain-8-seed0" || o[0].Steps != 6 {
		t.Errorf("without runs/ID.json: %+v", o)
	}
}
