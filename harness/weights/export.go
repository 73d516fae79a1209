// Exports weights for PyTorch.

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

// Export writes the weights of a run, in the file from, to the file to, for PyTorch's
// load_state_dict: parameters and running statistics with torchvision's names, and
// num_batches_tracked. The normalisation of images is not among the tensors, as in every
// state_dict. For a CIFAR net, which torchvision does not have, it is in the file's metadata, and
// Export also writes the Python class that loads both. It returns the name of the net, and the
// path of the class, "" for none.
func Export(from, to string) (net, class string, err error) {
	w, err := Read(from)
	if err != nil {
		return "", "", err
	}
	if w.Info == nil {
		return "", "", fmt.Errorf("%s: expected weights that a training run of this program wrote", from)
	}
	if a, err := os.Stat(from); err == nil {
		if b, err := os.Stat(to); err == nil && os.SameFile(a, b) {
			return "", "", fmt.Errorf("--out %s would overwrite the weights that are exported: choose another --out", to)
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
