// Tests of the command bench.

package main

import (
	"strings"
	"syscall"
	"testing"
)

// After a signal bench exits with the signal's code. It prints no row for a net that it did not time
// to the end.
func TestBenchSignal(t *testing.T) {
	cmd, _, _ := lab(t.TempDir(), "bench", "--device", "ref", "--net", "plain-8,resnet-8", "--batch", "1", "--rounds", "1000")
	wait := all.begin(t, cmd) // until the device is open
	cmd.Process.Signal(syscall.SIGTERM)
	got, text := wait()
	if got != 143 || !strings.Contains(text, "bench plain-8 fp32: context canceled") || strings.Contains(text, "resnet-8") || strings.Contains(text, "saved") || strings.Count(text, "plain-8") != 1 {
		t.Errorf("exit code %d, want 143:\n%s", got, text)
	}
}
