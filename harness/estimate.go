package harness

import (
	"fmt"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/nets"
)

// Estimate is what a run will take on this machine.
type Estimate struct {
	ID     string  `json:"id"`
	Net    string  `json:"net"`
	Params int64   `json:"params"`
	Macs   int64   `json:"macs"`
	Steps  int     `json:"steps"`
	Memory int64   `json:"memory_bytes"`          // of the process; on a GPU, of the card
	Disk   int64   `json:"disk_bytes"`            // weights and record
	Passes int64   `json:"passing_bytes"`         // checkpoints while it is trained, on top of that
	Speed  float64 `json:"images_per_s"`          // in training
	Time   float64 `json:"seconds"`               // from start to end, with the tests
	Micro  int     `json:"micro_batch,omitempty"` // images at a time, where not all of the batch fit
	Cut    string  `json:"cut,omitempty"`         // of a batch that does not fit: what becomes of it
	Rough  bool    `json:"rough"`                 // no net like this was timed on this device
}

// Estimates describes every run of a plan, by the speeds of nets that were seen
// on the device; of the data only the sizes are needed.
func Estimates(p *experiments.Plan, src *data.Source, info device.Info, speeds []Speed) ([]Estimate, error) {
	var out []Estimate
	known := map[string]Estimate{}
	for _, run := range p.Runs {
		same := run // but for the seed
		same.ID, same.Seed = "", 0
		e, again := known[same.Hash()]
		if !again {
			var err error
			if e, err = estimate(run, src, info, speeds); err != nil {
				return nil, err
			}
			known[same.Hash()] = e
		}
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
	e = Estimate{Net: run.Net, Steps: run.Schedule.Stop}
	if e.Params, e.Macs, err = nets.Count(arch, geometry(src)); err != nil {
		return e, err
	}
	held, _ := held(run, src, info)
	if !info.GPU {
		micro, err := fitting(run, src, info, beside(available(), run, src, info, 2)) // read, and handed to the device
		switch {
		case err != nil:
			e.Cut = fmt.Sprintf("%s: %v", run.Net, err)
		case micro != run.Micro:
			e.Cut = cutText(run.Net, run.Batch, micro)
		}
		e.Micro, run.Micro = micro, micro
	}
	progs, err := programs(arch, run, &src.Train, held)
	if err != nil {
		return e, err
	}
	e.Memory = bytesOf(progs.Train, run.Precision)
	if !info.GPU { // the process has the images, too, and twice for a moment
		e.Memory += 2*int64(held*src.Train.Channels*src.Train.Area()) + 64<<20
	}
	e.Speed, e.Rough = predict(run, e.Macs, info, speeds)
	e.Time = effort(run, src) / e.Speed
	e.Disk, e.Passes = space(run, e.Params)
	return e, nil
}

// effort is what a run does, in images trained; one that is tested takes about a
// third of that.
func effort(run experiments.Run, src *data.Source) float64 {
	train, tested := run.Train, src.Test.N
	if train == 0 {
		train = src.Train.N - run.Validation
	}
	if run.Validation > 0 {
		tested = run.Validation
	}
	whole := func(images int) int { return (images + run.Batch - 1) / run.Batch * run.Batch }
	tests := (run.Schedule.Stop-1)/run.EvalEvery + 1
	images := tests*whole(tested) + whole(train)
	images += tests * min(run.BatchNorm.Batches, max(1, train/run.Batch)) * run.Batch
	return float64(run.Schedule.Stop*run.Batch) + float64(images)/3
}

// space is what a run of a net of so many parameters takes on disk, in bytes:
// kept when it is finished, and passing while it is trained, on top of that.
func space(run experiments.Run, params int64) (kept, passing int64) {
	// Running statistics and the names of tensors are a few percent more.
	weights := 4*params + 4*params/16 + 1<<16
	const event = 200 // bytes of a line of the record
	var looks int64   // a norm of each layer, at every test
	if arch, err := nets.ParseArch(run.Net); err == nil {
		looks = int64(run.Schedule.Stop/run.EvalEvery+2) * 10 * int64(arch.Depth)
	}
	events := int64(run.Schedule.Stop/run.LogEvery + run.Schedule.Stop/run.EvalEvery + len(run.Schedule.At) + 20)
	return weights + events*event + looks, (state.Keep + 1) * 2 * weights // with momenta; the old ones stay while the next is written
}
