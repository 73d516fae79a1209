// The conformance suite, on XLA's CPU plugin.

package xla

import (
	"errors"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/devicetest"
	"depthlab/harness/testskip"
	"depthlab/nets/program"
)

const libDir = "../../../.lib"

// open opens the device on XLA's CPU plugin, or skips the test. Each launch is a loop of
// loop steps; 0 for no loop.
func open(t testing.TB, loop int) *Device {
	t.Helper()
	return openWith(t, Options{Loop: loop, Quick: true})
}

func openWith(t testing.TB, o Options) *Device {
	t.Helper()
	path, err := Find("", libDir)
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// shared is a device that the suite does not close: it opens it for each precision, and the
// test closes it at its end.
type shared struct{ device.Device }

func (shared) Close() error { return nil }

func TestDevice(t *testing.T) {
	start := func(t testing.TB) device.Device { return shared{open(t, 0)} }
	devicetest.Run(t, start, device.FP32, device.BF16)
	devicetest.Golden(t, start)
}

// XLA's CPU plugin would silently compute in fp32.
func TestNoTF32(t *testing.T) {
	var no *device.UnsupportedError
	_, err := open(t, 0).Open(device.Programs{Eval: &program.Program{}}, device.Options{Precision: device.TF32})
	if !errors.As(err, &no) {
		t.Errorf("tf32 on a CPU: %v, want an UnsupportedError", err)
	}
}

// Without a GPU the suite runs on XLA's CPU plugin, and the summary of the tests says so.
func TestGPU(t *testing.T) {
	if Driver() == 0 {
		testskip.Hardware(t, testskip.GPU)
	}
}

func TestGoldenImageNet(t *testing.T) {
	devicetest.GoldenImageNet(t, func(t testing.TB) device.Device { return open(t, 0) }, 64, 224)
}

func TestReplicas(t *testing.T) {
	start := func(t testing.TB, devices int) device.Device {
		return openWith(t, Options{Quick: true, Devices: make([]int, devices)})
	}
	devicetest.Replicas(t, start)
	devicetest.PaperGroups(t, start)
}
