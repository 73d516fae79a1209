// Tests of losses that are finite on one device only.

package check

import (
	"errors"
	"testing"

	"depthlab/harness/device"
)

// A loss that is finite only on the device, or only on ref, is a fault of the device, unless
// rounding decides whether it is finite.
func TestFiniteness(t *testing.T) {
	nan, other := &device.NonFiniteError{Step: 4, Layer: "conv1"}, errors.New("lost")
	for _, c := range []struct {
		device, ref, rounded error
		differs              bool
	}{
		{nil, nil, nil, false},
		{nan, nan, nan, false},
		{nan, nil, nil, true},
		{nil, nan, nan, true},
		{nan, nil, nan, false},
		{nil, nan, nil, false},
		{nan, nan, nil, false},
		{other, nan, nan, false},
		{nan, other, nil, false},
	} {
		var differs *DiffersError
		if err := (&validating{}).finiteness(5, c.device, c.ref, c.rounded); errors.As(err, &differs) != c.differs {
			t.Errorf("device %v, ref %v, rounded %v: %v", c.device, c.ref, c.rounded, err)
		}
	}
}
