// The clock of training time: it stands still while the process is stopped or
// the machine sleeps.

package train

import (
	"math"
	"sync"
	"time"
)

const (
	tick = time.Second
	// Between two looks at the clock, more than this is no slowness: the process
	// was stopped, or the machine slept.
	asleep = 5 * time.Second
)

// awake sums the time in which this process was able to run. A goroutine looks at
// the clock every second; a much longer pause between two looks is left out.
// Waiting for a CPU at low priority does count, as looks come late then, but not
// by seconds.
type awake struct {
	mu    sync.Mutex
	total time.Duration
	last  time.Time // of the latest look
}

// look counts the time since the latest look, and gives the total.
func (a *awake) look(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := now.Sub(a.last); d <= asleep {
		a.total += max(d, 0)
	}
	a.last = now
	return a.total
}

// awakeTime gives the time that this process has been awake since it was first
// asked.
var awakeTime = sync.OnceValue(func() func() time.Duration {
	a := &awake{last: time.Now()}
	go func() {
		for range time.Tick(tick) {
			a.look(time.Now())
		}
	}()
	return func() time.Duration { return a.look(time.Now()) }
})

// stopwatch counts training time, without tests and saving, and the part of it in which
// the device waited for photos. A lap is the time between two "train" events.
type stopwatch struct {
	total, waited       time.Duration // waited: by this process
	lapStart, lapWaited time.Duration // these, when the lap began
	started             time.Duration
}

func (s *stopwatch) start() { s.started = awakeTime()() }

// stop takes the time that this process has waited for photos in all.
func (s *stopwatch) stop(waited time.Duration) {
	s.total += awakeTime()() - s.started
	s.waited = waited
}

// lap ends a lap. It gives the speed since the lap before, in images per second, and the
// share of that time that the device waited for photos.
func (s *stopwatch) lap(images int) (imagesPerS, waited float64) {
	d, w := s.total-s.lapStart, s.waited-s.lapWaited
	s.lapStart, s.lapWaited = s.total, s.waited
	if d <= 0 {
		return 0, 0
	}
	return math.Round(10*float64(images)/d.Seconds()) / 10, math.Round(1000*w.Seconds()/d.Seconds()) / 1000
}
