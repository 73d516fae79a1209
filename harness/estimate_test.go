package harness

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// Points that take 1 ns for a multiply-add of the small net and 3 ns of the
// large one.
func TestBetween(t *testing.T) {
	small := Point{Macs: 100, Batch: 2, Step: 200e-9, Image: 100e-9, Open: 100e-9, Save: 100e-9, Bytes: 10, Base: 1000, Peak: 1020}
	large := Point{Macs: 10000, Batch: 2, Step: 60000e-9, Image: 10000e-9, Open: 10000e-9, Save: 10000e-9, Bytes: 1000, Base: 1000, Peak: 5000}
	for _, c := range []struct {
		points []Point
		macs   int64
		bytes  int64
		step   float64
		peak   int64
	}{
		{[]Point{small}, 100, 10, 200e-9, 1020},
		{[]Point{small}, 1000, 20, 2000e-9, 1040},
		{[]Point{small, large}, 10, 1, 20e-9, 1002},
		{[]Point{small, large}, 100, 10, 200e-9, 1020},
		{[]Point{small, large}, 1000, 100, 2 * 2000e-9, 1300}, // half-way in the logarithm
		{[]Point{small, large}, 10000, 1000, 60000e-9, 5000},
		{[]Point{small, large}, 20000, 2000, 120000e-9, 9000},
		{[]Point{small, small, large, large}, 1000, 100, 2 * 2000e-9, 1300},
	} {
		p := between(c.points, Point{Macs: c.macs, Batch: 2, Bytes: c.bytes})
		if !near(p.Step, c.step) || p.Peak != c.peak || !near(p.Image, float64(c.macs)*1e-9) || !near(p.Open, float64(c.macs)*1e-9) {
			t.Errorf("%d multiply-adds between %d points: %+v, want a step of %g s and %d bytes", c.macs, len(c.points), p, c.step, c.peak)
		}
	}
}

// A run takes its start, steps, tests, checkpoints and final pass.
func TestSeconds(t *testing.T) {
	src := &data.Source{Train: data.Set{N: 100}, Test: data.Set{N: 30}}
	p := Point{Open: 1e6, Step: 1, Image: 1e-3, Save: 1e3}
	run := experiments.Run{Recipe: experiments.Recipe{Batch: 20, EvalEvery: 50, SaveEvery: 40, Schedule: experiments.Schedule{Stop: 100}}}
	for _, c := range []struct {
		change func(r *experiments.Run)
		want   float64
	}{
		{func(r *experiments.Run) {}, 1e6 + 100 + 1e-3*(2*40+100) + 4*1e3},                    // 30 images are two batches
		{func(r *experiments.Run) { r.Validation = 10 }, 1e6 + 100 + 1e-3*(2*20+100) + 4*1e3}, // 90 are five
		{func(r *experiments.Run) { r.Train = 40 }, 1e6 + 100 + 1e-3*(2*40+40) + 4*1e3},
		{func(r *experiments.Run) { r.BatchNorm.Statistics = "calibrated" }, 1e6 + 100 + 1e-3*(2*40+200) + 4*1e3}, // all five batches once more
		{func(r *experiments.Run) { r.EvalEvery, r.SaveEvery = 1000, 1000 }, 1e6 + 100 + 1e-3*(1*40+100) + 2*1e3}, // at the end only
		{func(r *experiments.Run) { r.Schedule.Stop = 101 }, 1e6 + 101 + 1e-3*(3*40+100) + 4*1e3},
	} {
		r := run
		c.change(&r)
		if got := p.seconds(r, src); !near(got, c.want) {
			t.Errorf("%+v: %v s, want %v", r.Recipe, got, c.want)
		}
	}
}

const estimated = `
question: How long?
nets: [plain-8, plain-14, resnet-8]
data: preview
train: 64
batch: 8
input: {pad: 2}
batch_norm: {group: 0}
schedule: {at: [], stop: 10 steps, warmup: none}
precision: fp32
`

// What is measured is kept, for this version of the program, and makes an
// estimate of these and like nets that is not rough.
func TestCalibration(t *testing.T) {
	q, err := experiments.Parse("estimated.yaml", []byte(estimated))
	if err != nil {
		t.Fatal(err)
	}
	plan := q.Plans[0]
	outline, err := data.Outline("preview", 0)
	if err != nil {
		t.Fatal(err)
	}
	m := Machine{Root: t.TempDir()}
	c := m.Calibration("ref", "v1")
	c.Device = device.Info{Name: "ref"}
	before, err := Estimates(plan, outline, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range before {
		if !e.Rough || e.Time <= 0 || e.Memory <= 0 {
			t.Errorf("without a calibration: %+v", e)
		}
	}
	some := *plan
	some.Runs = plan.Runs[:2]
	src := data.Preview(64, 32)
	if err := c.Measure(&some, src, ref.New(), filepath.Join(m.Root, "saved"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(m.Root, "saved")); len(left) > 0 {
		t.Errorf("%v is left of the measuring", left)
	}
	if err := c.Measure(&some, src, ref.New(), filepath.Join(m.Root, "saved"), time.Hour); err != nil || len(c.Points) != 2 {
		t.Errorf("measured again: %d points of two nets, %v", len(c.Points), err)
	}
	if err := m.Keep(c, "v1"); err != nil {
		t.Fatal(err)
	}
	if other := m.Calibration("ref", "v2"); len(other.Points) > 0 {
		t.Error("another version of the program takes it, too")
	}
	kept := m.Calibration("ref", "v1")
	after, err := Estimates(plan, outline, kept)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(plan.Runs) {
		t.Fatalf("%d estimates of %d runs", len(after), len(plan.Runs))
	}
	for i, e := range after {
		if e.Rough || e.Time <= 0 || e.Memory <= 0 || e.Steps != 10 || e.ID != plan.Runs[i].ID {
			t.Errorf("with one: %+v", e)
		}
	}
	if after[0].Time >= after[1].Time {
		t.Errorf("plain-8 takes %g s, plain-14 %g s", after[0].Time, after[1].Time)
	}
	for i := range kept.Points {
		kept.Points[i].Data = "cifar10"
	}
	if other, err := Estimates(plan, outline, kept); err != nil || !other[0].Rough {
		t.Errorf("by other data: %+v, %v", other, err)
	}
	slow := Calibration{Device: device.Info{Name: "ref"}}
	if err := slow.Measure(plan, src, ref.New(), filepath.Join(m.Root, "saved"), time.Microsecond); err == nil || len(slow.Points) > 0 {
		t.Errorf("no time, and yet %d points, %v", len(slow.Points), err)
	}
}

// An outline is that of the set.
func TestOutline(t *testing.T) {
	for name, want := range map[string]*data.Source{"preview": data.Preview(0, 0), "preview64": data.Preview64(0, 0)} {
		got, err := data.Outline(name, 0)
		if err != nil || got.Title != want.Title {
			t.Fatal(got, err)
		}
		for _, c := range [][2]data.Set{{got.Train, want.Train}, {got.Test, want.Test}} {
			if c[0].N != c[1].N || c[0].Channels != c[1].Channels || c[0].Size != c[1].Size || c[0].Classes != c[1].Classes {
				t.Errorf("%s: an outline of %d images of %d pixels, want %d of %d", name, c[0].N, c[0].Size, c[1].N, c[1].Size)
			}
		}
	}
	if _, err := data.Outline("mnist", 0); err == nil {
		t.Error("mnist is known")
	}
}
