// Test that Accuracy notices lost digits.

package devicetest

import (
	"math"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
)

// coarse is a device whose parameters keep only 16 of float32's 24 bits of mantissa.
type coarse struct{ device.Device }

func (d coarse) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	return coarseSession{s}, err
}

type coarseSession struct{ device.Session }

func (s coarseSession) Write(name string, src any) error {
	if v, ok := src.([]float32); ok && strings.HasSuffix(name, ".weight") {
		rounded := make([]float32, len(v))
		for i, x := range v {
			rounded[i] = math.Float32frombits((math.Float32bits(x) + 1<<7) &^ (1<<8 - 1))
		}
		src = rounded
	}
	return s.Session.Write(name, src)
}

// Accuracy notices a device that loses 8 bits of its parameters, and accepts ref.
func TestAccuracySeesCoarseParameters(t *testing.T) {
	for _, name := range []string{"plain-20", "resnet-20"} {
		if got, limit := accuracy(t, ref.New(), name); !(got <= limit) {
			t.Errorf("%s on ref: error %.1e, limit %.1e", name, got, limit)
		}
		if got, limit := accuracy(t, coarse{ref.New()}, name); !(got > limit) {
			t.Errorf("%s, parameters of 16 bits: error %.1e, want above %.1e", name, got, limit)
		}
	}
}
