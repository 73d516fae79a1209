// Tests of measuring the machine's peak.

package cpu

import "testing"

// The measured peak is of a plausible size.
func TestPeak(t *testing.T) {
	flops, bytes, err := open(t).Peak()
	if err != nil || flops < 1e6 || flops > 1e13 || bytes < 1e6 || bytes > 1e12 {
		t.Errorf("%.3g operations/s, %.3g bytes/s, %v", flops, bytes, err)
	}
	t.Logf("%.1f GFLOP/s, %.1f GB/s", flops/1e9, bytes/1e9)
}
