// Devices of this machine, for tests.

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

// Devices opens the devices of this machine: ref, and cpu and xla if they can be opened.
func Devices(t *testing.T) map[string]device.Device {
	t.Helper()
	all := map[string]device.Device{"ref": ref.New()}
	if err := cpu.Missing(); err != nil {
		testskip.Part(t, "%v", err)
	} else {
		library, _ := cpu.Find(Libraries(t)) // "" if there is none
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

// Fast opens a device for tests that can use any: cpu without oneDNN, which is about ten times as
// fast as ref, or ref if there are no kernels for this CPU.
func Fast() device.Device {
	if dev, err := cpu.Open("", 0); err == nil {
		return dev
	}
	return ref.New()
}

// Libraries is the folder of the libraries that run.sh downloads.
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

// Precisions lists the precisions that a device computes fast.
func Precisions(dev device.Device) []string {
	if i := dev.Info(); i.Name == "cpu" || i.Bfloat16 {
		return []string{"fp32", "bf16"}
	}
	return []string{"fp32"}
}
