// Tests of the table of devices, and of what profiles may need.

package machine_test

import (
	"maps"
	"slices"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/machine"
)

// What a profile may need is what is looked for on a machine.
func TestNeedsAgree(t *testing.T) {
	have, _ := machine.Machine{Root: t.TempDir()}.Have()
	looked := slices.Sorted(maps.Keys(have))
	if needs := slices.Sorted(slices.Values(experiments.Needs)); !slices.Equal(needs, looked) {
		t.Errorf("a profile may need %q, and a machine is asked for %q", needs, looked)
	}
}
