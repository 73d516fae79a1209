// Tests that compare schedules with PyTorch's.

package train

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"depthlab/experiments"
)

// The rates of cosine and linear are those of torch.optim.lr_scheduler
// (testdata/schedules.py).
func TestSchedulesOfPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/schedules.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Steps int
		Rate  float64
		Rates map[string][]float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Rates) != 2 {
		t.Fatalf("%d forms", len(want.Rates))
	}
	for form, rates := range want.Rates {
		run := experiments.Run{Recipe: experiments.Recipe{
			Optimizer: experiments.Optimizer{Rate: want.Rate}, Schedule: experiments.Schedule{Form: form, Stop: want.Steps},
		}}
		for step, rate := range rates {
			// Ours are float32.
			if got := float64(learningRate(run, schedule{}, step)); math.Abs(got-rate) > 1e-7*want.Rate {
				t.Errorf("%s, step %d: rate %g, want %g", form, step, got, rate)
			}
		}
		if last := learningRate(run, schedule{}, want.Steps); last != 0 {
			t.Errorf("%s ends at %g", form, last)
		}
	}
}
