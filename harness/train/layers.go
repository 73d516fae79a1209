// Records of layers: norms of gradients, and responses.

package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/nets/program"
)

// gradients returns the event with the norm of each layer's gradient after a step, and a warning
// if the gradient of a layer vanishes. A gradient that is not finite is an error: then the
// parameters are not finite, even if the loss of the step was. There are no events if the device
// cannot read gradients.
func gradients(net *model.Model, step int, w *watch) ([]record.Event, error) {
	norms, largest, err := gradientNorms(net, step)
	if unsupported := new(device.UnsupportedError); errors.As(err, &unsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := record.Event{Kind: "gradients"}
	for _, name := range net.Layers.Weights {
		e.Layers = append(e.Layers, short(norms[name]))
	}
	return append([]record.Event{e}, w.vanishing(net.Layers.Weights, largest)...), nil
}

// gradientNorms returns the norm and the largest absolute element of each parameter's gradient
// after a step.
func gradientNorms(net *model.Model, step int) (norms, largest map[string]float64, err error) {
	grads, err := net.Tensors(program.Grad)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the gradients of step %d: %w", step, err)
	}
	norms, largest = map[string]float64{}, map[string]float64{}
	for i := range slices.Backward(grads) { // in the order of the backward pass: an error names the first layer
		v, err := grads[i].Float32s()
		if err != nil {
			return nil, nil, err
		}
		name := strings.TrimPrefix(grads[i].Name, "grad.")
		if !finite(v...) {
			return nil, nil, &device.NonFiniteError{Step: step - 1, Layer: name, Instr: "gradient"}
		}
		var square float64
		for _, g := range v {
			largest[name] = max(largest[name], math.Abs(float64(g)))
			square += float64(g) * float64(g)
		}
		norms[name] = math.Sqrt(square)
	}
	return norms, largest, nil
}

// Responses is the event of the layers' responses after the last step of a run, from the
// parameters and running statistics of its net by name. The error is a
// *device.NonFiniteError if a response is not finite.
func Responses(layers model.Layers, values map[string][]float32, eps float64, step int) (record.Event, error) {
	e := record.Event{Kind: "responses", Step: step}
	for i, r := range layers.Responses(values, eps) {
		if !finite(r) {
			return e, &device.NonFiniteError{Step: step - 1, Layer: layers.Norms[i], Instr: "response"}
		}
		e.Layers = append(e.Layers, short(r))
	}
	return e, nil
}

// short rounds x, which must be finite, to four digits: enough for a figure.
func short(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		panic(fmt.Sprintf("train: %v is not finite", x))
	}
	return y
}
