// The layers of a net, and how they respond.
package model

import (
	"math"
	"strings"

	"depthlab/harness/device"
	"depthlab/nets"
	"depthlab/nets/program"
)

// Path is the layers with weights from the image to the classifier, by the
// names of their weights and of their batch norms: all but the projections of
// shortcuts. There are as many weights as the net is deep.
type Path struct{ Weights, Norms []string }

func pathOf(params []*nets.Param, norms []*nets.Norm) (p Path) {
	for _, w := range params {
		if w.Kind.IsWeight() && !strings.Contains(w.Name, "downsample") {
			p.Weights = append(p.Weights, w.Name)
		}
	}
	for _, n := range norms {
		if !strings.Contains(n.Name, "downsample") {
			p.Norms = append(p.Norms, n.Name)
		}
	}
	return p
}

// Responses gives the standard deviation of the response of each layer but the
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
func (m *Model) Responses() ([]float64, error) {
	tensors, err := m.Tensors(program.Param, program.Stat)
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
	for _, n := range m.Path.Norms {
		scale, shift, variance := values[n+".weight"], values[n+".bias"], values[n+".running_var"]
		var mean, square float64
		for c := range scale {
			g, b, v := float64(scale[c]), float64(shift[c]), float64(variance[c])
			mean += b
			square += b*b + g*g*v/(v+m.Run.BatchNorm.Eps)
		}
		k := float64(len(scale))
		std := math.Sqrt(square/k - mean*mean/k/k)
		if math.IsNaN(std) || math.IsInf(std, 0) {
			return nil, &device.NonFiniteError{Step: m.Run.Schedule.Stop - 1, Layer: n, Instr: "response"}
		}
		all = append(all, std)
	}
	return all, nil
}
