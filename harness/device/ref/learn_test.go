// Test that training learns, with the losses of the first steps as literals.

package ref_test

import (
	"math"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
)

// TestLearning: one batch of noise is memorised, with the initial weights and the recipe
// of real runs. The expected losses are literals, because a change of them changes every
// result.
func TestLearning(t *testing.T) {
	const batch, size = 8, 16
	want := []float64{2.344282, 2.279776, 2.166972, 2.025901, 1.875458, 1.727166, 1.586889, 1.456886, 1.33366, 1.212561}
	arch, err := nets.ParseArch("resnet-8")
	if err != nil {
		t.Fatal(err)
	}
	cfg := compile.Config{
		Config: nets.Config{Batch: batch, Channels: 3, Size: size, Classes: 10, Eps: 1e-5},
		Images: batch, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	}
	p, err := compile.Compile(arch, nets.Train, cfg)
	if err != nil {
		t.Fatal(err)
	}
	g, err := arch.Build(nets.Eval, cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ref.New().Open(device.Programs{Train: p}, device.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pixels, labels := make([]uint8, batch*3*size*size), make([]int32, batch)
	state := uint32(1)
	for i := range pixels {
		state = state*1664525 + 1013904223
		pixels[i] = uint8(state >> 24)
	}
	for i := range labels {
		labels[i] = int32(i)
	}
	mean := make([]float32, 3*size*size)
	for i := range mean {
		mean[i] = 128
	}
	must(s.Write("images", pixels))
	must(s.Write("labels", labels))
	must(s.Write("mean", mean))
	must(s.Write("scale", []float32{1, 1, 1})) // as in the paper: no division
	for _, p := range g.Params {
		must(s.Write(p.Name, nets.Init(p, 0, false)))
	}

	var plan device.Launch
	for i := range batch {
		plan.Rows = append(plan.Rows, device.Row{int32(i)})
	}
	plan.Rates = []device.Rates{{Learning: 0.02, Statistics: 0.1}}
	var losses []float64
	m := make([]device.Metric, 1)
	for step := range 40 {
		plan.First = step
		must(s.Train(plan, m))
		losses = append(losses, float64(m[0].Loss))
		if m[0].Wrong == 0 && m[0].Loss < 0.05 && step >= 10 {
			break
		}
	}
	if m[0].Wrong != 0 || m[0].Loss >= 0.05 {
		t.Errorf("after %d steps %d wrong of %d, loss %v", len(losses), m[0].Wrong, batch, m[0].Loss)
	}
	t.Logf("learned in %d steps", len(losses))
	// Sums are in float64, so machines that fuse multiply-adds agree, too.
	for i, w := range want {
		if !(math.Abs(losses[i]-w) <= 1e-5*w) {
			t.Fatalf("the losses of the first steps are %.7v, were %v", losses[:10], want)
		}
	}
}
