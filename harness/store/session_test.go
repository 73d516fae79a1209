// Tests of sessions: they agree with the checkpoint after any kill.

package store

import (
	"fmt"
	"strings"
	"testing"
)

// Sessions agree with the checkpoint that a run resumes from, whenever the process before
// it was killed.
func TestSettle(t *testing.T) {
	for name, c := range map[string]struct {
		had     []Session
		step    int
		seconds float64
		want    string
	}{
		"nothing yet":                        {nil, 0, 0, ""},
		"saved and closed":                   {[]Session{{Last: 10, Seconds: 5}}, 10, 5, "0-10:5"},
		"killed before the first checkpoint": {[]Session{{}}, 0, 0, "0-0:0"},
		"killed behind a checkpoint":         {[]Session{{Last: 10, Seconds: 5}}, 20, 9, "0-20:9"},
		"the newest checkpoint is damaged":   {[]Session{{Last: 10, Seconds: 5}, {First: 10, Last: 30, Seconds: 8}}, 20, 9, "0-10:5 10-20:4"},
		"one session is lost with it":        {[]Session{{Last: 20, Seconds: 9}, {First: 20, Last: 30, Seconds: 4}}, 10, 5, "0-10:5 10-10:0"},
		"run.json is lost":                   {nil, 20, 9, "0-20:9"},
	} {
		var words []string
		for _, s := range settle(c.had, 0, c.step, c.seconds) {
			words = append(words, fmt.Sprintf("%d-%d:%g", s.First, s.Last, s.Seconds))
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
