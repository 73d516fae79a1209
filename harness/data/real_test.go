//go:build nightly

// Nightly test on the real CIFAR-10 files.

package data

import (
	"os"
	"testing"
)

// $DEPTHLAB_DATA, a folder with CIFAR-10, is read and described.
func TestRealCIFAR(t *testing.T) {
	s, err := cifar10.open(os.Getenv("DEPTHLAB_DATA"))
	if err != nil {
		t.Fatal(err)
	}
	m := s.Train.Statistics(nil)
	t.Logf("%s: canonical %v, %s, channel mean %.2f, deviation %.2f", s.Title, s.Canonical, s.Checksum, m.Mean, m.Std)
	// The widely used values: 0.4914, 0.4822, 0.4465 of 255.
	for c, want := range []float32{125.3, 123.0, 113.9} {
		if d := m.Mean[c] - want; d < -1 || d > 1 {
			t.Errorf("mean of channel %d is %.2f, CIFAR-10's is %.1f", c, m.Mean[c], want)
		}
	}
}
