// Tests of the sessions of a run.

package train_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// slow is a device whose steps take a given time.
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

func (s slowSession) Train(p device.Launch, m []device.Metric) error {
	time.Sleep(time.Duration(len(p.Rates)) * s.step)
	return s.Session.Train(p, m)
}

// A run that resumes with another library, number of threads or kernels says so in its record and
// in the origin of figures and tables. All sessions are kept, and their times add up to the
// record's. Recorded speeds are not above the device's.
func TestSessions(t *testing.T) {
	const step = 20 * time.Millisecond
	text := strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]", "log: 1 steps", "log: 4 steps", "stop: 6 steps", "stop: 16 steps").Replace(sweeptest.Small)
	dir := t.TempDir()
	begin := func(version string, as func(*device.Info)) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		q := sweeptest.New(t, text, dir, sweeptest.Fast(), "")
		s.Plan, s.Version = q.Plan, version
		s.Device = &slow{described{sweeptest.Fast(), as}, step}
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
			ctx = sweeptest.StopAfter(8)
		}
		err := begin(c.version, c.as).Run(ctx)
		if i+1 < len(sessions) && !errors.Is(err, harness.ErrInterrupted) || i+1 == len(sessions) && err != nil {
			t.Fatalf("session %d: %v", i+1, err)
		}
	}
	rec, err := record.Read(sweeptest.At(dir, "plain-8-seed0").Record())
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
	p, err := store.ReadProvenance(sweeptest.At(dir, "plain-8-seed0"))
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
	o := []store.OriginRun{store.OriginOf(sweeptest.At(dir, "plain-8-seed0"), rec)}
	made := strings.Join(store.Origin{Runs: o}.Made(), "\n")
	k := 0
	for _, c := range sessions {
		if !strings.Contains(made, c.version) {
			t.Errorf("the origin of the figure does not have version %s: %s", c.version, made)
		}
		if c.warns == "" {
			continue
		}
		if k >= len(warned) || !strings.Contains(warned[k], c.warns) || !strings.Contains(made, c.warns) {
			t.Errorf("no warning of %q in the record (%q) or in the origin of the figure (%s)", c.warns, warned, made)
		}
		k++
	}
	if k != len(warned) {
		t.Errorf("warned %q", warned)
	}
}

// described is a device with a changed description.
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
