// Tests of the accuracy of a gradient.

package cpu

import (
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
)

func TestAccuracy(t *testing.T) {
	t.Run("own", func(t *testing.T) {
		devicetest.Accuracy(t, func(t testing.TB) device.Device { return open(t) })
	})
	for _, layout := range []string{"blocked", "nhwc"} {
		t.Run("library "+layout, func(t *testing.T) {
			t.Setenv(EnvKernels, "library")
			devicetest.Accuracy(t, func(t testing.TB) device.Device { return inLayout{openOneDNN(t), layout} })
		})
	}
}
