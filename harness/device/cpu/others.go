// How many CPUs other processes use, and how many threads of a team compute beside them.

package cpu

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"depthlab/harness/limits"
)

// crowd measures how much CPU time other processes use while this one computes. A thread that
// shares its CPU with another process is stopped in the middle of a piece of work, and the team
// waits for it. So the team leaves such CPUs to the others. Beside a process that keeps one of two
// CPUs busy, one thread takes 1.9 times as long as two threads alone; two take 2.5 times as long.
type crowd struct {
	read   func() usage
	cpus   atomic.Int64 // CPUs that others use
	next   atomic.Int64 // when to measure again, in nanoseconds since epoch
	worked atomic.Int64 // when the last job ended
	mu     sync.Mutex   // guards last
	last   usage
}

// usage is CPU time, of all processes and of this one; when is the time since epoch.
type usage struct {
	when, all, own time.Duration
	known          bool
}

// others is the crowd around this process.
var others = crowd{read: read}

var epoch = time.Now()

const (
	// period is the time between measurements: 50 of the ticks in which Linux counts.
	period = 500 * time.Millisecond
	// pause is the longest time without a job within a period.
	pause = 100 * time.Millisecond
)

// read returns the CPU time used until now. Processes with a nice value above 0 count only if this
// one has one, too: otherwise they get little of a CPU.
func read() usage {
	const normal = 20 // Linux returns 20 - nice
	nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	var r syscall.Rusage
	if err != nil || syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return usage{}
	}
	u := usage{when: time.Since(epoch), own: time.Duration(r.Utime.Nano() + r.Stime.Nano())}
	u.all, u.known = limits.CPUTime(os.DirFS("/"), nice < normal)
	return u
}

// crowded returns how many CPUs to leave to others, which used so many while left were left to
// them. A process that competes for a CPU gets half of it or more. If it has one for itself, it
// must use most of it: beside a process that is busy for half of the time, two threads are faster
// than one.
func crowded(used float64, left int64) int64 {
	if left == 0 {
		return int64(used + 0.5)
	}
	return int64(used + 0.25)
}

// measure begins a period. It sets cpus by what was used in the last one, if there were jobs all the
// time: in a pause others use what nobody else needs.
func (c *crowd) measure(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, last := c.read(), c.last
	c.last = u
	if !paused && u.known && last.known {
		used := max(0, (u.all-last.all)-(u.own-last.own))
		c.cpus.Store(crowded(used.Seconds()/(u.when-last.when).Seconds(), c.cpus.Load()))
	}
}

// leave returns how many of n threads should begin the next job.
func (c *crowd) leave(n int) int {
	now, next := int64(time.Since(epoch)), c.next.Load()
	paused := now-c.worked.Load() > int64(pause)
	if (paused || now >= next) && c.next.CompareAndSwap(next, now+int64(period)) {
		c.measure(paused)
	}
	return split(n, runtime.NumCPU(), int(c.cpus.Load()))
}

// split returns how many of n threads should compute on so many CPUs, of which others use some. It
// leaves at most half of the CPUs to them: that is fair to one process, however many threads it has.
func split(n, cpus, used int) int {
	if used == 0 {
		return n
	}
	return min(n, max(cpus-used, (cpus+1)/2))
}

// ended says that a job ended.
func (c *crowd) ended() { c.worked.Store(int64(time.Since(epoch))) }
