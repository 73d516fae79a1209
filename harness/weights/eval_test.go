// Tests of evaluating the weights of a run.

package weights_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/device/ref"
	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/weights"
)

// Eval gives the test error of the run's record, and refuses weights that do not fit.
func TestEval(t *testing.T) {
	dir := t.TempDir()
	s := sweeptest.New(t, sweeptest.Question, dir, ref.New(), "")
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	file := sweeptest.At(dir, "resnet-8-seed0").Weights()
	r, err := weights.Eval(weights.EvalOptions{Net: "resnet-8", Weights: file, Set: "test", Batch: 8}, s.Data, ref.New())
	if err != nil {
		t.Fatal(err)
	}
	rec, err := record.Read(sweeptest.At(dir, "resnet-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := rec.FinalTest(); r.Top1Error != want || r.Images != 20 {
		t.Errorf("%v %% of %d images wrong, the record says %v %%", r.Top1Error, r.Images, want)
	}
	exported := filepath.Join(dir, "net.safetensors")
	if _, _, err := weights.Export(file, exported); err != nil || !weights.ReadAbout(exported).Normalised {
		t.Fatal(err)
	}
	if again, err := weights.Eval(weights.EvalOptions{Net: "resnet-8", Weights: exported, Set: "test", Batch: 8}, s.Data, ref.New()); err != nil || again.Loss != r.Loss || again.Top1Error != r.Top1Error {
		t.Errorf("exported: %+v, %v; want %+v", again, err, r)
	}
	f, err := state.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The same weights with a prefix before all names, as PyTorch's wrappers save them.
	for _, prefix := range []string{"module.", "model.", "module._orig_mod."} {
		foreign := filepath.Join(t.TempDir(), "foreign.safetensors")
		var all []state.Tensor
		for _, x := range f.Tensors {
			if x.Name != "input.mean" && x.Name != "input.scale" {
				x.Name = prefix + x.Name
				all = append(all, x)
			}
		}
		all = append(all, state.Int64(prefix+"bn1.num_batches_tracked", nil, []int64{1}))
		if err := state.WriteFile(foreign, nil, all); err != nil {
			t.Fatal(err)
		}
		o := weights.EvalOptions{Net: "resnet-8", Weights: foreign, Set: "test", Batch: 8}
		if again, err := weights.Eval(o, s.Data, ref.New()); err != nil || again.Images != r.Images {
			t.Errorf("names with %s: %+v, %v", prefix, again, err)
		}
		o.Net = "plain-20"
		if _, err := weights.Eval(o, s.Data, ref.New()); err == nil || strings.Count(err.Error(), "\n") > 5 || strings.Contains(err.Error(), prefix) || !strings.Contains(err.Error(), "more") {
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
	_, err = weights.Eval(weights.EvalOptions{Net: "resnet-8", Weights: file, Set: "test", Batch: 8}, s.Data, ref.New())
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
