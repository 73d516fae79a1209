// Writes the Python class that loads exported weights of a CIFAR net.

package weights

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"depthlab/harness/disk"
	"depthlab/nets"
	"depthlab/nets/kernel"
)

//go:embed cifar.py
var cifarClass string

// classFile is the path of the Python file beside exported weights; "" for nets that
// torchvision has.
func classFile(arch nets.Arch, weights string) string {
	if arch.ImageNet() {
		return ""
	}
	return strings.TrimSuffix(weights, filepath.Ext(weights)) + ".py"
}

// writeClass writes the class of a net to a Python file. It fails if another file is there.
func writeClass(path string, arch nets.Arch, info *Info, weights string) error {
	yes := map[bool]string{true: "True", false: "False"}
	config := fmt.Sprintf("dict(net=%q, blocks=%d, residual=%s, bottleneck=%s, single=%s, order=%q, shortcut=%q, split=%s,\n              stride_on_3x3=%s, scale=%g, branch_scale=%g, shortcut_dropout=%g, gate=%q, channels=%d, classes=%d, eps=%g)",
		arch, arch.Blocks(), yes[arch.Residual], yes[arch.Bottleneck], yes[arch.Single], arch.Order, strings.Trim(string(arch.Shortcut), "\x00"),
		yes[arch.Where == kernel.Split], yes[arch.V15], cmp.Or(arch.Weights.Shortcut, 1), cmp.Or(arch.Weights.Branch, 1), arch.Weights.Dropout, arch.Weights.Gate, info.Channels, info.Classes, info.Eps)
	module := strings.TrimSuffix(filepath.Base(path), ".py")
	text := []byte(strings.NewReplacer("CONFIG = {}", "CONFIG = "+config, "NET", arch.String(), "FILE", module, "WEIGHTS", filepath.Base(weights)).Replace(cifarClass))
	before, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(before, text) {
		return fmt.Errorf("%s exists and is another file; the class that loads the weights would overwrite it: choose another --out", path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return disk.Write(path, text)
}

// preparation returns the normalisation of images, for the metadata of exported weights.
func preparation(w *File) (map[string]string, error) {
	meta := map[string]string{}
	for name, value := range map[string]any{"mean": w.Input.Mean, "mean_shape": []int{w.Info.Channels, w.Info.Size, w.Info.Size}, "scale": w.Input.Scale} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		meta[name] = string(text)
	}
	return meta, nil
}
