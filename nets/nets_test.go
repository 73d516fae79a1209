// Tests of the nets: names, parameters, multiply-adds, sizes and initial weights agree
// with the papers, PyTorch and torchvision.

package nets

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"depthlab/nets/kernel"
	"depthlab/nets/ops"
)

var cifar = Config{Batch: 128, Channels: 3, Size: 32, Classes: 10, Eps: 1e-5}

func parse(t testing.TB, name string) Arch {
	t.Helper()
	a, err := ParseArch(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Parameters and multiply-adds of every CIFAR net (table 4 of the reference).
func TestCount(t *testing.T) {
	for _, c := range []struct {
		depth        int
		a, b, c      int64 // parameters; plain nets have as many as A
		macsA, macsB int64
	}{
		{20, 269722, 272474, 283962, 40551040, 40813184},
		{32, 464154, 466906, 489594, 68862592, 69124736},
		{44, 658586, 661338, 695226, 97174144, 97436288},
		{56, 853018, 855770, 900858, 125485696, 125747840},
		{110, 1727962, 1730714, 1826202, 252887680, 253149824},
		{1202, 19421274, 19424026, 20538714, 2829238912, 2829501056},
	} {
		// C projects all 3n shortcuts: at 32x32 n projections of 16*16 weights, at 16x16
		// and 8x8 one projection of a stage change and n-1 others.
		n := int64(c.depth-2) / 6
		macsC := c.macsA + n*16*16*1024 + (16*32+(n-1)*32*32)*256 + (32*64+(n-1)*64*64)*64
		for _, w := range []struct {
			name         string
			params, macs int64
		}{
			{"plain-%d", c.a, c.macsA},
			{"resnet-%d", c.a, c.macsA},
			{"resnet-%d/split", c.a, c.macsA},
			{"resnet-%d/single", c.a, c.macsA}, // the same layers
			{"resnet-%d/B/single", c.b, c.macsB},
			{"resnet-%d/B", c.b, c.macsB},
			{"resnet-%d/C", c.c, macsC},
		} {
			name := fmt.Sprintf(w.name, c.depth)
			params, macs, err := Count(parse(t, name), cifar)
			if err != nil {
				t.Fatal(err)
			}
			if params != w.params || macs != w.macs {
				t.Errorf("%s: %d parameters and %d multiply-adds, want %d and %d", name, params, macs, w.params, w.macs)
			}
		}
	}
}

// Parameters and multiply-adds of every ImageNet net (tables 1 and 4 of the reference).
// Plain nets have as many as A. The split of zero channels and the padding of the
// max-pool change nothing.
func TestCountImageNet(t *testing.T) {
	imagenet := Config{Channels: 3, Size: 224, Classes: 1000, Eps: 1e-5}
	const unknown = -1 // multiply-adds that no table gives
	for _, w := range []struct {
		names  string
		params int64
		macs   int64
	}{
		{"plain-18 resnet-18 resnet-18/single resnet-18/split resnet-18/pool-pad1", 11515688, 1794805760},
		{"resnet-18/B resnet-18/torchvision", 11689512, 1814073344},
		{"resnet-18/C", 12043816, unknown},
		{"plain-34 resnet-34 resnet-34/pool-pad1", 21623848, 3644493824},
		{"resnet-34/B resnet-34/torchvision", 21797672, 3663761408},
		{"resnet-34/C", 22716840, unknown},
		{"plain-50 resnet-50/A plain-50/v1.5 resnet-50/A/v1.5", 22780456, unknown},
		{"resnet-50 resnet-50/pool-pad1", 25557032, 3857973248},
		{"resnet-50/v1.5 resnet-50/torchvision", 25557032, 4089184256},
		{"resnet-50/C resnet-50/C/v1.5", 40128552, unknown},
		{"plain-101 resnet-101/A", 41772584, unknown},
		{"resnet-101", 44549160, 7570194432},
		{"resnet-101/torchvision", 44549160, 7801405440},
		{"resnet-101/C", 76981288, unknown},
		{"plain-152 resnet-152/A", 57416232, unknown},
		{"resnet-152", 60192808, 11282415616},
		{"resnet-152/torchvision", 60192808, 11513626624},
		{"resnet-152/C", 107335720, unknown},
	} {
		for _, name := range strings.Fields(w.names) {
			params, macs, err := Count(parse(t, name), imagenet)
			if err != nil {
				t.Fatal(err)
			}
			if params != w.params || w.macs != unknown && macs != w.macs {
				t.Errorf("%s: %d parameters and %d multiply-adds, want %d and %d", name, params, macs, w.params, w.macs)
			}
		}
	}
}

// CIFAR nets with bottlenecks, compared with a sum over their layers: n blocks in each
// stage of 1x1 to w channels, 3x3, 1x1 to 4w. The first takes the channels of the stage
// before.
func TestCountBottlenecks(t *testing.T) {
	for _, n := range []int{1, 2, 18} {
		convs, channels := 3*3*3*16, 16 // channels: of all batch norms
		projections, projected := 0, 0
		in := 16
		for _, w := range []int{16, 32, 64} {
			projections += in * 4 * w
			projected += 4 * w
			for range n {
				convs += in*w + 9*w*w + w*4*w
				channels += 6 * w
				in = 4 * w
			}
		}
		plain := int64(convs + 2*channels + 256*10 + 10)
		for variant, want := range map[string]int64{
			"plain-%d/bottleneck":    plain,
			"resnet-%d/bottleneck/A": plain,
			"resnet-%d/bottleneck":   plain + int64(projections+2*projected),
		} {
			name := fmt.Sprintf(variant, 9*n+2)
			if params, _, err := Count(parse(t, name), cifar); err != nil || params != want {
				t.Errorf("%s: %d parameters, want %d (%v)", name, params, want, err)
			}
		}
	}
}

// Pre-activation nets have exactly the sum over their layers (a projection has no batch
// norm, the last sum has one). Their multiply-adds are those of the nets without pre-activation, projections
// included. The other orders of activations have the same parts; where the addition
// comes before the batch norm, a projection has none of its own.
func TestCountPreact(t *testing.T) {
	cifar100 := cifar
	cifar100.Classes = 100
	for _, c := range []struct {
		name         string
		params, macs int64
		of100        int64 // parameters for 100 classes
	}{
		{"resnet-110", 1727962, 252887680, 1733812},
		{"resnet-110/preact", 1727962, 252887680, 1733812},
		{"resnet-110/relu-preact", 1727962, 252887680, 1733812},
		{"resnet-110/relu-before-add", 1727962, 252887680, 1733812},
		{"resnet-110/bn-after-add", 1727962, 252887680, 1733812},
		{"resnet-164/bottleneck", 1704154, 244500992, 1727284},
		{"resnet-164/bottleneck/preact", 1703258, 244500992, 1726388},
		{"resnet-164/bottleneck/relu-preact", 1704154, 244500992, 1727284},
		{"resnet-164/bottleneck/relu-before-add", 1704154, 244500992, 1727284},
		{"resnet-164/bottleneck/bn-after-add", 1703258, 244500992, 1726388},
		{"resnet-1001/bottleneck/preact", 10327706, 1487849984, 10350836},
	} {
		params, macs, err := Count(parse(t, c.name), cifar)
		if err != nil || params != c.params || macs != c.macs {
			t.Errorf("%s: %d parameters and %d multiply-adds, want %d and %d (%v)", c.name, params, macs, c.params, c.macs, err)
		}
		if params, _, err := Count(parse(t, c.name), cifar100); err != nil || params != c.of100 {
			t.Errorf("%s for 100 classes: %d parameters, want %d (%v)", c.name, params, c.of100, err)
		}
	}
}

// Pre-activation nets have as many parameters as He et al. 2016 say (1.7M, 1.7M, 10.2M).
// These are those of convolutions and classifier, without batch norms.
func TestCountWithoutNorms(t *testing.T) {
	for _, c := range []struct {
		name, published string
		want            int
	}{{"resnet-110/preact", "1.7M", 1719866}, {"resnet-164/bottleneck/preact", "1.7M", 1679034}, {"resnet-1001/bottleneck/preact", "10.2M", 10178490}} {
		params, _, err := parse(t, c.name).Leaves(cifar)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, p := range params {
			if p.Kind != Scale && p.Kind != Shift {
				got += p.Node.Shape().TotalSize()
			}
		}
		if million := fmt.Sprintf("%.1fM", float64(got)/1e6); got != c.want || million != c.published {
			t.Errorf("%s: %d parameters, want %d, which are %s", c.name, got, c.want, c.published)
		}
	}
}

// Constant factors have no parameters. A gate has a 1x1 convolution from the block's
// input to its output, and a bias.
func TestCountWeighted(t *testing.T) {
	const plain, n = 1727962, 18
	gates := int64(n*16*16 + 16*32 + (n-1)*32*32 + 32*64 + (n-1)*64*64 + n*(16+32+64))
	for name, want := range map[string]int64{
		"resnet-110/scale=0.5": plain, "resnet-110/scale=0.5/branch-scale=0.5": plain,
		"resnet-110/shortcut-dropout=0.5": plain,
		"resnet-110/gate=exclusive":       plain + gates, "resnet-110/gate=shortcut/gate-bias=-6": plain + gates,
	} {
		if params, _, err := Count(parse(t, name), cifar); err != nil || params != want {
			t.Errorf("%s: %d parameters, want %d (%v)", name, params, want, err)
		}
	}
}

// The last operations of a block, and of the net, for each order of activations and each
// kind of factors.
func TestBlockEnds(t *testing.T) {
	for name, want := range map[string]string{
		"resnet-8":                          "conv batchnorm+relu | conv batchnorm+relu conv batchnorm+add+relu",
		"resnet-8/bn-after-add":             "conv batchnorm+relu | conv batchnorm+relu conv add batchnorm+relu",
		"resnet-8/relu-before-add":          "conv batchnorm+relu | conv batchnorm+relu conv batchnorm+relu add",
		"resnet-8/relu-preact":              "conv batchnorm | relu conv batchnorm+relu conv batchnorm+add | relu",
		"resnet-8/preact":                   "conv | batchnorm+relu conv batchnorm+relu conv add | batchnorm+relu",
		"resnet-8/scale=0.5":                "conv batchnorm+relu | conv batchnorm+relu conv scale batchnorm+add+relu",
		"resnet-8/branch-scale=0.5":         "conv batchnorm+relu | conv batchnorm+relu conv batchnorm scale add relu",
		"resnet-8/scale=0.5/branch-scale=2": "conv batchnorm+relu | conv batchnorm+relu conv scale batchnorm scale add relu",
		"resnet-8/shortcut-dropout=0.5":     "conv batchnorm+relu | conv batchnorm+relu conv dropout batchnorm+add+relu",
		"resnet-8/gate=shortcut":            "conv batchnorm+relu | conv batchnorm+relu conv conv gate batchnorm+add+relu",
		"resnet-8/gate=exclusive":           "conv batchnorm+relu | conv batchnorm+relu conv conv gate batchnorm gate add relu",
		"resnet-11/bottleneck/relu-preact":  "conv batchnorm | relu conv batchnorm+relu conv batchnorm+relu conv batchnorm conv batchnorm+add | relu",
		"resnet-11/bottleneck/bn-after-add": "conv batchnorm+relu | conv batchnorm+relu conv batchnorm+relu conv conv add batchnorm+relu",
		"resnet-11/bottleneck":              "conv batchnorm+relu | conv batchnorm+relu conv batchnorm+relu conv batchnorm conv batchnorm+add+relu",
		"resnet-5/single/relu-before-add":   "conv batchnorm+relu | conv batchnorm+relu add",
	} {
		var stem, block, end []string
		g := build(t, name, Train)
		for _, n := range g.Expr.AllNodes() {
			op, ok := n.Op().(*ops.Op)
			if !ok || n.ID() >= g.Loss.ID() || op.Output > 0 {
				continue
			}
			word, _, _ := strings.Cut(op.Kernel.String(), " ")
			if k, ok := op.Kernel.(kernel.BatchNorm); ok {
				word += map[bool]string{true: "+add"}[k.Add] + map[bool]string{true: "+relu"}[k.ReLU]
			}
			switch {
			case strings.HasPrefix(op.Layer, "layer1.0."):
				block = append(block, word)
			case op.Layer == "conv1" || op.Layer == "bn1":
				stem = append(stem, word)
			case op.Layer == "bn" || op.Layer == "relu":
				end = append(end, word)
			}
		}
		got := strings.Join(stem, " ") + " | " + strings.Join(block, " ")
		if end != nil {
			got += " | " + strings.Join(end, " ")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// The bias of gates starts at the value in the net's name, that of the classifier at 0.
func TestGateBias(t *testing.T) {
	g := build(t, "resnet-8/gate=exclusive/gate-bias=-6", Train)
	for name, want := range map[string]float32{"layer2.0.gate.bias": -6, "fc.bias": 0} {
		for _, v := range Init(find(t, g, name), 1, false) {
			if v != want {
				t.Errorf("%s starts as %g, want %g", name, v, want)
			}
		}
	}
	if find(t, g, "layer2.0.gate.weight").Grad == nil || find(t, g, "layer2.0.gate.bias").Grad == nil {
		t.Error("a gate is not trained")
	}
}

// There is a batch norm before each convolution except the first, and before the average
// pool. The first block of a stage shares its first batch norm with the shortcut.
func TestPreactLayers(t *testing.T) {
	for name, want := range map[string]string{
		"resnet-8/preact":             "conv1 layer1.0.bn1 layer1.0.conv1 layer1.0.bn2 layer1.0.conv2 layer2.0.bn1 layer2.0.conv1 layer2.0.bn2 layer2.0.conv2 layer3.0.bn1 layer3.0.conv1 layer3.0.bn2 layer3.0.conv2 bn fc fc",
		"resnet-11/bottleneck/preact": "conv1 layer1.0.bn1 layer1.0.downsample.0 layer1.0.conv1 layer1.0.bn2 layer1.0.conv2 layer1.0.bn3 layer1.0.conv3 layer2.0.bn1 layer2.0.downsample.0 layer2.0.conv1 layer2.0.bn2 layer2.0.conv2 layer2.0.bn3 layer2.0.conv3 layer3.0.bn1 layer3.0.downsample.0 layer3.0.conv1 layer3.0.bn2 layer3.0.conv2 layer3.0.bn3 layer3.0.conv3 bn fc fc",
		"resnet-8/single/preact":      "conv1 layer1.0.bn1 layer1.0.conv1 layer1.1.bn1 layer1.1.conv1 layer2.0.bn1 layer2.0.conv1 layer2.1.bn1 layer2.1.conv1 layer3.0.bn1 layer3.0.conv1 layer3.1.bn1 layer3.1.conv1 bn fc fc",
	} {
		var got []string
		for _, p := range build(t, name, Train).Params {
			layer := p.Name[:strings.LastIndex(p.Name, ".")]
			if p.Kind != Shift {
				got = append(got, layer)
			}
			if p.Grad == nil {
				t.Errorf("%s: %s has no gradient", name, p.Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", name, strings.Join(got, " "), want)
		}
	}
}

func TestParseArch(t *testing.T) {
	for _, c := range []struct {
		name string
		want Arch
		text string
	}{
		{"plain-8", Arch{Depth: 8}, "plain-8"},
		{"plain-1202", Arch{Depth: 1202}, "plain-1202"},
		{"resnet-20", Arch{Depth: 20, Residual: true, Shortcut: 'A'}, "resnet-20"},
		{"resnet-20/A", Arch{Depth: 20, Residual: true, Shortcut: 'A'}, "resnet-20"},
		{"resnet-56/B", Arch{Depth: 56, Residual: true, Shortcut: 'B'}, "resnet-56/B"},
		{"resnet-56/C", Arch{Depth: 56, Residual: true, Shortcut: 'C'}, "resnet-56/C"},
		{"resnet-20/split", Arch{Depth: 20, Residual: true, Shortcut: 'A', Where: kernel.Split}, "resnet-20/split"},
		{"resnet-20/A/split", Arch{Depth: 20, Residual: true, Shortcut: 'A', Where: kernel.Split}, "resnet-20/split"},
		{"resnet-20/split/A", Arch{Depth: 20, Residual: true, Shortcut: 'A', Where: kernel.Split}, "resnet-20/split"},
		{"plain-18", Arch{Depth: 18}, "plain-18"},
		{"resnet-34", Arch{Depth: 34, Residual: true, Shortcut: 'A'}, "resnet-34"},
		{"plain-50/v1.5", Arch{Depth: 50, Bottleneck: true, V15: true}, "plain-50/v1.5"},
		{"resnet-50", Arch{Depth: 50, Residual: true, Bottleneck: true, Shortcut: 'B'}, "resnet-50"},
		{"resnet-152/B", Arch{Depth: 152, Residual: true, Bottleneck: true, Shortcut: 'B'}, "resnet-152"},
		{"resnet-101/pool-pad1/A/split", Arch{Depth: 101, Residual: true, Bottleneck: true, Shortcut: 'A', Where: kernel.Split, PoolPad: true}, "resnet-101/A/split/pool-pad1"},
		{"resnet-50/torchvision", Arch{Depth: 50, Residual: true, Bottleneck: true, Shortcut: 'B', V15: true, PoolPad: true}, "resnet-50/torchvision"},
		{"resnet-50/B/pool-pad1/v1.5", Arch{Depth: 50, Residual: true, Bottleneck: true, Shortcut: 'B', V15: true, PoolPad: true}, "resnet-50/torchvision"},
		{"resnet-18/torchvision", Arch{Depth: 18, Residual: true, Shortcut: 'B', PoolPad: true}, "resnet-18/torchvision"},
		{"resnet-20/single/A", Arch{Depth: 20, Residual: true, Single: true, Shortcut: 'A'}, "resnet-20/single"},
		{"resnet-11/single/B", Arch{Depth: 11, Residual: true, Single: true, Shortcut: 'B'}, "resnet-11/B/single"},
		{"resnet-18/pool-pad1/B/single", Arch{Depth: 18, Residual: true, Single: true, Shortcut: 'B', PoolPad: true}, "resnet-18/B/single/pool-pad1"},
		{"resnet-18/B", Arch{Depth: 18, Residual: true, Shortcut: 'B'}, "resnet-18/B"},
		{"resnet-164", Arch{Depth: 164, Residual: true, Shortcut: 'A'}, "resnet-164"},
		{"resnet-164/bottleneck", Arch{Depth: 164, Residual: true, Bottleneck: true, Shortcut: 'B'}, "resnet-164/bottleneck"},
		{"plain-11/bottleneck/v1.5", Arch{Depth: 11, Bottleneck: true, V15: true}, "plain-11/bottleneck/v1.5"},
		{"resnet-110/preact", Arch{Depth: 110, Residual: true, Order: Preact, Shortcut: 'A'}, "resnet-110/preact"},
		{"resnet-164/preact/bottleneck", Arch{Depth: 164, Residual: true, Bottleneck: true, Order: Preact, Shortcut: 'B'}, "resnet-164/bottleneck/preact"},
		{"resnet-110/bn-after-add", Arch{Depth: 110, Residual: true, Order: BNAfterAdd, Shortcut: 'A'}, "resnet-110/bn-after-add"},
		{"resnet-164/relu-before-add/bottleneck", Arch{Depth: 164, Residual: true, Bottleneck: true, Order: ReLUBeforeAdd, Shortcut: 'B'}, "resnet-164/bottleneck/relu-before-add"},
		{"resnet-110/relu-preact/C", Arch{Depth: 110, Residual: true, Order: ReLUPreact, Shortcut: 'C'}, "resnet-110/C/relu-preact"},
		{"resnet-110/branch-scale=0.5/scale=0.5", Arch{Depth: 110, Residual: true, Shortcut: 'A', Weights: Weights{Shortcut: 0.5, Branch: 0.5}}, "resnet-110/scale=0.5/branch-scale=0.5"},
		{"resnet-110/shortcut-dropout=0.5", Arch{Depth: 110, Residual: true, Shortcut: 'A', Weights: Weights{Dropout: 0.5}}, "resnet-110/shortcut-dropout=0.5"},
		{"resnet-20/shortcut-dropout=0.2/branch-scale=2", Arch{Depth: 20, Residual: true, Shortcut: 'A', Weights: Weights{Dropout: 0.2, Branch: 2}}, "resnet-20/branch-scale=2/shortcut-dropout=0.2"},
		{"resnet-110/gate-bias=-6/gate=exclusive", Arch{Depth: 110, Residual: true, Shortcut: 'A', Weights: Weights{Gate: Exclusive, Start: -6}}, "resnet-110/gate=exclusive/gate-bias=-6"},
		{"resnet-110/gate=shortcut/gate-bias=0", Arch{Depth: 110, Residual: true, Shortcut: 'A', Weights: Weights{Gate: OnlySide}}, "resnet-110/gate=shortcut"},
		{"resnet-34/scale=0.5", Arch{Depth: 34, Residual: true, Shortcut: 'A', Weights: Weights{Shortcut: 0.5}}, "resnet-34/scale=0.5"},
		{"resnet-29/A/bottleneck", Arch{Depth: 29, Residual: true, Bottleneck: true, Shortcut: 'A'}, "resnet-29/bottleneck/A"},
	} {
		a, err := ParseArch(c.name)
		if err != nil || a != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, a, err, c.want)
			continue
		}
		if a.String() != c.text {
			t.Errorf("%s writes itself as %s, want %s", c.name, a, c.text)
		}
		if again, err := ParseArch(a.String()); err != nil || again != a {
			t.Errorf("%s reads back as %+v, %v", a, again, err)
		}
	}
}

func TestParseArchRefuses(t *testing.T) {
	for name, hint := range map[string]string{
		"":                                       "such as plain-20",
		"resnet":                                 "want plain-DEPTH or resnet-DEPTH",
		"vgg-16":                                 "want plain-DEPTH or resnet-DEPTH",
		"ResNet-20":                              "want plain-DEPTH or resnet-DEPTH",
		" resnet-20":                             "want plain-DEPTH or resnet-DEPTH",
		"resnet-":                                `depth "" is not a whole number`,
		"resnet-x":                               `depth "x" is not a whole number`,
		"resnet-+20":                             "is not a whole number",
		"resnet-020":                             "is not a whole number",
		"resnet-20 ":                             "is not a whole number",
		"resnet-9223372036854775808":             "is not a whole number",
		"resnet-35":                              "depth 35 is neither 6n+2 nor an ImageNet net's (18, 34, 50, 101 and 152); the nearest are 34 and 38",
		"resnet-19":                              "the nearest are 18 and 20",
		"plain-100":                              "the nearest are 98 and 101",
		"resnet-35/bottleneck":                   "depth 35 of bottlenecks is not 9n+2; the nearest are 29 and 38",
		"resnet-8/bottleneck":                    "the nearest are 11 and 20",
		"resnet-50/bottleneck":                   "always mean the ImageNet nets",
		"plain-18/bottleneck":                    "always mean the ImageNet nets",
		"plain-20/single":                        "a plain net has none",
		"resnet-50/single":                       "bottlenecks are blocks of three",
		"resnet-29/bottleneck/single":            "bottlenecks are blocks of three",
		"resnet-19/single":                       "depth 19 of single layers is not 3n+2; the nearest are 17 and 20",
		"plain-20/preact":                        "a plain net has none",
		"resnet-50/preact":                       "preact is for CIFAR nets, such as resnet-110/preact",
		"resnet-50/relu-preact":                  "relu-preact is for CIFAR nets, such as resnet-110/relu-preact",
		"plain-20/bn-after-add":                  "a plain net has none",
		"resnet-20/preact/bn-after-add":          `"bn-after-add" is a second order of activations, after preact`,
		"resnet-20/bn-before-add":                `variant "bn-before-add" is unknown; want A, B, C`,
		"resnet-20/scale":                        `variant "scale" is unknown`,
		"resnet-20/scale=":                       `scale: "" is not a number from 0.001 to 100`,
		"resnet-20/scale=half":                   `scale: "half" is not a number from 0.001 to 100, such as 0.5`,
		"resnet-20/scale=0.50":                   `scale: "0.50" is not in its shortest form; write 0.5`,
		"resnet-20/scale=NaN":                    `scale: "NaN" is not a number`,
		"resnet-20/scale=-1":                     `scale: "-1" is not a number`,
		"resnet-20/scale=0":                      "is a plain net; write plain in place of resnet",
		"resnet-20/branch-scale=0":               `branch-scale: "0" is not a number`,
		"resnet-20/scale=1":                      "scale=1 changes nothing",
		"resnet-20/scale=0.5/scale=0.25":         `"scale=0.25" is a second scale`,
		"resnet-20/gain=2":                       `"gain=2" is unknown; with a value there are scale, branch-scale, shortcut-dropout, gate and gate-bias`,
		"plain-20/scale=0.5":                     "scale=0.5 is about shortcuts, and a plain net has none",
		"plain-20/gate-bias=-1":                  "gate-bias=-1 is about shortcuts",
		"resnet-20/preact/scale=0.5":             "scale=0.5 is for blocks that end with a rectifier, and with preact they do not",
		"resnet-20/gate=both":                    `gate: "both" is unknown; want gate=exclusive or gate=shortcut`,
		"resnet-20/gate=":                        `gate: "" is unknown`,
		"resnet-20/gate=shortcut/gate=exclusive": `"gate=exclusive" is a second gate, after shortcut`,
		"resnet-20/gate-bias=-6":                 "gate-bias=-6 sets the bias of gates, but this net has no gates; add gate=exclusive or gate=shortcut",
		"resnet-20/shortcut-dropout=0":           `shortcut-dropout: "0" is not a number from 0.001 to 0.999, such as 0.5`,
		"resnet-20/shortcut-dropout=1":           `shortcut-dropout: "1" is not a number from 0.001 to 0.999`,
		"plain-20/shortcut-dropout=0.5":          "shortcut-dropout=0.5 is about shortcuts, and a plain net has none",
		"resnet-20/preact/shortcut-dropout=0.5":  "shortcut-dropout=0.5 is for blocks that end with a rectifier",
		"resnet-20/shortcut-dropout=0.5/scale=2": "shortcut-dropout, scale and gate exclude each other",
		"resnet-20/shortcut-dropout=0.5/shortcut-dropout=0.2": "is a second shortcut-dropout",
		"resnet-20/gate=shortcut/shortcut-dropout=0.5":        "shortcut-dropout, scale and gate exclude each other",
		"resnet-20/gate=shortcut/gate-bias=-1000":             "is not a number from -100 to 100",
		"resnet-20/gate=shortcut/scale=0.5":                   "exclude each other",
		"plain-20/split":                                      "a plain net has no shortcuts",
		"resnet-34/v1.5":                                      "a net of 34 layers has none",
		"resnet-20/v1.5":                                      "a net of 20 layers has none",
		"resnet-20/pool-pad1":                                 "a CIFAR net has none",
		"resnet-164/bottleneck/pool-pad1":                     "a CIFAR net has none",
		"resnet-20/torchvision":                               "torchvision means the residual nets of 18, 34, 50, 101 and 152",
		"plain-18/torchvision":                                "torchvision means the residual nets",
		"resnet-18/B/torchvision":                             "must be the only variant",
		"resnet-50/split":                                     "zero channels of shortcut A, and B has none",
		"resnet-50/v1.5/v1.5":                                 `"v1.5" is given twice`,
		"plain-2":                                             "the nearest are 8 and 14",
		"plain--4":                                            "the nearest are 8 and 14",
		"plain-0":                                             "the nearest are 8 and 14",
		"resnet-12008":                                        "over 12002",
		"plain-20/A":                                          `a plain net has no shortcuts, so no variant "A"`,
		"resnet-20/D":                                         `variant "D" is unknown; want A, B, C`,
		"resnet-20/b":                                         `variant "b" is unknown; want A, B, C`,
		"resnet-20/":                                          `variant "" is unknown`,
		"resnet-20/A/B":                                       `variant "B" is a second shortcut, after A`,
		"resnet-20/split/split":                               `variant "split" is given twice`,
		"resnet-20/B/split":                                   "zero channels of shortcut A, and B has none",
		"resnet-20/split/C":                                   "zero channels of shortcut A, and C has none",
	} {
		_, err := ParseArch(name)
		if err == nil {
			t.Errorf("%q is accepted", name)
			continue
		}
		if !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%q: error %q, want the name and %q", name, err, hint)
		}
	}
}

// build makes a small net of the given name.
func build(t testing.TB, name string, m Mode) *Graph {
	t.Helper()
	c := cifar
	c.Batch, c.Size = 2, 8
	g, err := parse(t, name).Build(m, c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Parameters have the names of PyTorch's ResNets, so that weights can move both ways.
func TestParameterNames(t *testing.T) {
	names := map[string]bool{}
	for _, p := range build(t, "resnet-14/B", Train).Params {
		if names[p.Name] {
			t.Errorf("two parameters are called %s", p.Name)
		}
		if p.Grad == nil {
			t.Errorf("%s has no gradient", p.Name)
		}
		names[p.Name] = true
	}
	for _, want := range []string{"conv1.weight", "bn1.bias", "layer1.1.conv2.weight", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias", "layer3.1.bn2.weight", "fc.weight", "fc.bias"} {
		if !names[want] {
			t.Errorf("there is no %s", want)
		}
	}
	if names["layer1.0.downsample.0.weight"] || names["layer2.1.downsample.0.weight"] {
		t.Error("shortcut B projects where the sizes agree")
	}
}

// Parameters of the ImageNet nets have torchvision's names.
func TestTorchvisionNames(t *testing.T) {
	c := Config{Channels: 3, Size: 64, Classes: 1000}
	for name, want := range map[string]struct {
		params     int // number of tensors in torchvision's net
		first, mid string
	}{
		"resnet-18/torchvision":  {62, "layer1.0.bn2.bias", "layer2.0.downsample.1.weight"},
		"resnet-50/torchvision":  {161, "layer1.0.downsample.0.weight", "layer3.5.conv3.weight"},
		"resnet-152/torchvision": {467, "layer1.0.bn3.weight", "layer3.35.bn1.bias"},
	} {
		params, _, err := parse(t, name).Leaves(c)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, p := range params {
			names[p.Name] = true
		}
		if len(names) != want.params || !names[want.first] || !names[want.mid] || !names["conv1.weight"] || !names["bn1.weight"] || !names["fc.bias"] {
			t.Errorf("%s: %d names, want %d with %s and %s", name, len(names), want.params, want.first, want.mid)
		}
	}
}

// The strides of a net, seen as the sizes of its batch norms' inputs from stem to last
// stage.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		net  string
		size int
		want string // rows after conv1, and after the first two convolutions of each stage
	}{
		{"resnet-18", 224, "112 56 56 28 28 14 14 7 7"},
		{"resnet-18/pool-pad1", 224, "112 56 56 28 28 14 14 7 7"},
		{"resnet-18", 225, "113 56 56 28 28 14 14 7 7"},
		{"resnet-18/pool-pad1", 225, "113 57 57 29 29 15 15 8 8"},
		{"plain-34", 64, "32 16 16 8 8 4 4 2 2"},
		{"plain-34", 32, "32 32 32 16 16 8 8 4 4"},
		{"resnet-50", 224, "112 56 56 28 28 14 14 7 7"},
		{"resnet-50/v1.5", 224, "112 56 56 56 28 28 14 14 7"},
		{"resnet-50", 32, "32 32 32 16 16 8 8 4 4"},
		{"resnet-29/bottleneck", 32, "32 32 32 16 16 8 8"},
		{"resnet-29/bottleneck/v1.5", 32, "32 32 32 32 16 16 8"},
	} {
		g, err := parse(t, c.net).Build(Eval, Config{Batch: 1, Channels: 3, Size: c.size, Classes: 10})
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]int{}
		for _, n := range g.Norms {
			rows[n.Name] = n.Node.Shape()[2]
		}
		got := fmt.Sprint(rows["bn1"])
		for stage := 1; rows[fmt.Sprintf("layer%d.0.bn1", stage)] > 0; stage++ {
			for i := 1; i <= 2; i++ {
				got += fmt.Sprint(" ", rows[fmt.Sprintf("layer%d.0.bn%d", stage, i)])
			}
		}
		if got != c.want {
			t.Errorf("%s on %d pixels: %s, want %s", c.net, c.size, got, c.want)
		}
	}
	if _, err := parse(t, "resnet-18/torchvision").Build(Eval, cifar); err == nil || !strings.Contains(err.Error(), "on images of up to 48 pixels there is none") {
		t.Errorf("a padded max-pool where there is none: %v", err)
	}
}

// An error in the middle of a net names the net and the layer.
func TestBuildRefuses(t *testing.T) {
	c := cifar
	c.Group = 3 // does not divide 128
	_, err := parse(t, "resnet-8").Build(Train, c)
	if err == nil || !strings.Contains(err.Error(), "resnet-8") || !strings.Contains(err.Error(), "layer bn1") {
		t.Errorf("groups that do not divide the batch: %v, want the net and the layer", err)
	}
}

func find(t testing.TB, g *Graph, name string) *Param {
	t.Helper()
	for _, p := range g.Params {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no parameter %s", name)
	return nil
}

// Initial weights depend only on seed and name. They do not depend on the net around the
// parameter, so a plain and a residual net of one seed start with equal weights.
func TestInitDependsOnSeedAndName(t *testing.T) {
	const name = "layer2.0.conv2.weight"
	same := func(a, b []float32) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return len(a) == len(b)
	}
	plain, resnet := build(t, "plain-8", Train), build(t, "resnet-20/C", Eval)
	first := Init(find(t, plain, name), 7, false)
	if !same(first, Init(find(t, resnet, name), 7, false)) {
		t.Error("differs from net to net")
	}
	if !same(first, Init(find(t, plain, name), 7, false)) {
		t.Error("differs from call to call")
	}
	if same(first, Init(find(t, plain, name), 8, false)) {
		t.Error("does not depend on the seed")
	}
	if same(first[:100], Init(find(t, resnet, "layer2.1.conv2.weight"), 7, false)[:100]) {
		t.Error("does not depend on the name")
	}
	// These bits are in every published record: after a change nobody can reproduce them.
	for i, want := range []float32{0.11029714, 0.011898477, -0.09246886} {
		if first[i] != want {
			t.Errorf("value %d is %v, was %v when records were made", i, first[i], want)
		}
	}
}

// Initial weights are normal with variance 2/fan. The mean of n values lies within 4
// standard errors, their variance within 4 sqrt(2/n).
func TestInitMoments(t *testing.T) {
	g := build(t, "resnet-20/B", Train)
	for _, c := range []struct {
		name   string
		fanOut bool
		fan    float64
	}{
		{"layer3.1.conv2.weight", false, 64 * 9},
		{"layer3.0.conv1.weight", false, 32 * 9},
		{"layer3.0.conv1.weight", true, 64 * 9},
		{"layer3.0.downsample.0.weight", false, 32},
		{"layer3.0.downsample.0.weight", true, 64},
		{"fc.weight", false, 6 * 64},
		{"fc.weight", true, 6 * 64}, // variance 1/(3 inputs) with fanOut and without
	} {
		w := Init(find(t, g, c.name), 1, c.fanOut)
		var sum, sq float64
		for _, v := range w {
			sum += float64(v)
			sq += float64(v) * float64(v)
		}
		n, want := float64(len(w)), 2/c.fan
		if mean := sum / n; math.Abs(mean) > 4*math.Sqrt(want/n) {
			t.Errorf("%s: mean %g", c.name, mean)
		}
		if variance := sq / n; math.Abs(variance/want-1) > 4*math.Sqrt(2/n) {
			t.Errorf("%s, fan-out %v: variance %g, want %g", c.name, c.fanOut, variance, want)
		}
	}
	for name, want := range map[string]float32{"bn1.weight": 1, "bn1.bias": 0, "fc.bias": 0, "layer2.0.downsample.1.weight": 1} {
		for _, v := range Init(find(t, g, name), 1, false) {
			if v != want {
				t.Errorf("%s starts as %g, want %g", name, v, want)
			}
		}
	}
}
