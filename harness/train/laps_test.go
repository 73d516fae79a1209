// Tests of laps, and of waiting for photos.

package train

import (
	"strings"
	"testing"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/model"
)

// A message says how long the device waited for photos, if that is more than a tenth.
func TestSlowData(t *testing.T) {
	for _, c := range []struct {
		waited time.Duration
		share  string // "" for no message
	}{{3 * time.Second, "waited 30 % of the time"}, {time.Second / 2, ""}} {
		f := &model.Feed{Photos: &data.Set{Photos: &data.Photos{}}, Waited: c.waited}
		if text := slowData(f, 10); !strings.Contains(text, c.share) || (c.share == "") != (text == "") {
			t.Errorf("%v of 10 s: %q", c.waited, text)
		}
	}
	if text := slowData(nil, 10); text != "" {
		t.Errorf("without photos: %q", text)
	}
}

// A lap has its own images, time and waiting, also if a checkpoint is in the middle of it.
func TestLaps(t *testing.T) {
	s := resumed(progress{Seconds: 12, Lap: 10, Waited: 0.5})
	s.total, s.waited = 14*time.Second, time.Second/2 // two more seconds, in which it waited for half a second
	if speed, waited := s.lap(100); speed != 25 || waited != 0.25 {
		t.Errorf("%v images/s, a share of %v waited; want 25 and 0.25", speed, waited)
	}
	s.total += 2 * time.Second
	if speed, waited := s.lap(100); speed != 50 || waited != 0 {
		t.Errorf("%v images/s, a share of %v waited; want 50 and 0", speed, waited)
	}
	if speed, waited := s.lap(100); speed != 0 || waited != 0 {
		t.Errorf("%v images/s and %v waited in no time", speed, waited)
	}
}
