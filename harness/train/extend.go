// A run that begins as a trained, shallower net.

package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/weights"
	"depthlab/nets"
	"depthlab/nets/program"
)

// extendBatches are the mini-batches that the statistics of inserted layers are
// averaged over.
const extendBatches = 200

// extend begins the run as the trained net that it extends, and records the tests of what
// it begins as, at step 0. It warns if that is not as wrong as the trained net, image for
// image.
func (t *Trainer) extend(ctx context.Context) error {
	from, err := weights.Read(t.task.Source.Weights())
	if err == nil {
		err = construct(ctx, t.net, from)
	}
	if err != nil {
		return cutShort(ctx, t.net, fmt.Errorf("it begins as %s: %w", t.task.Source.Name(), err))
	}
	// With the statistics that were written, not averaged anew.
	test, err := classify(ctx, t.net, "eval", t.net.Images.TestSet, t.net.Images.Test)
	if err != nil {
		return err
	}
	train, err := classify(ctx, t.net, "full", "train", t.net.Images.Train)
	if err != nil {
		return err
	}
	if err := t.emit(test, train); err != nil {
		return err
	}
	old, err := record.Read(t.task.Source.Record())
	if err != nil {
		return err
	}
	oldTest, _ := old.FinalTest()
	oldTrain, _ := old.FullTrain()
	if *test.Error != oldTest || *train.Error != oldTrain {
		return t.emit(warning("it begins with %.4g %% test and %.4g %% training error, and not as %s ended, with %.4g %% and %.4g %%", *test.Error, *train.Error, t.net.Run.Source(), oldTest, oldTrain))
	}
	return nil
}

// construct makes a net compute what a trained shallower one does, by layers that compute
// the identity (the argument of the paper's introduction: a deeper net need not be worse).
//
// The kernels of such a layer are a one in their middle, and its batch norm
// undoes itself: its running mean m and variance v are those of what comes to
// it, its shift is m and its scale sqrt(v + eps). With running statistics, as
// in tests, the net so computes what the shallow one does. In training each
// batch is normalised by its own statistics and given those of all: nearly the
// identity, and from there on it is trained like any other.
//
// A fast convolution may round on its way to the same number. In float32 that
// decides no image; in bfloat16 it may one that was near the line.
func construct(ctx context.Context, net *model.Model, from *weights.File) error {
	deep, err := nets.ParseArch(net.Run.Net)
	if err != nil {
		return err
	}
	shallow, err := nets.ParseArch(net.Run.Extend)
	if err != nil {
		return err
	}
	stages, err := deep.Extension(shallow)
	if err != nil {
		return err
	}
	own, w := map[string][]float32{}, model.Writer{Session: net.Session}
	for name, x := range from.Tensors {
		if own[name], err = x.Float32s(); err != nil {
			return err
		}
		w.Write(name, own[name])
	}
	for _, stage := range stages {
		for _, l := range stage {
			w.Write(l.Conv+".weight", nets.Centred(l.Channels, 3)) // its batch norm has scale 1 and shift 0
		}
	}
	inserted := map[string][]float32{}
	for _, stage := range stages {
		if len(stage) == 0 || w.Err != nil {
			continue
		}
		if err := net.Average(ctx, extendBatches); err != nil { // right for the first inserted layer: all before it is done
			return err
		}
		channels, first := stage[0].Channels, stage[0].Norm
		mean, variance, scale := make([]float32, channels), make([]float32, channels), make([]float32, channels)
		if err := errors.Join(net.Session.Read(first+".running_mean", mean), net.Session.Read(first+".running_var", variance)); err != nil {
			return err
		}
		for c, v := range variance {
			scale[c] = float32(math.Sqrt(float64(v) + net.Run.BatchNorm.Eps))
		}
		for _, l := range stage {
			inserted[l.Norm+".running_mean"], inserted[l.Norm+".running_var"] = mean, variance
			w.Write(l.Norm+".weight", scale)
			w.Write(l.Norm+".bias", mean)
		}
	}
	for _, b := range model.Views(net.Programs.Train, program.Stat) { // averaging changed them all
		v := inserted[b.Name]
		if v == nil {
			v = own[b.Name]
		}
		w.Write(b.Name, v)
	}
	return w.Err
}
