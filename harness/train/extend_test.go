// Tests of runs that begin as a trained, shallower net.

package train_test

import (
	"context"
	"math"
	"reflect"
	"strings"
	"testing"

	"depthlab/harness/record"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
)

// extended is a question with a deep net that begins as a trained shallow one.
var extended = strings.Replace(sweeptest.Question, "pairs: {depths: [8]}", "nets: [plain-8, plain-14]\nvariants: [{name: constructed, extend: plain-8}]", 1)

// A net that is extended by identity layers has the same errors as before, on every device and
// in every precision, and almost the same loss.
func TestExtend(t *testing.T) {
	for name, dev := range sweeptest.Devices(t) {
		if name == "xla" && !testskip.Everything() {
			continue // compiles three nets
		}
		for _, precision := range sweeptest.Precisions(dev) {
			t.Run(name+"/"+precision, func(t *testing.T) {
				bound := map[string]float64{"fp32": 1e-5, "bf16": 1e-2}[precision]
				dir := t.TempDir()
				s := sweeptest.New(t, extended, dir, dev, precision)
				if err := s.Run(context.Background()); err != nil {
					t.Fatal(err)
				}
				shallow, deep := sweeptest.Read(t, dir, "plain-8-seed0"), sweeptest.Read(t, dir, "plain-14-constructed-seed0")
				for _, kind := range []string{"eval", "full"} {
					var end, begin record.Event
					for _, e := range shallow.Events {
						if e.Kind == kind {
							end = e
						}
					}
					for _, e := range deep.Events {
						if e.Kind == kind && e.Step == 0 {
							begin = e
						}
					}
					if begin.Error == nil || *begin.Error != *end.Error || math.Abs(*begin.Loss-*end.Loss) > bound**end.Loss {
						t.Errorf("%s: begins as %+v, the shallow net ended as %+v", kind, begin, end)
					}
				}
				if all := sweeptest.Warnings(t, dir, "plain-14-constructed-seed0"); strings.Contains(strings.Join(all, " "), "begins with") {
					t.Errorf("%q", all)
				}
				if scratch := sweeptest.Read(t, dir, "plain-14-seed0"); reflect.DeepEqual(scratch.TrainCurve(), deep.TrainCurve()) {
					t.Error("its training curve is that of the net trained from scratch")
				}
			})
		}
	}
}
