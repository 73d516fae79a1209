package train

import (
	"strings"
	"testing"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/model"
)

// Waiting for photos is said, with the number, once it matters.
func TestSlowData(t *testing.T) {
	for _, c := range []struct {
		idle  time.Duration
		share string // "" for nothing to say
	}{{3 * time.Second, "waited 30 % of the time"}, {time.Second / 2, ""}} {
		x := &Trainer{Model: &model.Model{Feed: &model.Feed{Photos: &data.Set{Photos: &data.Photos{}}, Idle: c.idle}}}
		x.clock.total = 12 * time.Second // two of them before this session
		if text := x.slowData(2); !strings.Contains(text, c.share) || (c.share == "") != (text == "") {
			t.Errorf("%v of 10 s: %q", c.idle, text)
		}
		x.Feed.Waited = time.Second
		if got := x.waited(); got != 0.083 {
			t.Errorf("a share of %v, want 1 of 12 s", got)
		}
		if got := x.waited(); got != 0 {
			t.Errorf("a share of %v, said before", got)
		}
	}
}
