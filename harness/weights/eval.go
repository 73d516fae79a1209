// Evaluates weights on a data set.

package weights

import (
	"errors"
	"fmt"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/nets"
	"depthlab/nets/compile"
)

// EvalOptions are the options of an evaluation.
type EvalOptions struct {
	Net       string
	Weights   string    // a safetensors file
	Set       string    // "test" or "train"
	Mean, Std []float32 // of each channel, for pixels in [0, 1]; both nil: those of the weights' file, else the paper's
	Batch     int
	Precision device.Precision

	Predictions *Predictions // is set to the scores of each image; may be nil

	// For photos only.
	Crops  string // one of the list Crops
	Scores string // path of a safetensors file to which the scores are written; "" for none
}

// EvalResult is the result that eval prints.
type EvalResult struct {
	Net       string  `json:"net"`
	Set       string  `json:"set"`
	Data      string  `json:"data"`
	Images    int     `json:"images"`
	Crops     string  `json:"crops,omitempty"` // for photos
	Top1Error float64 `json:"top1_error"`      // percent
	Loss      float64 `json:"loss"`            // mean cross-entropy
	Device    string  `json:"device"`
	Precision string  `json:"precision"`

	Top5Error *float64 `json:"top5_error,omitempty"` // percent; for photos of more than five classes
}

// Eval evaluates the weights of a file on a data set.
func Eval(o EvalOptions, src *data.Source, dev device.Device) (r EvalResult, err error) {
	arch, err := nets.ParseArch(o.Net)
	if err != nil {
		return r, err
	}
	w, err := Read(o.Weights)
	if err != nil {
		return r, err
	}
	set := o.images(src)
	if set.Photos != nil {
		return o.photos(w, arch, src, dev)
	}
	session, err := o.open(w, arch, src, set, set.N, o.Batch, dev)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	to := model.Writer{Session: session}
	to.Write("images", set.Images)
	to.Write("labels", set.Labels)
	if to.Err != nil {
		return r, to.Err
	}
	c, err := o.test(session, set)
	if err != nil {
		return r, err
	}
	info := session.Info()
	return EvalResult{
		Net: arch.String(), Set: o.Set, Data: src.Title, Images: c.Images,
		Top1Error: 100 * float64(c.Wrong) / float64(c.Images), Loss: c.Loss / float64(c.Images),
		Device: info.Name, Precision: info.Precision,
	}, nil
}

// test evaluates a set that is resident on the device.
func (o EvalOptions) test(session device.Session, set *data.Set) (device.Counts, error) {
	rows := data.EvalRows(data.Indices(set.N), o.Batch, 0)
	if o.Predictions == nil {
		return session.Eval(rows)
	}
	t := newTally(set)
	c, err := t.each(session, rows, o.Batch, set.Classes)
	if err == nil {
		t.judge(new(EvalResult), set.Labels, set.Classes)
		o.Predictions.take(t, set)
	}
	return c, err
}

// images is the set to evaluate.
func (o EvalOptions) images(src *data.Source) *data.Set {
	if o.Set == "train" {
		return &src.Train
	}
	return &src.Test
}

// open opens a session with the weights, for batches of a set of which the device holds images
// images.
func (o EvalOptions) open(w *File, arch nets.Arch, src *data.Source, set *data.Set, images, batch int, dev device.Device) (device.Session, error) {
	eps := 1e-5
	if w.Info != nil {
		eps = w.Info.Eps
		if of, err := nets.ParseArch(w.Info.Net); err != nil || of != arch {
			return nil, fmt.Errorf("%s holds the weights of %s, not of %s", o.Weights, w.Info.Net, arch)
		}
	}
	p, err := compile.Compile(arch, nets.Eval, compile.Config{
		Config: nets.Config{Batch: batch, Channels: set.Channels, Size: set.Size, Width: set.Width, Classes: set.Classes, Eps: float32(eps)},
		Images: images,
	})
	if err != nil {
		return nil, err
	}
	tensors, err := w.match(p)
	if err != nil {
		return nil, err
	}
	in, err := o.normalisation(w, src, set.Area())
	if err != nil {
		return nil, err
	}
	session, err := dev.Open(device.Programs{Eval: p}, device.Options{Precision: o.Precision})
	if err != nil {
		return nil, err
	}
	to := model.Writer{Session: session}
	to.Write("mean", in.Mean)
	to.Write("scale", in.Scale)
	for name, v := range tensors {
		to.Write(name, v)
	}
	if to.Err != nil {
		return nil, errors.Join(to.Err, session.Close())
	}
	return session, nil
}

// normalisation returns the normalisation of images of area pixels: that of the options, of the
// weights' file, or the paper's (the per-pixel mean of the training set). A mean image of another
// size is replaced by its mean for each channel.
func (o EvalOptions) normalisation(w *File, src *data.Source, area int) (n model.Normalisation, err error) {
	set := &src.Train
	if o.Mean == nil && o.Std == nil {
		n = w.Input
		if n.Mean == nil {
			stats := data.Statistics{}
			if set.Photos == nil {
				stats = set.Statistics(nil)
			} else if photos, err := set.PhotoStatistics(data.Indices(set.N), o.side(w, set.Size)); err == nil {
				stats = photos.Statistics
			} else {
				return n, err
			}
			n = model.Normalise(experiments.Input{Mean: "pixel", Std: "none"}, set, stats)
		}
		if len(n.Mean) != set.Channels*set.Area() || len(n.Scale) != set.Channels {
			return n, fmt.Errorf("%s: its mean has %d values and its scale %d, expected those of images of %dx%dx%d; --mean and --std replace them", o.Weights, len(n.Mean), len(n.Scale), set.Channels, set.Size, set.Size)
		}
		n.Mean = resized(n.Mean, set.Channels, area)
		return n, nil
	}
	n.Mean, n.Scale = make([]float32, set.Channels*area), make([]float32, set.Channels)
	for c := range set.Channels {
		n.Scale[c] = 1.0 / 255
		if o.Std != nil {
			n.Scale[c] = 1 / (255 * o.Std[c])
		}
		for i := c * area; o.Mean != nil && i < (c+1)*area; i++ {
			n.Mean[i] = 255 * o.Mean[c]
		}
	}
	return n, nil
}

// resized returns a mean image of area pixels. If mean has another size, each channel of the result
// is constant.
func resized(mean []float32, channels, area int) []float32 {
	old := len(mean) / channels
	if old == area {
		return mean
	}
	out := make([]float32, channels*area)
	for c := range channels {
		sum := 0.0
		for _, v := range mean[c*old:][:old] {
			sum += float64(v)
		}
		for i := range area {
			out[c*area+i] = float32(sum / float64(old))
		}
	}
	return out
}
