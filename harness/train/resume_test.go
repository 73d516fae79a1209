// Tests that a resumed run ends with the bits of an uninterrupted one.

package train_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"depthlab/harness"
	"depthlab/harness/data/datatest"
	"depthlab/harness/state"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/weights"
)

const photoQuestion = `
question: Does it see photos?
nets: [resnet-8/shortcut-dropout=0.5]
data: imagenet
train: 18
batch: 4
input: {crop: 16, scale: [18, 24]}
batch_norm: {group: 0, batches: 3}
schedule: {at: [6 steps], stop: 9 steps, warmup: none}
log: 2 steps
evaluate: 4 steps
save: 3 steps
precision: fp32
`

// A run on photos that is stopped and resumed has the results of an uninterrupted one.
func TestResumeOnPhotos(t *testing.T) {
	src := datatest.Photos(t, datatest.PhotoFolder(t))
	for name, dev := range sweeptest.Devices(t) {
		t.Run(name, func(t *testing.T) {
			train := func(n int) map[string]any {
				dir := t.TempDir()
				for {
					s := sweeptest.New(t, photoQuestion, dir, dev, "fp32")
					s.Data = src
					err := s.Run(sweeptest.StopAfter(n))
					if err == nil {
						return sweeptest.Outcome(t, dir)
					}
					if !errors.Is(err, harness.ErrInterrupted) {
						t.Fatal(err)
					}
				}
			}
			want, got := train(1<<30), train(30)
			if len(want) != 2 {
				t.Fatalf("%d files", len(want))
			}
			for file, v := range want {
				if fmt.Sprint(v) != fmt.Sprint(got[file]) {
					t.Errorf("%s differs", file)
				}
				// The record says that the user's own photos are not ImageNet.
				for _, told := range []string{`"data_set":"imagenet"`, `"paper":false`, `"machine_caveats":["ImageNet, 3 classes, 18 + 18 photos"`} {
					if strings.HasPrefix(file, "record") && !strings.Contains(fmt.Sprint(v), told) {
						t.Errorf("%s: %.500s: it does not have %s", file, v, told)
					}
				}
			}
		})
	}
}

// A folder with another number of photos than ImageNet needs the key train.
func TestNumberOfPhotos(t *testing.T) {
	src := datatest.Photos(t, datatest.PhotoFolder(t))
	s := sweeptest.New(t, strings.Replace(photoQuestion, "train: 18\n", "", 1), t.TempDir(), sweeptest.Fast(), "fp32")
	s.Data = src
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "write train: 18 into the question, or add --set train=18") {
		t.Errorf("18 photos for ImageNet: %v", err)
	}
}

// Too many unreadable photos stop the run, with the name of one.
func TestPhotosBreak(t *testing.T) {
	dir := datatest.PhotoFolder(t)
	src := datatest.Photos(t, dir)
	if err := os.Truncate(filepath.Join(dir, "train", "n1", "3.JPEG"), 200); err != nil {
		t.Fatal(err)
	}
	s := sweeptest.New(t, photoQuestion, t.TempDir(), sweeptest.Fast(), "fp32")
	s.Data = src
	err := s.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "1 of 36 photos are unreadable") || !strings.Contains(err.Error(), filepath.Join("train", "n1", "3.JPEG")) {
		t.Errorf("1 of 36 photos is broken: %v", err)
	}
}

// A sweep that is stopped at any point and started again ends with the bits of an uninterrupted
// one.
func TestResume(t *testing.T) {
	for name, dev := range sweeptest.Devices(t) {
		for _, precision := range sweeptest.Precisions(dev) {
			t.Run(name+"/"+precision, func(t *testing.T) {
				whole := t.TempDir()
				if err := sweeptest.New(t, sweeptest.Question, whole, dev, precision).Run(context.Background()); err != nil {
					t.Fatal(err)
				}
				want := sweeptest.Outcome(t, whole)
				if len(want) != 4 {
					t.Fatalf("%d results of two runs, want a record and weights of each", len(want))
				}
				dir := t.TempDir()
				stops := sweeptest.Interrupted(t, func() *sweep.Sweep { return sweeptest.New(t, sweeptest.Question, dir, dev, precision) })
				if stops < 3 {
					t.Errorf("stopped only %d times", stops)
				}
				got := sweeptest.Outcome(t, dir)
				for key, v := range want {
					if !reflect.DeepEqual(got[key], v) {
						t.Errorf("%s differs from the uninterrupted sweep's after %d stops", key, stops)
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

// A run with AdamW that is stopped again and again ends with the bits of an uninterrupted one.
// Its checkpoints hold all of the optimizer's state; read as weights they have only those of the
// net.
func TestResumeOfAdam(t *testing.T) {
	begin := func(dir string) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		text := strings.NewReplacer("pairs: {depths: [8]}", "nets: [plain-8]\noptimizer: {form: adamw, rate: 0.02, decays: weights}").Replace(sweeptest.Small)
		s.Plan = sweeptest.New(t, text, dir, sweeptest.Fast(), "").Plan
		return s
	}
	whole, dir := t.TempDir(), t.TempDir()
	if err := begin(whole).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := begin(dir).Plan.Runs[0].ID
	if err := begin(dir).Run(sweeptest.StopAfter(6)); !errors.Is(err, harness.ErrInterrupted) {
		t.Fatal(err)
	}
	c, _, err := state.Latest(sweeptest.At(dir, id).Checkpoints(), sweeptest.At(dir, id).Name())
	if err != nil || c == nil {
		t.Fatalf("no checkpoint: %v", err)
	}
	var names []string
	for i := range c.Tensors {
		x := &c.Tensors[i]
		names = append(names, x.Name)
		if v, err := x.Float32s(); x.Name == "step" && (err != nil || !slices.Equal(v, []float32{float32(c.Step), float32(c.Step)})) {
			t.Errorf("steps of weights and of the rest are %v, %v at step %d", v, err, c.Step)
		}
	}
	for _, want := range []string{"conv1.weight", "exp_avg.conv1.weight", "exp_avg_sq.fc.bias", "step", "bn1.running_var"} {
		if !slices.Contains(names, want) {
			t.Errorf("the checkpoint has no %s", want)
		}
	}
	if w, err := weights.Read(state.Path(sweeptest.At(dir, id).Checkpoints(), sweeptest.At(dir, id).Name(), c.Step)); err != nil || w.Tensors["exp_avg.fc.bias"] != nil || w.Tensors["step"] != nil || w.Tensors["fc.bias"] == nil {
		t.Errorf("read as weights: %v", err)
	}
	sweeptest.Interrupted(t, func() *sweep.Sweep { return begin(dir) })
	if !reflect.DeepEqual(sweeptest.Outcome(t, dir), sweeptest.Outcome(t, whole)) {
		t.Error("ends differently from an uninterrupted run")
	}
}
