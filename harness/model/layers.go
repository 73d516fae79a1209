// The layers of a net, and how they respond.

package model

import (
	"math"
	"strings"

	"depthlab/nets"
)

// Layers are the layers with weights from the image to the classifier, by the names of
// their weights and of their batch norms: all but the projections of shortcuts. There are
// as many weights as the net is deep.
type Layers struct{ Weights, Norms []string }

// LayersOf picks the layers from what nets.Arch.Leaves gives.
func LayersOf(params []*nets.Param, norms []*nets.Norm) (l Layers) {
	for _, w := range params {
		if w.Kind.IsWeight() && !strings.Contains(w.Name, "downsample") {
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

// Responses are the standard deviations of the layers' responses, but the classifier's:
// of what their batch norm gives in training, before a shortcut is added and before the
// rectifier, over images, places and channels (paper section 4.2, Figure 7). Values are
// the parameters and running statistics of the net, by name; eps is that of batch norm.
//
// With pre-activation the batch norm behind the last layer of a block stands after the
// sum: there the response is that of the block with its shortcut.
//
// No image is needed for that. Batch norm gives channel c the mean shift_c and the
// variance scale_c^2 v_c / (v_c + eps), whatever the images; only the variance v_c before
// it is theirs, and that matters only where it is near eps. Here it is the running one.
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
