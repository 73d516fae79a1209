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
	Preact     bool            // residual CIFAR nets: batch norm and rectifier before each convolution (He et al. 2016)
	Shortcut   byte            // residual nets: 'A', 'B' or 'C' (paper section 4.1, Table 3)
	Where      kernel.PadWhere // position of the zero channels of shortcut A
	V15        bool            // bottlenecks: stride on the 3x3 convolution, as in torchvision, instead of the first 1x1
	PoolPad    bool            // ImageNet nets: max-pool padded by 1, as in PyTorch, instead of 0, as in Caffe
}

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
func (a Arch) stages() (blocks []int, width int) {
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
func (a Arch) Blocks() int { return (a.Depth - 2) / a.layers() }

// layers is the number of layers in three blocks, one of each stage of a CIFAR net.
func (a Arch) layers() int {
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
//	preact       residual CIFAR nets: full pre-activation (He et al. 2016, "Identity Mappings")
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
	if err := a.checkDepth(); err != nil {
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
		case v == "preact":
			a.Preact = true
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
			a = a.torchvision()
		default:
			return a, fmt.Errorf("variant %q is unknown; want A, B, C, split, single, bottleneck, preact, v1.5, pool-pad1 or torchvision", v)
		}
	}
	if a.Residual && a.Shortcut == 0 {
		a.Shortcut = a.usual()
	}
	return a, a.check()
}

// usual is the shortcut of the paper's residual net of this kind: B for bottlenecks, else
// A. (The paper has no CIFAR nets with bottlenecks.)
func (a Arch) usual() byte {
	if a.Bottleneck {
		return 'B'
	}
	return 'A'
}

// torchvision returns the design of a residual ImageNet net in torchvision.
func (a Arch) torchvision() Arch {
	a.Single, a.Shortcut, a.Where, a.V15, a.PoolPad = false, 'B', kernel.Trailing, a.Bottleneck, true
	return a
}

// check refuses variants that do not fit the net or each other.
func (a Arch) check() error {
	switch {
	case a.Single && !a.Residual:
		return fmt.Errorf("single puts a shortcut around every layer, and a plain net has none")
	case a.Single && a.Bottleneck:
		return fmt.Errorf("single puts a shortcut around every layer, and bottlenecks are blocks of three")
	case a.Preact && !a.Residual:
		return fmt.Errorf("preact is about what is added to a shortcut, and a plain net has none")
	case a.Preact && a.ImageNet():
		return fmt.Errorf("preact is for CIFAR nets, such as resnet-110/preact, and %s always mean the ImageNet nets", imagenetDepths)
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
	return a.checkDepth()
}

func (a Arch) checkDepth() error {
	n, layers := a.Depth, a.layers()
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
	if a.Residual && a.ImageNet() && a == a.torchvision() {
		return s + "/torchvision"
	}
	for _, v := range []struct {
		is   bool
		name string
	}{
		{a.Bottleneck && !a.ImageNet(), "bottleneck"},
		{a.Residual && a.Shortcut != a.usual(), string(rune(a.Shortcut))},
		{a.Single, "single"},
		{a.Preact, "preact"},
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
