// Weights for PyTorch.

package weights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/harness/state"
	"depthlab/nets"
)

// Export writes the weights in the file from, which training left, to the
// file to as PyTorch's load_state_dict takes them: parameters and running
// statistics under torchvision's names, and what its batch norms count beside
// them. How an image is prepared is no tensor of it, as of no state_dict. Of a CIFAR net,
// which torchvision lacks, it is in the file's metadata, and beside the file comes the
// Python class that loads both. It gives the name of the net, and the class's file or "".
func Export(from, to string) (net, class string, err error) {
	w, err := Read(from)
	if err != nil {
		return "", "", err
	}
	if w.Info == nil {
		return "", "", fmt.Errorf("%s was not written by a training run here: there is nothing to export", from)
	}
	if a, err := os.Stat(from); err == nil {
		if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
			return "", "", fmt.Errorf("%s would overwrite the weights that it is made from: choose another --out", to)
		}
	}
	arch, err := nets.ParseArch(w.Info.Net)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", from, err)
	}
	if filepath.Ext(to) == ".py" {
		return "", "", fmt.Errorf("--out %s: expected the name of a file of weights, such as net.safetensors", to)
	}
	var out []state.Tensor
	for name, t := range w.Tensors {
		out = append(out, *t)
		if norm, ok := strings.CutSuffix(name, ".running_var"); ok {
			out = append(out, state.Int64(norm+".num_batches_tracked", nil, []int64{int64(w.Info.Steps)}))
		}
	}
	if _, _, err := w.Trained(); err != nil {
		return "", "", err
	}
	slices.SortFunc(out, func(a, b state.Tensor) int { return strings.Compare(a.Name, b.Name) })
	meta := map[string]string{}
	if class = classFile(arch, to); class != "" {
		if meta, err = preparation(w); err != nil {
			return "", "", err
		}
		if err := writeClass(class, arch, w.Info, to); err != nil {
			return "", "", err
		}
	}
	meta["format"] = "pt"
	return arch.String(), class, state.WriteFile(to, meta, out)
}
