// Tests of the number of threads.

package machine

import (
	"fmt"
	"strings"
	"testing"
)

// No more threads than affinity and quota allow; fewer on request.
func TestThreads(t *testing.T) {
	for _, c := range []struct {
		n, cpus  int
		quota    float64
		variable string
		want     int    // 0: refused
		says     string // part of the error, or of the line
	}{
		{0, 8, 0, "", 8, ""},
		{3, 8, 0, "", 3, ""},
		{3, 8, 0, "2", 3, ""}, // the option overrides the environment
		{9, 8, 0, "", 0, "--threads 9: expected 1 to 8: this process may run on 8 CPUs"},
		{-1, 8, 0, "", 0, "--threads -1: expected 1 to 8"},
		{0, 8, 2.5, "", 3, ""},
		{0, 8, 0.25, "", 1, ""},
		{4, 8, 2.5, "", 0, "expected 1 to 3: this process may run on 8 CPUs, with a quota of 2.5"},
		{0, 8, 0, "2", 2, ""},
		{0, 8, 0, "4,2", 4, ""},
		{0, 8, 0, "16", 8, "OMP_NUM_THREADS=16 is reduced to 8"},
		{0, 2, 100, "many", 2, ""},
	} {
		t.Setenv(envThreads, c.variable)
		said := ""
		m := Machine{Say: func(format string, args ...any) { said += fmt.Sprintf(format, args...) }}
		got, err := m.threads(c.n, c.cpus, c.quota, c.quota > 0)
		if err != nil {
			said += err.Error()
		}
		if got != c.want || !strings.Contains(said, c.says) || (c.says == "") != (said == "") || (err != nil) != Promised(err) {
			t.Errorf("%+v: %d threads, said %q, %v", c, got, said, err)
		}
	}
}
