// The goroutines that kernels run on.

package cpu

import "sync/atomic"

// team is the goroutines that run kernels. A job is called by each of them at once,
// and takes pieces of the work from a counter until none is left. The caller is one
// of them, and waits for those alone that have begun: who comes late, because
// another process holds its core, finds the job closed and delays nobody.
type team struct {
	threads int
	job     func()
	state   atomic.Int64  // how many are in the job; less than 0 once it is closed
	asleep  atomic.Int64  // how many wait for a word
	wake    chan struct{} // the words
	done    chan struct{} // the last one has left a job that was closed
}

const (
	// closed is added to the state of a job that nobody may begin any more.
	closed = -1 << 32
	// looks is how often who waits looks for news before it sleeps, some 50
	// microseconds: longer than the pauses between jobs, in which little else can be
	// done, and much shorter than what a busy neighbour would notice.
	looks = 800
)

func newTeam(threads int) *team {
	t := &team{threads: threads, wake: make(chan struct{}, threads), done: make(chan struct{}, 1)}
	t.state.Store(closed)
	for range threads - 1 {
		go t.serve()
	}
	return t
}

// serve is a member's life.
func (t *team) serve() {
	for {
		for i := 0; i < looks; i++ {
			if t.enter() {
				i = 0
			}
			pause()
		}
		t.asleep.Add(1)
		if !t.enter() {
			if _, ok := <-t.wake; !ok {
				return
			}
		}
		t.asleep.Add(-1)
	}
}

// enter takes part in the job, if it is open.
func (t *team) enter() bool {
	for n := t.state.Load(); n >= 0; n = t.state.Load() {
		if t.state.CompareAndSwap(n, n+1) {
			t.job()
			if t.state.Add(-1) == closed {
				t.done <- struct{}{}
			}
			return true
		}
	}
	return false
}

// run calls job on every thread that comes in time, and waits until all have left
// it. It is called by one goroutine at a time.
func (t *team) run(job func()) {
	if t.threads == 1 {
		job()
		return
	}
	t.job = job
	t.state.Store(1)
	for range t.asleep.Load() {
		select {
		case t.wake <- struct{}{}:
		default: // there are words enough
		}
	}
	job()
	if t.state.Add(closed-1) != closed {
		for i := 0; i < looks && t.state.Load() != closed; i++ {
			pause()
		}
		<-t.done
	}
}

// stop ends the team, which has no job.
func (t *team) stop() { close(t.wake) }

// each gives a function that calls f(0) ... f(n-1) on the team.
func (t *team) each(n int, f func(i int)) func() {
	var next atomic.Int64
	job := func() {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
	}
	return func() {
		next.Store(0)
		t.run(job)
	}
}
