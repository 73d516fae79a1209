// The conformance suite on ref.

package ref_test

import (
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/device/ref"
)

func start(testing.TB) device.Device { return ref.New() }

func TestRef(t *testing.T)    { devicetest.Run(t, start, device.FP32) }
func TestGolden(t *testing.T) { devicetest.Golden(t, start) }

func TestGoldenImageNet(t *testing.T) { devicetest.GoldenImageNet(t, start, 64, 224) }

func TestReplicas(t *testing.T) {
	start := func(_ testing.TB, devices int) device.Device { return ref.Together(devices) }
	devicetest.Replicas(t, start)
	devicetest.PaperGroups(t, start)
}
