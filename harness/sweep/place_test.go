// Tests of choosing the run of the store for a question.

package sweep_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/lock"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// tensorCores is a device that accepts tf32, and computes in float32.
type tensorCores struct{ device.Device }

func (d tensorCores) Open(p device.Programs, o device.Options) (device.Session, error) {
	o.Precision = device.FP32
	return d.Device.Open(p, o)
}

// halves is a device with instructions for bf16, so that auto chooses it.
type halves struct{ device.Device }

func (d halves) Info() device.Info {
	info := d.Device.Info()
	info.Bfloat16 = true
	return info
}

// With precision auto a run keeps the precision with which it was begun, on a machine that would
// choose another, too. A machine without that precision does not train a begun run, and uses a
// finished one.
func TestPrecisionStays(t *testing.T) {
	dir := t.TempDir()
	begin := func(dev device.Device) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		s.Plan = sweeptest.New(t, strings.Replace(sweeptest.Small, "precision: fp32", "precision: auto", 1), dir, dev, "").Plan
		s.Device = dev
		for i := range s.Plan.Runs {
			s.Plan.Runs[i].Precision = "auto" // Place sets it
		}
		return s
	}
	if err := begin(halves{sweeptest.Fast()}).Run(sweeptest.StopAfter(8)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	const id = "plain-8-seed0"
	kept, err := filepath.Glob(filepath.Join(sweeptest.At(dir, id).Checkpoints(), "*"))
	if err != nil || len(kept) == 0 {
		t.Fatal("no checkpoint", err)
	}
	s := begin(ref.New())
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), id+" was begun in bf16, which this machine does not support") {
		t.Errorf("error %v, want that bf16 is not supported", err)
	}
	if p := s.Plan.Runs[0].Precision; p != "bf16" {
		t.Errorf("on a machine without bf16 the run begun in bf16 became %s", p)
	}
	if now, _ := filepath.Glob(filepath.Join(sweeptest.At(dir, id).Checkpoints(), "*")); len(now) != len(kept) {
		t.Errorf("checkpoints %q became %q", kept, now)
	}
	s = begin(sweeptest.Fast())
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p := s.Plan.Runs[0].Precision; p != "bf16" {
		t.Errorf("on a machine that prefers fp32 the run begun in bf16 became %s", p)
	}
	before := sweeptest.Outcome(t, dir)
	if err := begin(ref.New()).Run(context.Background()); err != nil {
		t.Errorf("finished runs of another machine: %v", err)
	}
	sweeptest.Same(t, dir, before)
}

// Tasks on unlike machines share runs with precision auto before any is begun: the question's list says in
// which precision.
func TestPrecisionShared(t *testing.T) {
	for _, best := range []bool{true, false} {
		s := sweeptest.NewSmall(t, t.TempDir())
		place := func(bfloat16 bool, precision string) map[string]store.Folder {
			for i := range s.Plan.Runs {
				s.Plan.Runs[i].Precision = "auto" // Place sets it
			}
			return sweep.Place(s.Plan, s.View.Store(), s.Data.Checksum, device.Info{Bfloat16: bfloat16}, precision)
		}
		first := place(best, "")
		if err := s.View.Write("test.yaml", sweep.Entries(s.Plan, first)); err != nil {
			t.Fatal(err)
		}
		if second := place(!best, ""); !reflect.DeepEqual(second, first) {
			t.Errorf("bf16 is best: %v; then on another machine %v, want %v", best, second, first)
		}
		if named := place(best, "tf32"); named["plain-8-seed0"] == first["plain-8-seed0"] {
			t.Error("the list replaced a precision of the command line")
		}
	}
}

// Another interval of checkpoints is the same run.
func TestSaveIsNoIdentity(t *testing.T) {
	dir := t.TempDir()
	begin := func(save string) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		s.Plan = sweeptest.New(t, strings.Replace(sweeptest.Small, "save: 2 steps", "save: "+save+" steps", 1), dir, sweeptest.Fast(), "").Plan
		return s
	}
	if err := begin("2").Run(sweeptest.StopAfter(8)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	for _, save := range []string{"3", "5"} {
		s := begin(save)
		if err := s.Run(context.Background()); err != nil {
			t.Error(err)
		}
	}
	sweeptest.Same(t, dir, sweeptest.Undisturbed(t))
}

// Another precision, seed or data set is another run. The run that was begun is not changed.
func TestResumedOtherwise(t *testing.T) {
	for name, change := range map[string]func(s *sweep.Sweep){
		"precision": func(s *sweep.Sweep) {
			s.Device = tensorCores{s.Device}
			for i := range s.Plan.Runs {
				s.Plan.Runs[i].Precision = string(device.TF32)
			}
		},
		"seed": func(s *sweep.Sweep) { s.Plan.Runs[0].Seed = 1 },
		"data": func(s *sweep.Sweep) { s.Data.Checksum = "other noise" },
	} {
		dir := t.TempDir()
		if err := sweeptest.NewSmall(t, dir).Run(sweeptest.StopAfter(5)); !errors.Is(err, harness.ErrInterrupted) {
			t.Fatal(err)
		}
		begun := sweeptest.At(dir, "plain-8-seed0")
		s := sweeptest.NewSmall(t, dir)
		change(s)
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if s.Folders["plain-8-seed0"] == begun {
			t.Errorf("with another %s it is the same run", name)
		}
		if found, err := begun.Find(); found != store.Begun || err != nil || !begun.HasCheckpoint() {
			t.Errorf("another %s: the begun run is %v, %v", name, found, err)
		}
		same := sweeptest.NewSmall(t, dir)
		if err := same.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if p, err := store.ReadProvenance(begun); err != nil || len(p.Sessions) != 2 || p.Finished == "" {
			t.Errorf("another %s, and back: %+v, %v", name, p, err)
		}
	}
}

// Two questions with a run in common train it once. A run that is being trained cannot be removed.
func TestShared(t *testing.T) {
	dir := t.TempDir()
	first := sweeptest.NewSmall(t, dir)
	if err := first.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("pairs: {depths: [8]}", "nets: [resnet-8]\nseeds: [0, 1]", "log: 1 steps", "log: 2 steps", "evaluate: 3 steps", "evaluate: 2 steps", "save: 2 steps", "save: 3 steps").Replace(sweeptest.Small)
	other := sweeptest.NewSmall(t, dir)
	other.Plan, other.View = sweeptest.New(t, text, dir, other.Device, "").Plan, store.Store(dir).View("other", "default")
	if err := other.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if other.Folders["resnet-8-seed0"] != first.Folders["resnet-8-seed0"] {
		t.Error("another interval of logs, tests and checkpoints made another run")
	}
	folders, _, err := store.Store(dir).All()
	if err != nil || len(folders) != 3 {
		t.Fatalf("folders %q, %v; want three", folders, err)
	}
	used, err := store.Store(dir).Used()
	if err != nil {
		t.Fatal(err)
	}
	if got := used[first.Folders["resnet-8-seed0"].Name()]; !reflect.DeepEqual(got, []string{"other/default", "test/default"}) {
		t.Errorf("used by %q", got)
	}
	if got := used[first.Folders["plain-8-seed0"].Name()]; !reflect.DeepEqual(got, []string{"test/default"}) {
		t.Errorf("used by %q", got)
	}
	var locks lock.Set
	f := first.Folders["plain-8-seed0"]
	held, err := f.Take(&locks)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Remove(f); err == nil || !strings.Contains(err.Error(), "being trained") {
		t.Errorf("removing a run that is trained: %v, want an error", err)
	}
	if err := errors.Join(held.Release(), store.Remove(f)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(string(f)); err == nil {
		t.Error("it is still there")
	}
}

// A run whose record is complete is finished even without run.json. A damaged run.json is renamed and
// kept, and the run resumes.
func TestWithoutProvenance(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	if err := s.Run(sweeptest.StopAfter(17)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	finished, begun := s.Folders["plain-8-seed0"], s.Folders["resnet-8-seed0"]
	stamp, err := os.Stat(finished.Record())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(finished.Provenance()), os.WriteFile(begun.Provenance(), []byte("{"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := sweeptest.NewSmall(t, dir).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(finished.Record()); err != nil || !now.ModTime().Equal(stamp.ModTime()) {
		t.Errorf("a finished record was overwritten (%v)", err)
	}
	if text, err := os.ReadFile(begun.Provenance() + ".damaged"); string(text) != "{" || err != nil {
		t.Errorf("the damaged run.json: %q, %v", text, err)
	}
	p, err := store.ReadProvenance(begun)
	if err != nil || len(p.Sessions) != 2 || p.Sessions[0].Note == "" {
		t.Errorf("%+v, %v", p, err)
	}
}
