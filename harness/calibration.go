package harness

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/onednn"
	"depthlab/harness/disk"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/program"
)

// Calibration is what nets were measured to take on a device of this machine.
type Calibration struct {
	Device device.Info `json:"device"`
	Points []Point     `json:"points"`
}

// Point is what one net was measured to take. Times are in seconds.
type Point struct {
	Net       string  `json:"net"`
	Data      string  `json:"data"`
	Precision string  `json:"precision"`
	Batch     int     `json:"batch"`
	Macs      int64   `json:"macs"`  // of an image, forward
	Open      float64 `json:"open"`  // until the first step can begin
	Step      float64 `json:"step"`  // of training
	Image     float64 `json:"image"` // in a test
	Save      float64 `json:"save"`  // of a checkpoint
	Bytes     int64   `json:"bytes"` // that its programs hold, as counted
	Base      int64   `json:"base"`  // resident before; 0 for not known
	Peak      int64   `json:"peak"`  // resident at most
}

// work is the multiply-adds of a step, forward.
func (p Point) work() float64 { return float64(p.Macs) * float64(p.Batch) }

// calibrationPath is where the calibration of a device is kept. Its name holds
// all that makes times comparable.
func (m Machine) calibrationPath(name, version string) string {
	h := sha256.New()
	library := ""
	switch name {
	case "onednn":
		library, _ = m.OneDNN()
	case "xla":
		library, _ = m.XLA()
	}
	fmt.Fprintln(h, version, device.CPU().Model, runtime.NumCPU(), runtime.GOMAXPROCS(0), os.Getenv("OMP_NUM_THREADS"), os.Getenv(onednn.EnvKernels), os.Getenv(onednn.EnvLayout), library)
	cards, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information")
	for _, path := range cards {
		text, _ := os.ReadFile(path)
		h.Write(text)
	}
	return filepath.Join(m.Root, ".cache", "plan", fmt.Sprintf("%s-%.8x.json", name, h.Sum(nil)))
}

// Calibration gives what is kept of a device: nothing where none was measured by
// this version of the program on such a machine.
func (m Machine) Calibration(name, version string) Calibration {
	name, err := m.Device(name)
	if err != nil {
		return Calibration{} // whoever opens it is told
	}
	if name == "auto" {
		name = "ref"
		if _, err := m.OneDNN(); err == nil {
			name = "onednn"
		}
	}
	var c Calibration
	text, err := os.ReadFile(m.calibrationPath(name, version))
	if err != nil || json.Unmarshal(text, &c) != nil {
		return Calibration{}
	}
	return c
}

// Keep keeps a calibration for later plans.
func (m Machine) Keep(c Calibration, version string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return disk.Write(m.calibrationPath(c.Device.Name, version), append(text, '\n'))
}

// Measure takes a few steps of the plan's nets and adds what that took. It
// begins no net that would not end within the limit: first goes the smallest,
// then the largest, and what lies between can be interpolated.
func (c *Calibration) Measure(p *experiments.Plan, src *data.Source, dev device.Device, dir string, limit time.Duration) error {
	c.Device = dev.Info()
	todo, err := candidates(p, src)
	if err != nil {
		return err
	}
	began := time.Now()
	var last Point
	var took float64
	var base int64
	for i, t := range todo {
		if c.Device.Name == "ref" { // slow, and as slow for each image
			t.run.Batch = min(t.run.Batch, max(8, 2*runtime.GOMAXPROCS(0)))
			t.run.BatchNorm.Group, t.run.Micro = 0, 0
		}
		expected := 0.0
		switch this := float64(t.macs) * float64(t.run.Batch); {
		case i > 0: // steps and compiling take longer for a larger net, what is timed for a while does not
			fixed := min(took, (stepsFor + imagesFor).Seconds())
			expected = fixed + (took-fixed)*this/last.work()
		case c.Device.Name == "ref":
			expected = 4 * 3 * this / roughly["ref"] / float64(runtime.GOMAXPROCS(0))
		}
		if time.Since(began).Seconds()+expected > limit.Seconds() {
			if i == 0 {
				return fmt.Errorf("measuring %s on %s would take more than %v: its steps are that slow", t.run.Net, c.Device.Name, limit)
			}
			continue
		}
		start := time.Now()
		if last, err = measure(t.run, t.macs, src, dev, dir); err != nil {
			return fmt.Errorf("measuring %s: %w", t.run.Net, err)
		}
		took = time.Since(start).Seconds()
		if c.Device.Name == "xla" { // what compiling left in this process is not in a run's: it takes programs from the cache
			if i == 0 {
				base = last.Base
			}
			last.Peak -= last.Base - base
			last.Base = base
		}
		c.Points = slices.DeleteFunc(c.Points, func(q Point) bool {
			return q.Net == last.Net && q.Data == last.Data && q.Precision == last.Precision && q.Batch == last.Batch
		})
		c.Points = append(c.Points, last)
	}
	return nil
}

type candidate struct {
	run  experiments.Run
	macs int64
}

// candidates are the nets of a plan, in the order in which they are measured.
func candidates(p *experiments.Plan, src *data.Source) ([]candidate, error) {
	var all []candidate
	seen := map[string]bool{}
	for _, run := range p.Runs {
		if key := fmt.Sprint(run.Net, run.Batch, run.Precision); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		arch, err := nets.ParseArch(run.Net)
		if err != nil {
			return nil, err
		}
		_, macs, err := nets.Count(arch, geometry(src))
		if err != nil {
			return nil, err
		}
		all = append(all, candidate{run, macs})
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Compare(a.macs*int64(a.run.Batch), b.macs*int64(b.run.Batch))
	})
	if n := len(all); n > 2 {
		all = slices.Concat(all[:1], all[n-1:], all[1:n-1])
	}
	return all, nil
}

// How long steps and evaluations are timed.
const stepsFor, imagesFor = time.Second, 300 * time.Millisecond

// measure takes a net through the parts of a run. It learns nothing: all rates
// are 0.
func measure(run experiments.Run, macs int64, src *data.Source, dev device.Device, dir string) (p Point, err error) {
	p = Point{Net: run.Net, Data: run.Data, Precision: run.Precision, Batch: run.Batch, Macs: macs}
	if run.Micro, err = fitting(run, src, dev.Info(), room(dev)); err != nil {
		return p, err
	}
	watched := resetPeak()
	p.Base = resident("VmRSS")
	if dev.Info().Name == "xla" { // a run will find compiled what is compiled here
		compiled, err := open(run, src, dev)
		if err == nil {
			err = compiled.close()
		}
		if err != nil {
			return p, err
		}
	}
	began := time.Now()
	m, err := open(run, src, dev)
	if err != nil {
		return p, err
	}
	defer m.close()
	p.Open = time.Since(began).Seconds()
	p.Bytes = bytesOf(m.programs.Train, run.Precision)
	n := m.launch
	step := 0
	p.Step, err = pace(stepsFor, func() error {
		rows, err := m.rows(step, n)
		if err != nil {
			return err
		}
		plan := device.Plan{First: step, Rows: rows, Rates: make([]device.Rates, n)}
		step += n
		return m.session.Train(plan, make([]device.Metric, n))
	})
	if err != nil {
		return p, err
	}
	p.Step /= float64(n)
	images := m.test[:min(len(m.test), n*run.Batch)]
	p.Image, err = pace(imagesFor, func() error {
		_, err := m.evaluate(images)
		return err
	})
	if err != nil {
		return p, err
	}
	// A batch that is not full takes as long as one that is.
	p.Image /= float64((len(images) + run.Batch - 1) / run.Batch * run.Batch)
	began = time.Now()
	tensors, err := m.tensors(program.Persistent()...)
	if err == nil {
		err = state.Save(dir, "measured", &state.Checkpoint{Tensors: tensors})
	}
	p.Save = time.Since(began).Seconds()
	if err := cmp.Or(err, state.Remove(dir, "measured")); err != nil {
		return p, err
	}
	if p.Peak = resident("VmHWM"); !watched || dev.Info().Launch > 1 { // launches of many steps: it has memory of its own
		p.Base, p.Peak = 0, 0
	}
	return p, nil
}

// pace is how long f takes, in seconds: the median of what goes into the time
// given, and at least one, after one that does not count.
func pace(all time.Duration, f func() error) (float64, error) {
	if err := f(); err != nil {
		return 0, err
	}
	var took []float64
	for began := time.Now(); len(took) == 0 || time.Since(began) < all; {
		start := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start).Seconds())
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// bytesOf counts what a training program holds; activations are half as large
// in bf16.
func bytesOf(p *program.Program, precision string) (sum int64) {
	for a, n := range p.Bytes {
		if program.Arena(a) == program.Work && precision == string(device.BF16) {
			n /= 2
		}
		sum += n
	}
	return sum
}

// resetPeak makes the system forget how much memory this process had.
func resetPeak() bool { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil }

// resident reads a line of /proc/self/status, in bytes; 0 where there is none.
func resident(line string) int64 { return kibibytes("/proc/self/status", line) << 10 }

// kibibytes reads the number behind the name of a line, but the first.
func kibibytes(path, line string) int64 {
	text, _ := os.ReadFile(path)
	_, rest, _ := strings.Cut(string(text), "\n"+line+":")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(number, 10, 64)
	return n
}

// like finds points to estimate a net by: those of itself, else of its kind,
// else any. Rough says that they were measured in other circumstances.
func (c Calibration) like(p Point, arch nets.Arch) (points []Point, rough bool) {
	kind := func(a nets.Arch) nets.Arch { a.Depth = 0; return a }
	for _, fits := range []func(q Point) bool{
		func(q Point) bool { return q.Net == p.Net && q.Batch == p.Batch },
		func(q Point) bool {
			a, err := nets.ParseArch(q.Net)
			return err == nil && kind(a) == kind(arch)
		},
		func(q Point) bool { return true },
	} {
		for _, q := range c.Points {
			if q.Data == p.Data && q.Precision == p.Precision && fits(q) {
				points = append(points, q)
			}
		}
		if len(points) > 0 {
			slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.work(), b.work()) })
			x, first, last := p.work(), points[0].work(), points[len(points)-1].work()
			return points, x < first/4 || x > 4*last
		}
	}
	points = slices.Clone(c.Points)
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.work(), b.work()) })
	return points, true
}

// between estimates p, whose net, batch, multiply-adds and bytes are known,
// from points sorted by work. What a unit of work takes changes evenly, in the
// logarithm, between the two points next to it, and is the last one's beyond.
func between(points []Point, p Point) Point {
	at, _ := slices.BinarySearchFunc(points, p, func(q, p Point) int { return cmp.Compare(q.work(), p.work()) })
	a, b := points[max(0, at-1)], points[min(at, len(points)-1)]
	share := 0.0
	if a.work() < b.work() {
		share = min(1, max(0, math.Log(p.work()/a.work())/math.Log(b.work()/a.work())))
	}
	per := func(what func(q Point) float64) float64 { return (1-share)*what(a) + share*what(b) }
	macs := float64(p.Macs)
	p.Open = macs * per(func(q Point) float64 { return q.Open / float64(q.Macs) })
	p.Step = p.work() * per(func(q Point) float64 { return q.Step / q.work() })
	p.Image = macs * per(func(q Point) float64 { return q.Image / float64(q.Macs) })
	p.Save = macs * per(func(q Point) float64 { return q.Save / float64(q.Macs) })
	if a.Peak > 0 && b.Peak > 0 {
		p.Base = int64(per(func(q Point) float64 { return float64(q.Base) }))
		p.Peak = p.Base + int64(float64(p.Bytes)*per(func(q Point) float64 { return float64(q.Peak-q.Base) / float64(q.Bytes) }))
	}
	return p
}
