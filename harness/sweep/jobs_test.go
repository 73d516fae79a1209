// Tests of several runs at a time, and of lost devices.

package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
	"depthlab/harness/model"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
	"depthlab/nets/program"
)

// several is question with three small runs.
var several = strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]\nseeds: [0, 1, 2]", "batch: 8", "batch: 4", "train: 64", "train: 32").Replace(sweeptest.Question)

func openRef() (device.Device, error) { return ref.New(), nil }

// How many runs are trained at a time changes nothing in any of them, however
// often all are interrupted.
func TestJobs(t *testing.T) {
	alone, together := t.TempDir(), t.TempDir()
	if err := sweeptest.New(t, several, alone, ref.New(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	stops := 0
	for n := 4; ; n += 6 {
		s := sweeptest.New(t, several, together, ref.New(), "")
		s.Open, s.Jobs = openRef, 3
		err := s.Run(sweeptest.StopAfter(n))
		if err == nil {
			break
		}
		if stops++; !errors.Is(err, harness.ErrInterrupted) || stops > 50 {
			t.Fatal(err)
		}
	}
	if stops < 2 {
		t.Errorf("stopped only %d times", stops)
	}
	want, got := sweeptest.Outcome(t, alone), sweeptest.Outcome(t, together)
	if len(want) != 6 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d and %d results of three runs differ", len(want), len(got))
	}
}

// losing is a device that is lost in the midst of training a net, for good.
type losing struct {
	device.Device
	step int
}

type losingSession struct {
	device.Session
	step int
}

func (d losing) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	return &losingSession{s, d.step}, err
}

func (s *losingSession) Train(p device.Launch, m []device.Metric) error {
	if p.First >= s.step {
		return fmt.Errorf("xla: %w", &device.LostError{Err: errors.New("CUDA_ERROR_LAUNCH_FAILED")})
	}
	return s.Session.Train(p, m)
}

// A run whose device is lost keeps its checkpoint, and the others go on with a
// new device; without one the sweep ends and says so. Then all goes on.
func TestLostDevice(t *testing.T) {
	whole := t.TempDir()
	if err := sweeptest.New(t, several, whole, ref.New(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		open func() (device.Device, error)
		jobs int
		want string
		runs int // that have a record
	}{
		{openRef, 1, "1 of 3 runs failed", 3},
		{openRef, 2, "1 of 3 runs failed", 3},
		{func() (device.Device, error) { return nil, errors.New("no GPU") }, 1, "2 runs were not begun, as no device is left (no GPU)", 1},
	} {
		dir := t.TempDir()
		s := sweeptest.New(t, several, dir, losing{ref.New(), 5}, "")
		s.Open, s.Jobs = c.open, c.jobs
		err := s.Run(context.Background())
		var lost *device.LostError
		if !errors.As(err, &lost) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want a LostError and %q", err, c.want)
		}
		records, err := sweeptest.Recorded(dir)
		if err != nil || len(records) != c.runs {
			t.Errorf("%d records, want %d; %v", len(records), c.runs, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*-step000003.*")); len(files) == 0 {
			all, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*"))
			t.Errorf("no checkpoint of step 3 among %v", all)
		}
		if err := sweeptest.New(t, several, dir, ref.New(), "").Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sweeptest.Outcome(t, dir), sweeptest.Outcome(t, whole)) {
			t.Error("what went on after the loss ended otherwise")
		}
	}
}

// On a device that tells its memory the largest net counts.
type roomy struct {
	device.Device
	limit, used int64
}

func (r roomy) Memory() (limit, used int64) { return r.limit, r.used }

func TestFit(t *testing.T) {
	s := sweeptest.New(t, sweeptest.Question, t.TempDir(), ref.New(), "")
	one, err := model.Footprint(s.Plan.Runs[1], s.Data, s.Device.Info())
	if err != nil {
		t.Fatal(err)
	}
	one = one * 3 / 2
	for _, c := range []struct {
		dev  device.Device
		want int
	}{
		{ref.New(), 2}, // not known: no limit but the runs
		{roomy{ref.New(), 0, 0}, 2},
		{roomy{ref.New(), 10*one + 5, 7*one + 3}, 3},
		{roomy{ref.New(), one, one / 2}, 1},
	} {
		s.Device = c.dev
		if id, got, err := s.Fitting(2); got != c.want || id != s.Plan.Runs[1].ID || err != nil {
			t.Errorf("%+v: %d of %s fit, want %d; %v", c.dev, got, id, c.want, err)
		}
	}
}

// crowded is a GPU on which no second net can be trained beside one.
type crowded struct {
	device.Device
	open   *atomic.Int32 // sessions
	timed  *[]int        // bytes of work space of each session
	failed error
}

type crowdedSession struct {
	device.Session
	d crowded
}

func (d crowded) Info() device.Info {
	info := d.Device.Info()
	info.GPU = true
	return info
}

func (d crowded) Open(p device.Programs, o device.Options) (device.Session, error) {
	if d.open.Load() > 0 {
		return nil, d.failed
	}
	s, err := d.Device.Open(p, o)
	if err == nil {
		d.open.Add(1)
		bytes := int(p.Train.Bytes[program.Work])
		*d.timed = append(*d.timed, bytes)
	}
	return crowdedSession{s, d}, err
}

func (s crowdedSession) Close() error {
	s.d.open.Add(-1)
	return s.Session.Close()
}

// Where two at a time fail, a line says so, and the sweep trains one at a time.
// Timed is the largest net.
func TestTwoAtATimeFail(t *testing.T) {
	for name, c := range map[string]struct {
		failed error
		opened int // devices, in all
	}{
		"memory": {errors.New("out of memory"), 1},
		"loss":   {&device.LostError{Err: errors.New("CUDA_ERROR_LAUNCH_FAILED")}, 2},
	} {
		var open atomic.Int32
		var timed []int
		opened := 0
		dev := func() (device.Device, error) {
			opened++
			return crowded{ref.New(), &open, &timed, c.failed}, nil
		}
		first, _ := dev()
		opened = 0
		s := sweeptest.New(t, sweeptest.Question, t.TempDir(), first, "")
		s.Open = dev
		var said []string
		s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		if err := s.Run(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text := strings.Join(said, "\n")
		if !strings.Contains(text, "2 at a time failed: "+c.failed.Error()) || !strings.Contains(text, "training 1 at a time") {
			t.Errorf("%s: said %q", name, text)
		}
		if opened != c.opened {
			t.Errorf("%s: %d devices were opened, want %d", name, opened, c.opened)
		}
		if timed[0] != slices.Max(timed) || timed[0] == slices.Min(timed) {
			t.Errorf("%s: work space of the nets opened: %v; the largest should be timed", name, timed)
		}
	}
}

// Several clients of XLA's in one process: they train at the same time, and
// the same bits as one alone.
func TestJobsOnXLA(t *testing.T) {
	if testskip.Short(t) {
		testskip.Skip(t, "compiles for a minute")
	}
	path, err := xla.Find("", sweeptest.Libraries(t))
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	start := func() (device.Device, error) { return xla.Open(path, xla.Options{Quick: true}) }
	var results []map[string]any
	for _, jobs := range []int{1, 2} {
		dev, err := start()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		s := sweeptest.New(t, sweeptest.Question, dir, dev, "")
		s.Open, s.Jobs = start, jobs
		if v, err := s.Timed(jobs); err != nil || v <= 0 {
			t.Errorf("%d jobs: %v images/s, %v", jobs, v, err)
		}
		if err := errors.Join(s.Run(context.Background()), dev.Close()); err != nil {
			t.Fatal(err)
		}
		results = append(results, sweeptest.Outcome(t, dir))
	}
	if len(results[0]) != 4 || !reflect.DeepEqual(results[0], results[1]) {
		t.Error("two at a time end otherwise than one alone")
	}
}
