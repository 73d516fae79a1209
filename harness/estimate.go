package harness

import (
	"fmt"
	"runtime"

	"depthlab/experiments"
	"depthlab/harness/data"
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
	Time   float64 `json:"seconds"`               // from start to end, tests and checkpoints too; 0 where nothing is known
	Micro  int     `json:"micro_batch,omitempty"` // images at a time, where not all of the batch fit
	Cut    string  `json:"cut,omitempty"`         // of a batch that does not fit: what becomes of it
	Rough  bool    `json:"rough"`                 // not measured on this machine with such data and precision
}

// roughly is how many multiply-adds, counted forward, a thread of a server's
// CPU trains in a second: a guess where nothing was measured.
var roughly = map[string]float64{"onednn": 2e10, "ref": 2e8}

// Estimates describes every run of a plan, by what was measured on the device;
// of the data only the sizes are needed.
func Estimates(p *experiments.Plan, src *data.Source, c Calibration) ([]Estimate, error) {
	var out []Estimate
	known := map[string]Estimate{}
	for _, run := range p.Runs {
		same := run // but for the seed
		same.ID, same.Seed = "", 0
		e, again := known[same.Hash()]
		if !again {
			var err error
			if e, err = estimate(run, src, c); err != nil {
				return nil, err
			}
			known[same.Hash()] = e
		}
		e.ID = run.ID
		out = append(out, e)
	}
	return out, nil
}

func estimate(run experiments.Run, src *data.Source, c Calibration) (e Estimate, err error) {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return e, err
	}
	e = Estimate{Net: run.Net, Steps: run.Schedule.Stop}
	if e.Params, e.Macs, err = nets.Count(arch, geometry(src)); err != nil {
		return e, err
	}
	held, _ := held(run, src, c.Device)
	if _, cpu := roughly[c.Device.Name]; cpu {
		micro, err := fitting(run, src, c.Device, beside(available(), run, src, c.Device, 2)) // read, and handed to the device
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
	p := Point{Net: run.Net, Data: run.Data, Precision: run.Precision, Batch: run.Batch, Macs: e.Macs, Bytes: bytesOf(progs.Train, run.Precision)}
	points, rough := c.like(p, arch)
	e.Rough = rough
	if speed := roughly[c.Device.Name] * float64(runtime.GOMAXPROCS(0)); len(points) > 0 {
		p = between(points, p)
	} else if speed > 0 {
		p.Step, p.Image = p.work()/speed, float64(p.Macs)/speed/3
	}
	e.Time = p.seconds(run, src)
	if e.Memory = p.Peak; rough || p.Peak == 0 {
		e.Memory = p.Bytes
		if roughly[c.Device.Name] > 0 { // the process has the images, too, and twice for a moment
			e.Memory += 2*int64(held*src.Train.Channels*src.Train.Area()) + 64<<20
		}
	}
	e.Disk, e.Passes = space(run, e.Params)
	return e, nil
}

// seconds puts a run together from its parts.
func (p Point) seconds(run experiments.Run, src *data.Source) float64 {
	train, tested := run.Train, src.Test.N
	if train == 0 {
		train = src.Train.N - run.Validation
	}
	if run.Validation > 0 {
		tested = run.Validation
	}
	whole := func(images int) float64 { return float64((images + run.Batch - 1) / run.Batch * run.Batch) }
	stop := run.Schedule.Stop
	tests := (stop-1)/run.EvalEvery + 1
	saves := (stop-1)/run.SaveEvery + 2 // with the weights
	images := float64(tests)*whole(tested) + whole(train)
	images += float64(tests * min(run.BatchNorm.Batches, max(1, train/run.Batch)) * run.Batch)
	return p.Open + float64(stop)*p.Step + images*p.Image + float64(saves)*p.Save
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
