package harness

import (
	"errors"
	"fmt"
	"math"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/nets/program"
)

// Validating is a device whose every Every-th training step is also taken by
// ref, from the same state, and compared. It costs what ref costs.
type Validating struct {
	device.Device
	Every int // steps; at least 1
}

// DiffersError says that a device computed something else than ref.
type DiffersError struct {
	Step       int // counted from 1
	What       string
	Off, Bound float64 // relative
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("step %d: the device differs from ref in %s by %.2g of its size, more than the %.2g that rounding explains: "+
		"its library or the hardware computes wrongly; what it trained before is in doubt, too", e.Step, e.What, e.Off, e.Bound)
}

// Bounds of what rounding explains, as shares: of the loss, of the step that
// all parameters take together, and of each running statistic. They leave room
// for what many layers make of float32's and of bfloat16's rounding; a faulty
// kernel or memory is off by far more.
var validBounds = map[device.Precision]struct{ loss, step, stat float64 }{
	device.FP32: {1e-4, 2e-2, 1e-3},
	device.TF32: {0.1, 1, 0.15}, // bfloat16's, as no such device was at hand: its products keep three bits more
	device.BF16: {0.1, 1, 0.15},
}

func (v Validating) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := v.Device.Open(p, o)
	if err != nil {
		return nil, err
	}
	r, err := ref.New().Open(p, device.Options{})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	precision := o.Precision
	if precision == "" {
		precision = device.FP32
	}
	return &validating{Session: s, ref: r, train: p.Train, precision: precision, every: v.Every}, nil
}

type validating struct {
	device.Session
	ref       device.Session
	train     *program.Program
	precision device.Precision
	every     int
}

func (v *validating) Write(name string, src any) error {
	return errors.Join(v.Session.Write(name, src), v.ref.Write(name, src))
}

func (v *validating) Close() error { return errors.Join(v.Session.Close(), v.ref.Close()) }

// Train takes the steps as ever, but stops before and behind those to compare.
func (v *validating) Train(p device.Plan, m []device.Metric) error {
	batch := len(p.Rows) / len(p.Rates)
	for i := 0; i < len(p.Rates); {
		n := min(v.every-1-(p.First+i)%v.every, len(p.Rates)-i)
		train := v.Session.Train
		if n == 0 {
			n, train = 1, v.compare
		}
		part := device.Plan{First: p.First + i, Rows: p.Rows[i*batch : (i+n)*batch], Rates: p.Rates[i : i+n]}
		if err := train(part, m[i:i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// compare takes one step on both devices.
func (v *validating) compare(p device.Plan, m []device.Metric) error {
	state := map[string][]float32{}
	for _, a := range program.Persistent() {
		values, err := v.read(v.Session, a)
		if err != nil {
			return err
		}
		for name, x := range values {
			if err := v.ref.Write(name, x); err != nil {
				return err
			}
			state[name] = x
		}
	}
	want := make([]device.Metric, 1)
	if err := errors.Join(v.Session.Train(p, m), v.ref.Train(p, want)); err != nil {
		return err
	}
	bounds := validBounds[v.precision]
	differs := func(what string, off, bound float64) error {
		if off <= bound { // and not NaN
			return nil
		}
		return &DiffersError{p.First + 1, what, off, bound}
	}
	off := math.Abs(float64(m[0].Loss-want[0].Loss)) / float64(want[0].Loss)
	if err := differs("the loss", off, bounds.loss); err != nil {
		return err
	}
	got, err := v.read(v.Session, program.Param)
	if err != nil {
		return err
	}
	right, err := v.read(v.ref, program.Param)
	if err != nil {
		return err
	}
	var size, wrong, worst float64 // of all parameters' steps: squares
	where := ""
	for _, name := range v.names(program.Param) {
		step, diff := distance(right[name], state[name]), distance(got[name], right[name])
		size, wrong = size+step*step, wrong+diff*diff
		if !(diff <= worst) { // NaN, too
			worst, where = diff, name
		}
	}
	if size > 0 || wrong > 0 { // and no rate of 0
		if err := differs("the step of the parameters, most in "+where, math.Sqrt(wrong/size), bounds.step); err != nil {
			return err
		}
	}
	if got, err = v.read(v.Session, program.Stat); err != nil {
		return err
	}
	if right, err = v.read(v.ref, program.Stat); err != nil {
		return err
	}
	for _, name := range v.names(program.Stat) {
		size := distance(right[name], make([]float32, len(right[name])))
		if err := differs(name, distance(got[name], right[name])/size, bounds.stat); err != nil && size > 0 {
			return err
		}
	}
	return nil
}

// distance is Euclid's.
func distance(a, b []float32) float64 {
	var sum float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

func (v *validating) names(a program.Arena) []string {
	var all []string
	for _, id := range v.train.Views(a) {
		all = append(all, v.train.Buffers[id].Name)
	}
	return all
}

func (v *validating) read(s device.Session, a program.Arena) (map[string][]float32, error) {
	all := map[string][]float32{}
	for _, id := range v.train.Views(a) {
		b := v.train.Buffers[id]
		x := make([]float32, b.Shape.Len())
		if err := s.Read(b.Name, x); err != nil {
			return nil, err
		}
		all[b.Name] = x
	}
	return all, nil
}
