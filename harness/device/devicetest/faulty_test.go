package devicetest

import (
	"runtime"
	"testing"

	"depthlab/harness/device"
)

// hearing is a test that notes its errors in place of failing.
type hearing struct {
	testing.TB
	errors int
}

func (h *hearing) Errorf(string, ...any) { h.errors++ }
func (h *hearing) Error(...any)          { h.errors++ }
func (h *hearing) Fatalf(string, ...any) { h.errors++; runtime.Goexit() }
func (h *hearing) Fatal(...any)          { h.errors++; runtime.Goexit() }

// complaints is how many errors training three steps of a net beside ref finds.
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

// The comparison of whole steps finds each faulty device, in each precision, and
// nothing wrong with a sound one.
func TestFaulty(t *testing.T) {
	for _, p := range []device.Precision{device.FP32, device.BF16} {
		for fault, dev := range Faulty() {
			if complaints(t, dev, p) == 0 {
				t.Errorf("in %s it is not noticed that %s", p, fault)
			}
		}
		if n := complaints(t, Sound(), p); n > 0 {
			t.Errorf("in %s a sound device has %d errors", p, n)
		}
	}
}
