package devicetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device"
)

// goldenRow is what testdata/golden_imagenet.py keeps of a tensor: its norm,
// its largest absolute value, the error of PyTorch's own float32, elements.
const goldenRow = 15

// GoldenImageNet holds a device to PyTorch on the ImageNet nets: one training
// step on images of size x size (64 or 224), the loss, every gradient, and all
// parameters and running statistics after it, to 1e-4 of the largest element
// of each tensor and of its norm (testdata/golden_imagenet.py). Gradients in so
// deep nets are often sums that nearly cancel: where PyTorch's own float32 is
// more than 1e-5 away from its float64, 30 times that distance is allowed where
// it is more, as one order of such a sum differs so much from another.
func GoldenImageNet(t *testing.T, start func(testing.TB) device.Device, sizes ...int) {
	dev := start(t)
	defer dev.Close()
	batch := map[int]int{64: 3, 224: 1}
	for _, size := range sizes {
		for _, name := range []string{"resnet-18", "plain-34", "resnet-50", "resnet-50/A", "resnet-50/C", "resnet-50/torchvision", "resnet-50/A/v1.5", "resnet-50/C/v1.5"} {
			t.Run(fmt.Sprintf("golden/%s/%d", name, size), func(t *testing.T) {
				if testing.Short() && (size > 64 || name != "resnet-18") {
					t.Skip("large nets take seconds each")
				}
				want := readGolden(t, fmt.Sprintf("imagenet/%s_%d", strings.ReplaceAll(name, "/", "_"), size))
				n := newNet(t, name, batch[size], 0, size, fmt.Sprint(want["salt"][0]))
				n.away = 3
				s := open(t, dev, n, device.Options{Precision: device.FP32, Deterministic: true})
				m := s.train(n.plan(0, 1, 0.05))[0]
				if e := math.Abs(float64(m.Loss)-want["loss"][0]) / want["loss"][0]; !(e <= 1e-4) || m.Wrong != int(want["wrong"][0]) {
					t.Errorf("loss %v and %d wrong, PyTorch has %v and %v", m.Loss, m.Wrong, want["loss"][0], want["wrong"][0])
				}
				var grads, params, stats []string
				for _, p := range n.graph.Params {
					grads, params = append(grads, "grad."+p.Name), append(params, p.Name)
				}
				for _, b := range n.graph.Norms {
					stats = append(stats, b.Name+".running_mean", b.Name+".running_var")
				}
				for _, c := range []struct {
					kind  string
					names []string
				}{{"grad", grads}, {"after", params}, {"stat", stats}} {
					worst, cancelled := s.compare(n, c.names, want[c.kind])
					t.Logf("%s: worst error %.1e; in %d of %d tensors float32 cancels", c.kind, worst, cancelled, len(c.names))
				}
			})
		}
	}
}

// compare holds buffers to rows of PyTorch's, one each in the order of their
// names, and gives the worst error of those that nothing cancels in, and how
// many the others are.
func (s *session) compare(n *net, names []string, rows []float64) (worst float64, cancelled int) {
	s.t.Helper()
	slices.Sort(names)
	if len(rows) != len(names)*goldenRow {
		s.t.Fatalf("%d tensors, PyTorch has %d", len(names), len(rows)/goldenRow)
	}
	for i, name := range names {
		row := rows[i*goldenRow:][:goldenRow]
		norm, largest, noise := row[0], row[1], row[2]
		id, _ := n.programs.Train.Lookup(name)
		all := s.read(name, n.programs.Train.Buffers[id].Shape.Len())
		e := math.Abs(norm2(all)-norm) / norm
		for j, w := range row[3:] {
			e = max(e, math.Abs(float64(all[j*7919%len(all)])-w)/largest)
		}
		bound := 1e-4
		if noise > 1e-5 {
			bound = max(bound, 30*noise)
			cancelled++
		} else {
			worst = max(worst, e)
		}
		if !(e <= bound) {
			s.t.Errorf("%s: error %.1e, bound %.1e", name, e, bound)
		}
	}
	return worst, cancelled
}
