// Tests of what deletes blocks; that the nets then compute what they should is tested in
// harness/measure, on devices.

package nets

import (
	"slices"
	"strings"
	"testing"
)

// Each block is listed, the first of its stage is known, and what deletes it are
// parameters and statistics of the net with their numbers of values.
func TestBlockList(t *testing.T) {
	for _, c := range []struct {
		net    string
		blocks int
		firsts []string // of stages
		fixed  []string // blocks that cannot be deleted
		second []string // what deletes the second block
	}{
		{"resnet-20", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn2.bias", "layer1.1.bn2.weight"}},
		{"resnet-20/B", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn2.bias", "layer1.1.bn2.weight"}},
		{"resnet-20/preact", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.conv2.weight"}},
		{"resnet-20/bn-after-add", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.conv2.weight"}},
		{"resnet-20/relu-before-add", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn2.bias", "layer1.1.bn2.weight"}},
		{"resnet-20/relu-preact", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn2.bias", "layer1.1.bn2.weight"}},
		{"resnet-20/gate=exclusive", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn2.bias", "layer1.1.bn2.weight"}},
		{"resnet-20/single", 18, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn1.bias", "layer1.1.bn1.weight"}},
		{"resnet-29/bottleneck", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, nil, []string{"layer1.1.bn3.bias", "layer1.1.bn3.weight"}},
		{"resnet-18", 8, []string{"layer1.0", "layer2.0", "layer3.0", "layer4.0"}, nil, []string{"layer1.1.bn2.bias", "layer1.1.bn2.weight"}},
		{"plain-20", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, []string{"layer2.0", "layer3.0"}, []string{
			"layer1.1.bn1.bias", "layer1.1.bn1.running_mean", "layer1.1.bn1.running_var", "layer1.1.bn1.weight",
			"layer1.1.bn2.bias", "layer1.1.bn2.running_mean", "layer1.1.bn2.running_var", "layer1.1.bn2.weight",
			"layer1.1.conv1.weight", "layer1.1.conv2.weight"}},
		{"plain-29/bottleneck", 9, []string{"layer1.0", "layer2.0", "layer3.0"}, []string{
			"layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1", "layer2.2", "layer3.0", "layer3.1", "layer3.2"}, nil},
	} {
		a := parse(t, c.net)
		params, norms, err := a.Leaves(cifar)
		if err != nil {
			t.Fatal(err)
		}
		size := map[string]int{}
		for _, p := range params {
			size[p.Name] = p.Node.Shape().TotalSize()
		}
		for _, n := range norms {
			size[n.Name+".running_mean"], size[n.Name+".running_var"] = n.Channels, n.Channels
		}
		blocks, err := a.BlockList(cifar)
		if err != nil {
			t.Fatal(err)
		}
		var firsts, fixed []string
		for i, b := range blocks {
			if b.First {
				firsts = append(firsts, b.Name)
			}
			if b.Without == nil {
				fixed = append(fixed, b.Name)
			}
			var names []string
			for name, v := range b.Without {
				names = append(names, name)
				if len(v) != size[name] || !strings.HasPrefix(name, b.Name+".") {
					t.Errorf("%s without %s: %d values of %s, want %d of a parameter of the block", a, b.Name, len(v), name, size[name])
				}
			}
			if slices.Sort(names); i == 1 && !slices.Equal(names, c.second) {
				t.Errorf("%s: %s is deleted by %q, want %q", a, b.Name, names, c.second)
			}
		}
		if len(blocks) != c.blocks || !slices.Equal(firsts, c.firsts) || !slices.Equal(fixed, c.fixed) {
			t.Errorf("%s: %d blocks, first ones %q, fixed ones %q", a, len(blocks), firsts, fixed)
		}
		if (a.CanDelete() == nil) != (len(fixed) < len(blocks)) {
			t.Errorf("%s: CanDelete is %v, and %d of %d blocks are fixed", a, a.CanDelete(), len(fixed), len(blocks))
		}
	}
}
