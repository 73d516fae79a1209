// Tests of several runs at the same time, and of lost devices.

package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"depthlab/harness"
	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/xla"
	"depthlab/harness/model"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
	"depthlab/nets/program"
)

// several is a question with three small runs.
var several = strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]\nseeds: [0, 1, 2]", "batch: 8", "batch: 4", "train: 64", "train: 32").Replace(sweeptest.Question)

func openRef(int) (device.Device, error) { return sweeptest.Fast(), nil }

// The results of runs do not depend on how many are trained at the same time, nor on interruptions.
func TestJobs(t *testing.T) {
	alone, together := t.TempDir(), t.TempDir()
	if err := sweeptest.New(t, several, alone, sweeptest.Fast(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	stops := 0
	for n := 4; ; n += 6 {
		s := sweeptest.New(t, several, together, sweeptest.Fast(), "")
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

// losing is a device that is lost during the training of a net.
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

// A run whose device is lost resumes from its checkpoint, on a new device or another one, and other
// runs are not affected. Without any device the sweep ends with an error, and the next sweep
// resumes. A run that loses every device fails.
func TestLostDevice(t *testing.T) {
	text := strings.Replace(sweeptest.Small, "pairs: {depths: [8]}", "nets: [plain-8]\nseeds: [0, 1, 2]", 1)
	begin := func(dir string, dev device.Device) *sweep.Sweep {
		s := sweeptest.New(t, text, dir, dev, "")
		s.Data = datatest.Noise()
		return s
	}
	whole := t.TempDir()
	if err := begin(whole, sweeptest.Fast()).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	none := func(int) (device.Device, error) { return nil, errors.New("no GPU") }
	for name, c := range map[string]struct {
		open         func(place int) (device.Device, error)
		jobs, places int
		want         string // the error
		runs         int    // that have a record
	}{
		"a new one":             {openRef, 1, 1, "", 3},
		"a new one of two jobs": {openRef, 2, 1, "", 3},
		"another one": {func(place int) (device.Device, error) {
			if place == 0 {
				return none(0)
			}
			return sweeptest.Fast(), nil
		}, 1, 2, "", 3},
		"none":             {none, 1, 1, "3 runs are not finished, because no device is left (", 1},
		"each is lost too": {func(int) (device.Device, error) { return losing{sweeptest.Fast(), 5}, nil }, 1, 1, "3 of 3 runs failed", 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := begin(dir, losing{sweeptest.Fast(), 5})
			s.Open, s.Jobs, s.Places = c.open, c.jobs, c.places
			err := s.Run(context.Background())
			var lost *device.LostError
			if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &lost) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			records, err := sweeptest.Recorded(dir)
			if err != nil || len(records) != c.runs {
				t.Errorf("%d records, want %d; %v", len(records), c.runs, err)
			}
			if c.want != "" {
				if files, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*-step000004.*")); len(files) == 0 {
					all, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*"))
					t.Errorf("no checkpoint of step 4 among %v", all)
				}
				if err := begin(dir, sweeptest.Fast()).Run(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if !reflect.DeepEqual(sweeptest.Outcome(t, dir), sweeptest.Outcome(t, whole)) {
				t.Error("what went on after the loss ended otherwise")
			}
		})
	}
}

// A run that waited for the one that it extends, and then loses its device, resumes, too: the loss
// does not count as a stop by another process.
func TestLostDeviceLater(t *testing.T) {
	text := strings.Replace(sweeptest.Small, "pairs: {depths: [8]}", "nets: [plain-14, plain-8]\nvariants: [{name: constructed, extend: plain-8}]", 1)
	begin := func(dir string, dev device.Device) *sweep.Sweep {
		s := sweeptest.New(t, text, dir, dev, "")
		s.Data = datatest.Noise()
		s.Plan.Runs = s.Plan.Runs[1:]    // plain-8, and plain-14 that extends it
		s.Plan.Runs[0].Schedule.Stop = 5 // before the device is lost
		return s
	}
	whole, dir := t.TempDir(), t.TempDir()
	if err := begin(whole, sweeptest.Fast()).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := begin(dir, losing{sweeptest.Fast(), 5})
	s.Open, s.Jobs, s.Places = openRef, 1, 2
	var said []string
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "plain-14-constructed-seed0 resumes from its last checkpoint") {
		t.Errorf("no device was lost: said %q", text)
	}
	if !reflect.DeepEqual(sweeptest.Outcome(t, dir), sweeptest.Outcome(t, whole)) {
		t.Error("what went on after the loss ended otherwise")
	}
}

// noting is a device that records which nets were opened on it.
type noting struct {
	device.Device
	place int
	mu    *sync.Mutex
	seen  *[]string
}

func (d noting) Open(p device.Programs, o device.Options) (device.Session, error) {
	net, _, _ := strings.Cut(p.Train.Name, " ")
	d.mu.Lock()
	*d.seen = append(*d.seen, fmt.Sprintf("%s on %d", net, d.place))
	d.mu.Unlock()
	return d.Device.Open(p, o)
}

// With several devices, each trains a run, the longest runs first. With one device, runs keep their
// order, also if two of them share a CPU.
func TestLongestFirst(t *testing.T) {
	text := strings.Replace(sweeptest.Small, "pairs: {depths: [8]}", "nets: [plain-8, plain-14, plain-20]", 1)
	for _, c := range []struct {
		places, jobs int
		want         []string
	}{
		{1, 1, []string{"plain-8 on 0", "plain-14 on 0", "plain-20 on 0"}},
		{1, 2, []string{"plain-14 on 0", "plain-8 on 0", "plain-20 on 0"}},
		{3, 1, []string{"plain-14 on 1", "plain-20 on 0", "plain-8 on 2"}},
	} {
		var mu sync.Mutex
		var seen []string
		s := sweeptest.New(t, text, t.TempDir(), noting{sweeptest.Fast(), 0, &mu, &seen}, "")
		s.Data = datatest.Noise()
		s.Jobs, s.Places, s.Open = c.jobs, c.places, func(place int) (device.Device, error) { return noting{sweeptest.Fast(), place, &mu, &seen}, nil }
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(seen[:c.places*c.jobs]) // they begin at the same time
		if !slices.Equal(seen, c.want) {
			t.Errorf("%d devices with %d jobs: opened %q, want %q", c.places, c.jobs, seen, c.want)
		}
	}
}

// roomy is a device that reports a given memory.
type roomy struct {
	device.Device
	limit, used int64
}

func (r roomy) Memory() (limit, used int64) { return r.limit, r.used }

// shared is a CPU of four threads, on which several runs are worth it. Their first steps wait for
// each other.
type shared struct {
	device.Device
	runs  int32         // that wait for each other
	ready *atomic.Int32 // those that are ready
	all   chan struct{} // closed when all are
}

type sharedSession struct {
	device.Session
	d shared
}

func (d shared) Info() device.Info {
	info := d.Device.Info()
	info.Jobs = 4
	return info
}

func (d shared) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	return sharedSession{s, d}, err
}

func (s sharedSession) Train(p device.Launch, m []device.Metric) error {
	if s.d.ready.Add(1) == s.d.runs {
		close(s.d.all)
	}
	select {
	case <-s.d.all:
	case <-time.After(time.Minute):
		return errors.New("the other runs did not begin")
	}
	return s.Session.Train(p, m)
}

// On a CPU as many runs are trained at the same time as the device says, but not more than this
// process's share of them. Their records say how many others shared the device.
func TestJobsOnCPU(t *testing.T) {
	for _, c := range []struct {
		name              string
		jobs, tasks, want int
		more              bool // more devices can be opened
	}{
		{"all", 0, 0, 3, true},
		{"a share", 0, 2, 2, true},
		{"one for each task", 0, 3, 1, true},
		{"asked for", 2, 3, 2, true},
		{"one device", 0, 0, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, first := t.TempDir(), shared{sweeptest.Fast(), int32(c.want), new(atomic.Int32), make(chan struct{})}
			s := sweeptest.New(t, several, dir, first, "")
			s.Jobs, s.Tasks = c.jobs, c.tasks
			if c.more {
				s.Open = func(int) (device.Device, error) {
					another := first
					another.Device = sweeptest.Fast()
					return another, nil
				}
			}
			var said []string
			s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
			if err := s.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if text := fmt.Sprintf("training %d at a time (change it with --jobs N)", c.want); c.jobs == 0 && strings.Contains(strings.Join(said, "\n"), text) != (c.want > 1) {
				t.Errorf("said %q, want %q only for several", said, text)
			}
			records, err := sweeptest.Recorded(dir)
			if err != nil {
				t.Fatal(err)
			}
			beside := 0
			for _, r := range records {
				for _, e := range r.Events {
					beside = max(beside, e.Beside)
				}
			}
			if beside != c.want-1 {
				t.Errorf("at most %d other runs shared the device, want %d", beside, c.want-1)
			}
		})
	}
}

// The memory of the largest net decides how many runs fit.
func TestFit(t *testing.T) {
	s := sweeptest.New(t, sweeptest.Question, t.TempDir(), sweeptest.Fast(), "")
	one, err := model.Footprint(s.Plan.Runs[1], s.Data, s.Device.Info())
	if err != nil {
		t.Fatal(err)
	}
	one = one * 3 / 2
	for _, c := range []struct {
		dev  device.Device
		want int
	}{
		{sweeptest.Fast(), 9},                               // the memory of this machine
		{crowded{Device: roomy{sweeptest.Fast(), 0, 0}}, 9}, // a GPU whose memory is unknown
		{roomy{sweeptest.Fast(), 10*one + 5, 7*one + 3}, 3},
		{roomy{sweeptest.Fast(), one, one / 2}, 1},
	} {
		s.Device = c.dev
		if id, got, err := s.Fitting(9); got != c.want || id != s.Plan.Runs[1].ID || err != nil {
			t.Errorf("%+v: %d of %s fit, want %d; %v", c.dev, got, id, c.want, err)
		}
	}
}

// crowded is a GPU that fails to open a second session.
type crowded struct {
	device.Device
	open   *atomic.Int32 // sessions
	timed  *[]int        // bytes of the Work arena of each session
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

// If two runs at the same time fail, a line says so, and the sweep trains one at a time. The largest
// net is timed.
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
		dev := func(int) (device.Device, error) {
			opened++
			return crowded{sweeptest.Fast(), &open, &timed, c.failed}, nil
		}
		first, _ := dev(0)
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
			t.Errorf("%s: the Work arenas of the opened nets have %v bytes; want the largest net to be timed", name, timed)
		}
	}
}

// Four devices of XLA's CPU plugin with one run each, or one device with two runs, train at the same
// time. Each of eight runs ends with the bits of a run that is trained alone.
func TestDevicesOnXLA(t *testing.T) {
	path, err := xla.Find("", sweeptest.Libraries(t))
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	if n, err := xla.Count(path); err != nil || n < 4 {
		t.Fatalf("the plugin shows %d devices, want 4; %v", n, err)
	}
	cache := t.TempDir() // so that programs are compiled once
	start := func(place int) (device.Device, error) {
		return xla.Open(path, xla.Options{Quick: true, Cache: cache, Devices: []int{place}})
	}
	text := strings.Replace(several, "seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3, 4, 5, 6, 7]", 1)
	var alone map[string]any
	for _, c := range []struct{ places, jobs int }{{1, 1}, {4, 1}, {1, 2}} {
		dev, err := start(0)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		s := sweeptest.New(t, text, dir, dev, "")
		s.Open, s.Places, s.Jobs = start, c.places, c.jobs
		if v, err := s.Timed(c.jobs); err != nil || v <= 0 {
			t.Errorf("%d jobs: %v images/s, %v", c.jobs, v, err)
		}
		if err := errors.Join(s.Run(context.Background()), dev.Close()); err != nil {
			t.Fatal(err)
		}
		got := sweeptest.Outcome(t, dir)
		if alone == nil {
			alone = got
		}
		if len(got) != 16 || !reflect.DeepEqual(got, alone) {
			t.Errorf("%d devices, %d runs at a time on each: %d results of 8 runs, which are not those of runs alone", c.places, c.jobs, len(got))
		}
	}
}
