package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Steps trains a run for n steps from its first weights and writes to
// dir/step-000001.safetensors and on what each step saw and did: input
// (N,C,H,W) as the net sees it, label, rate, loss, and for each parameter
// NAME param.NAME, grad.NAME (without weight decay) and after.NAME, and for
// the running statistics stats_after.NAME.
func Steps(run experiments.Run, src *data.Source, dev device.Device, n int, dir string) (err error) {
	if run.BatchNorm.Group == 0 {
		run.BatchNorm.Group = run.Micro
	}
	run.Micro = 0 // the whole batch is to be seen
	m, err := open(run, src, dev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	t := &trainer{model: m}
	for step := range n {
		before, err := m.tensors(program.Param)
		if err != nil {
			return err
		}
		rows, err := m.rows(step, 1)
		if err != nil {
			return err
		}
		rate := t.rate(step)
		metric := make([]device.Metric, 1)
		err = m.session.Train(device.Plan{
			First: step, Rows: rows,
			Rates: []device.Rates{{Learning: rate, Statistics: float32(run.BatchNorm.Momentum)}},
		}, metric)
		if err != nil {
			return err
		}
		out := []state.Tensor{
			state.Float32("rate", []int{1}, []float32{rate}),
			state.Float32("loss", []int{1}, []float32{metric[0].Loss}),
		}
		rest, err := m.batch()
		if err != nil {
			return err
		}
		out = append(out, rest...)
		for _, part := range []struct {
			arena  program.Arena
			prefix string
		}{{program.Grad, ""}, {program.Param, "after."}, {program.Stat, "stats_after."}} {
			ts, err := m.tensors(part.arena)
			if err != nil {
				return err
			}
			out = append(out, renamed(part.prefix, ts)...)
		}
		out = append(out, renamed("param.", before)...)
		path := filepath.Join(dir, fmt.Sprintf("step-%06d.safetensors", step+1))
		if err := state.WriteFile(path, map[string]string{"net": run.Net, "data": src.Title}, out); err != nil {
			return err
		}
	}
	return nil
}

func renamed(prefix string, ts []state.Tensor) []state.Tensor {
	out := slices.Clone(ts)
	for i := range out {
		out[i].Name = prefix + out[i].Name
	}
	return out
}

// batch reads the images and labels of the latest step.
func (m *model) batch() ([]state.Tensor, error) {
	p := m.programs.Train
	shape := p.Buffers[p.Input].Shape
	input, label := make([]float32, shape.Len()), make([]int32, shape[0])
	if err := errors.Join(m.session.Read("input", input), m.session.Read("label", label)); err != nil {
		return nil, err
	}
	return []state.Tensor{state.Float32("input", shape, input), state.Int32("label", []int{shape[0]}, label)}, nil
}

// EvalOptions say how weights are tested.
type EvalOptions struct {
	Net       string
	Weights   string    // a safetensors file
	Set       string    // "test" or "train"
	Mean, Std []float32 // of each channel, of pixels scaled to [0, 1]; nil: those recorded with the weights, else the paper's
	Batch     int
	Precision device.Precision

	// Of photos only.
	Crops  string // of Crops
	Scores string // a safetensors file to write the scores to; "" for none
}

// EvalResult is what eval prints.
type EvalResult struct {
	Net       string  `json:"net"`
	Set       string  `json:"set"`
	Data      string  `json:"data"`
	Images    int     `json:"images"`
	Crops     string  `json:"crops,omitempty"` // of photos
	Top1Error float64 `json:"top1_error"`      // percent
	Loss      float64 `json:"loss"`            // mean cross-entropy
	Device    string  `json:"device"`
	Precision string  `json:"precision"`

	Top5Error *float64 `json:"top5_error,omitempty"` // of photos of more than five classes
}

// Eval tests weights from a file on a data set.
func Eval(o EvalOptions, src *data.Source, dev device.Device) (r EvalResult, err error) {
	arch, err := nets.ParseArch(o.Net)
	if err != nil {
		return r, err
	}
	w, err := readWeights(o.Weights)
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
	to := writer{session: session}
	to.write("images", set.Images)
	to.write("labels", set.Labels)
	if to.err != nil {
		return r, to.err
	}
	c, err := session.Eval(data.EvalRows(data.Indices(set.N), o.Batch, 0))
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

// images is the set to test on.
func (o EvalOptions) images(src *data.Source) *data.Set {
	if o.Set == "train" {
		return &src.Train
	}
	return &src.Test
}

// open prepares a session with the weights in it, for batches of a set of which
// the device holds so many images.
func (o EvalOptions) open(w *weights, arch nets.Arch, src *data.Source, set *data.Set, images, batch int, dev device.Device) (device.Session, error) {
	eps := 1e-5
	if w.info != nil {
		eps = w.info.Eps
		if w.info.Net != arch.String() {
			return nil, fmt.Errorf("%s holds the weights of %s, not of %s", o.Weights, w.info.Net, arch)
		}
	}
	p, err := compile.Compile(arch, nets.Eval, compile.Config{
		Config: nets.Config{Batch: batch, Channels: set.Channels, Size: set.Size, Width: set.Width, Classes: set.Classes, Eps: float32(eps)},
		Images: images,
	})
	if err != nil {
		return nil, err
	}
	tensors, err := w.match(o.Weights, p)
	if err != nil {
		return nil, err
	}
	mean, scale, err := o.normalisation(w, src, set.Area())
	if err != nil {
		return nil, err
	}
	session, err := dev.Open(device.Programs{Eval: p}, device.Options{Precision: o.Precision})
	if err != nil {
		return nil, err
	}
	to := writer{session: session}
	to.write("mean", mean)
	to.write("scale", scale)
	for name, v := range tensors {
		to.write(name, v)
	}
	if to.err != nil {
		return nil, errors.Join(to.err, session.Close())
	}
	return session, nil
}

// normalisation of images of area pixels: as asked for, as recorded with the
// weights, or the paper's per-pixel mean of the training set. A mean of another
// size becomes one of each channel.
func (o EvalOptions) normalisation(w *weights, src *data.Source, area int) (mean, scale []float32, err error) {
	set := &src.Train
	if o.Mean == nil && o.Std == nil {
		mean, scale = w.mean, w.scale
		if mean == nil {
			stats := data.Statistics{}
			if set.Photos == nil {
				stats = set.Statistics(nil)
			} else if photos, err := set.PhotoStatistics(data.Indices(set.N), o.side(w, set.Size)); err == nil {
				stats = photos.Statistics
			} else {
				return nil, nil, err
			}
			mean, scale, _ = normalisation(experiments.Input{Mean: "pixel", Std: "none"}, set, stats)
		}
		if len(mean) != set.Channels*set.Area() || len(scale) != set.Channels {
			return nil, nil, fmt.Errorf("%s: its preprocessing is for other images than %dx%dx%d", o.Weights, set.Channels, set.Size, set.Size)
		}
		return resized(mean, set.Channels, area), scale, nil
	}
	mean, scale = make([]float32, set.Channels*area), make([]float32, set.Channels)
	for c := range set.Channels {
		scale[c] = 1
		if o.Std != nil {
			scale[c] = 1 / (255 * o.Std[c])
		} else {
			scale[c] = 1.0 / 255
		}
		for i := c * area; o.Mean != nil && i < (c+1)*area; i++ {
			mean[i] = 255 * o.Mean[c]
		}
	}
	return mean, scale, nil
}

// resized is a mean image of area pixels: of one number for each channel where
// the mean at hand has another size.
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

// weights is a file of weights, ours or PyTorch's.
type weights struct {
	info        *preprocessing // nil in foreign files
	tensors     map[string]*state.Tensor
	mean, scale []float32
}

func readWeights(path string) (*weights, error) {
	f, err := state.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--weights %s: there is no such file", path)
	}
	if err != nil {
		return nil, err
	}
	w := &weights{tensors: map[string]*state.Tensor{}}
	if text, ok := f.Meta["depthlab"]; ok {
		w.info = new(preprocessing)
		if err := json.Unmarshal([]byte(text), w.info); err != nil {
			return nil, fmt.Errorf("%s: metadata: %w", path, err)
		}
	}
	for i := range f.Tensors {
		t := &f.Tensors[i]
		switch {
		case strings.HasSuffix(t.Name, ".num_batches_tracked"), kernel.IsState(t.Name):
			continue
		case t.Name == meanName:
			w.mean, err = t.Float32s()
		case t.Name == scaleName:
			w.scale, err = t.Float32s()
		default:
			w.tensors[t.Name] = t
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return w, nil
}

// match pairs the tensors of the file with the parameters and statistics of
// the program, and refuses all that is missing, unknown or misshapen at once.
func (w *weights) match(path string, p *program.Program) (map[string][]float32, error) {
	var wanted []program.Buffer
	for _, a := range []program.Arena{program.Param, program.Stat} {
		for _, id := range p.Views(a) {
			wanted = append(wanted, p.Buffers[id])
		}
	}
	left := withoutPrefix(w.tensors, wanted)
	out := map[string][]float32{}
	var missing, wrong, unknown []string
	for _, b := range wanted {
		t, ok := left[b.Name]
		if !ok {
			missing = append(missing, b.Name)
			continue
		}
		delete(left, b.Name)
		if !slices.Equal(t.Shape, b.Shape) {
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, want %v", b.Name, t.Shape, []int(b.Shape)))
			continue
		}
		v, err := t.Float32s()
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		out[b.Name] = v
	}
	for name := range left {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	if len(missing)+len(wrong)+len(unknown) > 0 {
		return nil, fmt.Errorf("%s does not fit %s:%s%s%s", path, p.Name, listed("missing", missing), listed("wrong:", wrong), listed("unknown", unknown))
	}
	return out, nil
}

// withoutPrefix gives the tensors under the names without what all of them have
// in front of a net's own, as "module." of PyTorch's DataParallel.
func withoutPrefix(tensors map[string]*state.Tensor, wanted []program.Buffer) map[string]*state.Tensor {
	prefix := ""
	for name := range tensors {
		if before, ok := strings.CutSuffix(name, wanted[0].Name); ok && strings.HasSuffix(before, ".") && sharedPrefix(tensors, before) {
			prefix = before
		}
	}
	out := map[string]*state.Tensor{}
	for name, t := range tensors {
		out[strings.TrimPrefix(name, prefix)] = t
	}
	return out
}

func sharedPrefix(tensors map[string]*state.Tensor, prefix string) bool {
	for name := range tensors {
		if !strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return true
}

// listed is a line of the first few names, and how many more there are.
func listed(what string, names []string) string {
	const most = 4
	if len(names) == 0 {
		return ""
	}
	text := "\n  " + what + " " + strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// DataOf is the data set that weights were trained on, and its images' size, as
// far as their file says.
func DataOf(path string) (name string, size int) {
	w, err := readWeights(path)
	if err != nil || w.info == nil {
		return "", 0
	}
	return w.info.Data, w.info.Size
}
