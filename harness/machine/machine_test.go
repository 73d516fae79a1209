// Tests of the table of devices, and of the needs of profiles.

package machine_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/device"
	"depthlab/harness/machine"
	"depthlab/harness/testskip"
)

// The needs that a profile may name are those that a machine is checked for.
func TestNeedsAgree(t *testing.T) {
	have, _ := machine.Machine{Root: t.TempDir()}.Have()
	looked := slices.Sorted(maps.Keys(have))
	if needs := slices.Sorted(slices.Values(experiments.Needs)); !slices.Equal(needs, looked) {
		t.Errorf("a profile may need %q, and a machine is asked for %q", needs, looked)
	}
}

// Each row of the table of devices is found by each of its names. The device that it opens
// has that name and its precisions.
func TestDevices(t *testing.T) {
	names := map[string]bool{}
	for _, k := range machine.Devices {
		for _, name := range append([]string{k.Name}, k.Old...) {
			if got, err := machine.KindOf(name); err != nil || got.Name != k.Name || names[name] {
				t.Errorf("%s finds %q, %v; want %s, alone", name, got.Name, err, k.Name)
			}
			names[name] = true
		}
		dev, warning, err := (machine.Machine{Root: filepath.Join("..", "..")}).Open(k.Name)
		if err != nil {
			testskip.Part(t, "%s: %v", k.Name, err)
			continue
		}
		info := dev.Info()
		if info.Name != k.Name || warning != "" {
			t.Errorf("%s opens %s and warns %q", k.Name, info.Name, warning)
		}
		if p := machine.Precisions(info); !slices.Contains(p, device.FP32) || slices.Contains(p, device.BF16) != (k.Name != "ref") {
			t.Errorf("%s computes in %v", k.Name, p)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := machine.KindOf("tpu"); err == nil || !strings.Contains(err.Error(), "expected one of auto, ") {
		t.Errorf("an unknown device: %v", err)
	}
}
