// Tests that many runs do not leak memory, files or goroutines.

package sweep_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/harness/testskip"
)

var soakRuns = flag.Int("soak-runs", 60, "runs of TestSoakRuns")

// usage is the resources that must not grow.
type usage struct {
	heap              uint64 // bytes in use
	files, goroutines int
}

func used(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC() // frees what finalisers released
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		testskip.Skip(t, "open files cannot be counted here: %v", err)
	}
	return usage{m.HeapAlloc, len(files), runtime.NumGoroutine()}
}

// flatUsage fails if later is more than before, apart from 4 MiB of the heap.
func flatUsage(t *testing.T, before, later usage) {
	t.Helper()
	t.Logf("before %+v, later %+v", before, later)
	if later.heap > before.heap+4<<20 || later.files > before.files || later.goroutines > before.goroutines {
		t.Errorf("usage grows: %+v, then %+v", before, later)
	}
}

// counting calls at with the number of each session that is opened.
type counting struct {
	device.Device
	at func(n int)
	n  int
}

func (c *counting) Open(p device.Programs, o device.Options) (device.Session, error) {
	c.n++
	c.at(c.n)
	return c.Device.Open(p, o)
}

// Many runs in one process need no more than a tenth of them.
func TestSoakRuns(t *testing.T) {
	runs := *soakRuns
	dir := t.TempDir()
	s := sweeptest.NewSmall(t, dir)
	one := s.Plan.Runs[0]
	one.Schedule.Stop = 2
	s.Plan.Runs = nil
	for seed := range runs {
		run := one
		run.Seed, run.ID = uint64(seed), fmt.Sprintf("plain-8-seed%d", seed)
		s.Plan.Runs = append(s.Plan.Runs, run)
	}
	var before usage
	s.Device = &counting{sweeptest.Fast(), func(n int) {
		if n == runs/10 {
			before = used(t)
		}
	}, 0}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	flatUsage(t, before, used(t))
}
