// Files of weights with which a run begins.

package weights

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// lastLayer is the prefix of the last layer's parameters.
const lastLayer = "fc."

// Initial reads the weights with which a net begins: the values of the wanted parameters and
// running statistics, by name. If the file's last layer has another number of classes, its values
// are left out. notes are messages for the user: on that, and if the weights are those of another
// net whose tensors fit (a plain net's fit a residual one). The error says in one line what does not
// fit.
func Initial(path, net string, wanted []program.Buffer) (values map[string][]float32, notes []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("cannot be read: %w", err)
	}
	w, err := Read(path)
	if err != nil {
		return nil, nil, err
	}
	if w.Info != nil && w.Info.Net != net {
		notes = append(notes, fmt.Sprintf("the weights in %s are those of %s, and %s begins with them", path, w.Info.Net, net))
	}
	tensors := withoutPrefix(w.Tensors, wanted)
	classes := func(shape []int) int { return slices.Concat(shape, []int{0})[0] }
	var rest []program.Buffer
	for _, b := range wanted {
		t := tensors[b.Name]
		if strings.HasPrefix(b.Name, lastLayer) && t != nil && sameBut(t.Shape, b.Shape) && classes(t.Shape) != classes(b.Shape) {
			if strings.HasSuffix(b.Name, ".weight") {
				notes = append(notes, fmt.Sprintf("the last layer of %s has %d classes, expected %d: it is initialised instead", path, classes(t.Shape), classes(b.Shape)))
			}
			delete(tensors, b.Name)
			continue
		}
		rest = append(rest, b)
	}
	values, misfit := (&File{Tensors: tensors}).fit(rest)
	if misfit != "" {
		misfit = strings.ReplaceAll(strings.TrimPrefix(misfit, "\n  "), "\n  ", ", ")
		return nil, nil, fmt.Errorf("does not fit %s: %s; expected the weights of a %s, ours or PyTorch's", net, misfit, net)
	}
	return values, notes, nil
}

// sameBut reports whether two shapes are equal apart from their first extent.
func sameBut(a, b []int) bool {
	return len(a) == len(b) && len(a) > 0 && slices.Equal(a[1:], b[1:])
}

// Check returns an error if a run cannot begin with the weights of a file. The number of classes of
// photos is known only when they are read; the last layer may then be initialised instead.
func Check(path string, run experiments.Run) error {
	arch, err := nets.ParseArch(run.Net)
	if err != nil {
		return err
	}
	set := dataset.Of(run.Data)
	c := nets.Config{Channels: 3, Size: set.Size, Classes: set.Classes}
	if set.Photos {
		c.Size = run.Input.Side()
	}
	if set.Own() {
		c.Classes = 1000 // not known
	}
	params, norms, err := arch.Leaves(c)
	if err != nil {
		return err
	}
	var wanted []program.Buffer
	for _, p := range params {
		wanted = append(wanted, program.Buffer{Name: p.Name, Shape: kernel.Shape(p.Node.Shape())})
	}
	for _, n := range norms {
		for _, what := range []string{".running_mean", ".running_var"} {
			wanted = append(wanted, program.Buffer{Name: n.Name + what, Shape: kernel.Shape{n.Channels}})
		}
	}
	_, _, err = Initial(path, run.Net, wanted)
	return err
}
