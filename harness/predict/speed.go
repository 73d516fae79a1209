// Package predict estimates time, memory and disk space of runs, from the speeds of earlier
// runs on this machine or of steps that it times. It stores nothing.
package predict

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/machine"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/nets"
)

// Speed is the measured training speed of a net.
type Speed struct {
	Net, Precision string
	Batch          int
	Macs           int64   // multiply-adds of the forward pass of one image
	ImagesPerS     float64 // in training, of all nets together that are trained at the same time
}

// roughlyGPU is a guess of the training speed of a GPU, in multiply-adds of the forward pass
// per second, for GPUs on which nothing has been timed.
const roughlyGPU = 2e12

// guess is the speed of a net on a device in images per second, from its multiply-adds only.
func guess(info device.Info, macs int64) float64 {
	if info.GPU {
		return roughlyGPU * float64(max(1, info.Replicas)) / float64(macs)
	}
	k, _ := machine.KindOf(info.Name)
	return k.PerThread * float64(runtime.GOMAXPROCS(0)) / float64(macs)
}

// farthest is the ratio of multiply-adds above which a prediction from another net is
// rough.
const farthest = 4

// predict returns the predicted training speed of a run in images per second: that of the
// nearest net by multiply-adds with the same batch and precision, which is the net itself if
// it was timed; else a guess. rough means that it is a guess, or from a net of very different
// size.
func predict(run experiments.Run, macs int64, info device.Info, speeds []Speed) (imagesPerS float64, rough bool) {
	var comparable []Speed
	for _, s := range speeds {
		if s.Precision == run.Precision && s.Batch == run.Batch {
			comparable = append(comparable, s)
		}
	}
	if len(comparable) == 0 {
		return guess(info, macs), true
	}
	ratio := func(s Speed) float64 { return float64(s.Macs) / float64(macs) }
	other := func(s Speed) int {
		if s.Net == run.Net {
			return 0
		}
		return 1
	}
	nearest := slices.MinFunc(comparable, func(a, b Speed) int {
		return cmp.Or(cmp.Compare(math.Abs(math.Log(ratio(a))), math.Abs(math.Log(ratio(b)))), cmp.Compare(other(a), other(b)))
	})
	r := ratio(nearest)
	return nearest.ImagesPerS * r, max(r, 1/r) > farthest
}

// manyLaps is the number of "train" events that are enough for the speed of a net: no more
// of its runs are read.
const manyLaps = 500

// Recorded returns the speeds of nets that were trained on this data set and this device, as
// the median of the "train" events of their runs in the results folders. If info has no
// Hardware, because the device was not opened, runs on any hardware count. Runs that cannot
// be read are ignored.
func Recorded(stores []store.Store, dataset string, info device.Info) []Speed {
	type net struct {
		name, precision string
		batch, side     int
	}
	var order []net
	macs, laps := map[net]int64{}, map[net][]float64{}
	for _, f := range runsOf(stores) {
		p, err := store.ReadProvenance(f)
		if err != nil || p.Run.Data != dataset || !trainedOn(p, info) {
			continue
		}
		n := net{p.Run.Net, p.Run.Precision, p.Run.Batch, p.Run.Input.Side()}
		if len(laps[n]) >= manyLaps {
			continue
		}
		rec, err := record.Read(f.Record())
		if err != nil || rec.Start.Macs <= 0 {
			continue
		}
		if macs[n] == 0 {
			order = append(order, n)
		}
		macs[n] = rec.Start.Macs
		for _, e := range rec.Events {
			if e.Kind == "train" && e.ImagesPerS > 0 {
				laps[n] = append(laps[n], e.ImagesPerS*float64(1+e.Beside))
			}
		}
	}
	var all []Speed
	for _, n := range order {
		if len(laps[n]) > 0 {
			all = append(all, Speed{Net: n.name, Precision: n.precision, Batch: n.batch, Macs: macs[n], ImagesPerS: median(laps[n])})
		}
	}
	return all
}

// runsOf lists the runs of all results folders.
func runsOf(stores []store.Store) (all []store.Folder) {
	for _, st := range stores {
		folders, _, _ := st.All() // ignore what cannot be read
		all = append(all, folders...)
	}
	return all
}

// trainedOn reports whether all sessions of a run were on this device.
func trainedOn(p *store.Provenance, info device.Info) bool {
	for _, s := range p.Sessions {
		d := s.Device
		k, _ := machine.KindOf(d.Name)
		if k.Name != info.Name || max(1, d.Replicas) != max(1, info.Replicas) || info.Hardware != "" && (d.Hardware != info.Hardware || d.Threads != info.Threads) {
			return false
		}
	}
	return true
}

// Measure times a few steps of each net of the plan, the smallest first. It stops before a
// net that would exceed the limit. It fails if the first one would.
func Measure(p *experiments.Plan, src *data.Source, dev device.Device, limit time.Duration) ([]Speed, error) {
	todo, err := distinct(p, src)
	if err != nil {
		return nil, err
	}
	var all []Speed
	began := time.Now()
	var last, took float64 // work and seconds of the previous net
	for i, c := range todo {
		s := Speed{Net: c.run.Net, Precision: c.run.Precision, Batch: c.run.Batch, Macs: c.macs}
		run := fewer(c.run, dev.Info(), c.macs)
		work := float64(c.macs) * float64(run.Batch)
		expected := 2 * float64(run.Batch) / guess(dev.Info(), c.macs)
		if i > 0 { // a part of the time, timedFor, does not depend on the net
			fixed := min(took, timedFor.Seconds())
			expected = fixed + (took-fixed)*work/last
		}
		if time.Since(began).Seconds()+expected > limit.Seconds() {
			if i == 0 {
				return nil, fmt.Errorf("timing %s on %s would take more than %v; plan without --measure estimates from its size", s.Net, dev.Info().Name, limit)
			}
			break
		}
		start := time.Now()
		if s.ImagesPerS, err = timed(run, src, dev); err != nil {
			return nil, fmt.Errorf("timing %s: %w", s.Net, err)
		}
		last, took = work, time.Since(start).Seconds()
		all = append(all, s)
	}
	return all, nil
}

// fewer reduces the batch of a run to as many images as train in about a second, if it is
// larger. The time for one image is about the same.
func fewer(run experiments.Run, info device.Info, macs int64) experiments.Run {
	if few := max(8, int(guess(info, macs))); few < run.Batch {
		run.Batch, run.BatchNorm.Group, run.Micro = few, 0, 0
	}
	return run
}

// candidate is one of the runs whose steps take the same time, and their multiply-adds.
type candidate struct {
	run  experiments.Run
	macs int64
}

// distinct returns one run for each combination of net, batch and precision of a plan, the
// smallest first.
func distinct(p *experiments.Plan, src *data.Source) ([]candidate, error) {
	var all []candidate
	for _, run := range p.Runs {
		if slices.ContainsFunc(all, func(c candidate) bool {
			return c.run.Net == run.Net && c.run.Batch == run.Batch && c.run.Precision == run.Precision
		}) {
			continue
		}
		arch, err := nets.ParseArch(run.Net)
		if err != nil {
			return nil, err
		}
		_, macs, err := nets.Count(arch, model.Geometry(src))
		if err != nil {
			return nil, err
		}
		all = append(all, candidate{run, macs})
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Compare(a.macs*int64(a.run.Batch), b.macs*int64(b.run.Batch))
	})
	return all, nil
}

// timedFor is how long the steps of a net are timed.
const timedFor = time.Second

// timed is the training speed of a run in images per second: the median of its first
// launches, without the very first. All rates are 0, so the net does not change.
func timed(run experiments.Run, src *data.Source, dev device.Device) (imagesPerS float64, err error) {
	if run.Micro, err = model.Fitting(run, src, dev.Info(), model.Room(dev, run, src)); err != nil {
		return 0, err
	}
	m, err := model.Open(run, src, dev, "")
	if err != nil {
		return 0, err
	}
	defer m.Close()
	n := m.Launch
	var laps []float64
	began := time.Now()
	for step := 0; len(laps) < 2 || time.Since(began) < timedFor; step += n {
		start := time.Now()
		if _, err := m.Steps(step, n, n, device.Rates{}); err != nil {
			return 0, err
		}
		if laps = append(laps, float64(n*run.Batch)/time.Since(start).Seconds()); step == 0 {
			began = time.Now()
		}
	}
	return median(laps[1:]), nil
}

// median sorts xs and returns the one in the middle.
func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}
