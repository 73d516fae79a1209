// Comparison with PyTorch: one training step of ImageNet nets.

package devicetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
)

// goldenRow is the number of values that testdata/golden_imagenet.py keeps of a tensor:
// its norm, its largest absolute value, the error of PyTorch's own float32, and 12
// elements.
const goldenRow = 15

var goldenNets = []struct {
	name string
	all  bool // only where everything is tested
}{
	{name: "resnet-18"},
	{name: "plain-34", all: true},
	{name: "resnet-50", all: true},
	{name: "resnet-50/A", all: true},
	{name: "resnet-50/C", all: true},
	{name: "resnet-50/torchvision", all: true},
	{name: "resnet-50/A/v1.5", all: true},
	{name: "resnet-50/C/v1.5", all: true},
}

func goldenFile(net string, size int) string {
	return fmt.Sprintf("imagenet/%s_%d", strings.ReplaceAll(net, "/", "_"), size)
}

// GoldenImageNet compares a device with PyTorch on the ImageNet nets: one training step
// on images of size x size (64 or 224). It compares the loss, every gradient, and all
// parameters and running statistics after the step, each within the bound from allowed
// (testdata/golden_imagenet.py).
func GoldenImageNet(t *testing.T, start func(testing.TB) device.Device, sizes ...int) {
	dev := start(t)
	defer dev.Close()
	batch := map[int]int{64: 3, 224: 1}
	for _, size := range sizes {
		for _, c := range goldenNets {
			if (c.all || size > 64) && !testskip.Everything() {
				continue
			}
			t.Run(fmt.Sprintf("golden/%s/%d", c.name, size), func(t *testing.T) {
				want := readGolden(t, goldenFile(c.name, size))
				n := newNet(t, c.name, batch[size], 0, size, fmt.Sprint(want["salt"][0])).trainOnly()
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
				for _, of := range []struct {
					kind  string
					names []string
				}{{"grad", grads}, {"after", params}, {"stat", stats}} {
					worst, cancelled := s.compare(n, of.names, want[of.kind])
					t.Logf("%s: worst error %.1e; in %d of %d tensors float32 cancels", of.kind, worst, cancelled, len(of.names))
				}
			})
		}
	}
}

// compare compares buffers with rows of PyTorch's, which are in the order of the buffers'
// names. worst is the largest error of the tensors in which float32 does not cancel;
// cancelled is the number of the other tensors.
func (s *session) compare(n *net, names []string, rows []float64) (worst float64, cancelled int) {
	s.t.Helper()
	slices.Sort(names)
	if len(rows) != len(names)*goldenRow {
		s.t.Fatalf("%d tensors, PyTorch has %d", len(names), len(rows)/goldenRow)
	}
	bounds := allowed(rows)
	for i, name := range names {
		row := rows[i*goldenRow:][:goldenRow]
		norm, largest := row[0], row[1]
		id, _ := n.programs.Train.Lookup(name)
		all := s.read(name, n.programs.Train.Buffers[id].Shape.Len())
		e := math.Abs(norm2(all)-norm) / norm
		for j, w := range row[3:] {
			e = max(e, math.Abs(float64(all[j*7919%len(all)])-w)/largest)
		}
		if bounds[i] > exactBound {
			cancelled++
		} else {
			worst = max(worst, e)
		}
		if !(e <= bounds[i]) {
			s.t.Errorf("%s: error %.1e, bound %.1e", name, e, bounds[i])
		}
	}
	return worst, cancelled
}

// exactBound is the largest error of a tensor, relative to its largest element.
// cancelledBound is the largest error of a tensor in which float32 cancels, relative to
// the largest element of all tensors of its kind in the net.
const exactBound, cancelledBound = 1e-4, 2e-4

// allowed returns the bound of each row: exactBound, for elements and norm. Gradients in
// so deep nets are often sums that nearly cancel; some are 0 except for rounding. If
// PyTorch's own float32 differs from its float64 by more than 1e-5, 30 times this
// difference is allowed (if that is more), because two orders of such a sum differ by so
// much. The bound is never more than cancelledBound.
func allowed(rows []float64) (bounds []float64) {
	net := 0.0
	for i := 0; i < len(rows); i += goldenRow {
		net = max(net, rows[i+1])
	}
	for i := 0; i < len(rows); i += goldenRow {
		bound, largest, noise := exactBound, rows[i+1], rows[i+2]
		if noise > 1e-5 {
			bound = max(bound, min(30*noise, cancelledBound*net/largest))
		}
		bounds = append(bounds, bound)
	}
	return bounds
}
