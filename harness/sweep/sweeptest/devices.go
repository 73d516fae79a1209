// Devices that are here.

package sweeptest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/cpu"
	"depthlab/harness/device/ref"
	"depthlab/harness/device/xla"
	"depthlab/harness/testskip"
)

// Devices are those that are here: ref always, the others where their
// libraries are.
func Devices(t *testing.T) map[string]device.Device {
	t.Helper()
	all := map[string]device.Device{"ref": ref.New()}
	if err := cpu.Missing(); err != nil {
		testskip.Part(t, "%v", err)
	} else {
		library, _ := cpu.Find(Libraries(t)) // it does without
		dev, err := cpu.Open(library, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dev.Close() })
		all["cpu"] = dev
	}
	path, err := xla.Find("", Libraries(t))
	if err != nil {
		testskip.Part(t, "xla: %v", err)
		return all
	}
	dev, err := xla.Open(path, xla.Options{Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	all["xla"] = dev
	return all
}

// Fast is a device for tests to which any device will do: the kernels for this CPU, which
// are some ten times as fast as ref's, and ref where there are none.
func Fast() device.Device {
	if dev, err := cpu.Open("", 0); err == nil {
		return dev
	}
	return ref.New()
}

// Libraries is where run.sh puts libraries that it fetches.
func Libraries(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return filepath.Join(dir, ".lib")
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod in any folder above")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

// Precisions are those that a device has, on the right machine.
func Precisions(dev device.Device) []string {
	if i := dev.Info(); i.Name == "cpu" || i.Bfloat16 {
		return []string{"fp32", "bf16"}
	}
	return []string{"fp32"}
}

// Native leaves a test out where this is not the machine for a precision.
func Native(t *testing.T, dev device.Device, precision string) {
	t.Helper()
	if precision == "bf16" && !dev.Info().Bfloat16 {
		testskip.Hardware(t, testskip.AVX512BF16)
	}
}
