// Tests of the written tensors of the first steps.

package train_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness/state"
	"depthlab/harness/store"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/train"
)

// The tensors of a step satisfy the optimizer's equation, and step 2 begins where step 1 ended.
func TestSteps(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.New(t, sweeptest.Question, dir, sweeptest.Fast(), "")
	run, err := s.Plan.Run("resnet-8/B", 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := train.Steps(run, s.Data, sweeptest.Fast(), 2, dir); err != nil {
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

// The first step of a run that begins with a file of weights begins with these.
func TestStepsInit(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	first, err := s.Plan.Run("plain-8", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := train.Steps(first, s.Data, sweeptest.Fast(), 1, dir); err != nil {
		t.Fatal(err)
	}
	read := func(path string) *state.File {
		t.Helper()
		f, err := state.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	values := func(f *state.File, prefix string) map[string][]byte {
		all := map[string][]byte{}
		for _, x := range f.Tensors {
			if name, ok := strings.CutPrefix(x.Name, prefix); ok {
				all[name] = x.Data
			}
		}
		return all
	}
	after := read(train.StepFile(dir, 1))
	want := values(after, "after.")
	file := filepath.Join(dir, "own.safetensors")
	var trained []state.Tensor
	for _, x := range after.Tensors {
		for _, prefix := range []string{"after.", "stats_after."} {
			if name, ok := strings.CutPrefix(x.Name, prefix); ok {
				x.Name = name
				trained = append(trained, x)
			}
		}
	}
	if err := state.WriteFile(file, nil, trained); err != nil {
		t.Fatal(err)
	}
	second := first
	second.Seed, second.Init = 1, file
	if second.Weights, err = store.Sum(file); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := train.Steps(second, s.Data, sweeptest.Fast(), 1, to); err != nil {
		t.Fatal(err)
	}
	got := read(train.StepFile(to, 1))
	if params := values(got, "param."); len(want) == 0 || !reflect.DeepEqual(params, want) {
		t.Error("step 1 does not begin with the weights of the file")
	}
	if got.Meta["init"] != file {
		t.Errorf("%q does not name %s", got.Meta, file)
	}
}
