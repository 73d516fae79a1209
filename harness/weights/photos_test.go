// Tests of evaluating weights on photos.

package weights

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/model"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/program"
)

const photoQuestion = `
question: Does it see photos?
nets: [resnet-8]
data: imagenet
train: 18
batch: 4
input: {crop: 16, scale: [18, 24]}
batch_norm: {group: 0, batches: 3}
schedule: {at: [6 steps], stop: 9 steps, warmup: none}
precision: fp32
`

// The evaluation with one crop equals that in training. The scores of ten crops, and of five scales,
// are the means of the scores of each view.
func TestEvalPhotos(t *testing.T) {
	src := datatest.Photos(t, datatest.PhotoFolder(t))
	dir := t.TempDir()
	q, err := experiments.Parse("test.yaml", []byte(photoQuestion))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(q.Plans[0].Runs[0], src, ref.New(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Steps(0, 9, 3, device.Rates{Learning: 0.1, Statistics: 0.1}); err != nil {
		t.Fatal(err)
	}
	tensors, err := m.Tensors(program.Param, program.Stat)
	if err != nil {
		t.Fatal(err)
	}
	o := EvalOptions{Net: "resnet-8", Weights: filepath.Join(dir, "weights"), Set: "test", Batch: 5, Crops: "1", Precision: device.FP32}
	info := Info{Net: "resnet-8", Data: "imagenet", Eps: 1e-5, Classes: 3, Size: 16, Channels: 3, Side: 18}
	if err := Write(o.Weights, info, tensors, m.Input); err != nil {
		t.Fatal(err)
	}
	one, err := Eval(o, src, ref.New())
	if err != nil {
		t.Fatal(err)
	}
	w, err := Read(o.Weights)
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.Evaluate(context.Background(), m.Images.Test)
	if err != nil {
		t.Fatal(err)
	}
	if one.Images != c.Images || math.Abs(one.Loss-c.Loss/float64(c.Images)) > 1e-6 || one.Top1Error != 100*float64(c.Wrong)/float64(c.Images) {
		t.Errorf("%+v, in training %+v", one, c)
	}

	arch, _ := nets.ParseArch("resnet-8")
	for _, crops := range []string{"10", "multi"} {
		o.Crops, o.Scores = crops, filepath.Join(dir, crops)
		if _, err := Eval(o, src, ref.New()); err != nil {
			t.Fatal(err)
		}
		f, err := state.ReadFile(o.Scores)
		if err != nil {
			t.Fatal(err)
		}
		scores := slices.IndexFunc(f.Tensors, func(x state.Tensor) bool { return x.Name == "scores" })
		got, err := f.Tensors[scores].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, len(got))
		views := 0
		for _, p := range passes(crops, &src.Test, 18) {
			for _, v := range p.views {
				views += len(p.images)
				single := newTally(&src.Test)
				if _, err := o.pass(w, arch, src, ref.New(), pass{p.images, []data.Shot{v}}, single); err != nil {
					t.Fatal(err)
				}
				for i, s := range single.scores {
					want[i] += float64(s)
				}
			}
		}
		each := map[string]int{"10": 10, "multi": 5}[crops]
		if views != 18*each {
			t.Errorf("%s: %d views", crops, views)
		}
		for i := range got {
			if math.Abs(float64(got[i])-want[i]/float64(each)) > 1e-6 {
				t.Fatalf("%s: score %d is %v, the mean of its views %v", crops, i, got[i], want[i]/float64(each))
			}
		}
	}

	// Unreadable photos are counted over all passes: 1 of 150 is accepted, 2 are too many.
	many := *src
	many.Test.N = 150
	broken := newTally(&many.Test)
	for i, photo := range []int32{0, 9} {
		if err := os.Truncate(filepath.Join(src.Test.Photos.Dir, src.Test.Photos.Names[photo]), 10); err != nil {
			t.Fatal(err)
		}
		_, err := o.pass(w, arch, &many, ref.New(), pass{[]int32{photo}, []data.Shot{data.Centre(16, 18)}}, broken)
		if i == 0 && err != nil || i == 1 && (err == nil || !strings.Contains(err.Error(), "2 of 150 photos are unreadable")) {
			t.Errorf("%d unreadable photos: %v", i+1, err)
		}
	}
	if e := src.Test.Photos.Extents(); e[0] != [2]int{1, 1} || e[10] != [2]int{50, 32} {
		t.Errorf("extents of a photo without a header: %v, of one of 50 x 32: %v", e[0], e[10])
	}
}

// Whole photos have the size of torchvision's resize, rounded, and at most twice as long as high.
// Photos of one size are in one pass.
func TestWholePhotos(t *testing.T) {
	sizes := func(all []pass) (s []string) {
		for _, p := range all {
			v := p.views[0].View
			s = append(s, fmt.Sprintf("%dx%d at %d: %v", v.W, v.H, v.Side, p.images))
		}
		return s
	}
	for _, c := range []struct {
		size int
		want []string
	}{
		{224, []string{ // 500 x 375 becomes 298 x 224, 341 x 256, 512 x 384, 640 x 480, 853 x 640
			"224x224 at 224: [3]", "288x224 at 224: [0 1]", "448x224 at 224: [4]", "224x288 at 224: [2]", "224x448 at 224: [5]",
			"256x256 at 256: [3]", "320x256 at 256: [0 1]", "512x256 at 256: [4]", "256x320 at 256: [2]", "256x512 at 256: [5]",
			"384x384 at 384: [3]", "512x384 at 384: [0 1]", "768x384 at 384: [4]", "384x512 at 384: [2]", "384x768 at 384: [5]",
			"480x480 at 480: [3]", "640x480 at 480: [0 1]", "960x480 at 480: [4]", "480x640 at 480: [2]", "480x960 at 480: [5]",
			"640x640 at 640: [3]", "832x640 at 640: [0 1]", "1280x640 at 640: [4]", "640x832 at 640: [2]", "640x1280 at 640: [5]",
		}},
		{64, []string{ // in steps of 8: 85 x 64, 96 x 72, 149 x 112, 181 x 136, 245 x 184
			"64x64 at 64: [3]", "80x64 at 64: [0 1]", "128x64 at 64: [4]", "64x80 at 64: [2]", "64x128 at 64: [5]",
			"72x72 at 72: [3]", "96x72 at 72: [0 1]", "144x72 at 72: [4]", "72x96 at 72: [2]", "72x144 at 72: [5]",
			"112x112 at 112: [3]", "144x112 at 112: [0 1]", "224x112 at 112: [4]", "112x144 at 112: [2]", "112x224 at 112: [5]",
			"136x136 at 136: [3]", "176x136 at 136: [0 1]", "272x136 at 136: [4]", "136x176 at 136: [2]", "136x272 at 136: [5]",
			"184x184 at 184: [3]", "240x184 at 184: [0 1]", "368x184 at 184: [4]", "184x240 at 184: [2]", "184x368 at 184: [5]",
		}},
	} {
		got := sizes(wholePhotos([][2]int{{500, 375}, {1000, 750}, {375, 500}, {330, 328}, {5000, 500}, {1, 65000}}, c.size))
		if !slices.Equal(got, c.want) {
			t.Errorf("nets of %d pixels:\n%s\nwant\n%s", c.size, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
