package sweep

import (
	"errors"
	"time"

	"depthlab/harness/device"
)

// Fitting is the run that takes most, and how many such fit, at most n.
func (s *Sweep) Fitting(n int) (id string, fit int, err error) {
	run, bytes, err := s.largest(s.unfinished())
	return run.ID, s.fit(bytes, n), err
}

// SetStale sets after what time without a heartbeat a holder on another machine is dead.
func (s *Sweep) SetStale(d time.Duration) { s.locks.Stale = d }

// Timed times n of the first run at a time.
func (s *Sweep) Timed(n int) (imagesPerS float64, err error) {
	s.opened = []device.Device{s.Device}
	imagesPerS, err = s.speed(s.Plan.Runs[0], n)
	return imagesPerS, errors.Join(err, s.closeOpened())
}
