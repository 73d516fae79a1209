// Package nets holds the networks of He et al. 2015 as Gorgonia graphs: which
// layers there are, and Gorgonia's symbolic differentiation for the gradients.
package nets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"depthlab/nets/kernel"
)

// Arch says which net: "plain-20", "resnet-56/B", "resnet-50/v1.5".
type Arch struct {
	Depth      int             // layers with weights on the longest path
	Residual   bool            // whether the blocks have shortcuts
	Bottleneck bool            // blocks of 1x1, 3x3 and 1x1 convolutions (paper Figure 5), not of two 3x3
	Single     bool            // residual nets: blocks of one 3x3 convolution, not of two (paper section 3.2)
	Preact     bool            // residual CIFAR nets: batch norm and rectifier before each convolution (He et al. 2016)
	Shortcut   byte            // residual nets: 'A', 'B' or 'C' (paper section 4.1, Table 3)
	Where      kernel.PadWhere // the zero channels of shortcut A
	V15        bool            // bottlenecks: the stride is on the 3x3, as in torchvision, not on the first 1x1
	PoolPad    bool            // ImageNet nets: the max-pool is padded by 1, as in PyTorch, not by 0, as in Caffe
}

// imagenet has the blocks of each stage of the ImageNet nets (paper Table 1).
// Their depths mean these nets whatever the data.
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

// stages gives the blocks of each stage and the channels of the first; from
// stage to stage the channels double and the size halves. The CIFAR nets have
// three stages of n blocks (paper section 4.2; with bottlenecks He et al.
// 2016, "Identity Mappings").
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
	n := (a.Depth - 2) / a.layers()
	return []int{n, n, n}, 16
}

// layers is the depth of three blocks, one of each stage of a CIFAR net.
func (a Arch) layers() int {
	switch {
	case a.Bottleneck:
		return 9
	case a.Single:
		return 3
	}
	return 6
}

// ParseArch reads a name: plain-DEPTH or resnet-DEPTH, and variants after
// slashes. Depths are 6n+2 for CIFAR nets, and 18, 34, 50, 101 and 152 for the
// ImageNet nets; 50 and deeper have bottlenecks. The variants:
//
//	A, B, C      the shortcut; without it A, but B around bottlenecks, as in the paper
//	split        zero channels of shortcut A on both sides
//	single       residual nets: blocks of one layer, twice as many; with depths 3n+2
//	bottleneck   CIFAR nets: of bottlenecks, with depths 9n+2
//	preact       residual CIFAR nets: full pre-activation (He et al. 2016, "Identity Mappings")
//	v1.5         bottlenecks: the stride on the 3x3 convolution
//	pool-pad1    ImageNet nets: PyTorch's padding of the max-pool
//	torchvision  residual ImageNet nets: as torchvision has them; B, pool-pad1 and v1.5
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
		return a, fmt.Errorf("depth %q is no number", depth)
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
			return a, fmt.Errorf("variant %q stands there twice", v)
		case v == "A" || v == "B" || v == "C":
			if !a.Residual {
				return a, fmt.Errorf("a plain net has no shortcuts, so no variant %q", v)
			}
			if a.Shortcut != 0 {
				return a, fmt.Errorf("variant %q is a second shortcut beside %c", v, a.Shortcut)
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
				return a, fmt.Errorf("torchvision has the residual nets of %s, and stands alone as a variant", imagenetDepths)
			}
			a = a.torchvision()
		default:
			return a, fmt.Errorf("variant %q is none of A, B, C, split, single, bottleneck, preact, v1.5, pool-pad1 and torchvision", v)
		}
	}
	if a.Residual && a.Shortcut == 0 {
		a.Shortcut = a.usual()
	}
	return a, a.check()
}

// usual is the shortcut of the paper's residual net of this kind. (It has no
// CIFAR nets of bottlenecks.)
func (a Arch) usual() byte {
	if a.Bottleneck {
		return 'B'
	}
	return 'A'
}

// torchvision is what torchvision makes of a residual ImageNet net.
func (a Arch) torchvision() Arch {
	a.Single, a.Shortcut, a.Where, a.V15, a.PoolPad = false, 'B', kernel.Trailing, a.Bottleneck, true
	return a
}

// check refuses variants that have no meaning beside each other.
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

// CheckDepth says which depths nets without variants have: 6n+2 layers, and
// the five of ImageNet.
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

// maxDepth is a bound on what is plausible, ten times the paper's deepest.
const maxDepth = 12002

// smallImage is the side up to which the stem of an ImageNet net is that of a
// CIFAR net: with stride 2 and a max-pool 32 pixels would enter as 8 and leave
// as 1.
const smallImage = 48

// CheckSize says whether the net means something on images whose shorter side
// has so many pixels.
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
