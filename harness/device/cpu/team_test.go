// Tests of fork and join.

package cpu

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"depthlab/harness/ckernel"
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

// A thread computes its own share of a kernel's work, then what others left of theirs: also alone,
// with any number.
func TestShares(t *testing.T) {
	const count = 7
	d := open(t)
	task, err := allocate(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer task.free()
	lanes := int64(vectors(d, f32).lanes)
	head, to := (*peakTask)(task.at(0)), slice[float32](&block{ptr: task.at(1024)}, 0, count*int(lanes))
	for thread := range 3 {
		*head = peakTask{shared: shared{count: count}, to: uintptr(task.at(1024))}
		shares := make([]share, 3)
		head.divide(shares)
		if shares[0].end != 2 || shares[1].next != 2 || shares[1].end != 4 || shares[2].next != 4 || shares[2].end != count {
			t.Errorf("shares of %d pieces: %+v", count, shares)
		}
		clear(to)
		ckernel.Call(vectors(d, f32).peak, task.at(0), thread)
		for i, v := range to {
			if v == 0 {
				t.Errorf("thread %d: piece %d is left", thread, int64(i)/lanes)
			}
		}
	}
}

// Sessions that compute at the same time share the CPUs: members beyond a session's part take no
// work, and sleep. When the others have ended, they are woken.
func TestShare(t *testing.T) {
	team := newTeam(4)
	defer team.stop()
	var inside, most atomic.Int64
	job := team.each(12, func(int) {
		n := inside.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		inside.Add(-1)
	})
	asleep := func() (n int) {
		for i := range team.members {
			if team.members[i].asleep.Load() {
				n++
			}
		}
		return n
	}
	for _, c := range []struct{ sessions, most int64 }{{1, 4}, {2, 2}, {4, 1}, {9, 1}, {3, 1}, {1, 4}, {2, 2}} {
		computing.Add(c.sessions)
		job() // lets members that were in use leave
		for late := time.Now().Add(10 * time.Second); asleep() < 4-int(c.most) && time.Now().Before(late); {
			time.Sleep(time.Millisecond)
		}
		if n := asleep(); n < 4-int(c.most) {
			t.Errorf("%d sessions: %d members sleep, want the %d that are not used", c.sessions, n, 4-c.most)
		}
		reached := int64(0)
		for range 50 { // a member may be late
			most.Store(0)
			job()
			reached = max(reached, most.Load())
		}
		if reached != c.most {
			t.Errorf("%d sessions: %d threads worked at the same time, want %d", c.sessions, reached, c.most)
		}
		computing.Add(-c.sessions)
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
