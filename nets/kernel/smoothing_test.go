// Tests of label smoothing against PyTorch's.

package kernel

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Loss and gradient with label smoothing are those of torch.nn.functional.cross_entropy
// in float64 (testdata/smoothing.py).
func TestSmoothingOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/smoothing.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Logits []float64
		Labels []int32
		Cases  []struct {
			Smoothing, Loss float64
			Grad            []float64
		}
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Cases) != 3 {
		t.Fatalf("%d cases", len(want.Cases))
	}
	logits, label := Tensor{Shape: Shape{4, 5}, F64: want.Logits}, labels(want.Labels...)
	for _, c := range want.Cases {
		loss := apply(t, CrossEntropy{Smoothing: c.Smoothing}, logits, label)[0].F64[0]
		grad := apply(t, CrossEntropyGrad{Smoothing: c.Smoothing}, logits, label)[0].F64
		if math.Abs(loss-c.Loss) > 1e-14 {
			t.Errorf("smoothing %g: loss %.17g, want %.17g", c.Smoothing, loss, c.Loss)
		}
		for i, g := range c.Grad {
			if math.Abs(grad[i]-g) > 1e-15 {
				t.Errorf("smoothing %g: gradient %d is %.17g, want %.17g", c.Smoothing, i, grad[i], g)
			}
		}
	}
}
