// Weights that a run begins with.

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

// lastLayer begins the names of the classifier's parameters.
const lastLayer = "fc."

// Initial reads the weights that a net begins with: the values of the parameters and
// running statistics that are wanted, by their names. notes are what the user should
// know: where the file's last layer is for other classes, its values are left out; and
// weights of another net may fit, as those of a plain net do for a residual one. The
// error says in one line what does not fit.
func Initial(path, net string, wanted []program.Buffer) (values map[string][]float32, notes []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("cannot be read: %w", err)
	}
	w, err := Read(path)
	if err != nil {
		return nil, nil, err
	}
	if w.Info != nil && w.Info.Net != net {
		notes = append(notes, fmt.Sprintf("the weights in %s are of a %s, and a %s begins with them", path, w.Info.Net, net))
	}
	tensors := withoutPrefix(w.Tensors, wanted)
	classes := func(shape []int) int { return slices.Concat(shape, []int{0})[0] }
	var rest []program.Buffer
	for _, b := range wanted {
		t := tensors[b.Name]
		if strings.HasPrefix(b.Name, lastLayer) && t != nil && sameBut(t.Shape, b.Shape) && classes(t.Shape) != classes(b.Shape) {
			if strings.HasSuffix(b.Name, ".weight") {
				notes = append(notes, fmt.Sprintf("the last layer of %s is for %d classes, and not for %d: it begins anew", path, classes(t.Shape), classes(b.Shape)))
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

// sameBut says whether two shapes differ in their first extent at most.
func sameBut(a, b []int) bool {
	return len(a) == len(b) && len(a) > 0 && slices.Equal(a[1:], b[1:])
}

// Check says why a run cannot begin with the weights of a file; nil where it can. Of a
// data set of photos the classes are known only when it is read: the last layer then
// begins anew if need be.
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
