// A device whose steps are compared with ref while it trains.

package check

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/model"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Validating is a device whose every Every-th training step is also taken by
// ref, from the same state, and compared. Such a step costs what two of ref's
// cost.
type Validating struct {
	device.Device
	Every int // steps; at least 1
}

// Memory is the device's own: what a wrapper hides would count as unlimited.
func (v Validating) Memory() (limit, used int64) { return model.Memory(v.Device) }

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

// bounds of what rounding explains, as shares.
type bounds struct {
	loss float64
	stat float64 // of each running statistic
	// A gradient, and the change of a running statistic, is judged where rounding
	// the parameters alone (by the share unit) moves it by at most steady. Then
	// change is the largest distance between the device's and ref's, relative to
	// the norm of ref's. It is below 1, which is the distance of no change at all.
	unit, steady, change float64
}

// In deep plain nets a right device may be far away at first. In bfloat16 the
// gradient of plain-20 is 0.6 of its norm away from float32's in step 1, and 0.03
// in step 100; that of plain-56 is in no relation to it in step 1 (distance 1.4,
// cosine -0.05), and even in float32 two right devices are 1.2 apart there.
// Rounding the parameters tells where this is so: for plain-20 it moves the
// gradient by 0.6 and 0.03, too. What it moves by less than steady was at most
// 0.29 away in bfloat16, and 15 times as far as it moves in float32 (batches of
// 128; XLA's CPU plugin beside oneDNN with Winograd's convolutions).
var validBounds = map[device.Precision]bounds{
	device.FP32: {loss: 1e-4, stat: 1e-3, unit: 1. / (1 << 23), steady: 5e-4, change: 2e-2},
	device.TF32: {loss: 0.1, stat: 0.15, unit: 1. / (1 << 11), steady: 0.25, change: 0.8}, // bfloat16's, as no such device was at hand
	device.BF16: {loss: 0.1, stat: 0.15, unit: 1. / (1 << 9), steady: 0.25, change: 0.8},
}

// cosineBound is the least cosine between two gradients that are judged: 1 for
// the same direction, -1 for the opposite one.
const cosineBound = 0.7

// updateBound is for what follows from the device's own gradients: parameters
// and the optimizer's state are float32 in each precision, and three roundings apart.
const updateBound = 1e-6

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
	return &validating{Session: s, ref: r, train: p.Train, bounds: validBounds[precision], every: v.Every}, nil
}

type validating struct {
	device.Session
	ref    device.Session
	train  *program.Program
	bounds bounds
	every  int
}

func (v *validating) Write(name string, src any) error {
	return errors.Join(v.Session.Write(name, src), v.ref.Write(name, src))
}

func (v *validating) Close() error { return errors.Join(v.Session.Close(), v.ref.Close()) }

// Train takes the steps as ever, but stops before and behind those to compare.
func (v *validating) Train(p device.Launch, m []device.Metric) error {
	batch := len(p.Rows) / len(p.Rates)
	for i := 0; i < len(p.Rates); {
		n := min(v.every-1-(p.First+i)%v.every, len(p.Rates)-i)
		train := v.Session.Train
		if n == 0 {
			n, train = 1, v.compare
		}
		part := device.Launch{First: p.First + i, Rows: p.Rows[i*batch : (i+n)*batch], Rates: p.Rates[i : i+n]}
		if err := train(part, m[i:i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// compare takes one step on both devices.
func (v *validating) compare(p device.Launch, m []device.Metric) error {
	before, err := v.read(v.Session)
	if err != nil {
		return err
	}
	rounded, _, err := v.refStep(p, before.rounded(v.bounds.unit))
	if nan := new(device.NonFiniteError); err != nil && !errors.As(err, &nan) {
		return err
	}
	want, metric, err := v.refStep(p, before)
	if err := errors.Join(v.Session.Train(p, m), err); err != nil {
		return err
	}
	got, err := v.read(v.Session)
	if err != nil {
		return err
	}
	at := p.First + 1
	off := math.Abs(float64(m[0].Loss-metric.Loss)) / float64(metric.Loss)
	if err := differs(at, "the loss", off, v.bounds.loss); err != nil {
		return err
	}
	updated := v.update(before, got, p.Rates[0])
	for _, b := range v.views(program.Param, program.Optimizer) {
		size := max(norm(b.of(before)), norm(b.of(updated)))
		if err := differs(at, "the update of "+b.Name, share(distance(b.of(got), b.of(updated)), size), updateBound); err != nil {
			return err
		}
	}
	for _, b := range v.views(program.Stat) {
		if err := differs(at, b.Name, share(distance(b.of(got), b.of(want)), norm(b.of(want))), v.bounds.stat); err != nil {
			return err
		}
		if err := v.judge(at, "the change of "+b.Name, b.of(before), b.of(got), b.of(want), b.of(rounded)); err != nil {
			return err
		}
	}
	for _, b := range v.views(program.Grad) {
		zero := make([]float32, b.Shape.Len())
		if err := v.judge(at, b.Name, zero, b.of(got), b.of(want), b.of(rounded)); err != nil {
			return err
		}
	}
	return nil
}

// judge compares the ways from a point to where the device got, and to where
// ref did, if rounding leaves that nearly as it is.
func (v *validating) judge(step int, what string, from, got, want, rounded []float32) error {
	given, _ := difference(got, from)
	right, size := difference(want, from)
	if !(distance(rounded, want) <= v.bounds.steady*size) {
		return nil
	}
	if err := differs(step, what, share(distance(got, want), size), v.bounds.change); err != nil || size == 0 {
		return err
	}
	return differs(step, "the direction of "+what, 1-cosine(given, right), 1-cosineBound)
}

func differs(step int, what string, off, bound float64) error {
	if off <= bound { // and not NaN
		return nil
	}
	return &DiffersError{step, what, off, bound}
}

// snapshot is what a session remembers: its arenas, by element.
type snapshot map[program.Arena][]float32

// kept are the arenas of a snapshot.
var kept = append(program.Persistent(), program.Grad)

// view is a tensor of a snapshot.
type view struct{ program.Buffer }

func (b view) of(x snapshot) []float32 { return x[b.Arena][b.Offset/4:][:b.Shape.Len()] }

func (v *validating) views(arenas ...program.Arena) (all []view) {
	for _, b := range model.Views(v.train, arenas...) {
		all = append(all, view{b})
	}
	return all
}

// none is a snapshot of zeros.
func (v *validating) none() snapshot {
	x := snapshot{}
	for _, a := range kept {
		x[a] = make([]float32, v.train.Bytes[a]/4)
	}
	return x
}

func (v *validating) read(s device.Session) (snapshot, error) {
	x := v.none()
	for _, b := range v.views(kept...) {
		if err := s.Read(b.Name, b.of(x)); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// refStep is what ref makes of a step that begins with from.
func (v *validating) refStep(p device.Launch, from snapshot) (snapshot, device.Metric, error) {
	m := make([]device.Metric, 1)
	for _, b := range v.views(program.Persistent()...) {
		if err := v.ref.Write(b.Name, b.of(from)); err != nil {
			return nil, m[0], err
		}
	}
	failed := v.ref.Train(p, m)
	x, err := v.read(v.ref)
	return x, m[0], errors.Join(failed, err)
}

// rounded has each parameter moved by the share unit, up or down as if by chance.
func (x snapshot) rounded(unit float64) snapshot {
	y := maps.Clone(x)
	y[program.Param] = slices.Clone(x[program.Param])
	for i := range y[program.Param] {
		up := float32(1 + unit)
		if uint32(i)*0x9E3779B9>>31 == 0 {
			up = float32(1 - unit)
		}
		y[program.Param][i] *= up
	}
	return y
}

// update is what parameters and the optimizer's state become by its definition, of
// the gradients that a step left in after.
func (v *validating) update(before, after snapshot, rates device.Rates) snapshot {
	x := snapshot{program.Param: slices.Clone(before[program.Param]), program.Optimizer: slices.Clone(before[program.Optimizer]), program.Grad: after[program.Grad]}
	for _, c := range v.train.Code {
		if k, ok := c.Kernel.(kernel.Optimizer); ok {
			var in, out []kernel.Tensor
			for _, id := range c.In[:len(c.In)-1] {
				b := view{v.train.Buffers[id]}
				in = append(in, kernel.Tensor{Shape: b.Shape, F32: b.of(x)})
			}
			in = append(in, kernel.Tensor{Shape: kernel.Shape{2}, F32: []float32{rates.Learning, rates.Statistics}})
			for _, i := range k.Updated(len(in)) {
				out = append(out, in[i])
			}
			k.Ref(out, in)
		}
	}
	return x
}

// difference is a - b, and its norm.
func difference(a, b []float32) ([]float32, float64) {
	d := make([]float32, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return d, norm(d)
}

// distance is Euclid's.
func distance(a, b []float32) float64 {
	_, d := difference(a, b)
	return d
}

func norm(x []float32) float64 { return math.Sqrt(dot(x, x)) }

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// cosine of the angle between two vectors that are not 0.
func cosine(a, b []float32) float64 { return dot(a, b) / (norm(a) * norm(b)) }

// share of size that off is; where both are 0, none.
func share(off, size float64) float64 {
	if off == 0 {
		return 0
	}
	return off / size
}
