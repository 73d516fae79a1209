// Tests of the written tensors of the first steps.

package train_test

import (
	"path/filepath"
	"reflect"
	"testing"

	"depthlab/harness/state"
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
