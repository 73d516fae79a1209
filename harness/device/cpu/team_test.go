// Tests of fork and join.

package cpu

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// When run returns, every piece is done once, and nobody is in the job any more: also if the
// caller had to sleep until the last member left, or members slept when the job began.
func TestTeam(t *testing.T) {
	const long = 2 * patience
	for _, c := range []struct {
		name       string
		before     time.Duration             // pause before each job
		takes      func(i int) time.Duration // time that a piece takes
		jobs, each int                       // jobs; pieces of each
	}{
		{"many short jobs", 0, func(int) time.Duration { return 0 }, 5000, 7},
		{"no pieces", 0, nil, 100, 0},
		{"members sleep", long, func(int) time.Duration { return 0 }, 50, 7},
		{"the caller sleeps", 0, func(i int) time.Duration { return time.Duration(i%2) * long }, 50, 8},
		{"both sleep", long, func(i int) time.Duration { return time.Duration(i%3) * long }, 30, 8},
	} {
		for _, threads := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s, %d threads", c.name, threads), func(t *testing.T) {
				team := newTeam(threads)
				defer team.stop()
				var done, inside atomic.Int64
				job := team.each(c.each, func(i int) {
					inside.Add(1)
					time.Sleep(c.takes(i))
					done.Add(1 << (8 * i))
					inside.Add(-1)
				})
				for range c.jobs {
					time.Sleep(c.before)
					done.Store(0)
					job()
					var want int64
					for i := range c.each {
						want += 1 << (8 * i)
					}
					if done.Load() != want || inside.Load() != 0 {
						t.Fatalf("done %x, want %x; %d members inside", done.Load(), want, inside.Load())
					}
				}
			})
		}
	}
}

// Fork and join: a job of two pieces, of which each takes about 20 microseconds.
func BenchmarkTeam(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("%d threads", threads), func(b *testing.B) {
			team := newTeam(threads)
			defer team.stop()
			job := team.each(2, func(int) {
				for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
				}
			})
			for b.Loop() {
				job()
			}
		})
	}
}
