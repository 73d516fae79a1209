// The devices of a sweep, and how many runs are trained at the same time.

package sweep

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
)

// pool is the devices on which runs are trained, one run on each. For several runs at a place it
// opens its device several times: the launches of one XLA client, and the kernels of one team of
// CPU threads, run one after the other.
type pool struct {
	open     func(place int) (device.Device, error) // nil if no other can be opened
	all      []opened
	borrowed bool // the caller owns and closes the first one
}

// opened is a device at a place: see Sweep.Open.
type opened struct {
	device.Device
	place int
}

// grow opens devices until there are n, distributed evenly over so many places.
func (p *pool) grow(n, places int) error {
	for job := 1; len(p.all) < n; job++ {
		for place := 0; place < places && len(p.all) < n; place++ {
			if p.at(place) >= job {
				continue
			}
			dev, err := p.open(place)
			if err != nil {
				return fmt.Errorf("opening a device for run %d of %d at a time: %w (--devices and --jobs change the number)", len(p.all)+1, n, err)
			}
			p.all = append(p.all, opened{dev, place})
		}
	}
	return nil
}

// at is the number of devices at a place.
func (p *pool) at(place int) (n int) {
	for _, dev := range p.all {
		if dev.place == place {
			n++
		}
	}
	return n
}

// replace opens a device in place of a lost one, which cannot be closed.
func (p *pool) replace(i int) error {
	if p.open == nil {
		return errors.New("no other device can be opened")
	}
	dev, err := p.open(p.all[i].place)
	if err == nil {
		p.all[i].Device = dev
		p.borrowed = p.borrowed && i > 0
	}
	return err
}

// shrink closes all devices but the first n. If failed is the loss of a device, it replaces these
// n and closes none: a lost device cannot be used or closed, nor can others on the same GPU.
func (p *pool) shrink(n int, failed error) error {
	spare := p.all[n:]
	p.all = p.all[:n]
	var lost *device.LostError
	var errs []error
	if errors.As(failed, &lost) {
		for i := range p.all {
			if err := p.replace(i); err != nil {
				return errors.Join(failed, err)
			}
		}
		return nil
	}
	for _, dev := range spare {
		errs = append(errs, dev.Close())
	}
	return errors.Join(errs...)
}

// close closes the devices that the pool opened.
func (p *pool) close() error {
	var errs []error
	for i, dev := range p.all {
		if i > 0 || !p.borrowed {
			errs = append(errs, dev.Close())
		}
	}
	return errors.Join(errs...)
}

// choose opens the devices: s.Jobs at each place, or, if that is 0, as many as are worth it.
func (s *Sweep) choose(todo []indexed) error {
	places, jobs := max(1, s.Places), s.Jobs
	if jobs == 0 {
		var err error
		if jobs, err = s.worth(todo, places); err != nil {
			return err
		}
	}
	n := min(jobs*places, len(todo))
	if places > 1 && n > 1 {
		s.Say("  training %d runs at a time on %d devices", n, min(places, n)*max(1, s.Device.Info().Replicas))
	}
	return s.devices.grow(n, places)
}

// worth returns how many runs at the same time at one place give the highest speed: on a CPU
// what the device says, on a GPU what it measures at the first place, whose devices stay open. It
// is at most this process's share of the runs, and as many as fit into memory.
func (s *Sweep) worth(todo []indexed, places int) (int, error) {
	share := places * max(1, s.Tasks)
	most := (len(todo) + share - 1) / share
	if most < 2 || s.Open == nil {
		return 1, nil
	}
	info := s.Device.Info()
	if !info.GPU {
		if most = min(most, info.Jobs); most < 2 {
			return 1, nil
		}
	}
	run, bytes, err := largest(todo, s.Data, info)
	if err != nil {
		return 0, err
	}
	most = fit(model.Room(s.Device, run, s.Data), bytes, most)
	if !info.GPU {
		s.sayJobs(most)
		return most, nil
	}
	if run, err = cut(run, s.Folders[run.ID], s.Data, s.Device); err != nil {
		return 0, err
	}
	var failed error // error with more than one run
	n, err := enough(most, func(n int) (float64, error) {
		v, err := together(&s.devices, n, run, s.Data)
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
	s.sayJobs(n)
	return n, s.devices.shrink(n, failed)
}

func (s *Sweep) sayJobs(n int) { s.Say("  training %d at a time (change it with --jobs N)", n) }

// enough tries 1, 2 and 4 jobs, up to limit, and returns the largest number that is worth it:
// each doubling must be at least 10 % faster. If several jobs fail, for example because memory is
// short, the smaller number is returned. If one job fails, that is an error.
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

// largest returns the run whose programs need the most memory, and how much, in bytes.
func largest(runs []indexed, src *data.Source, info device.Info) (most experiments.Run, bytes int64, err error) {
	seen := map[string]bool{}
	for _, r := range runs {
		if seen[r.run.Alike()] {
			continue
		}
		seen[r.run.Alike()] = true
		n, err := model.Footprint(r.run, src, info)
		if err != nil {
			return most, 0, err
		}
		if n > bytes {
			most, bytes = r.run, n
		}
	}
	return most, bytes, nil
}

// fit is how many runs of so many bytes fit into free bytes, with half as much in addition for the
// compiler of a GPU, or as a margin; at least 1 and at most most. free is 0 if it is unknown.
func fit(free, bytes int64, most int) int {
	if free == 0 {
		return most
	}
	return min(most, max(1, int(free/(bytes+bytes/2))))
}

// together trains a run on n devices at the same time, for a few launches at rate 0, and returns
// images per second of all together.
func together(devices *pool, n int, run experiments.Run, src *data.Source) (float64, error) {
	if err := devices.grow(n, 1); err != nil {
		return 0, err
	}
	var all []*model.Model
	for _, dev := range devices.all[:n] {
		m, err := model.Open(run, src, dev.Device, "")
		if err != nil {
			return 0, err
		}
		defer m.Close()
		if _, err := m.Steps(0, m.Launch, m.Launch, device.Rates{}); err != nil { // warm up
			return 0, err
		}
		all = append(all, m)
	}
	const launches = 4
	errs := make([]error, n)
	var group sync.WaitGroup
	start := time.Now()
	for i, m := range all {
		group.Go(func() { _, errs[i] = m.Steps(m.Launch, launches*m.Launch, m.Launch, device.Rates{}) })
	}
	group.Wait()
	return float64(n*launches*all[0].Launch*run.Batch) / time.Since(start).Seconds(), errors.Join(errs...)
}
