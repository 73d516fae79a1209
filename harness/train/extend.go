// A run that begins as a trained, shallower net.

package train

import (
	"context"
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

// extendBatches is the number of mini-batches over which the statistics of inserted layers
// are averaged.
const extendBatches = 200

// extend gives the net the weights of the trained net that it extends, whose run is in the
// folder source. It returns the events of its tests at step 0, with a warning if the errors are
// not exactly those of the trained net.
func extend(ctx context.Context, net *model.Model, source store.Folder) ([]record.Event, error) {
	from, err := weights.Read(source.Weights())
	if err == nil {
		err = construct(ctx, net, from)
	}
	if err != nil {
		return nil, cutShort(ctx, net, fmt.Errorf("extending %s: %w", source.Name(), err))
	}
	// These tests use the running statistics that construct wrote; they do not average.
	test, err := classify(ctx, net, "eval", net.Images.TestSet, net.Images.Test)
	if err != nil {
		return nil, err
	}
	train, err := classify(ctx, net, "full", "train", net.Images.Train)
	if err != nil {
		return nil, err
	}
	events := []record.Event{test, train}
	old, err := record.Read(source.Record())
	if err != nil {
		return events, err
	}
	oldTest, _ := old.FinalTest()
	oldTrain, _ := old.FullTrain()
	if *test.Error != oldTest || *train.Error != oldTrain {
		events = append(events, warning("the extended net begins with %.4g %% test and %.4g %% training error, but %s ended with %.4g %% and %.4g %%", *test.Error, *train.Error, net.Run.Source(), oldTest, oldTrain))
	}
	return events, nil
}

// construct makes a net compute the same as a trained shallower one: inserted layers compute
// the identity (the argument of the paper's introduction that a deeper net need not be worse).
//
// The kernel of an inserted layer is 1 in its centre and 0 elsewhere, and its batch norm is the
// identity: its running mean m and variance v are those of its input, its shift is m and its
// scale sqrt(v + eps). So with running statistics, as in tests, the net computes the same as
// the shallow one. In training, each batch is normalised by its own statistics, which gives
// almost the identity; from there the net is trained like any other.
//
// A fast convolution may round a product with 1. In float32 that changes no answer; in bfloat16
// it may change the answer for an image whose largest logits are almost equal.
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
		if err := net.Average(ctx, extendBatches); err != nil { // correct for the first inserted layer of the stage: all layers before it are set
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
	for _, b := range model.Views(net.Programs.Train, program.Stat) { // Average changed all of them
		v := inserted[b.Name]
		if v == nil {
			v = own[b.Name]
		}
		w.Write(b.Name, v)
	}
	return w.Err
}
