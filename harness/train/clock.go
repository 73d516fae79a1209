// The clock of training time, which does not count while the process is stopped or the
// machine sleeps.

package train

import (
	"math"
	"sync"
	"time"
)

const (
	tick = time.Second
	// asleep is the time between two updates above which the process must have been stopped,
	// or the machine asleep.
	asleep = 5 * time.Second
)

// awake sums the time in which this process could run. A goroutine updates it every second;
// a much longer gap between two updates does not count. Waiting for a CPU at low priority
// does count: it delays updates, but not by seconds.
type awake struct {
	mu    sync.Mutex
	total time.Duration
	last  time.Time // time of the latest update
}

// update adds the time since the latest update, and returns the total.
func (a *awake) update(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := now.Sub(a.last); d <= asleep {
		a.total += max(d, 0)
	}
	a.last = now
	return a.total
}

// awakeTime returns a function that returns the time that this process has been awake since
// the first call of awakeTime.
var awakeTime = sync.OnceValue(func() func() time.Duration {
	a := &awake{last: time.Now()}
	go func() {
		for range time.Tick(tick) {
			a.update(time.Now())
		}
	}()
	return func() time.Duration { return a.update(time.Now()) }
})

// Now is the time by a clock that stands while this process is stopped or the machine sleeps. Only
// differences of its times mean something.
func Now() time.Time { return time.Unix(0, 0).Add(awakeTime()()) }

// stopwatch counts training time, without tests and saving, and the part of it in which the
// device waited for photos. A lap is the time between two "train" events.
type stopwatch struct {
	total, waited       time.Duration // waited counts this process only
	lapStart, lapWaited time.Duration // their values when the lap began
	started             time.Duration
}

func (s *stopwatch) start() { s.started = awakeTime()() }

// stop stops the clock. waited is the total time that this process has waited for photos.
func (s *stopwatch) stop(waited time.Duration) {
	s.total += awakeTime()() - s.started
	s.waited = waited
}

// lap ends a lap of so many images. It returns the speed in images per second, and the share
// of the lap's time that the device waited for photos.
func (s *stopwatch) lap(images int) (imagesPerS, waited float64) {
	d, w := s.total-s.lapStart, s.waited-s.lapWaited
	s.lapStart, s.lapWaited = s.total, s.waited
	if d <= 0 {
		return 0, 0
	}
	return math.Round(10*float64(images)/d.Seconds()) / 10, math.Round(1000*w.Seconds()/d.Seconds()) / 1000
}
