package onednn

import (
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
)

func TestAccuracy(t *testing.T) {
	for _, layout := range []string{"blocked", "nhwc"} {
		for _, kernels := range []string{"", "library"} {
			t.Run(layout+kernels, func(t *testing.T) {
				t.Setenv(EnvKernels, kernels)
				devicetest.Accuracy(t, func(t testing.TB) device.Device { return inLayout{open(t), layout} })
			})
		}
	}
}
