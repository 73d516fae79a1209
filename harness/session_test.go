package harness

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/record"
	"depthlab/harness/store"
)

// slow is a device whose steps take a while.
type slow struct {
	device.Device
	step time.Duration
}

type slowSession struct {
	device.Session
	step time.Duration
}

func (d *slow) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	return slowSession{s, d.step}, err
}

func (s slowSession) Train(p device.Plan, m []device.Metric) error {
	time.Sleep(time.Duration(len(p.Rates)) * s.step)
	return s.Session.Train(p, m)
}

// A run that goes on with another library, other threads or other kernels says so
// in its record and in what figures and tables tell of it; all its sessions are
// kept, and their times add up to the record's. Its speeds are those of the device.
func TestSessions(t *testing.T) {
	const step = 20 * time.Millisecond
	text := strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]", "log: 1 steps", "log: 4 steps", "stop: 6 steps", "stop: 16 steps").Replace(small)
	dir := t.TempDir()
	begin := func(version string, as func(*device.Info)) *Sweep {
		s := smallSweep(t, dir)
		q := sweep(t, text, dir, ref.New(), "")
		s.Plan, s.Version = q.Plan, version
		s.Device = &slow{described{ref.New(), as}, step}
		return s
	}
	sessions := []struct {
		version string
		as      func(*device.Info)
		warns   string // "" for none
	}{
		{"v1", func(i *device.Info) { i.Library, i.Threads, i.Kernels = "lib 1", 2, "7" }, ""},
		{"v2", func(i *device.Info) { i.Library, i.Threads, i.Kernels = "lib 1", 2, "7" }, ""}, // another version alone changes no sum
		{"v3", func(i *device.Info) { i.Library, i.Threads, i.Kernels = "lib 2", 2, "7" }, "library lib 1 -> lib 2"},
		{"v4", func(i *device.Info) { i.Library, i.Threads, i.Kernels = "lib 2", 4, "8" }, "threads 2 -> 4, kernels 7 -> 8"},
	}
	for i, c := range sessions {
		ctx := context.Context(context.Background())
		if i+1 < len(sessions) {
			ctx = &stopAll{Context: ctx, left: 8}
		}
		err := begin(c.version, c.as).Run(ctx)
		if i+1 < len(sessions) && !errors.Is(err, ErrInterrupted) || i+1 == len(sessions) && err != nil {
			t.Fatalf("session %d: %v", i+1, err)
		}
	}
	rec, err := record.Read(at(dir, "plain-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	var seconds float64
	for _, e := range rec.Events {
		switch e.Kind {
		case "warn":
			if strings.Contains(e.Text, "arithmetic") {
				warned = append(warned, e.Text)
			}
		case "train":
			if most := rec.Start.Batch * int(time.Second/step); e.ImagesPerS > float64(most) {
				t.Errorf("step %d: %v images/s, but the device cannot do more than %d", e.Step, e.ImagesPerS, most)
			}
		case "end":
			seconds = e.Seconds
		}
	}
	p, err := at(dir, "plain-8-seed0").ReadProvenance()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sessions) != len(sessions) {
		t.Fatalf("%d sessions, want %d", len(p.Sessions), len(sessions))
	}
	last := 0
	for i, s := range p.Sessions {
		if s.Version != sessions[i].version || s.First != last || s.Last <= s.First || s.Seconds <= 0 || s.Started == "" || s.Ended == "" || s.Device.Layout == "" {
			t.Errorf("session %d: %+v", i+1, s)
		}
		last = s.Last
	}
	if last != rec.Start.Steps || math.Abs(store.Trained(p.Sessions)-seconds) > 1e-9*seconds {
		t.Errorf("sessions end at step %d of %d, after %v of %v s", last, rec.Start.Steps, store.Trained(p.Sessions), seconds)
	}
	o := []store.OriginRun{store.OriginOf(at(dir, "plain-8-seed0"), rec)}
	made := strings.Join(store.Origin{Runs: o}.Made(), "\n")
	k := 0
	for _, c := range sessions {
		if !strings.Contains(made, c.version) {
			t.Errorf("version %s is not among what made the figure: %s", c.version, made)
		}
		if c.warns == "" {
			continue
		}
		if k >= len(warned) || !strings.Contains(warned[k], c.warns) || !strings.Contains(made, c.warns) {
			t.Errorf("no warning of %q in the record (%q) or in what made the figure (%s)", c.warns, warned, made)
		}
		k++
	}
	if k != len(warned) {
		t.Errorf("warned %q", warned)
	}
}

// halves is a device that prefers bf16, and computes in float32.
type halves struct{ device.Device }

func (d halves) Info() device.Info {
	info := d.Device.Info()
	info.Bfloat16 = true
	return info
}

func (d halves) Open(p device.Programs, o device.Options) (device.Session, error) {
	o.Precision = device.FP32
	return d.Device.Open(p, o)
}

// With precision: auto a run keeps the precision that it was begun with: a machine
// that has it not leaves a begun run alone, and takes a finished one as it is.
func TestPrecisionStays(t *testing.T) {
	dir := t.TempDir()
	begin := func(dev device.Device) *Sweep {
		s := smallSweep(t, dir)
		s.Plan = sweep(t, strings.Replace(small, "precision: fp32", "precision: auto", 1), dir, dev, "").Plan
		s.Device = dev
		for i := range s.Plan.Runs {
			s.Plan.Runs[i].Precision = "auto" // for Place to settle
		}
		return s
	}
	if err := begin(halves{ref.New()}).Run(&stopAll{Context: context.Background(), left: 8}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	const id = "plain-8-seed0"
	kept, err := filepath.Glob(filepath.Join(at(dir, id).Checkpoints(), "*"))
	if err != nil || len(kept) == 0 {
		t.Fatal("no checkpoint", err)
	}
	s := begin(ref.New())
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), id+" was begun in bf16 and is left alone") {
		t.Errorf("not left alone: %v", err)
	}
	if p := s.Plan.Runs[0].Precision; p != "bf16" {
		t.Errorf("on a machine without bf16 the run begun in bf16 became %s", p)
	}
	if now, _ := filepath.Glob(filepath.Join(at(dir, id).Checkpoints(), "*")); len(now) != len(kept) {
		t.Errorf("checkpoints %q became %q", kept, now)
	}
	if err := begin(halves{ref.New()}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	before := outcome(t, dir)
	if err := begin(ref.New()).Run(context.Background()); err != nil {
		t.Errorf("finished runs of another machine: %v", err)
	}
	same(t, dir, before)
}

// Another time between checkpoints trains no run again, begun or finished.
func TestSaveIsNoIdentity(t *testing.T) {
	dir := t.TempDir()
	begin := func(save string) *Sweep {
		s := smallSweep(t, dir)
		s.Plan = sweep(t, strings.Replace(small, "save: 2 steps", "save: "+save+" steps", 1), dir, ref.New(), "").Plan
		return s
	}
	if err := begin("2").Run(&stopAll{Context: context.Background(), left: 8}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	for _, save := range []string{"3", "5"} {
		s := begin(save)
		if err := s.Run(context.Background()); err != nil {
			t.Error(err)
		}
	}
	same(t, dir, undisturbed(t))
}
