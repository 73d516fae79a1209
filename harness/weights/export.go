// Weights for PyTorch.

package weights

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"depthlab/harness/state"
)

// Export writes the weights in the file from, which training left, to the
// file to as PyTorch's load_state_dict takes them: parameters and running
// statistics under torchvision's names, and what its batch norms count beside
// them. How an image is prepared is left out, as no state_dict has it. It
// gives the name of the net.
func Export(from, to string) (net string, err error) {
	w, err := Read(from)
	if err != nil {
		return "", err
	}
	if w.Info == nil {
		return "", fmt.Errorf("%s was not written by a training run here: there is nothing to export", from)
	}
	if a, err := os.Stat(from); err == nil {
		if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
			return "", fmt.Errorf("%s would overwrite the weights that it is made from: choose another --out", to)
		}
	}
	var out []state.Tensor
	for name, t := range w.Tensors {
		out = append(out, *t)
		if norm, ok := strings.CutSuffix(name, ".running_var"); ok {
			out = append(out, state.Int64(norm+".num_batches_tracked", nil, []int64{int64(w.Info.Steps)}))
		}
	}
	if _, _, err := w.Trained(); err != nil {
		return "", err
	}
	slices.SortFunc(out, func(a, b state.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return w.Info.Net, state.WriteFile(to, map[string]string{"format": "pt"}, out)
}
