// Estimates of the time, memory and disk space of a run.

package predict

import (
	"fmt"
	"runtime"
	"sync"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/store"
	"depthlab/nets"
)

// Estimate is the estimated time, memory and disk space of a run on this machine.
type Estimate struct {
	ID     string  `json:"id"`
	Net    string  `json:"net"`
	Params int64   `json:"params"`
	Macs   int64   `json:"macs"`
	Steps  int     `json:"steps"`
	Memory int64   `json:"memory_bytes"`          // memory of the process; on a GPU, of the GPU
	Disk   int64   `json:"disk_bytes"`            // weights and record
	Passes int64   `json:"passing_bytes"`         // checkpoints, in addition, until the run is finished
	Speed  float64 `json:"images_per_s"`          // in training
	Time   float64 `json:"seconds"`               // of the whole run, with its tests
	Micro  int     `json:"micro_batch,omitempty"` // images in a micro-batch; 0 = the whole batch
	Cut    string  `json:"cut,omitempty"`         // message if the batch does not fit into memory
	Rough  bool    `json:"rough"`                 // no similar net has been timed on this device
	Done   string  `json:"done,omitempty"`        // progress so far, and the question that trained it
}

// Estimates returns an estimate of every run of a plan, from speeds of nets on the device.
// src needs no images, only their number and shape.
func Estimates(p *experiments.Plan, src *data.Source, info device.Info, speeds []Speed) ([]Estimate, error) {
	type result struct {
		Estimate
		err error
	}
	results, keys := map[string]*result{}, make([]string, len(p.Runs))
	var all sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0)) // each estimate compiles a net: one on each CPU at a time
	for i, run := range p.Runs {
		keys[i] = run.Alike()
		if results[keys[i]] != nil {
			continue
		}
		r := &result{}
		results[keys[i]] = r
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r.Estimate, r.err = estimate(run, src, info, speeds)
		})
	}
	all.Wait()
	var out []Estimate
	for i, run := range p.Runs {
		r := results[keys[i]]
		if r.err != nil {
			return nil, r.err
		}
		e := r.Estimate
		e.ID = run.ID
		out = append(out, e)
	}
	return out, nil
}

func estimate(run experiments.Run, src *data.Source, info device.Info, speeds []Speed) (e Estimate, err error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return e, err
	}
	e = Estimate{Net: run.Net, Steps: run.Steps()}
	if e.Params, e.Macs, err = nets.Count(arch, model.Geometry(src)); err != nil {
		return e, err
	}
	if e.Memory, err = model.Footprint(run, src, info); err != nil {
		return e, err
	}
	if !info.GPU {
		free := model.Beside(model.Available(), run, src, info, 2) // 2 copies of the images: in the process and on the device
		if free > 0 && e.Memory > free {
			micro, err := model.Fitting(run, src, info, free)
			switch {
			case err != nil:
				e.Cut = fmt.Sprintf("%s: %v", run.Net, err)
			case micro != run.Micro:
				e.Cut = model.CutText(run.Net, run.Batch, micro)
			}
			run.Micro = micro
			if e.Memory, err = model.Footprint(run, src, info); err != nil {
				return e, err
			}
		}
		e.Micro = run.Micro
		held, _ := model.Held(run, src, info)
		e.Memory += 2*int64(held*src.Train.Channels*src.Train.Area()) + 64<<20 // the process holds the images, too, for a moment twice
	}
	e.Speed, e.Rough = predict(run, e.Macs, info, speeds)
	e.Time = effort(run, src) / e.Speed
	e.Disk, e.Passes = store.Space(run, e.Params)
	return e, nil
}

// effort is the work of a run in trained images. A tested image counts as a third of one,
// because it has no backward pass.
func effort(run experiments.Run, src *data.Source) float64 {
	train, tested := run.Train, src.Test.N
	if train == 0 {
		train = src.Train.N - run.Validation
	}
	if run.Validation > 0 {
		tested = run.Validation
	}
	whole := func(images int) int { return (images + run.Batch - 1) / run.Batch * run.Batch }
	tests := (run.Steps()-1)/run.EvalEvery + 1
	images := tests*whole(tested) + whole(train)
	images += tests * min(run.BatchNorm.Batches, max(1, train/run.Batch)) * run.Batch
	return float64(run.Steps()*run.Batch) + float64(images)/3
}
