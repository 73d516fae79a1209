// Test of ref's gradient against float64.

package ref_test

import (
	"testing"

	"depthlab/harness/device/devicetest"
)

func TestAccuracy(t *testing.T) { devicetest.Accuracy(t, start) }
