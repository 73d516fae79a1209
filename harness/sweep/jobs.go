package sweep

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"depthlab/experiments"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/store"
)

// opened is a device that trains one run at a time, and its place (see Sweep.Open).
type opened struct {
	device.Device
	place int
}

// devices opens as many devices as runs are to be trained at a time: so many jobs at each
// place. Each is a client of its own: what one client launches runs one after the other.
func (s *Sweep) devices() error {
	s.opened = []opened{{s.Device, 0}}
	todo, places := s.unfinished(), max(1, s.Places)
	jobs := s.Jobs
	if jobs == 0 {
		jobs = 1
		if s.Device.Info().GPU && len(todo) > places {
			var err error
			if jobs, err = s.worth(todo, places); err != nil {
				return err
			}
		}
	}
	all := min(jobs*places, len(todo))
	if places > 1 && all > 1 {
		s.Say("  training %d runs at a time on %d devices", all, min(places, all))
	}
	return s.open(all, places)
}

// worth is how many runs at a time are worth it at a place, timed at the first one, whose
// devices stay open.
func (s *Sweep) worth(todo []experiments.Run, places int) (int, error) {
	run, bytes, err := s.largest(todo)
	if err != nil {
		return 0, err
	}
	var failed error // of the most at a time
	most := (len(todo) + places - 1) / places
	n, err := enough(min(s.fit(bytes, most), most), func(n int) (float64, error) {
		v, err := s.speed(run, n)
		switch {
		case err == nil:
			s.Say("  %d at a time: %.0f images/s", n, v)
		case n > 1:
			s.Say("  %d at a time failed: %v", n, err)
			failed = err
		}
		return v, err
	})
	if err != nil {
		return 0, err
	}
	s.Say("  training %d at a time on a device (--jobs N chooses otherwise)", n)
	return n, s.keep(n, failed)
}

// enough tries 1, 2 and 4 jobs, up to limit, and gives the most that are worth
// it: each doubling has to bring 10 % more. That several fail together, as for
// lack of memory, is no error: fewer are trained at a time.
func enough(limit int, speed func(jobs int) (float64, error)) (int, error) {
	best := 0.0
	for n := 1; n <= 4 && n <= limit; n *= 2 {
		v, err := speed(n)
		switch {
		case n > 1 && (err != nil || v < 1.1*best):
			return n / 2, nil
		case err != nil:
			return 0, fmt.Errorf("timing one run: %w", err)
		}
		best = v
	}
	return max(1, min(4, limit)&^1), nil
}

// open opens devices until there are n, one more at each place in turn.
func (s *Sweep) open(n, places int) error {
	for job := 1; len(s.opened) < n; job++ {
		for place := 0; place < places && len(s.opened) < n; place++ {
			if s.at(place) >= job {
				continue
			}
			dev, err := s.Open(place)
			if err != nil {
				return fmt.Errorf("a device for run %d of %d at a time: %w (--devices and --jobs choose)", len(s.opened)+1, n, err)
			}
			s.opened = append(s.opened, opened{dev, place})
		}
	}
	return nil
}

// at is the number of devices that are open at a place.
func (s *Sweep) at(place int) (n int) {
	for _, dev := range s.opened {
		if dev.place == place {
			n++
		}
	}
	return n
}

// keep closes all devices but n. After a loss it opens these anew: one that is
// lost cannot be used, or even closed, and takes others of its card along.
func (s *Sweep) keep(n int, failed error) error {
	spare := s.opened[n:]
	s.opened = s.opened[:n]
	var lost *device.LostError
	if errors.As(failed, &lost) {
		for i := range s.opened {
			if err := s.replace(i); err != nil {
				return errors.Join(failed, err)
			}
		}
		return nil
	}
	for _, dev := range spare {
		if err := dev.Close(); err != nil {
			s.Say("  a device that is not needed did not close: %v", err)
		}
	}
	return nil
}

// closeOpened closes the devices that the sweep opened itself.
func (s *Sweep) closeOpened() error {
	var all []error
	for _, dev := range s.opened {
		if dev.Device != s.Device {
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

// largest is the run whose programs take the most memory, and how much, in bytes.
func (s *Sweep) largest(runs []experiments.Run) (most experiments.Run, bytes int64, err error) {
	for _, run := range runs {
		n, err := model.Footprint(run, s.Data, s.Device.Info())
		if err != nil {
			return most, 0, err
		}
		if n > bytes {
			most, bytes = run, n
		}
	}
	return most, bytes, nil
}

// fit is how many programs of so many bytes the free memory holds, with half as
// much again for what the compiler adds; most where it is not known.
func (s *Sweep) fit(bytes int64, most int) int {
	limit, used := model.Memory(s.Device)
	if limit == 0 {
		return most
	}
	return max(1, int((limit-used)/(bytes+bytes/2)))
}

// speed trains a run n times over, all at a time, for a few launches at rate 0,
// and gives the images per second of all.
func (s *Sweep) speed(run experiments.Run, n int) (float64, error) {
	if err := s.open(n, 1); err != nil {
		return 0, err
	}
	run, err := s.cut(run, s.Device)
	if err != nil {
		return 0, err
	}
	var all []*model.Model
	for _, dev := range s.opened[:n] {
		m, err := model.Open(run, s.Data, dev.Device)
		if err != nil {
			return 0, err
		}
		defer m.Close()
		if err := m.Idle(0, 1); err != nil { // warm
			return 0, err
		}
		all = append(all, m)
	}
	const launches = 4
	errs := make([]error, n)
	var group sync.WaitGroup
	start := time.Now()
	for i, m := range all {
		group.Go(func() { errs[i] = m.Idle(m.Launch, launches) })
	}
	group.Wait()
	return float64(n*launches*all[0].Launch*run.Batch) / time.Since(start).Seconds(), errors.Join(errs...)
}
