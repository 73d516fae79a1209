package harness

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"depthlab/experiments"
	"depthlab/harness/device"
	"depthlab/harness/store"
)

// devices opens as many devices as runs are to be trained at a time. Each is a
// client of its own: what one client launches runs one after the other.
func (s *Sweep) devices() error {
	s.opened = []device.Device{s.Device}
	todo := s.unfinished()
	if len(todo) < 2 || s.Jobs == 1 || s.Jobs == 0 && !s.Device.Info().GPU {
		return nil
	}
	if s.Jobs > 0 {
		return s.open(min(s.Jobs, len(todo)))
	}
	fit, err := s.fit(todo)
	if err != nil {
		return err
	}
	n, err := enough(min(fit, len(todo)), func(n int) (float64, error) {
		v, err := s.speed(todo[0], n)
		if err == nil {
			s.Say("  %d at a time: %.0f images/s", n, v)
		}
		return v, err
	})
	if err != nil {
		return err
	}
	s.Say("  training %d at a time (--jobs N chooses otherwise)", n)
	for _, dev := range s.opened[n:] {
		err = errors.Join(err, dev.Close())
	}
	s.opened = s.opened[:n]
	return err
}

// enough tries 1, 2 and 4 jobs, up to limit, and gives the most that are worth
// it: each doubling has to bring 10 % more.
func enough(limit int, speed func(jobs int) (float64, error)) (int, error) {
	best := 0.0
	for n := 1; n <= 4 && n <= limit; n *= 2 {
		v, err := speed(n)
		if err != nil {
			return 0, fmt.Errorf("timing %d runs at a time: %w", n, err)
		}
		if n > 1 && v < 1.1*best {
			return n / 2, nil
		}
		best = v
	}
	return max(1, min(4, limit)&^1), nil
}

// open opens devices until there are n.
func (s *Sweep) open(n int) error {
	for len(s.opened) < n {
		dev, err := s.Open()
		if err != nil {
			return fmt.Errorf("a device for run %d of %d at a time: %w", len(s.opened)+1, n, err)
		}
		s.opened = append(s.opened, dev)
	}
	return nil
}

// closeOpened closes the devices that the sweep opened itself.
func (s *Sweep) closeOpened() error {
	var all []error
	for _, dev := range s.opened {
		if dev != s.Device {
			all = append(all, dev.Close())
		}
	}
	return errors.Join(all...)
}

// unfinished lists the runs that are left.
func (s *Sweep) unfinished() []experiments.Run {
	var all []experiments.Run
	for _, run := range s.Plan.Runs {
		if f, err := s.Folders[run.ID].Find(); err != nil || f != store.Complete {
			all = append(all, run)
		}
	}
	return all
}

// fit is how many of the largest run's programs the free memory holds, with
// half as much again for what the compiler adds; many where it is not known.
func (s *Sweep) fit(runs []experiments.Run) (int, error) {
	limit, used := memory(s.Device)
	if limit == 0 {
		return len(runs), nil
	}
	var most int64
	for _, run := range runs {
		bytes, err := footprint(run, s.Data, s.Device.Info())
		if err != nil {
			return 0, err
		}
		most = max(most, bytes)
	}
	return max(1, int((limit-used)/(most+most/2))), nil
}

// speed trains a run n times over, all at a time, for a few launches at rate 0,
// and gives the images per second of all.
func (s *Sweep) speed(run experiments.Run, n int) (float64, error) {
	if err := s.open(n); err != nil {
		return 0, err
	}
	run, err := s.cut(run, s.Device)
	if err != nil {
		return 0, err
	}
	var all []*model
	for _, dev := range s.opened[:n] {
		m, err := open(run, s.Data, dev)
		if err != nil {
			return 0, err
		}
		defer m.close()
		if err := m.idle(0, 1); err != nil { // warm
			return 0, err
		}
		all = append(all, m)
	}
	const launches = 4
	errs := make([]error, n)
	var group sync.WaitGroup
	start := time.Now()
	for i, m := range all {
		group.Go(func() { errs[i] = m.idle(m.launch, launches) })
	}
	group.Wait()
	return float64(n*launches*all[0].launch*run.Batch) / time.Since(start).Seconds(), errors.Join(errs...)
}

// idle trains so many launches at rate 0, from a step on.
func (m *model) idle(first, launches int) error {
	for range launches {
		rows, err := m.rows(first, m.launch)
		if err != nil {
			return err
		}
		plan := device.Plan{First: first, Rows: rows, Rates: make([]device.Rates, m.launch)}
		if err := m.session.Train(plan, make([]device.Metric, m.launch)); err != nil {
			return err
		}
		first += m.launch
	}
	return nil
}
