// Norms of gradients.
package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/record"
	"depthlab/nets/program"
)

// watchGradients records the norm of each layer's gradient at the latest step,
// and warns once of a layer that none reaches. A gradient that is not finite
// ends the run: the loss of that step may be finite, its parameters are not.
func (t *Trainer) watchGradients() error {
	grads, err := t.Tensors(program.Grad)
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
	for _, name := range t.Path.Weights {
		e.Layers = append(e.Layers, short(math.Sqrt(norms[name])))
	}
	if err := t.sink.Event(e); err != nil {
		return err
	}
	for _, name := range t.Path.Weights {
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

func shortened(xs []float64) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = short(x)
	}
	return out
}
