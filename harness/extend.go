package harness

import (
	"errors"
	"fmt"
	"math"

	"depthlab/harness/record"
	"depthlab/nets"
	"depthlab/nets/program"
)

// extendBatches are the mini-batches that the statistics of inserted layers are
// averaged over.
const extendBatches = 200

// extend begins the run as the trained net that it extends, by layers that
// compute the identity (the argument of the paper's introduction: a deeper net
// need not be worse), and records the tests of what it begins as, at step 0.
//
// The kernels of such a layer are a one in their middle, and its batch norm
// undoes itself: its running mean m and variance v are those of what comes to
// it, its shift is m and its scale sqrt(v + eps). With running statistics, as
// in tests, the net so computes what the shallow one does. In training each
// batch is normalised by its own statistics and given those of all: nearly the
// identity, and from there on it is trained like any other.
//
// A fast convolution may round on its way to the same number. In float32 that
// decides no image; in bfloat16 it may one that was near the line, which compare
// then says.
func (t *trainer) extend(source string) error {
	deep, err := nets.ParseArch(t.run.Net)
	if err != nil {
		return err
	}
	shallow, err := nets.ParseArch(t.run.Extend)
	if err != nil {
		return err
	}
	stages, err := deep.Extension(shallow)
	if err != nil {
		return err
	}
	own, err := t.load(source)
	if err != nil {
		return fmt.Errorf("run %s begins as %s: %w", t.run.ID, source, err)
	}
	w := writer{session: t.session}
	for _, stage := range stages {
		for _, l := range stage {
			kernels := make([]float32, l.Channels*l.Channels*9)
			for c := range l.Channels {
				kernels[(c*l.Channels+c)*9+4] = 1
			}
			w.write(l.Conv+".weight", kernels) // its batch norm has scale 1 and shift 0
		}
	}
	inserted := map[string][]float32{}
	for _, stage := range stages {
		if len(stage) == 0 || w.err != nil {
			continue
		}
		if err := t.average(extendBatches); err != nil { // right for the first inserted layer: all before it is done
			return err
		}
		channels, first := stage[0].Channels, stage[0].Norm
		mean, variance, scale := make([]float32, channels), make([]float32, channels), make([]float32, channels)
		if err := errors.Join(t.session.Read(first+".running_mean", mean), t.session.Read(first+".running_var", variance)); err != nil {
			return err
		}
		for c, v := range variance {
			scale[c] = float32(math.Sqrt(float64(v) + t.run.BatchNorm.Eps))
		}
		for _, l := range stage {
			inserted[l.Norm+".running_mean"], inserted[l.Norm+".running_var"] = mean, variance
			w.write(l.Norm+".weight", scale)
			w.write(l.Norm+".bias", mean)
		}
	}
	for _, b := range t.views(program.Stat) { // averaging changed them all
		v := inserted[b.Name]
		if v == nil {
			v = own[b.Name]
		}
		w.write(b.Name, v)
	}
	if w.err != nil {
		return w.err
	}
	return t.compare(source)
}

// load writes the weights and statistics of a finished run into the layers of
// their names.
func (t *trainer) load(id string) (map[string][]float32, error) {
	file, err := readWeights(weightsPath(t.dir, id))
	if err != nil {
		return nil, err
	}
	w, values := writer{session: t.session}, map[string][]float32{}
	for name, x := range file.tensors {
		if values[name], err = x.Float32s(); err != nil {
			return nil, err
		}
		w.write(name, values[name])
	}
	return values, w.err
}

// compare tests the net that the run begins as, and warns where it is not as
// wrong as the one that it was made of, image for image.
func (t *trainer) compare(source string) error {
	// With the statistics that were written, not averaged anew.
	if err := errors.Join(t.pass("eval", t.testSet, t.model.test), t.pass("full", "train", t.model.train)); err != nil {
		return err
	}
	old, err := record.Read(recordPath(t.dir, source))
	if err != nil {
		return err
	}
	own, err := record.Read(recordPath(t.dir, t.run.ID))
	if err != nil {
		return err
	}
	test, _ := old.FinalTest()
	train, _ := old.FullTrain()
	if began := own.Began(); began.Test != test || began.Train != train {
		return t.warn("it begins with %.4g %% test and %.4g %% training error, and not as %s ended, with %.4g %% and %.4g %%", began.Test, began.Train, source, test, train)
	}
	return nil
}
