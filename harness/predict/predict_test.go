// Tests of predicted times.

package predict

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/machine"
	"depthlab/harness/store"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

// A net is predicted to train as fast as before, or as the nearest net by multiply-adds.
// Speeds with another batch or precision are ignored.
func TestPredict(t *testing.T) {
	cpu := device.Info{Name: "cpu"}
	at := func(net string, batch int, precision string, macs int64, speed float64) Speed {
		return Speed{Net: net, Batch: batch, Precision: precision, Macs: macs, ImagesPerS: speed}
	}
	kind, err := machine.KindOf("onednn") // its old name
	if err != nil {
		t.Fatal(err)
	}
	guessed := kind.PerThread * float64(runtime.GOMAXPROCS(0)) / 1000
	for _, c := range []struct {
		name   string
		info   device.Info
		speeds []Speed
		want   float64
		rough  bool
	}{
		{"no speeds", cpu, nil, guessed, true},
		{"no speeds of a GPU", device.Info{Name: "xla", GPU: true}, nil, roughlyGPU / 1000, true},
		{"the same net", cpu, []Speed{at("plain-20", 8, "fp32", 1000, 7), at("resnet-20", 8, "fp32", 1000, 5)}, 5, false},
		{"another net of the same size", cpu, []Speed{at("plain-20", 8, "fp32", 1000, 7)}, 7, false},
		{"the nearest", cpu, []Speed{at("plain-8", 8, "fp32", 300, 90), at("plain-56", 8, "fp32", 2000, 6), at("plain-110", 8, "fp32", 4000, 2)}, 12, false},
		{"the nearest is far", cpu, []Speed{at("plain-8", 8, "fp32", 100, 90)}, 9, true},
		{"other batches and precisions", cpu, []Speed{at("resnet-20", 16, "fp32", 1000, 5), at("resnet-20", 8, "bf16", 1000, 5)}, guessed, true},
	} {
		run := experiments.Run{Net: "resnet-20", Recipe: experiments.Recipe{Batch: 8, Precision: "fp32"}}
		if got, rough := predict(run, 1000, c.info, c.speeds); !near(got, c.want) || rough != c.rough {
			t.Errorf("%s: %v images/s, rough %v; want %v, %v", c.name, got, rough, c.want, c.rough)
		}
	}
}

// The work of a run is its steps and its tests; a tested image counts a third.
func TestEffort(t *testing.T) {
	src := &data.Source{Train: data.Set{N: 100}, Test: data.Set{N: 30}}
	run := experiments.Run{Recipe: experiments.Recipe{Batch: 20, EvalEvery: 50, SaveEvery: 40, Schedule: experiments.Schedule{Stop: 100}}}
	for _, c := range []struct {
		change func(r *experiments.Run)
		want   float64
	}{
		{func(r *experiments.Run) {}, 2000 + (2*40+100)/3.},                    // 30 images are two batches
		{func(r *experiments.Run) { r.Validation = 10 }, 2000 + (2*20+100)/3.}, // 90 are five
		{func(r *experiments.Run) { r.Train = 40 }, 2000 + (2*40+40)/3.},
		{func(r *experiments.Run) { r.BatchNorm.Batches = 60 }, 2000 + (2*40+100+200)/3.}, // statistics over all five batches
		{func(r *experiments.Run) { r.EvalEvery = 1000 }, 2000 + (1*40+100)/3.},           // at the end only
		{func(r *experiments.Run) { r.Schedule.Stop = 101 }, 2020 + (3*40+100)/3.},
	} {
		r := run
		c.change(&r)
		if got := effort(r, src); !near(got, c.want) {
			t.Errorf("%+v: %v images, want %v", r.Recipe, got, c.want)
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

func estimatedPlan(t *testing.T) *experiments.Plan {
	t.Helper()
	q, err := experiments.Parse("estimated.yaml", []byte(estimated))
	if err != nil {
		t.Fatal(err)
	}
	return q.Plans[0]
}

// Estimates of nets that were timed are not rough. Nets that would take too long are not
// timed.
func TestMeasure(t *testing.T) {
	plan, dev, src := estimatedPlan(t), ref.New(), data.Preview(64, 32)
	before, err := Estimates(plan, src, dev.Info(), nil)
	if err != nil {
		t.Fatal(err)
	}
	some := *plan
	some.Runs = plan.Runs[:1]
	speeds, err := Measure(&some, src, dev, time.Hour)
	if err != nil || len(speeds) != 1 {
		t.Fatalf("%v, %v", speeds, err)
	}
	after, err := Estimates(plan, src, dev.Info(), speeds)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(plan.Runs) {
		t.Fatalf("%d estimates of %d runs", len(after), len(plan.Runs))
	}
	for i, e := range after {
		if !before[i].Rough || e.Rough || before[i].Time <= 0 || e.Time <= 0 || e.Memory <= 0 || e.Steps != 10 || e.ID != plan.Runs[i].ID {
			t.Errorf("guessed as %+v, timed as %+v", before[i], e)
		}
	}
	if after[0].Speed != speeds[0].ImagesPerS || after[0].Speed <= after[1].Speed {
		t.Errorf("plain-8 was timed at %v images/s; planned are %v, and %v for plain-14", speeds[0].ImagesPerS, after[0].Speed, after[1].Speed)
	}
	if speeds, err := Measure(plan, src, dev, time.Microsecond); err == nil || len(speeds) > 0 {
		t.Errorf("with a limit of 1 µs: %v, %v; want an error", speeds, err)
	}
}

// The speed of a net is the median of its records: all runs on the same data and device, in
// any results folder, finished or not.
func TestRecorded(t *testing.T) {
	root := t.TempDir()
	stores := []store.Store{store.Store(root), store.Store(filepath.Join(root, "published"))}
	here := device.Info{Name: "cpu", Hardware: "a CPU", Threads: 2}
	elsewhere, one, gpu := here, here, device.Info{Name: "xla", Hardware: "a GPU", GPU: true}
	elsewhere.Hardware, one.Threads = "another CPU", 1
	write := func(folder, id, net, set string, batch int, lines string, devices ...device.Info) {
		t.Helper()
		run := experiments.Run{ID: id, Net: net, Recipe: experiments.Recipe{Data: set, Batch: batch, Precision: "fp32"}}
		p := &store.Provenance{Run: run}
		for _, d := range devices {
			p.Sessions = append(p.Sessions, store.Session{Device: d})
		}
		f := store.Store(filepath.Join(root, folder)).Folder(run, store.Key(run, id, ""))
		if err := store.WriteProvenance(f, p); err != nil {
			t.Fatal(err)
		}
		start := fmt.Sprintf(`{"kind":"start","start":{"id":%q,"net":%q,"steps":100,"macs":1000}}`+"\n", id, net)
		if err := os.WriteFile(f.Record(), []byte(start+lines), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	laps := func(speeds ...float64) (lines string) {
		for i, v := range speeds {
			lines += fmt.Sprintf(`{"kind":"train","step":%d,"images_per_s":%v}`+"\n", i+1, v)
		}
		return lines
	}
	write("", "a", "plain-20", "cifar10", 8, laps(1, 30, 20), here)
	write("published", "a", "plain-20", "cifar10", 8, laps(40, 50), here, here)
	write("", "b", "plain-56", "cifar10", 16, laps(5)+`{"kind":"tr`, here)
	write("", "c", "plain-20", "preview", 8, laps(900), here)
	write("", "d", "plain-20", "cifar10", 8, laps(901), elsewhere)
	write("", "e", "plain-20", "cifar10", 8, laps(902), here, one)
	write("", "f", "plain-20", "cifar10", 8, "", here)
	write("", "g", "plain-20", "cifar10", 8, "nonsense\n", here)
	write("", "h", "plain-20", "cifar10", 8, laps(903), gpu)
	write("", "i", "plain-44", "cifar10", 8, strings.ReplaceAll(laps(4, 5, 6), "}", `,"beside":2}`), here)
	for _, c := range []struct {
		info device.Info
		want []Speed
	}{
		{here, []Speed{{"plain-20", "fp32", 8, 1000, 30}, {"plain-44", "fp32", 8, 1000, 15}, {"plain-56", "fp32", 16, 1000, 5}}},
		{device.Info{Name: "xla", GPU: true}, []Speed{{"plain-20", "fp32", 8, 1000, 903}}}, // not opened: the hardware is unknown
		{device.Info{Name: "ref", Hardware: "a CPU"}, nil},
	} {
		if got := Recorded(stores, "cifar10", c.info); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.info, got, c.want)
		}
	}
}
