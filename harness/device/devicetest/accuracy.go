// Accuracy of a whole gradient, relative to float64.

package devicetest

import (
	"fmt"
	"math"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
)

// Accuracy compares the float32 gradient of one training step with PyTorch's in float64.
// The error is the norm of the difference divided by the norm, over all parameters
// together. It may be 3 times that of the worse of PyTorch's two float32 routes
// (testdata/golden_accuracy.py). This measures roundings: a faster algorithm that loses
// more digits than that fails, even if each kernel is right.
func Accuracy(t *testing.T, start func(testing.TB) device.Device) {
	dev := start(t)
	defer dev.Close()
	for _, name := range []string{"plain-20", "resnet-20"} {
		if name == "resnet-20" && !testskip.Everything() {
			continue
		}
		t.Run("accuracy/"+name, func(t *testing.T) {
			got, limit := accuracy(t, dev, name)
			if !(got <= limit) {
				t.Errorf("the gradient is %.1e away from float64, PyTorch's worse route allows %.1e", got, limit)
			}
			t.Logf("error %.1e, limit %.1e", got, limit)
		})
	}
}

// accuracy returns the error of a gradient and the largest accepted error.
func accuracy(t *testing.T, dev device.Device, name string) (got, limit float64) {
	want := readGolden(t, "accuracy_"+name)
	n := newNet(t, name, 4, 2, 16, fmt.Sprint(want["salt"][0])).trainOnly()
	s := open(t, dev, n, device.Options{Precision: device.FP32, Deterministic: true})
	s.train(n.plan(0, 1, 0.05))
	var apart, size float64
	for _, p := range n.graph.Params {
		id, _ := n.programs.Train.Lookup("grad." + p.Name)
		all, some := s.read("grad."+p.Name, n.programs.Train.Buffers[id].Shape.Len()), want["grad."+p.Name]
		if len(some) == 0 {
			t.Fatalf("PyTorch has no gradient of %s", p.Name)
		}
		stride := 1
		if len(some) < len(all) {
			stride = 7919
		}
		weight := float64(len(all)) / float64(len(some)) // number of elements that each one stands for
		for i, w := range some {
			d := float64(all[i*stride%len(all)]) - w
			apart, size = apart+weight*d*d, size+weight*w*w
		}
	}
	return math.Sqrt(apart / size), 3 * max(want["mkldnn"][0], want["native"][0])
}
