// A device whose training steps are compared with ref (--validate).

package check

import (
	"cmp"
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

// Validating is a device whose every Every-th training step is also computed by ref, from
// the same state, and compared. Such a step takes as long as two steps of ref. If the loss of
// another step is not finite, ref computes that step, too.
type Validating struct {
	device.Device
	Every int // steps; at least 1
}

// Memory is that of the wrapped device. Without this method the memory would count as
// unlimited.
func (v Validating) Memory() (limit, used int64) { return model.Memory(v.Device) }

// DiffersError says that the results of a device differ from ref's by more than rounding.
type DiffersError struct {
	Step       int // counted from 1
	What       string
	Off, Bound float64 // relative
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("step %d: the device differs from ref in %s: the relative difference is %.2g, rounding explains at most %.2g: "+
		"its library or the hardware computes wrongly; what it trained earlier may be wrong, too", e.Step, e.What, e.Off, e.Bound)
}

// bounds are the largest relative differences that rounding explains.
type bounds struct {
	loss float64
	stat float64 // of each running statistic
	// A gradient, or the change of a running statistic, is compared only if rounding the
	// parameters (by unit, relative) changes it by at most steady, relative to its norm.
	// Then change is the largest difference between the device's and ref's. It is below 1,
	// which is the difference if the device's is 0.
	unit, steady, change float64
}

// In deep plain nets the gradients of two correct devices may differ widely in the first
// steps. In bfloat16 the relative difference of plain-20 from float32 is 0.6 in step 1 and
// 0.03 in step 100. plain-56 in step 1 has a difference of 1.4 (cosine -0.05), and even in
// float32 two correct devices differ by 1.2. Rounding the parameters shows where this is so:
// it changes the gradient of plain-20 by 0.6 and 0.03, too. Gradients that it changed by less
// than steady differed by at most 0.29 in bfloat16, and in float32 by 15 times that change
// (batches of 128; XLA's CPU plugin compared with oneDNN with Winograd convolutions).
var validBounds = map[device.Precision]bounds{
	device.FP32: {loss: 1e-4, stat: 1e-3, unit: 1. / (1 << 23), steady: 5e-4, change: 2e-2},
	device.TF32: {loss: 0.1, stat: 0.15, unit: 1. / (1 << 11), steady: 0.25, change: 0.8}, // those of bfloat16: --validate has not been tried in tf32
	device.BF16: {loss: 0.1, stat: 0.15, unit: 1. / (1 << 9), steady: 0.25, change: 0.8},
}

// cosineBound is the smallest accepted cosine of the angle between two gradients that are
// compared.
const cosineBound = 0.7

// updateBound is the bound of parameters and optimizer state, compared with an update from
// the device's own gradients: they are float32 in every precision, and differ by three
// roundings.
const updateBound = 1e-6

// Open opens the programs on the device and on ref.
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

// validating is the session of a Validating device.
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

// Train trains in parts, so that each step to compare is a call of its own.
func (v *validating) Train(p device.Launch, m []device.Metric) error {
	batch := len(p.Rows) / len(p.Rates)
	for i := 0; i < len(p.Rates); {
		n := min(v.every-1-(p.First+i)%v.every, len(p.Rates)-i)
		train := v.uncompared
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

// uncompared trains steps on the device only, unless a loss is not finite.
func (v *validating) uncompared(p device.Launch, m []device.Metric) error {
	errDevice := v.Session.Train(p, m)
	var nan *device.NonFiniteError
	if !errors.As(errDevice, &nan) {
		return errDevice
	}
	before, err := v.read(v.Session) // parameters and optimizer state are those before the step
	if err != nil {
		return errors.Join(errDevice, err)
	}
	i, batch := nan.Step-p.First, len(p.Rows)/len(p.Rates)
	step := device.Launch{First: nan.Step, Rows: p.Rows[i*batch:][:batch], Rates: p.Rates[i:][:1]}
	_, _, errRounded := v.refStep(step, before.rounded(v.bounds.unit))
	_, _, errRef := v.refStep(step, before)
	return cmp.Or(v.finiteness(nan.Step+1, errDevice, errRef, errRounded), errDevice)
}

// finiteness returns a *DiffersError if the loss of a step is finite either on the device or
// on ref, but not on both. errRounded is ref's error with rounded parameters: if it differs
// from ref's, the loss is so large that rounding decides.
func (v *validating) finiteness(step int, errDevice, errRef, errRounded error) error {
	oneOnly := nonFinite(errDevice) && errRef == nil || nonFinite(errRef) && errDevice == nil
	if oneOnly && nonFinite(errRounded) == nonFinite(errRef) {
		return &DiffersError{step, "the loss, which is finite on one of them only", math.Inf(1), v.bounds.loss}
	}
	return nil
}

func nonFinite(err error) bool {
	var nan *device.NonFiniteError
	return errors.As(err, &nan)
}

// compare computes one step on both devices, and compares loss, update, running statistics
// and gradients.
func (v *validating) compare(p device.Launch, m []device.Metric) error {
	before, err := v.read(v.Session)
	if err != nil {
		return err
	}
	rounded, _, errRounded := v.refStep(p, before.rounded(v.bounds.unit))
	if errRounded != nil && !nonFinite(errRounded) {
		return errRounded
	}
	want, metric, errRef := v.refStep(p, before)
	errDevice := v.Session.Train(p, m)
	at := p.First + 1
	if err := cmp.Or(v.finiteness(at, errDevice, errRef, errRounded), errors.Join(errDevice, errRef)); err != nil {
		return err
	}
	got, err := v.read(v.Session)
	if err != nil {
		return err
	}
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

// judge compares got - from (the device) with want - from (ref), unless rounding the
// parameters changes the latter too much (see bounds).
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

// differs returns a *DiffersError if off exceeds the bound, or is NaN.
func differs(step int, what string, off, bound float64) error {
	if off <= bound {
		return nil
	}
	return &DiffersError{step, what, off, bound}
}

// snapshot is the content of a session's arenas.
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

// read reads a snapshot of a session.
func (v *validating) read(s device.Session) (snapshot, error) {
	x := v.none()
	for _, b := range v.views(kept...) {
		if err := s.Read(b.Name, b.of(x)); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// refStep returns ref's state and metric after a step that begins with state from.
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

// rounded is x with each parameter multiplied by 1 + unit or 1 - unit, chosen by a hash of
// its index.
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

// update returns parameters and optimizer state after an update by the optimizer's
// definition, with the gradients of after.
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

// distance is the Euclidean distance.
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

// cosine is the cosine of the angle between two vectors that are not 0.
func cosine(a, b []float32) float64 { return dot(a, b) / (norm(a) * norm(b)) }

// share is off / size, and 0 if off is 0.
func share(off, size float64) float64 {
	if off == 0 {
		return 0
	}
	return off / size
}
