// The gradient's accuracy, compared with float64.

package xla

import (
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
)

func TestAccuracy(t *testing.T) {
	devicetest.Accuracy(t, func(t testing.TB) device.Device { return open(t, 0) })
}
