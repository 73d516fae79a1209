// What tests in package sweep_test see of this package.

package sweep

import (
	"errors"
	"time"
)

// Fitting is the run that takes most, and how many such fit, at most n.
func (s *Sweep) Fitting(n int) (id string, fits int, err error) {
	run, bytes, err := largest(unfinished(s.Plan, s.Folders), s.Data, s.Device.Info())
	return run.ID, fit(s.Device, bytes, n), err
}

// SetStale sets after what time without a heartbeat a holder on another machine is dead.
func (s *Sweep) SetStale(d time.Duration) { s.locks.Stale = d }

// Timed times n of the first run at a time.
func (s *Sweep) Timed(n int) (imagesPerS float64, err error) {
	p := pool{open: s.Open, all: []opened{{s.Device, 0}}, borrowed: true}
	imagesPerS, err = together(&p, n, s.Plan.Runs[0], s.Data)
	return imagesPerS, errors.Join(err, p.close())
}
