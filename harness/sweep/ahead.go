// The work ahead of a sweep: how large its nets are, how long they will take, and whether
// the disk holds what they leave.

package sweep

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"depthlab/harness/data"
	"depthlab/harness/disk"
	"depthlab/harness/model"
	"depthlab/harness/store"
	"depthlab/nets"
)

// sizes remembers the parameters and multiply-adds of nets. It is safe for concurrent use.
type sizes struct {
	of    *data.Source
	mu    sync.Mutex
	known map[string][2]int64
}

// count gives the parameters of a net, and its multiply-adds for an image; zeros for a net
// that cannot be built, which fails with a message of its own when it is opened.
func (s *sizes) count(net string) (params, macs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.known[net]
	if !known {
		if arch, err := nets.ParseArch(net); err == nil {
			c[0], c[1], _ = nets.Count(arch, model.Geometry(s.of))
		}
		if s.known == nil {
			s.known = map[string][2]int64{}
		}
		s.known[net] = c
	}
	return c[0], c[1]
}

// ahead is the work of the runs that have not begun. It is safe for concurrent use.
type ahead struct {
	mu   sync.Mutex
	work map[int]float64 // multiply-adds, by the run's index
}

// look notes the work of runs.
func (a *ahead) look(todo []indexed, of *sizes) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.work = map[int]float64{}
	for _, r := range todo {
		_, macs := of.count(r.run.Net)
		a.work[r.i] = float64(macs) * float64(r.run.Steps()*r.run.Batch)
	}
}

// of is the work of the i-th run; 0 if it has begun.
func (a *ahead) of(i int) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.work[i]
}

// begun takes the i-th run from those ahead.
func (a *ahead) begun(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.work, i)
}

// left estimates the time of the runs ahead from the speed of a net of macs multiply-adds:
// a step's work is taken to be that of its multiply-adds.
func (a *ahead) left(macs int64) func(imagesPerS float64) time.Duration {
	return func(imagesPerS float64) time.Duration {
		a.mu.Lock()
		defer a.mu.Unlock()
		work := 0.0
		for _, w := range a.work {
			work += w
		}
		return time.Duration(work / max(1, float64(macs)) / imagesPerS * float64(time.Second))
	}
}

// checkSpace refuses to begin runs, so many at a time, that the disk has no room for.
func checkSpace(st store.Store, todo []indexed, jobs int, of *sizes) error {
	need := int64(8 << 20) // figures, tables, logs
	var most int64         // of checkpoints: runs have them while they are trained
	for _, r := range todo {
		params, _ := of.count(r.run.Net)
		kept, passing := store.Space(r.run, params)
		need += kept
		most = max(most, passing)
	}
	most *= int64(jobs)
	need += most
	dir := st.Runs()
	for dir != filepath.Dir(dir) { // to the first folder that is there
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	if free, known := disk.Free(dir); known && free < need {
		return fmt.Errorf("%s has %d MiB free, this sweep needs about %d MiB (%d for checkpoints): make room, or let results be a link to a larger disk",
			dir, free>>20, need>>20+1, most>>20+1)
	}
	return nil
}
