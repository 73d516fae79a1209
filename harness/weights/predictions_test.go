// Tests of predictions.

package weights

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/device/ref"
	"depthlab/harness/state"
	"depthlab/nets"
)

// With a set that is not a multiple of the batch: counts equal those of an evaluation without
// predictions, the confusion matrix has every image once, and the errors are off its diagonal.
func TestPredictions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights")
	writeHashed(t, "plain-8", path)
	set := data.Set{N: 10, Channels: 3, Size: imageSide, Classes: classes}
	for i, h := range devicetest.Hashes("images", 10*3*imageSide*imageSide) {
		set.Images = append(set.Images, uint8(h>>24))
		if i < 10 {
			set.Labels = append(set.Labels, int32(i%classes))
		}
	}
	src := &data.Source{Title: "hashes", Train: set, Test: set}
	o := EvalOptions{Net: "plain-8", Weights: path, Set: "test", Batch: 4, Precision: device.FP32}
	want, err := Eval(o, src, ref.New())
	if err != nil {
		t.Fatal(err)
	}
	o.Predictions = new(Predictions)
	got, err := Eval(o, src, ref.New())
	if err != nil || got != want {
		t.Errorf("%+v, %v; alone %+v", got, err, want)
	}
	p := o.Predictions
	images, right := 0, 0
	for label, row := range p.Confusion() {
		for class, n := range row {
			images += n
			if class == label {
				right += n
			}
		}
	}
	if images != 10 || math.Abs(100*float64(images-right)/10-want.Top1Error) > 1e-9 {
		t.Errorf("%d images, %d right; the error is %v", images, right, want.Top1Error)
	}
	for i := range set.N {
		sum := 0.0
		for _, s := range p.Of(i) {
			sum += float64(s)
		}
		top := p.Top(i, 3)
		if math.Abs(sum-1) > 1e-5 || !slices.IsSortedFunc(top, func(a, b int) int { return int(math.Copysign(1, float64(p.Of(i)[b]-p.Of(i)[a]))) }) || p.Of(i)[top[0]] != slices.Max(p.Of(i)) {
			t.Errorf("image %d: scores %v, top %v", i, p.Of(i), top)
		}
	}
}

// A picture in a file has the scores of the same image in a set.
func TestPictures(t *testing.T) {
	dir := t.TempDir()
	path, picture := filepath.Join(dir, "weights"), filepath.Join(dir, "a picture.png")
	writeHashed(t, "resnet-8", path)
	img := image.NewNRGBA(image.Rect(0, 0, imageSide, imageSide))
	set := data.Set{N: 1, Channels: 3, Size: imageSide, Classes: classes, Labels: []int32{0}, Images: make([]uint8, 3*imageSide*imageSide)}
	hashes := devicetest.Hashes("image", 3*imageSide*imageSide)
	for i, h := range hashes {
		set.Images[i] = uint8(h >> 24)
	}
	n := imageSide * imageSide
	for i := range n {
		img.Set(i%imageSide, i/imageSide, color.NRGBA{set.Images[i], set.Images[n+i], set.Images[2*n+i], 255})
	}
	f, err := os.Create(picture)
	if err == nil {
		err = png.Encode(f, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	o := EvalOptions{Net: "resnet-8", Weights: path, Set: "test", Batch: 1, Precision: device.FP32}
	got, err := Pictures(o, []string{picture, picture}, nil, ref.New())
	if err != nil {
		t.Fatal(err)
	}
	o.Predictions = new(Predictions)
	if _, err := Eval(o, &data.Source{Train: set, Test: set}, ref.New()); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if !slices.Equal(got.Of(i), o.Predictions.Of(0)) {
			t.Errorf("picture %d: %v, in a set %v", i, got.Of(i), o.Predictions.Of(0))
		}
	}
	broken, foreign := filepath.Join(dir, "broken.jpg"), filepath.Join(dir, "foreign")
	if err := os.WriteFile(broken, []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	exported := filepath.Join(dir, "net.safetensors")
	if _, _, err := Export(path, exported); err != nil {
		t.Fatal(err)
	}
	again, err := Pictures(EvalOptions{Net: "resnet-8", Weights: exported, Precision: device.FP32}, []string{picture}, nil, ref.New())
	if err != nil || !slices.Equal(again.Of(0), got.Of(0)) {
		t.Errorf("exported: %v, %v; want %v", again, err, got.Of(0))
	}
	plain, err := state.ReadFile(exported)
	if err == nil {
		err = state.WriteFile(foreign, nil, plain.Tensors)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ weights, picture, want string }{
		{path, broken, "broken.jpg"}, {path, filepath.Join(dir, "none.png"), "none.png: no such file"}, {path, dir, "is a directory"},
		{foreign, picture, "--mean 0.485"},
	} {
		if _, err := Pictures(EvalOptions{Net: "resnet-8", Weights: c.weights}, []string{c.picture}, nil, ref.New()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// Pictures are resized as photos in tests: to the side in the file of weights.
func TestPictureSide(t *testing.T) {
	o, mean := EvalOptions{Net: "resnet-8"}, []float32{0, 0, 0}
	for _, c := range []struct {
		net        string
		size, side int // in the file
		want       int
	}{{"resnet-8", 32, 0, 32}, {"resnet-8", 16, 18, 18}, {"resnet-18", 224, 0, 256}, {"resnet-18", 40, 48, 48}} {
		arch, err := nets.ParseArch(c.net)
		if err != nil {
			t.Fatal(err)
		}
		w := &File{Info: &Info{Size: c.size, Side: c.side, Channels: 3, Classes: 10}}
		w.Input.Mean = mean
		if _, side, err := o.pictureSet(w, arch); err != nil || side != c.want {
			t.Errorf("%+v: %d, %v", c, side, err)
		}
	}
}
