// Tests of the clock: pauses of the process.

package train

import (
	"testing"
	"time"
)

// A pause of the whole process is not training time; late updates are.
func TestAwake(t *testing.T) {
	begin := time.Now()
	a := &awake{last: begin}
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct{ now, total float64 }{
		{1, 1}, {2.5, 2.5}, {6, 6}, // slow, at low priority
		{606, 6}, // stopped for ten minutes
		{607, 7}, {606.5, 7}, {607.5, 8},
	} {
		if got := a.update(at(c.now)).Seconds(); got != c.total {
			t.Errorf("at %v s: awake for %v s, want %v", c.now, got, c.total)
		}
	}
}
