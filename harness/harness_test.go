package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/onednn"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/harness/testskip"
)

// question is small enough for the plain Go device: two nets, a few steps.
const question = `
question: Does it run?
pairs: {depths: [8]}
data: preview
batch: 8
train: 64
input: {pad: 2}
batch_norm: {group: 4, batches: 5}
schedule: {at: [6 steps], stop: 9 steps, warmup: {rate: 0.01, for: 2 steps, from_depth: 8}}
log: 2 steps
evaluate: 4 steps
save: 3 steps
precision: fp32
`

// devices are those that are here: ref always, the others where their
// libraries are.
func devices(t *testing.T) map[string]device.Device {
	t.Helper()
	all := map[string]device.Device{"ref": ref.New()}
	path, err := onednn.Find(filepath.Join("..", ".lib"))
	if err != nil {
		testskip.Part(t, "onednn: %v", err)
	} else {
		dev, err := onednn.Open(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dev.Close() })
		all["onednn"] = dev
	}
	path, err = xla.Find("", filepath.Join("..", ".lib"))
	if err != nil {
		testskip.Part(t, "xla: %v", err)
		return all
	}
	dev, err := xla.Open(path, xla.Options{Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	all["xla"] = dev
	return all
}

// precisions are those that a device has, on the right machine.
func precisions(dev device.Device) []string {
	if i := dev.Info(); i.Name == "onednn" || i.Bfloat16 {
		return []string{"fp32", "bf16"}
	}
	return []string{"fp32"}
}

// native leaves a test out where this is not the machine for a precision.
func native(t *testing.T, dev device.Device, precision string) {
	t.Helper()
	if precision == "bf16" && !dev.Info().Bfloat16 {
		testskip.Hardware(t, testskip.AVX512BF16)
	}
}

func sweep(t *testing.T, text, dir string, dev device.Device, precision string) *Sweep {
	t.Helper()
	q, err := experiments.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range q.Plans[0].Runs {
		Resolve(&q.Plans[0].Runs[i], dev.Info(), precision)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return &Sweep{
		Plan: q.Plans[0], View: asked(dir), Data: data.Preview(100, 20), Device: dev,
		Progress: record.NewProgress(null, nil), Say: t.Logf, Version: "test",
	}
}

// asked is the question's folder in a store.
func asked(dir string) store.View { return store.Store(dir).View("test", "default") }

// at is the folder of the run that a question calls id, in a store.
func at(dir, id string) store.Folder {
	folders, _, _ := store.Store(dir).All()
	for _, f := range folders {
		rec, err := record.Read(f.Record())
		if err == nil && rec.Start.ID == id || err != nil && strings.HasPrefix(f.Name(), id+"-") {
			return f
		}
	}
	return store.Folder(filepath.Join(dir, "runs", id+"-seed0-000000000000"))
}

// recorded reads all records in a store.
func recorded(dir string) (all []*record.RunRecord, err error) {
	folders, _, err := store.Store(dir).All()
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		rec, err := record.Read(f.Record())
		if err != nil && !errors.Is(err, record.ErrEmpty) {
			return nil, err
		}
		if err == nil {
			all = append(all, rec)
		}
	}
	record.Sort(all)
	return all, nil
}

// stopAfter is a context that ends once a run's record has n lines: the
// process is told to stop somewhere between its events.
type stopAfter struct {
	context.Context
	calls, n int
}

func (s *stopAfter) Err() error {
	if s.calls++; s.calls > s.n {
		return context.Canceled
	}
	return nil
}

// interrupted runs the sweeps that begin gives, all of one folder, each stopped
// in another place than the one before, until one comes to its end.
func interrupted(t *testing.T, begin func() *Sweep) (stops int) {
	t.Helper()
	for n := 1; ; n = n%7 + 3 {
		err := begin().Run(&stopAfter{Context: context.Background(), n: n})
		if err == nil {
			return stops
		}
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		if stops++; stops > 50 {
			t.Fatal("the sweep never ends")
		}
	}
}

// outcome is what must be the same however often a sweep was interrupted: the
// weights, and the records but for time and speed.
func outcome(t *testing.T, dir string) map[string]any {
	t.Helper()
	out := map[string]any{}
	records, err := recorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		for i := range r.Events {
			r.Events[i].Time, r.Events[i].Seconds, r.Events[i].ImagesPerS, r.Events[i].Waited = "", 0, 0, 0
		}
		text, err := json.Marshal(r.Events)
		if err != nil {
			t.Fatal(err)
		}
		out["record "+r.Start.ID] = string(text)
	}
	files, err := filepath.Glob(filepath.Join(dir, "runs", "*", "weights.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out["weights of "+filepath.Base(filepath.Dir(f))] = bytes.Clone(text)
	}
	return out
}

// A sweep that is stopped at any point and started again ends with the same
// bits as one that was not.
func TestResume(t *testing.T) {
	for name, dev := range devices(t) {
		for _, precision := range precisions(dev) {
			t.Run(name+"/"+precision, func(t *testing.T) {
				native(t, dev, precision)
				whole := t.TempDir()
				if err := sweep(t, question, whole, dev, precision).Run(context.Background()); err != nil {
					t.Fatal(err)
				}
				want := outcome(t, whole)
				if len(want) != 4 {
					t.Fatalf("%d results of two runs, want a record and weights of each", len(want))
				}
				dir := t.TempDir()
				stops := interrupted(t, func() *Sweep { return sweep(t, question, dir, dev, precision) })
				if stops < 3 {
					t.Errorf("stopped only %d times", stops)
				}
				got := outcome(t, dir)
				for key, v := range want {
					if !reflect.DeepEqual(got[key], v) {
						t.Errorf("%s differs from the undisturbed sweep's after %d stops", key, stops)
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d results, want %d", len(got), len(want))
				}
				left, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "checkpoints", "*"))
				if len(left) > 0 {
					t.Errorf("finished, but %v are left", left)
				}
			})
		}
	}
}

// What is finished is not trained again; what is asked for otherwise is another run,
// and going back to the first recipe finds the first.
func TestSweepSkips(t *testing.T) {
	dir := t.TempDir()
	s := sweep(t, question, dir, ref.New(), "")
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	stamp, err := os.Stat(at(dir, "plain-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	if err := sweep(t, question, dir, ref.New(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, err := os.Stat(at(dir, "plain-8-seed0").Record())
	if err != nil || !again.ModTime().Equal(stamp.ModTime()) {
		t.Errorf("a finished run was touched (%v)", err)
	}
	if err := sweep(t, strings.Replace(question, "stop: 9", "stop: 8", 1), dir, ref.New(), "").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if folders, strays, err := store.Store(dir).All(); len(folders) != 4 || len(strays) > 0 || err != nil {
		t.Errorf("two schedules of two nets gave the folders %q and %q, %v", folders, strays, err)
	}
	s = sweep(t, question, dir, ref.New(), "")
	s.Device = nil // nothing is left to train
	s.Folders = Place(s.Plan, s.View.Store(), s.Data.Checksum, ref.New().Info(), "")
	s.Jobs = 1
	if err := s.Run(context.Background()); err != nil {
		t.Error(err)
	}
	for id, f := range s.Folders {
		if rec, err := record.Read(f.Record()); err != nil || rec.Start.Steps != 9 {
			t.Errorf("%s: %v, %v", id, rec, err)
		}
	}
}

// A net that diverges stops with the step and the layer, its last checkpoint
// stays, the other runs go on and the sweep says that one failed.
func TestNaNStopsOneRun(t *testing.T) {
	dir := t.TempDir()
	s := sweep(t, question, dir, ref.New(), "")
	for i := range s.Plan.Runs {
		s.Plan.Runs[i].Schedule.Warmup, s.Plan.Runs[i].Optimizer.Rate = nil, 1e38
	}
	err := s.Run(context.Background())
	var nan *device.NonFiniteError
	if !errors.As(err, &nan) {
		t.Fatalf("got %v, want a *NonFiniteError", err)
	}
	if nan.Layer == "" || !strings.Contains(err.Error(), "2 of 2 runs failed") {
		t.Errorf("unclear: %v", err)
	}
	records, err := recorded(dir)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		if text := r.Stopped(); !strings.Contains(text, "NaN") {
			t.Errorf("%s: its record does not say why it stopped: %q", r.Start.ID, text)
		}
	}
}

// step writes what a step saw and did, and the numbers fit together.
func TestSteps(t *testing.T) {
	dir := t.TempDir()
	s := sweep(t, question, dir, ref.New(), "")
	run, err := s.Plan.Run("resnet-8/B", 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := Steps(run, s.Data, ref.New(), 2, dir); err != nil {
		t.Fatal(err)
	}
	tensors := map[string][]float32{}
	for _, file := range []string{"step-000001.safetensors", "step-000002.safetensors"} {
		f, err := state.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.Tensors {
			x := &f.Tensors[i]
			if x.DType == "F32" {
				if tensors[file[10:11]+"."+x.Name], err = x.Float32s(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const w = "layer2.0.downsample.0.weight"
	before, grad, after := tensors["1.param."+w], tensors["1.grad."+w], tensors["1.after."+w]
	rate := tensors["1.rate"]
	if len(before) == 0 || len(grad) != len(before) || len(after) != len(before) || len(rate) != 1 {
		t.Fatal("tensors are missing")
	}
	for i := range before { // the first step has no momentum yet
		want := before[i] - rate[0]*(grad[i]+1e-4*before[i])
		if d := after[i] - want; d > 1e-6 || d < -1e-6 {
			t.Fatalf("after[%d] = %g, want %g", i, after[i], want)
		}
	}
	if !reflect.DeepEqual(after, tensors["2.param."+w]) {
		t.Error("step 2 does not begin where step 1 ended")
	}
	if len(tensors["1.stats_after.bn1.running_mean"]) != 16 || len(tensors["1.input"]) != 8*3*16*16 {
		t.Error("statistics or input are missing")
	}
}

// eval reads the weights of a finished run, and refuses what does not fit.
func TestEval(t *testing.T) {
	dir := t.TempDir()
	s := sweep(t, question, dir, ref.New(), "")
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	file := at(dir, "resnet-8-seed0").Weights()
	r, err := Eval(EvalOptions{Net: "resnet-8", Weights: file, Set: "test", Batch: 8}, s.Data, ref.New())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := record.Read(at(dir, "resnet-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := rec.FinalTest(); r.Top1Error != want || r.Images != 20 {
		t.Errorf("%v %% of %d images wrong, the record says %v %%", r.Top1Error, r.Images, want)
	}
	f, err := state.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The same weights as PyTorch's wrappers save them: a prefix before all names.
	for _, prefix := range []string{"module.", "model.", "module._orig_mod."} {
		foreign := filepath.Join(t.TempDir(), "foreign.safetensors")
		var all []state.Tensor
		for _, x := range f.Tensors {
			if x.Name != meanName && x.Name != scaleName {
				x.Name = prefix + x.Name
				all = append(all, x)
			}
		}
		all = append(all, state.Int64(prefix+"bn1.num_batches_tracked", nil, []int64{1}))
		if err := state.WriteFile(foreign, nil, all); err != nil {
			t.Fatal(err)
		}
		o := EvalOptions{Net: "resnet-8", Weights: foreign, Set: "test", Batch: 8}
		if again, err := Eval(o, s.Data, ref.New()); err != nil || again.Images != r.Images {
			t.Errorf("names with %s: %+v, %v", prefix, again, err)
		}
		o.Net = "plain-20"
		if _, err := Eval(o, s.Data, ref.New()); err == nil || strings.Count(err.Error(), "\n") > 5 || strings.Contains(err.Error(), prefix) || !strings.Contains(err.Error(), "more") {
			t.Errorf("names with %s, of another net: %v; want a short message about the names without it", prefix, err)
		}
	}
	var kept []state.Tensor
	for _, x := range f.Tensors {
		switch x.Name {
		case "bn1.running_mean":
		case "fc.weight":
			x.Shape = []int{x.Shape[1], x.Shape[0]}
			kept = append(kept, x)
		default:
			kept = append(kept, x)
		}
	}
	kept = append(kept, state.Float32("fc.extra", []int{1}, []float32{1}), state.Int64("bn1.num_batches_tracked", nil, []int64{1}))
	if err := state.WriteFile(file, nil, kept); err != nil {
		t.Fatal(err)
	}
	_, err = Eval(EvalOptions{Net: "resnet-8", Weights: file, Set: "test", Batch: 8}, s.Data, ref.New())
	if err == nil {
		t.Fatal("weights with faults were accepted")
	}
	for _, want := range []string{"missing bn1.running_mean", "fc.weight has shape", "unknown fc.extra"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "num_batches_tracked") {
		t.Errorf("%q complains of num_batches_tracked", err)
	}
}
