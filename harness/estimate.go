package harness

import (
	"time"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/program"
)

// Estimate is what a run will take on this machine.
type Estimate struct {
	ID     string  `json:"id"`
	Net    string  `json:"net"`
	Params int64   `json:"params"`
	Macs   int64   `json:"macs"`
	Steps  int     `json:"steps"`
	Memory int64   `json:"memory_bytes"` // of the session: activations, parameters, data
	Disk   int64   `json:"disk_bytes"`   // checkpoints while it is trained, weights and record
	Time   float64 `json:"seconds"`      // of training; 0 where it was not measured
}

// Estimates describes every run of a plan. The time is measured: a few steps
// of the first net, and by the multiply-adds for the others. It is rough.
func Estimates(p *experiments.Plan, src *data.Source, dev device.Device) ([]Estimate, error) {
	var out []Estimate
	var secondsPerMac float64
	for _, run := range p.Runs {
		arch, err := nets.ParseArch(run.Net)
		if err != nil {
			return nil, err
		}
		e := Estimate{ID: run.ID, Net: run.Net, Steps: run.Schedule.Stop}
		e.Params, e.Macs, err = nets.Count(arch, geometry(src))
		if err != nil {
			return nil, err
		}
		images, _ := held(run, src, dev)
		progs, err := programs(arch, run, &src.Train, images)
		if err != nil {
			return nil, err
		}
		for a, n := range progs.Train.Bytes {
			if program.Arena(a) == program.Work && run.Precision == string(device.BF16) {
				n /= 2
			}
			e.Memory += n
		}
		kept, passing := space(run, e.Params)
		e.Disk = kept + passing
		if secondsPerMac == 0 {
			if secondsPerMac, err = measure(run, src, dev, e.Macs); err != nil {
				return nil, err
			}
		}
		e.Time = secondsPerMac * float64(e.Macs) * float64(run.Batch) * float64(run.Schedule.Stop)
		out = append(out, e)
	}
	return out, nil
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

// measure times a few training steps: seconds per multiply-add of a forward
// pass of one image.
func measure(run experiments.Run, src *data.Source, dev device.Device, macs int64) (float64, error) {
	m, err := open(run, src, dev)
	if err != nil {
		return 0, err
	}
	defer m.close()
	step := func(n int) error {
		rows, err := m.rows(n, 1)
		if err != nil {
			return err
		}
		plan := device.Plan{First: n, Rows: rows, Rates: []device.Rates{{}}} // rate 0: nothing is learned
		return m.session.Train(plan, make([]device.Metric, 1))
	}
	if err := step(0); err != nil {
		return 0, err
	}
	best := time.Duration(0)
	began := time.Now()
	for n := 1; n <= 3 && (n == 1 || time.Since(began) < 2*time.Second); n++ {
		start := time.Now()
		if err := step(n); err != nil {
			return 0, err
		}
		if d := time.Since(start); best == 0 || d < best {
			best = d
		}
	}
	return best.Seconds() / float64(macs) / float64(run.Batch), nil
}
