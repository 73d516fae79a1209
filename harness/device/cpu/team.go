// The team of goroutines that run kernels: fork and join.

package cpu

import (
	"sync/atomic"

	"depthlab/harness/ckernel"
)

// team is a number of goroutines that run kernels, the caller among them. Each calls the same
// job, which takes pieces of the work from a counter until none is left. The caller waits only
// for members that have begun: a member that is late, because another process uses its core,
// finds the job closed, and nobody waits for it.
type team struct {
	threads int
	job     func()
	state   atomic.Int64  // number of members in the job; negative once the job is closed
	asleep  atomic.Int64  // number of members that wait for wake
	wake    chan struct{} // wakes one member for each value
	done    chan struct{} // gets a value when the last member leaves a closed job
}

const (
	// closed is added to state to close a job: no other member may begin it.
	closed = -1 << 32
	// looks is how many times a waiting goroutine checks the state before it sleeps, some 20 to 50
	// microseconds: longer than the gaps between jobs, and too short to slow down other
	// processes.
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

// serve takes part in jobs until the team is stopped.
func (t *team) serve() {
	for {
		for i := 0; i < looks; i++ {
			if t.enter() {
				i = 0
			}
			ckernel.Pause()
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

// enter takes part in the job if it is open, and reports whether it was.
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

// run calls job on every member that begins in time, and waits until all have left it. Only
// one goroutine may call run at a time.
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
		default: // wake is full: enough members will wake
		}
	}
	job()
	if t.state.Add(closed-1) != closed {
		for i := 0; i < looks && t.state.Load() != closed; i++ {
			ckernel.Pause()
		}
		<-t.done
	}
}

// stop ends the team. No job may be running.
func (t *team) stop() { close(t.wake) }

// each returns a function that calls f(0) ... f(n-1) on the team.
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
