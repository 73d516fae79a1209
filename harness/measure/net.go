// A trained net, opened for tests.

package measure

import (
	"context"
	"maps"
	"math"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/train"
	"depthlab/harness/weights"
	"depthlab/nets"
)

// net is a run's net with its trained weights. The first call of model opens it on the device.
type net struct {
	Target
	arch   nets.Arch
	layers model.Layers
	eps    float64
	values map[string][]float32 // parameters and running statistics, by name

	opened  *model.Model
	changed map[string][]float32 // values on the device that differ from values
}

// load reads the weights of a run.
func load(t Target) (*net, error) {
	file, err := weights.Read(t.Folder.Weights())
	if err != nil {
		return nil, err
	}
	n := &net{Target: t, changed: map[string][]float32{}}
	if n.layers, n.values, err = file.Trained(); err != nil {
		return nil, err
	}
	n.eps = file.Info.Eps
	n.arch, err = nets.ParseArch(t.Run.Net)
	return n, err
}

// calibration is the number of mini-batches over which batch norm's statistics are averaged in a
// net with initial weights, if its recipe has moving averages.
const calibration = 60

// model opens the net on the device, in fp32, with the initial weights of the run's seed.
func (n *net) model() (*model.Model, error) {
	if n.opened != nil {
		return n.opened, nil
	}
	run := n.Run
	run.Precision = string(device.FP32)
	if run.BatchNorm.Batches == 0 {
		run.BatchNorm.Batches = calibration
	}
	var err error
	n.opened, err = model.OpenTests(run, n.Data, n.Device)
	return n.opened, err
}

func (n *net) close() error {
	if n.opened == nil {
		return nil
	}
	return n.opened.Close()
}

// trained opens the net with its trained weights.
func (n *net) trained() (*model.Model, error) {
	m, err := n.model()
	if err != nil {
		return nil, err
	}
	w := model.Writer{Session: m.Session}
	for name, v := range n.values {
		w.Write(name, v)
	}
	return m, w.Err
}

// change sets some values of the trained net on the device, and resets those of the last call.
func (n *net) change(to map[string][]float32) error {
	w := model.Writer{Session: n.opened.Session}
	for name := range n.changed {
		if to[name] == nil {
			w.Write(name, n.values[name])
		}
	}
	for name, v := range to {
		w.Write(name, v)
	}
	n.changed = maps.Clone(to)
	return w.Err
}

// test returns the mean loss and the error (percent) of the net on images. The loss is at most the
// largest float32.
func (n *net) test(ctx context.Context, images []int32) (loss, percent float64, err error) {
	c, err := n.opened.Evaluate(ctx, images)
	if err != nil {
		return 0, 0, err
	}
	loss = c.Loss / float64(c.Images)
	if math.IsNaN(loss) || loss > math.MaxFloat32 {
		loss = math.MaxFloat32 // JSON has no infinity
	}
	return loss, 100 * float64(c.Wrong) / float64(c.Images), nil
}

// some chooses n of the images with a fixed seed; n = 0 means all.
func some(images []int32, n int) []int32 {
	if n == 0 || n >= len(images) {
		return images
	}
	at, _, err := data.Split(len(images), n, 0)
	if err != nil {
		panic(err) // n is in range
	}
	chosen := make([]int32, n)
	for i, k := range at {
		chosen[i] = images[k]
	}
	return chosen
}

func responsesCost(experiments.Run, experiments.Measurements) string { return "no test" }

// responses computes the standard deviations of the layers' responses. Training records them at
// the end of a run, but older versions did not.
func responses(n *net, _ experiments.Measurements) (*work, error) {
	return &work{
		points: 1,
		point: func(context.Context, int) ([]float64, error) {
			e, err := train.Responses(n.layers, n.values, n.eps, n.Run.Schedule.Stop)
			return e.Layers, err
		},
		event: func(points [][]float64) (record.Event, error) { return record.Event{Layers: points[0]}, nil },
	}, nil
}
