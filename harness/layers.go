package harness

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/nets"
	"depthlab/nets/program"
)

// path is the layers with weights from the image to the classifier, by the
// names of their weights and of their batch norms: all but the projections of
// shortcuts. There are as many weights as the net is deep.
type path struct{ weights, norms []string }

func pathOf(params []*nets.Param, norms []*nets.Norm) (p path) {
	for _, w := range params {
		if w.Kind.IsWeight() && !strings.Contains(w.Name, "downsample") {
			p.weights = append(p.weights, w.Name)
		}
	}
	for _, n := range norms {
		if !strings.Contains(n.Name, "downsample") {
			p.norms = append(p.norms, n.Name)
		}
	}
	return p
}

// responses gives the standard deviation of the response of each layer but the
// classifier: of what its batch norm makes in training, before a shortcut is
// added and before the rectifier, over images, places and channels (paper
// section 4.2, Figure 7).
//
// With pre-activation the batch norm behind the last layer of a block stands after
// the sum: there the response is that of the block with its shortcut.
//
// No image is needed for that. Batch norm gives channel c the mean shift_c and
// the variance scale_c^2 v_c / (v_c + eps), whatever the images; only the
// variance v_c before it is theirs, and that matters only where it is near
// eps. Here it is the running one.
func (m *model) responses() ([]float64, error) {
	tensors, err := m.tensors(program.Param, program.Stat)
	if err != nil {
		return nil, err
	}
	values := map[string][]float32{}
	for i := range tensors {
		if values[tensors[i].Name], err = tensors[i].Float32s(); err != nil {
			return nil, err
		}
	}
	var all []float64
	for _, n := range m.path.norms {
		scale, shift, variance := values[n+".weight"], values[n+".bias"], values[n+".running_var"]
		var mean, square float64
		for c := range scale {
			g, b, v := float64(scale[c]), float64(shift[c]), float64(variance[c])
			mean += b
			square += b*b + g*g*v/(v+m.run.BatchNorm.Eps)
		}
		k := float64(len(scale))
		std := math.Sqrt(square/k - mean*mean/k/k)
		if !finite(std) {
			return nil, &device.NonFiniteError{Step: m.run.Schedule.Stop - 1, Layer: n, Instr: "response"}
		}
		all = append(all, short(std))
	}
	return all, nil
}

// watchGradients records the norm of each layer's gradient at the latest step,
// and warns once of a layer that none reaches. A gradient that is not finite
// ends the run: the loss of that step may be finite, its parameters are not.
func (t *trainer) watchGradients() error {
	grads, err := t.tensors(program.Grad)
	var unsupported *device.UnsupportedError
	if errors.As(err, &unsupported) {
		return nil // a device that does not give them away
	}
	if err != nil {
		return t.fail(fmt.Errorf("reading the gradients of step %d: %w", t.step, err))
	}
	var all float64
	norms, largest := map[string]float64{}, map[string]float64{}
	for i, g := range slices.Backward(grads) { // as they are computed: the classifier's first
		v, err := grads[i].Float32s()
		if err != nil {
			return err
		}
		if !finite(v...) {
			return t.fail(&device.NonFiniteError{Step: t.step - 1, Layer: strings.TrimPrefix(g.Name, "grad."), Instr: "gradient"})
		}
		name := strings.TrimPrefix(grads[i].Name, "grad.")
		for _, g := range v {
			largest[name] = max(largest[name], math.Abs(float64(g)))
			norms[name] += float64(g) * float64(g)
		}
		all = max(all, largest[name])
	}
	e := record.Event{Kind: "gradients", Step: t.step}
	for _, name := range t.path.weights {
		e.Layers = append(e.Layers, short(math.Sqrt(norms[name])))
	}
	if err := t.sink.Event(e); err != nil {
		return err
	}
	for _, name := range t.path.weights {
		if g := largest[name]; g < vanished*all && !t.watch.Vanished {
			t.watch.Vanished = true
			return t.warn("gradients vanish: the largest of %s is %.2g, of all layers %.2g", name, g, all)
		}
	}
	return nil
}

// finite says whether no value is NaN or Inf.
func finite[T float32 | float64](values ...T) bool {
	for _, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}

// short is a finite x to four digits: enough for a figure.
func short(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		panic(fmt.Sprintf("harness: %v is no number", x))
	}
	return y
}
