// The clock of training time: it stands still while the process is stopped or
// the machine sleeps.
package train

import (
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

// stopwatch counts training time, and no testing or saving.
type stopwatch struct {
	total, lapStart time.Duration
	started         time.Duration
}

func (s *stopwatch) start() { s.started = awakeTime()() }
func (s *stopwatch) stop()  { s.total += awakeTime()() - s.started }

// lap is the speed, in images per second, since the last lap.
func (s *stopwatch) lap(images int) float64 {
	d := s.total - s.lapStart
	s.lapStart = s.total
	return perSecond(images, d)
}
