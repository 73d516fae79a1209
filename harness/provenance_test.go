package harness

import (
	"context"
	"errors"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/harness/store"
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

// A run that was stopped does not go on as something else: another precision, seed or
// data set is another run, and the one that was begun stays as it is.
func TestResumedOtherwise(t *testing.T) {
	for name, change := range map[string]func(s *Sweep){
		"precision": func(s *Sweep) {
			s.Device = tensorCores{s.Device}
			for i := range s.Plan.Runs {
				s.Plan.Runs[i].Precision = string(device.TF32)
			}
		},
		"seed": func(s *Sweep) { s.Plan.Runs[0].Seed = 1 },
		"data": func(s *Sweep) { s.Data.Checksum = "other noise" },
	} {
		dir := t.TempDir()
		if err := smallSweep(t, dir).Run(&stopAfter{Context: context.Background(), n: 5}); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		begun := at(dir, "plain-8-seed0")
		s := smallSweep(t, dir)
		change(s)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if s.Folders["plain-8-seed0"] == begun {
			t.Errorf("with another %s it is the same run", name)
		}
		if found, err := begun.Find(); found != store.Begun || err != nil || !begun.HasCheckpoint() {
			t.Errorf("another %s: the run that was begun is %v, %v", name, found, err)
		}
		same := smallSweep(t, dir)
		if err := same.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if p, err := begun.ReadProvenance(); err != nil || len(p.Sessions) != 2 || p.Finished == "" {
			t.Errorf("another %s, and back: %+v, %v", name, p, err)
		}
	}
}

// Two runs of one recipe do not differ; of two recipes, in what was changed and
// in what came out.
func TestDiff(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := smallSweep(t, dir).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	const id = "resnet-8-seed0"
	if d, err := store.Diff(string(at(a, id)), at(b, id).Record()); err != nil || len(d) > 0 {
		t.Errorf("equal runs: %v, %v", d, err)
	}
	s := smallSweep(t, b)
	for i := range s.Plan.Runs {
		s.Plan.Runs[i].Optimizer.Rate = 0.05
	}
	s.Data.Checksum = "other noise"
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	d, err := store.Diff(string(at(a, id)), string(s.Folders[id]))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range d {
		names = append(names, one.Name)
	}
	all := strings.Join(names, " ")
	if !strings.HasPrefix(all, "data_sha256 run.optimizer.rate") {
		t.Errorf("differences %s", all)
	}
	if _, err := store.Diff(string(at(a, id)), a); err == nil || !strings.Contains(err.Error(), "expected a run's folder") {
		t.Errorf("error %v", err)
	}
	rec, err := record.Read(at(a, id).Record())
	if err != nil {
		t.Fatal(err)
	}
	if o := store.OriginOf(at(a, id), rec); strings.Join(o.Versions, " ") != "test" || o.Recipe == "" || o.Checksum != "noise" || o.Steps != 6 || o.Finished == "" || !strings.HasPrefix(strings.Join(o.Devices, " "), "ref, ") {
		t.Errorf("incomplete: %+v", o)
	}
	if o := store.OriginOf(store.Folder(t.TempDir()), rec); o.ID != id || o.Steps != 6 || o.Problem == "" {
		t.Errorf("without run.json: %+v", o)
	}
}
