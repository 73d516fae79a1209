// Package nets holds the networks of He et al. 2015 as Gorgonia graphs. It defines their
// layers and takes the gradients from Gorgonia's symbolic differentiation.
package nets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"depthlab/nets/kernel"
)

// Arch is the architecture of a net: "plain-20", "resnet-56/B", "resnet-50/v1.5".
type Arch struct {
	Depth      int             // layers with weights on the longest path
	Residual   bool            // whether the blocks have shortcuts
	Bottleneck bool            // blocks of 1x1, 3x3 and 1x1 convolutions (paper Figure 5) instead of two 3x3
	Single     bool            // residual nets: blocks of one 3x3 convolution instead of two (paper section 3.2)
	Order      Order           // residual CIFAR nets: where a block's last activations are
	Shortcut   byte            // residual nets: 'A', 'B' or 'C' (paper section 4.1, Table 3)
	Where      kernel.PadWhere // position of the zero channels of shortcut A
	V15        bool            // bottlenecks: stride on the 3x3 convolution, as in torchvision, instead of the first 1x1
	PoolPad    bool            // ImageNet nets: max-pool padded by 1, as in PyTorch, instead of 0, as in Caffe
	Weights    Weights         // residual nets: factors of shortcut and branch
}

// Order is where the activations of a block are (He et al. 2016, "Identity Mappings",
// Figure 4).
type Order uint8

const (
	Original      Order = iota // (a) relu(x + bn(conv(...)))
	BNAfterAdd                 // (b) relu(bn(x + conv(...)))
	ReLUBeforeAdd              // (c) x + relu(bn(conv(...)))
	ReLUPreact                 // (d) x + bn(conv(... relu(x)))
	Preact                     // (e) x + conv(... relu(bn(x))), full pre-activation
)

// orders are the variants of a name.
var orders = []string{"", "bn-after-add", "relu-before-add", "relu-preact", "preact"}

func (o Order) String() string { return orders[o] }

// Weights are the factors that shortcut and branch are multiplied by before the addition
// (He et al. 2016, Table 1). The zero value is the sum of the two as they are.
type Weights struct {
	Shortcut float32 // constant factor of the shortcut; 0 for none
	Branch   float32 // constant factor of the branch; 0 for none
	Dropout  float32 // probability that an element of the shortcut is dropped; 0 for none
	Gate     Gate
	Start    float32 // bias of the gates before training
}

// Gate says what is multiplied by gates g(x) = sigmoid(conv(x) + bias), where the
// convolution is 1x1.
type Gate uint8

const (
	NoGate    Gate = iota
	Exclusive      // the shortcut by 1 - g, the branch by g
	OnlySide       // the shortcut by 1 - g
)

var gates = []string{"", "exclusive", "shortcut"}

func (g Gate) String() string { return gates[g] }

// imagenet lists the blocks of each stage of the ImageNet nets (paper Table 1). These
// depths always mean these nets, whatever the data set.
var imagenet = map[int][]int{
	18:  {2, 2, 2, 2},
	34:  {3, 4, 6, 3},
	50:  {3, 4, 6, 3},
	101: {3, 4, 23, 3},
	152: {3, 8, 36, 3},
}

const imagenetDepths = "18, 34, 50, 101 and 152"

// ImageNet reports whether a is one of the paper's nets for ImageNet.
func (a Arch) ImageNet() bool { return imagenet[a.Depth] != nil }

// stages returns the number of blocks of each stage and the channels of the first stage.
// From one stage to the next the channels double and the size halves. CIFAR nets have
// three stages of n blocks (paper section 4.2; with bottlenecks: He et al. 2016,
// "Identity Mappings").
func stages(a Arch) (blocks []int, width int) {
	if a.ImageNet() {
		blocks := slices.Clone(imagenet[a.Depth])
		for i := range blocks {
			if a.Single {
				blocks[i] *= 2
			}
		}
		return blocks, 64
	}
	n := a.Blocks()
	return []int{n, n, n}, 16
}

// Blocks is the number of blocks in each of the three stages of a CIFAR net.
func (a Arch) Blocks() int { return (a.Depth - 2) / blockLayers(a) }

// blockLayers is the number of layers in three blocks, one of each stage of a CIFAR net.
func blockLayers(a Arch) int {
	switch {
	case a.Bottleneck:
		return 9
	case a.Single:
		return 3
	}
	return 6
}

// ParseArch reads the name of a net: plain-DEPTH or resnet-DEPTH, then variants after
// slashes. Depths are 6n+2 for CIFAR nets, and 18, 34, 50, 101 and 152 for ImageNet nets.
// ImageNet nets of 50 layers and more have bottlenecks. The variants:
//
//	A, B, C      the shortcut; default A, but B around bottlenecks, as in the paper
//	split        zero channels of shortcut A on both sides of the copied ones
//	single       residual nets: blocks of one layer, twice as many; depths 3n+2
//	bottleneck   CIFAR nets: blocks are bottlenecks; depths 9n+2
//	preact, relu-preact, relu-before-add, bn-after-add
//	             residual CIFAR nets: another order of activations (Order)
//	scale=0.5, branch-scale=0.5, shortcut-dropout=0.5, gate=exclusive, gate=shortcut, gate-bias=-6
//	             residual nets: factors of shortcut and branch (Weights)
//	v1.5         bottlenecks: stride on the 3x3 convolution
//	pool-pad1    ImageNet nets: PyTorch's padding of the max-pool
//	torchvision  residual ImageNet nets as in torchvision: B, pool-pad1 and v1.5
func ParseArch(name string) (Arch, error) {
	a, err := parseArch(strings.Split(name, "/"))
	if err != nil {
		return a, fmt.Errorf("net %q: %w", name, err)
	}
	return a, nil
}

func parseArch(parts []string) (a Arch, err error) {
	family, depth, ok := strings.Cut(parts[0], "-")
	if !ok || (family != "plain" && family != "resnet") {
		return a, fmt.Errorf("want plain-DEPTH or resnet-DEPTH, such as plain-20 or resnet-56/B")
	}
	a.Residual = family == "resnet"
	a.Depth, err = strconv.Atoi(depth)
	if err != nil || strconv.Itoa(a.Depth) != depth {
		return a, fmt.Errorf("depth %q is not a whole number", depth)
	}
	variants := parts[1:]
	a.Bottleneck, a.Single = slices.Contains(variants, "bottleneck"), slices.Contains(variants, "single")
	if a.ImageNet() {
		if a.Bottleneck {
			return a, fmt.Errorf("%s always mean the ImageNet nets, whose blocks are given; bottleneck is for CIFAR nets of 9n+2 layers, such as resnet-164/bottleneck", imagenetDepths)
		}
		a.Bottleneck = a.Depth >= 50
	}
	if err := checkDepth(a); err != nil {
		return a, err
	}
	for i, v := range variants {
		switch {
		case slices.Contains(variants[:i], v):
			return a, fmt.Errorf("variant %q is given twice", v)
		case v == "A" || v == "B" || v == "C":
			if !a.Residual {
				return a, fmt.Errorf("a plain net has no shortcuts, so no variant %q", v)
			}
			if a.Shortcut != 0 {
				return a, fmt.Errorf("variant %q is a second shortcut, after %c", v, a.Shortcut)
			}
			a.Shortcut = v[0]
		case v == "bottleneck", v == "single":
		case slices.Contains(orders[1:], v):
			if a.Order != Original {
				return a, fmt.Errorf("variant %q is a second order of activations, after %s", v, a.Order)
			}
			a.Order = Order(slices.Index(orders, v))
		case strings.Contains(v, "="):
			if err := a.Weights.parse(v); err != nil {
				return a, err
			}
		case v == "split":
			a.Where = kernel.Split
		case v == "v1.5":
			a.V15 = true
		case v == "pool-pad1":
			a.PoolPad = true
		case v == "torchvision":
			if !a.Residual || !a.ImageNet() || len(variants) > 1 {
				return a, fmt.Errorf("torchvision means the residual nets of %s layers, and must be the only variant", imagenetDepths)
			}
			a = byTorchvision(a)
		default:
			return a, fmt.Errorf("variant %q is unknown; want A, B, C, split, single, bottleneck, preact, relu-preact, relu-before-add, bn-after-add, scale=0.5, branch-scale=0.5, shortcut-dropout=0.5, gate=exclusive, gate=shortcut, gate-bias=-6, v1.5, pool-pad1 or torchvision", v)
		}
	}
	if a.Residual && a.Shortcut == 0 {
		a.Shortcut = usualShortcut(a)
	}
	return a, checkArch(a)
}

// parse reads a variant with a value: "scale=0.5".
func (w *Weights) parse(variant string) error {
	name, value, _ := strings.Cut(variant, "=")
	number := func(target *float32, lo, hi float64) error {
		x, err := strconv.ParseFloat(value, 32)
		if err != nil || !(x >= lo && x <= hi) {
			return fmt.Errorf("%s: %q is not a number from %g to %g, such as 0.5", name, value, lo, hi)
		}
		if short := strconv.FormatFloat(x, 'g', -1, 32); short != value { // a net has one name
			return fmt.Errorf("%s: %q is not in its shortest form; write %s", name, value, short)
		}
		if *target != 0 {
			return fmt.Errorf("variant %q is a second %s", variant, name)
		}
		*target = float32(x)
		return nil
	}
	const least, most = 1e-3, 100
	switch name {
	case "scale", "branch-scale":
		switch {
		case value == "1":
			return fmt.Errorf("%s changes nothing; leave it out", variant)
		case variant == "scale=0":
			return fmt.Errorf("a net whose shortcuts are multiplied by 0 is a plain net; write plain in place of resnet")
		case name == "scale":
			return number(&w.Shortcut, least, most)
		}
		return number(&w.Branch, least, most)
	case "gate":
		g := slices.Index(gates, value)
		switch {
		case g < 1:
			return fmt.Errorf("gate: %q is unknown; want gate=exclusive or gate=shortcut", value)
		case w.Gate != NoGate:
			return fmt.Errorf("variant %q is a second gate, after %s", variant, w.Gate)
		}
		w.Gate = Gate(g)
		return nil
	case "shortcut-dropout":
		return number(&w.Dropout, least, 1-least)
	case "gate-bias":
		return number(&w.Start, -most, most)
	}
	return fmt.Errorf("variant %q is unknown; with a value there are scale, branch-scale, shortcut-dropout, gate and gate-bias", variant)
}

// usualShortcut is the shortcut of the paper's residual net of this kind: B for bottlenecks, else
// A. (The paper has no CIFAR nets with bottlenecks.)
func usualShortcut(a Arch) byte {
	if a.Bottleneck {
		return 'B'
	}
	return 'A'
}

// byTorchvision returns the design of a residual ImageNet net in torchvision.
func byTorchvision(a Arch) Arch {
	a.Single, a.Shortcut, a.Where, a.V15, a.PoolPad = false, 'B', kernel.Trailing, a.Bottleneck, true
	return a
}

// checkArch refuses variants that do not fit the net or each other.
func checkArch(a Arch) error {
	switch {
	case a.Single && !a.Residual:
		return fmt.Errorf("single puts a shortcut around every layer, and a plain net has none")
	case a.Single && a.Bottleneck:
		return fmt.Errorf("single puts a shortcut around every layer, and bottlenecks are blocks of three")
	case a.Order != Original && !a.Residual:
		return fmt.Errorf("%s is about what is added to a shortcut, and a plain net has none", a.Order)
	case a.Order != Original && a.ImageNet():
		return fmt.Errorf("%s is for CIFAR nets, such as resnet-110/%[1]s, and %s always mean the ImageNet nets", a.Order, imagenetDepths)
	case a.Weights != Weights{} && !a.Residual:
		return fmt.Errorf("%s is about shortcuts, and a plain net has none", a.Weights.variants()[0])
	case a.Weights != Weights{} && a.Order != Original:
		return fmt.Errorf("%s is for blocks that end with a rectifier, and with %s they do not", a.Weights.variants()[0], a.Order)
	case a.Weights.Start != 0 && a.Weights.Gate == NoGate:
		return fmt.Errorf("gate-bias=%g sets the bias of gates, but this net has no gates; add gate=exclusive or gate=shortcut", a.Weights.Start)
	case a.Weights.Dropout != 0 && (a.Weights.Gate != NoGate || a.Weights.Shortcut != 0):
		return fmt.Errorf("shortcut-dropout, scale and gate exclude each other: each replaces the identity on the shortcut; leave out all but one")
	case a.Weights.Gate != NoGate && (a.Weights.Shortcut != 0 || a.Weights.Branch != 0):
		return fmt.Errorf("gates and constant factors exclude each other; leave out gate or scale")
	case a.Where == kernel.Split && !a.Residual:
		return fmt.Errorf("split is about the zero channels of shortcut A, and a plain net has no shortcuts")
	case a.Where == kernel.Split && a.Shortcut != 'A':
		return fmt.Errorf("split is about the zero channels of shortcut A, and %c has none", a.Shortcut)
	case a.V15 && !a.Bottleneck:
		return fmt.Errorf("v1.5 moves the stride of bottlenecks from the first 1x1 convolution to the 3x3, and a net of %d layers has none", a.Depth)
	case a.PoolPad && !a.ImageNet():
		return fmt.Errorf("pool-pad1 is about the max-pool of the ImageNet nets (%s), and a CIFAR net has none", imagenetDepths)
	}
	return nil
}

// CheckDepth returns an error if no net without variants has n layers: n must be 6n+2 or
// one of the five ImageNet depths.
func CheckDepth(n int) error {
	a := Arch{Depth: n}
	return checkDepth(a)
}

func checkDepth(a Arch) error {
	n, layers := a.Depth, blockLayers(a)
	least := layers + 2
	switch {
	case a.ImageNet(), n >= least && n <= maxDepth && (n-2)%layers == 0:
		return nil
	case n > maxDepth:
		return fmt.Errorf("depth %d is over %d", n, maxDepth)
	}
	below := max(least, (n-2)/layers*layers+2)
	above := below + layers
	switch {
	case a.Bottleneck:
		return fmt.Errorf("depth %d of bottlenecks is not 9n+2; the nearest are %d and %d", n, below, above)
	case a.Single:
		return fmt.Errorf("depth %d of single layers is not 3n+2; the nearest are %d and %d", n, below, above)
	}
	for d := range imagenet {
		if d < n {
			below = max(below, d)
		} else {
			above = min(above, d)
		}
	}
	return fmt.Errorf("depth %d is neither 6n+2 nor an ImageNet net's (%s); the nearest are %d and %d", n, imagenetDepths, below, above)
}

// maxDepth is a plausibility limit: ten times the paper's deepest net.
const maxDepth = 12002

// smallImage is the largest side (pixels) at which an ImageNet net gets the stem of a
// CIFAR net. With the ImageNet stem (stride 2 and max-pool), 32 pixels would be 8 after
// the stem and 1 at the end.
const smallImage = 48

// CheckSize returns an error if the net is not defined for images whose shorter side has
// size pixels.
func (a Arch) CheckSize(size int) error {
	if a.PoolPad && size <= smallImage {
		return fmt.Errorf("pool-pad1 is about the max-pool, and on images of up to %d pixels there is none", smallImage)
	}
	return nil
}

// String is the shortest name that ParseArch reads as a.
func (a Arch) String() string {
	family := "plain"
	if a.Residual {
		family = "resnet"
	}
	s := fmt.Sprintf("%s-%d", family, a.Depth)
	if a.Residual && a.ImageNet() && a == byTorchvision(a) {
		return s + "/torchvision"
	}
	for _, v := range []struct {
		is   bool
		name string
	}{
		{a.Bottleneck && !a.ImageNet(), "bottleneck"},
		{a.Residual && a.Shortcut != usualShortcut(a), string(rune(a.Shortcut))},
		{a.Single, "single"},
		{a.Order != Original, a.Order.String()},
		{a.Weights != Weights{}, strings.Join(a.Weights.variants(), "/")},
		{a.Where == kernel.Split, "split"},
		{a.V15, "v1.5"},
		{a.PoolPad, "pool-pad1"},
	} {
		if v.is {
			s += "/" + v.name
		}
	}
	return s
}

// variants are the parts of a net's name for these weights.
func (w Weights) variants() (all []string) {
	number := func(name string, x float32) {
		if x != 0 {
			all = append(all, name+"="+strconv.FormatFloat(float64(x), 'g', -1, 32))
		}
	}
	number("scale", w.Shortcut)
	number("branch-scale", w.Branch)
	number("shortcut-dropout", w.Dropout)
	if w.Gate != NoGate {
		all = append(all, "gate="+w.Gate.String())
	}
	number("gate-bias", w.Start)
	return all
}
