//go:build nightly

// Tests of plan --measure against real runs.

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/predict"
	"depthlab/harness/testskip"
)

const planned = `
question: Is it as it was planned?
nets: [NETS]
data: preview
train: TRAIN
validation: 128
batch: BATCH
input: {pad: 2}
batch_norm: {group: 0}
schedule: {divide: 10, at: [], stop: STOP steps, warmup: none}
evaluate: EVERY steps
precision: PRECISION
`

// The time and memory of plan --measure are within 30 % of a real run's, by the median of three
// tries, each in its own folder. The test measures time: nothing else may run on the machine.
func TestPlanHolds(t *testing.T) {
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ device, precision, nets, train, batch, stop, every string }{
		{"ref", "fp32", "plain-8, resnet-8, resnet-14", "256", "8", "50", "25"},
		{"cpu", "fp32", "plain-20, resnet-32, resnet-44", "10000", "64", "100", "50"},
		{"cpu", "bf16", "plain-20, resnet-32, resnet-44", "10000", "64", "100", "50"},
		{"xla", "fp32", "plain-8, resnet-8, resnet-14", "256", "32", "600", "300"},
	} {
		t.Run(c.device+"_"+c.precision, func(t *testing.T) {
			var times, memories []float64
			for range 3 {
				dir := t.TempDir()
				if err := os.Symlink(libs, filepath.Join(dir, ".lib")); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(dir, "planned.yaml")
				text := strings.NewReplacer("NETS", c.nets, "TRAIN", c.train, "BATCH", c.batch, "STOP", c.stop, "EVERY", c.every, "PRECISION", c.precision).Replace(planned)
				if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
				cmd, out, say := lab(dir, "plan", "--measure", "--json", "--device", c.device, file)
				began := time.Now()
				if err := cmd.Run(); err != nil {
					testskip.Skip(t, "%v: %s", err, say) // xla without a plugin
				}
				measured := time.Since(began)
				var plan struct{ Runs []predict.Estimate }
				if err := json.Unmarshal(out.Bytes(), &plan); err != nil {
					t.Fatal(err)
				}
				var seconds, memory float64
				for _, e := range plan.Runs {
					seconds += e.Time
					memory = max(memory, float64(e.Memory))
				}
				cmd, _, say = lab(dir, "run", "--device", c.device, file)
				began = time.Now()
				if err := cmd.Run(); err != nil {
					t.Fatal(err, say)
				}
				took := time.Since(began).Seconds()
				peak := float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10)
				t.Logf("measured in %.1f s; planned %.1f s and %.0f MiB, took %.1f s and %.0f MiB", measured.Seconds(), seconds, memory/(1<<20), took, peak/(1<<20))
				times, memories = append(times, seconds/took), append(memories, memory/peak)
			}
			for what, ratios := range map[string][]float64{"time": times, "memory": memories} {
				slices.Sort(ratios)
				if r := ratios[1]; r < 0.7 || r > 1.3 {
					t.Errorf("%s was planned as %.2f of what it was (median of %.2f)", what, r, ratios)
				} else {
					t.Logf("%s was planned as %.2f of what it was (median of %.2f)", what, r, ratios)
				}
			}
		})
	}
}
