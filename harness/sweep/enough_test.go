// Tests of choosing how many runs are trained at the same time.

package sweep

import (
	"errors"
	"testing"
)

// Jobs are doubled as long as that is 10 % faster, fits and works.
func TestEnough(t *testing.T) {
	const broken = -1
	for _, c := range []struct {
		speeds [3]float64 // of 1, 2 and 4 at a time
		limit  int
		want   int
		asked  int
	}{
		{[3]float64{100, 180, 300}, 9, 4, 3},
		{[3]float64{100, 180, 190}, 9, 2, 3},
		{[3]float64{100, 105, 300}, 9, 1, 2},
		{[3]float64{100, 90, 0}, 9, 1, 2},
		{[3]float64{100, 180, 300}, 3, 2, 2},
		{[3]float64{100, 180, 300}, 1, 1, 1},
		{[3]float64{100, broken, 300}, 9, 1, 2},
		{[3]float64{100, 180, broken}, 9, 2, 3},
	} {
		asked := 0
		got, err := enough(c.limit, func(n int) (float64, error) {
			asked++
			v := c.speeds[map[int]int{1: 0, 2: 1, 4: 2}[n]]
			if v == broken {
				return 0, errors.New("out of memory")
			}
			return v, nil
		})
		if err != nil || got != c.want || asked != c.asked {
			t.Errorf("%+v: %d jobs after %d questions, %v", c, got, asked, err)
		}
	}
	if _, err := enough(4, func(int) (float64, error) { return 0, errors.New("broken") }); err == nil {
		t.Error("no error if one job fails")
	}
}
