// Tests of commands that take --device, on each device.

package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device/xla"
	"depthlab/harness/machine"
	"depthlab/harness/state"
	"depthlab/harness/testskip"
)

// quickXLA sets XLA_FLAGS so that processes compile as quickly as with xla.Options.Quick, unless
// all tests run.
func quickXLA(t *testing.T) {
	if !testskip.Everything() && xla.Driver() == 0 {
		t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1")
	}
}

// Commands with --device on each device: training, eval, step and bench, whose results are
// compared with ref's; and doctor.
func TestDevices(t *testing.T) {
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	net, changes := "resnet-8/B", []string{"100000 steps", "4 steps", "50000 steps", "4 steps"}
	quickXLA(t)
	if !testskip.Everything() { // compile one net, test on few images
		net, changes = "plain-8", append(changes, "train: 64", "train: 64\nvalidation: 32", "{group: 0}", "{group: 0, batches: 1}")
	}
	var loss, wrong, first float64 // on ref
	for _, device := range []string{"ref", "cpu", "xla"} {
		t.Run(device, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Symlink(libs, filepath.Join(dir, ".lib")); err != nil {
				t.Fatal(err)
			}
			if dev, _, err := (machine.Machine{Root: dir}).Open(device); err != nil {
				testskip.Skip(t, "%v", err)
			} else if err := dev.Close(); err != nil {
				t.Fatal(err)
			}
			do := func(args ...string) string {
				t.Helper()
				cmd, out, say := lab(dir, args...)
				if err := cmd.Run(); err != nil {
					t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, say)
				}
				return out.String()
			}
			object := func(text string, x any) {
				t.Helper()
				if err := json.Unmarshal([]byte(text), x); err != nil {
					t.Fatalf("%v:\n%s", err, text)
				}
			}
			file := write(t, dir, "plain-8", "8")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o666); err != nil {
				t.Fatal(err)
			}
			do(file, "--device", device)

			var tested struct {
				Images int
				Error  float64 `json:"top1_error"`
				Loss   float64
			}
			weights := stored(t, dir, "plain-8-seed0").Weights()
			object(do("eval", "--device", device, "--net", "plain-8", "--weights", weights, "--json"), &tested)

			steps := filepath.Join(dir, "steps")
			do("step", file, "--device", device, "--net", net, "--steps", "2", "--out", steps)
			step, err := state.ReadFile(filepath.Join(steps, "step-000002.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(step.Tensors, func(x state.Tensor) bool { return x.Name == "loss" })
			v, err := step.Tensors[at].Float32s()
			if err != nil {
				t.Fatal(err)
			}

			var speed struct {
				Device string
				Speed  float64 `json:"images_per_s"`
			}
			object(do("bench", "--device", device, "--net", "plain-8", "--batch", "2", "--precision", "fp32", "--rounds", "1", "--json"), &speed)
			if speed.Device != device || speed.Speed <= 0 {
				t.Errorf("bench: %+v", speed)
			}
			if said := do("doctor"); !strings.Contains(said, "device "+device) || strings.Contains(said, "broken") {
				t.Errorf("doctor says\n%s", said)
			}
			if device == "ref" {
				loss, wrong, first = tested.Loss, tested.Error, float64(v[0])
			}
			if tested.Images == 0 || math.Abs(tested.Loss-loss) > 1e-3*loss || math.Abs(tested.Error-wrong) > 0.5 {
				t.Errorf("eval: %+v; ref has loss %v and error %v", tested, loss, wrong)
			}
			if math.Abs(float64(v[0])-first) > 1e-4*first {
				t.Errorf("step: loss %v, ref has %v", v[0], first)
			}
		})
	}
}
