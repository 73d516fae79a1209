// Tests of how many threads compute beside other processes.

package cpu

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// Tests use all threads that they ask for, whatever else the machine does.
func TestMain(m *testing.M) {
	others.read = func() usage { return usage{} }
	os.Exit(m.Run())
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ n, cpus, used, want int }{
		{2, 2, 0, 2}, {2, 2, 1, 1}, {2, 2, 2, 1}, {1, 2, 1, 1}, {1, 1, 1, 1},
		{16, 16, 1, 15}, {4, 16, 10, 4}, {4, 16, 13, 4}, {16, 16, 13, 8}, {9, 9, 9, 5},
		{4, 2, 0, 4}, // more threads than CPUs, as in tests
	} {
		if got := split(c.n, c.cpus, c.used); got != c.want {
			t.Errorf("%d threads on %d CPUs, of which others use %d: %d, want %d", c.n, c.cpus, c.used, got, c.want)
		}
	}
}

// Each measurement is of the period before it. A process that competes for a CPU counts, and as
// long as it uses most of the CPU that is left to it; a pause does not count.
func TestCrowd(t *testing.T) {
	now := usage{known: true}
	c := crowd{read: func() usage { return now }}
	c.measure(true)
	for i, p := range []struct {
		others float64 // CPUs
		known  bool
		paused bool
		want   int64
	}{
		{0, true, false, 0}, {0.45, true, false, 0}, {0.5, true, false, 1}, {1, true, false, 1}, {0.8, true, false, 1},
		{0.5, true, false, 0}, {1.5, true, false, 2}, {2, true, true, 2}, {0, true, true, 2}, {1.9, true, false, 2}, {0.9, true, false, 1},
		{0, true, false, 0}, {5, true, true, 0}, {5, false, false, 0}, {5, true, false, 0}, {5, true, false, 5}, {-1, true, false, 0},
	} {
		const own = 1.7
		now.when += period
		now.own += time.Duration(own * float64(period))
		now.all += time.Duration((own + p.others) * float64(period))
		now.known = p.known
		if c.measure(p.paused); c.cpus.Load() != p.want {
			t.Fatalf("period %d, others use %v: %d CPUs, want %d", i, p.others, c.cpus.Load(), p.want)
		}
	}
}

// A busy process is seen.
func TestRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		if read().known {
			t.Error("CPU time is known, expected on Linux only")
		}
		return
	}
	busy := exec.Command("sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer busy.Wait()
	defer busy.Process.Kill()
	first := read()
	for start := time.Now(); time.Since(start) < 20*time.Second; {
		for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		}
		u := read()
		if (u.all-first.all)-(u.own-first.own) > 150*time.Millisecond {
			return
		}
	}
	t.Errorf("a busy process is not seen: %+v, later %+v", first, read())
}
