// Tests that no kernel reads or writes outside of its operands.

package cpu

import (
	"fmt"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
	"depthlab/nets"
)

// Every kernel runs on the shapes of every net, with each buffer next to guard pages
// (parameters, gradients and statistics: each whole arena): directly after its end, then
// directly before its beginning. A kernel that touches them
// ends the test with SIGSEGV.
func TestGuards(t *testing.T) {
	defer func() { guarded = noGuards }()
	type size struct {
		net         string
		batch, size int
	}
	all := []size{{"plain-8", 9, 16}, {"resnet-8", 3, 32}, {"resnet-8/B", 9, 16}, {"resnet-8/C", 5, 32}, {"resnet-8/split", 3, 32},
		{"resnet-8/preact", 3, 32}, {"resnet-11/bottleneck", 3, 32}, {"resnet-11/bottleneck/preact", 7, 16}, {"resnet-18", 3, 64}}
	if testskip.Everything() {
		all = append(all, size{"resnet-18", 2, 224}, size{"resnet-34/B", 1, 224}, size{"resnet-50", 2, 224}, size{"resnet-50/A", 1, 224},
			size{"resnet-50/C", 1, 224}, size{"resnet-50/torchvision", 7, 64}, size{"resnet-50/torchvision", 2, 224})
	}
	for _, where := range []guards{behind, before} {
		for _, c := range all {
			for _, p := range precisions {
				t.Run(fmt.Sprintf("%d %s of %d images of %d in %s", where, c.net, c.batch, c.size, p), func(t *testing.T) {
					guarded = where
					d, err := Open("", 1)
					if err != nil {
						t.Fatal(err)
					}
					defer d.Close()
					s, err := d.Open(device.Programs{Train: compiled(t, c.net, nets.Train, c.batch, c.size), Eval: compiled(t, c.net, nets.Eval, c.batch, c.size)}, device.Options{Precision: p})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					if err := s.Train(planOf(1, c.batch, 0.01), make([]device.Metric, 1)); err != nil {
						t.Fatal(err)
					}
					if _, err := s.Eval(planOf(1, c.batch, 0).Rows); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}
