// The layers of a net, and their responses.

package model

import (
	"math"
	"strings"

	"depthlab/nets"
)

// Layers lists the layers with weights, from the image to the classifier, without the
// projections of shortcuts: the names of their weights, and of their batch norms. There are as
// many weights as the net's depth.
type Layers struct{ Weights, Norms []string }

// LayersOf selects the layers among the results of nets.Arch.Leaves.
func LayersOf(params []*nets.Param, norms []*nets.Norm) (l Layers) {
	for _, w := range params {
		if w.Kind.IsWeight() && !strings.Contains(w.Name, "downsample") && !strings.HasSuffix(w.Name, ".gate.weight") {
			l.Weights = append(l.Weights, w.Name)
		}
	}
	for _, n := range norms {
		if !strings.Contains(n.Name, "downsample") {
			l.Norms = append(l.Norms, n.Name)
		}
	}
	return l
}

// Responses returns the standard deviation of each layer's response, except the classifier's:
// of the output of its batch norm in training, before a shortcut is added and before the
// rectifier, over images, pixels and channels (paper section 4.2, Figure 7). values holds
// parameters and running statistics by name; eps is that of batch norm.
//
// With pre-activation, the batch norm after the last layer of a block is after the sum: there
// the response is that of the block with its shortcut.
//
// No images are needed. For any images, batch norm gives channel c the mean shift_c and the
// variance scale_c^2 v_c / (v_c + eps). Only v_c, the variance before it, depends on images,
// and it matters only if it is near eps. Responses uses the running variance.
func (l Layers) Responses(values map[string][]float32, eps float64) (all []float64) {
	for _, n := range l.Norms {
		scale, shift, variance := values[n+".weight"], values[n+".bias"], values[n+".running_var"]
		var mean, square float64
		for c := range scale {
			g, b, v := float64(scale[c]), float64(shift[c]), float64(variance[c])
			mean += b
			square += b*b + g*g*v/(v+eps)
		}
		k := float64(len(scale))
		all = append(all, math.Sqrt(square/k-mean*mean/k/k))
	}
	return all
}
