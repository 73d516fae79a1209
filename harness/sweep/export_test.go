// Exports for the tests in package sweep_test.

package sweep

import (
	"errors"
	"time"

	"depthlab/harness/model"
)

// Fitting returns the run that needs the most memory, and how many such runs fit, at most n.
func (s *Sweep) Fitting(n int) (id string, fits int, err error) {
	run, bytes, err := largest(unfinished(s.Plan, s.Folders), s.Data, s.Device.Info())
	return run.ID, fit(model.Room(s.Device, run, s.Data), bytes, n), err
}

// SetStale sets the time without a heartbeat after which a lock's holder on another machine counts
// as dead.
func (s *Sweep) SetStale(d time.Duration) { s.locks.Stale = d }

// Timed measures the speed of n copies of the first run at the same time.
func (s *Sweep) Timed(n int) (imagesPerS float64, err error) {
	p := pool{open: s.Open, all: []opened{{s.Device, 0}}, borrowed: true}
	imagesPerS, err = together(&p, n, s.Plan.Runs[0], s.Data)
	return imagesPerS, errors.Join(err, p.close())
}
