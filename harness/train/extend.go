package train

import (
	"errors"
	"fmt"
	"math"

	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/weights"
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
func (t *Trainer) extend(source store.Folder) error {
	deep, err := nets.ParseArch(t.Run.Net)
	if err != nil {
		return err
	}
	shallow, err := nets.ParseArch(t.Run.Extend)
	if err != nil {
		return err
	}
	stages, err := deep.Extension(shallow)
	if err != nil {
		return err
	}
	own, err := t.load(source)
	if err != nil {
		return fmt.Errorf("run %s begins as %s: %w", t.Run.ID, source.Name(), err)
	}
	w := model.Writer{Session: t.Session}
	for _, stage := range stages {
		for _, l := range stage {
			kernels := make([]float32, l.Channels*l.Channels*9)
			for c := range l.Channels {
				kernels[(c*l.Channels+c)*9+4] = 1
			}
			w.Write(l.Conv+".weight", kernels) // its batch norm has scale 1 and shift 0
		}
	}
	inserted := map[string][]float32{}
	for _, stage := range stages {
		if len(stage) == 0 || w.Err != nil {
			continue
		}
		if err := t.Average(extendBatches); err != nil { // right for the first inserted layer: all before it is done
			return err
		}
		channels, first := stage[0].Channels, stage[0].Norm
		mean, variance, scale := make([]float32, channels), make([]float32, channels), make([]float32, channels)
		if err := errors.Join(t.Session.Read(first+".running_mean", mean), t.Session.Read(first+".running_var", variance)); err != nil {
			return err
		}
		for c, v := range variance {
			scale[c] = float32(math.Sqrt(float64(v) + t.Run.BatchNorm.Eps))
		}
		for _, l := range stage {
			inserted[l.Norm+".running_mean"], inserted[l.Norm+".running_var"] = mean, variance
			w.Write(l.Norm+".weight", scale)
			w.Write(l.Norm+".bias", mean)
		}
	}
	for _, b := range t.Views(program.Stat) { // averaging changed them all
		v := inserted[b.Name]
		if v == nil {
			v = own[b.Name]
		}
		w.Write(b.Name, v)
	}
	if w.Err != nil {
		return w.Err
	}
	return t.compare(source)
}

// load writes the weights and statistics of a finished run into the layers of
// their names.
func (t *Trainer) load(from store.Folder) (map[string][]float32, error) {
	file, err := weights.Read(from.Weights())
	if err != nil {
		return nil, err
	}
	w, values := model.Writer{Session: t.Session}, map[string][]float32{}
	for name, x := range file.Tensors {
		if values[name], err = x.Float32s(); err != nil {
			return nil, err
		}
		w.Write(name, values[name])
	}
	return values, w.Err
}

// compare tests the net that the run begins as, and warns where it is not as
// wrong as the one that it was made of, image for image.
func (t *Trainer) compare(source store.Folder) error {
	// With the statistics that were written, not averaged anew.
	if err := errors.Join(t.pass("eval", t.TestSet, t.Model.Test), t.pass("full", "train", t.Model.Train)); err != nil {
		return err
	}
	old, err := record.Read(source.Record())
	if err != nil {
		return err
	}
	own, err := record.Read(t.folder.Record())
	if err != nil {
		return err
	}
	test, _ := old.FinalTest()
	train, _ := old.FullTrain()
	if began := own.Began(); began.Test != test || began.Train != train {
		return t.warn("it begins with %.4g %% test and %.4g %% training error, and not as %s ended, with %.4g %% and %.4g %%", began.Test, began.Train, t.Run.Source(), test, train)
	}
	return nil
}
