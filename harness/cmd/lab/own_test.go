// Tests of the user's own images through the program.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/store"
)

// pets writes two classes of n images of 10x10 pixels, which are easy to distinguish.
func pets(t *testing.T, dir string, n int) {
	t.Helper()
	for class, name := range []string{"cat", "dog"} {
		for i := range n {
			m := image.NewGray(image.Rect(0, 0, 10, 10))
			for p := range m.Pix {
				m.Pix[p] = uint8(200*class + (p*(i+1))%40)
			}
			m.SetGray(0, 0, color.Gray{uint8(i)})
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, name, fmt.Sprintf("%02d.png", i)), 0, b.String())
		}
	}
}

// A net trains on a folder of the user's own images, which are counted; the results say that they
// are not the paper's data, and the weights have the names of the classes.
func TestOwnImages(t *testing.T) {
	root := t.TempDir()
	images, file := filepath.Join(root, "my pets"), filepath.Join(root, "own.yaml")
	pets(t, images, 20)
	put(t, filepath.Join(images, "dog", "more.webp"), 0, "webp")
	put(t, filepath.Join(images, ".DS_Store"), 0, "mac")
	put(t, file, 0, "question: Cat or dog?\nnets: [resnet-8]\ndata: folder\ninput: {size: 12, pad: 1}\nbatch: 12\n"+
		"schedule: {at: [], stop: 2 epochs, warmup: none}\nbatch_norm: {batches: 2}\nprecision: fp32\n")
	run := func(wantCode int, args ...string) string {
		t.Helper()
		cmd, out, said := wishing(root, nil, args...)
		if err := cmd.Run(); code(err) != wantCode {
			t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code(err), wantCode, out, said)
		}
		return out.String() + said.String()
	}
	wants := func(text string, says ...string) {
		t.Helper()
		for _, s := range says {
			if !strings.Contains(text, s) {
				t.Errorf("want %q in:\n%s", s, text)
			}
		}
	}
	wants(run(2, "plan", file), "needs your own images, none were found", "--data DIR or $DEPTHLAB_FOLDER names a folder with a folder of images for each class")
	wants(run(2, "plan", "--data", filepath.Join(images, "cat"), file), "it has images, but no folders of them")
	const left = "1 files ending in .webp (the first is dog/more.webp)"
	wants(run(0, "plan", "--data", images, file), "my pets, 2 classes, 40 images", " 6 ", left)
	wants(run(0, "run", "--data", images, "--device", "ref", file), left, "40 of 40 images have another size than 12x12",
		"My pets, 2 classes, 40 images", "Not the paper's recipe: own images; tested on 4 held-out training images")

	weights := stored(t, root, "resnet-8-seed0").Weights()
	wants(run(0, "eval", "--device", "ref", "--net", "resnet-8", "--weights", weights, "--set", "train", "--data", images, "--by-class", filepath.Join(root, "by class")), "of 40 images wrong", "cat", "dog")
	wants(run(2, "eval", "--device", "ref", "--net", "resnet-8", "--weights", weights, "--data", images), "has no test set")
	pictures := run(0, "eval", "--device", "ref", "--net", "resnet-8", "--weights", weights, "--json", "--images", filepath.Join(images, "dog", "07.png"))
	var got struct {
		Pictures []struct{ Top []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(pictures), &got); err != nil || len(got.Pictures) != 1 || len(got.Pictures[0].Top) != 2 || !slices.Contains([]string{"cat", "dog"}, got.Pictures[0].Top[0].Name) {
		t.Errorf("%s, %v", pictures, err)
	}

	// The same images in another folder are the same data set. Without them figures are drawn from
	// the resolved question.
	moved := filepath.Join(root, "moved")
	if err := os.Rename(images, filepath.Join(moved)); err != nil {
		t.Fatal(err)
	}
	wants(run(0, "run", "--data", moved, "--device", "ref", file), "1 of 1 runs were finished before")
	view := store.Store(filepath.Join(root, "results")).View("own", "default")
	wants(run(2, "plot", file), "your own images are not here", "./run.sh plot "+view.Question())
	wants(run(0, "plot", view.Question()), "My pets")
	wants(run(0, "plot", "--data", moved, file), "My pets")
}
