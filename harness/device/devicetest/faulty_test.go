// Test that the comparison of whole steps notices faulty devices.

package devicetest

import (
	"runtime"
	"testing"

	"depthlab/harness/device"
)

// hearing is a test that counts errors instead of failing.
type hearing struct {
	testing.TB
	errors int
}

func (h *hearing) Errorf(string, ...any) { h.errors++ }
func (h *hearing) Error(...any)          { h.errors++ }
func (h *hearing) Fatalf(string, ...any) { h.errors++; runtime.Goexit() }
func (h *hearing) Fatal(...any)          { h.errors++; runtime.Goexit() }

// complaints is the number of errors found when three steps of a net are compared with
// ref.
func complaints(t *testing.T, dev device.Device, p device.Precision) int {
	h := &hearing{TB: t}
	done := make(chan bool)
	go func() {
		defer close(done)
		n := newNet(h, "resnet-8", 8, 4, 8, "54")
		(&suite{dev: dev, precision: p}).beside(h, n, n, firstStep(n))
	}()
	<-done
	return h.errors
}

// The comparison of whole steps notices each faulty device in each precision, and accepts
// a sound one.
func TestFaulty(t *testing.T) {
	for _, p := range []device.Precision{device.FP32, device.BF16} {
		for fault, dev := range Faulty() {
			if complaints(t, dev, p) == 0 {
				t.Errorf("in %s nothing notices that %s", p, fault)
			}
		}
		if n := complaints(t, Sound(), p); n > 0 {
			t.Errorf("in %s a sound device has %d errors", p, n)
		}
	}
}
