// Tests of files of weights with which runs begin.

package weights

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/state"
	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// wantedOf lists the parameters and running statistics of a net with so many classes.
func wantedOf(t *testing.T, net string, classes int) (all []program.Buffer) {
	t.Helper()
	arch, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	params, norms, err := arch.Leaves(nets.Config{Channels: 3, Size: 16, Classes: classes})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range params {
		all = append(all, program.Buffer{Name: p.Name, Shape: kernel.Shape(p.Node.Shape())})
	}
	for _, n := range norms {
		all = append(all, program.Buffer{Name: n.Name + ".running_mean", Shape: kernel.Shape{n.Channels}}, program.Buffer{Name: n.Name + ".running_var", Shape: kernel.Shape{n.Channels}})
	}
	return all
}

// fileOf writes a file with tensors of these names and shapes, each filled with its index.
func fileOf(t *testing.T, prefix string, tensors []program.Buffer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	var all []state.Tensor
	for i, b := range tensors {
		values := make([]float32, b.Shape.Len())
		for j := range values {
			values[j] = float32(i)
		}
		all = append(all, state.Float32(prefix+b.Name, b.Shape, values))
	}
	all = append(all, state.Float32(prefix+"bn1.num_batches_tracked", []int{1}, []float32{7})) // PyTorch's
	if err := state.WriteFile(path, nil, all); err != nil {
		t.Fatal(err)
	}
	return path
}

// Weights of the same net fit, with any common prefix of their names. Those of the last layer are
// left out if its number of classes differs.
func TestInitial(t *testing.T) {
	wanted := wantedOf(t, "resnet-8", 10)
	last := func(b program.Buffer) bool { return strings.HasPrefix(b.Name, lastLayer) }
	for _, c := range []struct {
		prefix  string
		classes int
		anew    string
	}{
		{"", 10, ""},
		{"module.", 10, ""},
		{"", 7, "has 7 classes, expected 10: it is initialised instead"},
		{"module.", 1000, "has 1000 classes, expected 10: it is initialised instead"},
	} {
		file := fileOf(t, c.prefix, wantedOf(t, "resnet-8", c.classes))
		values, notes, err := Initial(file, "resnet-8", wanted)
		anew := strings.Join(notes, "\n")
		if err != nil || !strings.HasSuffix(anew, c.anew) || (anew == "") != (c.anew == "") {
			t.Errorf("%+v: %q, %v", c, anew, err)
		}
		for i, b := range wanted {
			v, ok := values[b.Name]
			if ok != (c.anew == "" || !last(b)) || ok && (len(v) != b.Shape.Len() || v[0] != float32(i)) {
				t.Errorf("%+v: %s has %d values (%v)", c, b.Name, len(v), ok)
			}
		}
		if err := Check(file, experiments.Run{Net: "resnet-8", Recipe: experiments.Recipe{Data: "preview"}}); err != nil {
			t.Error(err)
		}
	}
}

func TestInitialMisfits(t *testing.T) {
	wanted := wantedOf(t, "resnet-8", 10)
	without := slices.DeleteFunc(slices.Clone(wanted), func(b program.Buffer) bool { return b.Name == "layer2.0.conv1.weight" })
	narrow := slices.Clone(wanted)
	narrow[0].Shape = kernel.Shape{8, 3, 3, 3}
	wide := slices.Clone(wanted)
	for i, b := range wide {
		if b.Name == "fc.weight" {
			wide[i].Shape = kernel.Shape{10, 512}
		}
	}
	const end = "; expected the weights of a resnet-8, ours or PyTorch's"
	for name, c := range map[string]struct{ file, want string }{
		"missing":   {fileOf(t, "", without), "does not fit resnet-8: missing layer2.0.conv1.weight" + end},
		"misshapen": {fileOf(t, "", narrow), "does not fit resnet-8: wrong: conv1.weight has shape [8 3 3 3], want [16 3 3 3]" + end},
		"wide":      {fileOf(t, "", wide), "does not fit resnet-8: wrong: fc.weight has shape [10 512], want [10 64]" + end},
		"deeper":    {fileOf(t, "", wantedOf(t, "resnet-14", 10)), "does not fit resnet-8: unknown layer1.1.bn1.bias, layer1.1.bn1.running_mean, layer1.1.bn1.running_var, layer1.1.bn1.weight and 26 more" + end},
		"absent":    {"absent.safetensors", "cannot be read: stat absent.safetensors: no such file or directory"},
	} {
		err := Check(c.file, experiments.Run{Net: "resnet-8", Recipe: experiments.Recipe{Data: "preview"}})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
