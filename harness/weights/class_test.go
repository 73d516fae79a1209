// Tests of the Python class that export writes.

package weights

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device/ref"
	"depthlab/harness/testskip"
)

// classNets has CIFAR nets of all kinds.
var classNets = []string{
	"plain-8", "plain-11/bottleneck", "resnet-8", "resnet-8/split", "resnet-8/B", "resnet-8/C", "resnet-14", "resnet-5/single", "resnet-11/bottleneck",
	"resnet-11/A/bottleneck", "resnet-11/bottleneck/v1.5", "resnet-8/preact", "resnet-8/C/preact", "resnet-11/bottleneck/preact",
	"resnet-11/bottleneck/relu-preact", "resnet-8/relu-before-add", "resnet-8/B/bn-after-add", "resnet-8/scale=0.5/branch-scale=0.25", "resnet-8/gate=shortcut",
	"resnet-8/B/gate=exclusive/gate-bias=-1", "resnet-8/shortcut-dropout=0.25",
}

// loaded has the files that PyTorch 2.11 loaded, and its scores of an image.
type loaded struct {
	Class   string    `json:"class_sha256"`
	Weights string    `json:"weights_sha256"`
	Scores  []float64 `json:"scores"`
}

// The class that export writes loads the weights beside it, and gives our scores.
// testdata/class.json has the scores of PyTorch 2.11. If $DEPTHLAB_TORCH is the path of a Python
// with PyTorch, they are computed again, and the file is rewritten.
func TestExportedClass(t *testing.T) {
	const path = "testdata/class.json"
	python := os.Getenv("DEPTHLAB_TORCH")
	golden := map[string]loaded{}
	if text, err := os.ReadFile(path); python == "" && (err != nil || json.Unmarshal(text, &golden) != nil) {
		t.Fatal(path, err)
	}
	dev := ref.New()
	sum := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(text))
	}
	for _, name := range classNets {
		dir := t.TempDir()
		ours, exported := filepath.Join(dir, "ours"), filepath.Join(dir, "net.safetensors")
		writeHashed(t, name, ours)
		net, class, err := Export(ours, exported)
		if err != nil || class != filepath.Join(dir, "net.py") {
			t.Errorf("%s: %s, %v", name, class, err)
			continue
		}
		got := loaded{Class: sum(class), Weights: sum(exported)}
		if python != "" {
			cmd := exec.Command(python, "testdata/class.py", dir)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err == nil {
				err = json.Unmarshal(out, &got.Scores)
			}
			if err != nil {
				t.Fatalf("%s: PyTorch: %v", name, err)
			}
			golden[name] = got
		}
		want := golden[name]
		if want.Class != got.Class || want.Weights != got.Weights {
			t.Errorf("%s: class %s, weights %s; PyTorch loaded %s, %s: set $DEPTHLAB_TORCH to the path of a Python with PyTorch to load these", net, got.Class, got.Weights, want.Class, want.Weights)
		}
		if !testskip.Everything() && !slices.Contains(classNets[:2], name) {
			continue
		}
		agree(t, name, scoresOf(t, name, dev, EvalOptions{Weights: ours}), want.Scores)
	}
	if python != "" && !t.Failed() {
		text, err := json.MarshalIndent(golden, "", "\t")
		if err == nil {
			err = os.WriteFile(path, append(text, '\n'), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Export does not overwrite another file with the Python class.
func TestExportKeepsOtherFiles(t *testing.T) {
	dir := t.TempDir()
	ours, class := filepath.Join(dir, "ours"), filepath.Join(dir, "net.py")
	writeHashed(t, "plain-8", ours)
	if err := os.WriteFile(class, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Export(ours, filepath.Join(dir, "net.safetensors")); err == nil || !strings.Contains(err.Error(), "net.py exists and is another file") {
		t.Error(err)
	}
	if text, _ := os.ReadFile(class); string(text) != "mine" {
		t.Errorf("it was overwritten: %q", text)
	}
	if _, _, err := Export(ours, filepath.Join(dir, "other.py")); err == nil || !strings.Contains(err.Error(), "such as net.safetensors") {
		t.Error(err)
	}
	for range 2 { // it may overwrite its own file
		if _, _, err := Export(ours, filepath.Join(dir, "second.safetensors")); err != nil {
			t.Error(err)
		}
	}
}
