// The work that is left in a sweep: sizes of nets, the remaining time, and the disk space that
// is needed.

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

// sizes caches the parameters and multiply-adds of nets. It is safe for concurrent use.
type sizes struct {
	of    *data.Source
	mu    sync.Mutex
	known map[string][2]int64
}

// count returns the parameters of a net, and its multiply-adds for one image. Both are 0 for a
// net that cannot be built: opening it fails later, with a message.
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

// ahead is the work of the runs that were not begun yet. It is safe for concurrent use.
type ahead struct {
	mu   sync.Mutex
	work map[int]float64 // multiply-adds, by the run's index
}

// set sets the work of the runs of todo.
func (a *ahead) set(todo []indexed, of *sizes) {
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

// begun removes the i-th run.
func (a *ahead) begun(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.work, i)
}

// left returns a function that estimates the time of these runs from the speed of a net with
// macs multiply-adds. It assumes that time is proportional to multiply-adds.
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

// checkSpace returns an error if the disk does not have enough space for the runs of todo, jobs
// of them at the same time.
func checkSpace(st store.Store, todo []indexed, jobs int, of *sizes) error {
	need := int64(8 << 20) // figures, tables, logs
	var most int64         // checkpoints, which only runs in training have
	for _, r := range todo {
		params, _ := of.count(r.run.Net)
		kept, passing := store.Space(r.run, params)
		need += kept
		most = max(most, passing)
	}
	most *= int64(jobs)
	need += most
	dir := st.Runs()
	for dir != filepath.Dir(dir) { // up to the first folder that exists
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	if free, known := disk.Free(dir); known && free < need {
		return fmt.Errorf("%s has %d MiB free, this sweep needs about %d MiB (%d for checkpoints): make room, or make results a link to a folder on a larger disk",
			dir, free>>20, need>>20+1, most>>20+1)
	}
	return nil
}
