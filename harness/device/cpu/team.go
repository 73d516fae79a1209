// The team of goroutines that run kernels: fork and join.

package cpu

import (
	"sync/atomic"
	"time"
	"unsafe"

	"depthlab/harness/ckernel"
)

// team is a number of goroutines that run kernels, the caller among them. Each calls the same
// job with its number, 0 for the caller, and takes pieces of the work until none is left. The
// caller waits only for members that have begun: a member that is late, because another process
// uses its core, finds the job closed, and nobody waits for it.
type team struct {
	threads int
	job     func(member int)
	most    atomic.Int64 // members that may begin the job, without the caller
	state   atomic.Int64 // members in the job, plus closed and sleeping
	members []member     // without the caller
	done    chan struct{}
}

// member is a goroutine of a team.
type member struct {
	asleep atomic.Bool
	wake   chan struct{}
}

// computing is the number of sessions of this process that compute at the moment. They share its
// CPUs: each uses an equal part of its team. Results do not depend on the number of threads.
var computing atomic.Int64

const (
	// closed is added to state to close a job: no other member may begin it.
	closed = -1 << 32
	// sleeping is added to state when the caller goes to sleep; the last member to leave wakes it.
	// While the caller spins, it needs no channel. A channel is slow: Go's scheduler takes some 80
	// microseconds to move a woken goroutine to another thread.
	sleeping = -1 << 48
	// patience is how long a member spins before it sleeps: longer than the gaps between jobs and
	// than most pieces of work, and shorter than the time slice of a process that has taken a
	// member's core. It is a time, because PAUSE takes 1 to 50 nanoseconds.
	patience = 500 * time.Microsecond
)

// spin calls ready until it returns true, for at most patience, and returns whether it did.
func spin(ready func() bool) bool {
	for start := time.Now(); time.Since(start) < patience; {
		for range 64 {
			if ready() {
				return true
			}
			ckernel.Pause()
		}
	}
	return false
}

func newTeam(threads int) *team {
	t := &team{threads: threads, members: make([]member, threads-1), done: make(chan struct{}, 1)}
	t.state.Store(closed)
	for i := range t.members {
		t.members[i].wake = make(chan struct{}, 1)
		go t.serve(i)
	}
	return t
}

// serve takes part in jobs until the team is stopped.
func (t *team) serve(i int) {
	m := &t.members[i]
	for {
		entered := false
		spin(func() bool {
			entered = t.enter(i)
			return entered || t.idle(i)
		})
		if entered {
			continue
		}
		m.asleep.Store(true)
		if !t.enter(i) {
			if _, ok := <-m.wake; !ok {
				return
			}
		}
		m.asleep.Store(false)
	}
}

// idle reports whether other sessions use the CPU of member i.
func (t *team) idle(i int) bool { return int64(i) >= t.most.Load() }

// enter takes part in the job if it is open to member i, and reports whether it was.
func (t *team) enter(i int) bool {
	if t.idle(i) {
		return false
	}
	for n := t.state.Load(); n >= 0; n = t.state.Load() {
		if t.state.CompareAndSwap(n, n+1) {
			t.job(i + 1)
			if t.state.Add(-1) == closed+sleeping {
				t.done <- struct{}{}
			}
			return true
		}
	}
	return false
}

// share is a thread's share of the pieces of a kernel's work (kernels/vec.h has the same struct).
type share struct {
	next, end int64
	pad       [6]int64 // a cache line
}

// shared is the head of every task. The shares are set when the kernel is called.
type shared struct {
	shares         uintptr
	threads, count int64 // count: pieces
}

// divide gives each thread an equal share of the pieces, in order.
func (w *shared) divide(shares []share) {
	w.shares, w.threads = uintptr(unsafe.Pointer(&shares[0])), int64(len(shares))
	for i := range shares {
		n := int64(i)
		shares[i].next, shares[i].end = n*w.count/w.threads, (n+1)*w.count/w.threads
	}
}

// size is the number of members that the next job can have, with the caller.
func (t *team) size() int { return max(1, others.leave(t.threads)/max(1, int(computing.Load()))) }

// run calls job on the first size members, if they begin in time, and waits until all have left
// it. Only one goroutine may call run at a time.
func (t *team) run(size int, job func(member int)) {
	defer others.ended()
	most := size - 1
	if t.most.Store(int64(most)); most < 1 {
		job(0)
		return
	}
	t.job = job
	t.state.Store(1)
	for i := range t.members[:most] {
		if m := &t.members[i]; m.asleep.Load() {
			select {
			case m.wake <- struct{}{}:
			default: // it will wake
			}
		}
	}
	job(0)
	t.state.Add(closed - 1)
	if !spin(t.left) && t.state.Add(sleeping) != closed+sleeping {
		<-t.done
	}
}

// left reports whether all members have left the closed job.
func (t *team) left() bool { return t.state.Load() == closed }

// stop ends the team. No job may be running.
func (t *team) stop() {
	for i := range t.members {
		close(t.members[i].wake)
	}
}

// each returns a function that calls f(0) ... f(n-1) on the team.
func (t *team) each(n int, f func(i int)) func() {
	var next atomic.Int64
	job := func(int) {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			f(int(i))
		}
	}
	return func() {
		next.Store(0)
		t.run(t.size(), job)
	}
}
