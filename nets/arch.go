// Package nets holds the networks of He et al. 2015 as Gorgonia graphs: which
// layers there are, and Gorgonia's symbolic differentiation for the gradients.
package nets

import (
	"fmt"
	"strconv"
	"strings"

	"depthlab/nets/kernel"
)

// Arch says which net: "plain-20", "resnet-56", "resnet-20/B".
type Arch struct {
	Depth    int  // layers with weights on the longest path: 6n+2
	Residual bool // whether the blocks have shortcuts
	Shortcut byte // residual nets: 'A', 'B' or 'C' (paper section 4.1, Table 3)
	Where    kernel.PadWhere
}

// ParseArch reads a name: plain-DEPTH or resnet-DEPTH, and for residual nets
// variants after slashes: A (default), B, C for the shortcut, and split for
// zero channels on both sides in shortcut A. Depths are 6n+2, from 8 on.
func ParseArch(name string) (Arch, error) {
	var a Arch
	parts := strings.Split(name, "/")
	family, depth, ok := strings.Cut(parts[0], "-")
	if !ok || (family != "plain" && family != "resnet") {
		return a, fmt.Errorf("net %q: want plain-DEPTH or resnet-DEPTH, such as plain-20 or resnet-56/B", name)
	}
	a.Residual = family == "resnet"
	n, err := strconv.Atoi(depth)
	if err != nil || strconv.Itoa(n) != depth {
		return a, fmt.Errorf("net %q: depth %q is no number", name, depth)
	}
	if err := CheckDepth(n); err != nil {
		return a, fmt.Errorf("net %q: %w", name, err)
	}
	a.Depth = n
	if !a.Residual {
		if len(parts) > 1 {
			return a, fmt.Errorf("net %q: a plain net has no shortcuts, so no variant %q", name, parts[1])
		}
		return a, nil
	}
	a.Shortcut = 'A'
	chosen := false
	for _, v := range parts[1:] {
		switch {
		case (v == "A" || v == "B" || v == "C") && !chosen:
			a.Shortcut, chosen = v[0], true
		case v == "split" && a.Where == kernel.Trailing:
			a.Where = kernel.Split
		default:
			return a, fmt.Errorf("net %q: variant %q is none of A, B, C (shortcut; one of them) and split (zero channels of A on both sides)", name, v)
		}
	}
	if a.Where == kernel.Split && a.Shortcut != 'A' {
		return a, fmt.Errorf("net %q: split is about the zero channels of shortcut A, and %c has none", name, a.Shortcut)
	}
	return a, nil
}

// CheckDepth says which depths there are: 6n+2 layers.
func CheckDepth(n int) error {
	if n >= 8 && n <= maxDepth && (n-2)%6 == 0 {
		return nil
	}
	below := max(8, (n-2)/6*6+2)
	if n > maxDepth {
		return fmt.Errorf("depth %d is over %d", n, maxDepth)
	}
	return fmt.Errorf("depth %d is not 6n+2; the nearest are %d and %d", n, below, below+6)
}

// maxDepth is a bound on what is plausible, ten times the paper's deepest.
const maxDepth = 12002

// String is the shortest name that ParseArch reads as a.
func (a Arch) String() string {
	if !a.Residual {
		return fmt.Sprintf("plain-%d", a.Depth)
	}
	s := fmt.Sprintf("resnet-%d", a.Depth)
	if a.Shortcut != 'A' {
		s += "/" + string(a.Shortcut)
	}
	if a.Where == kernel.Split {
		s += "/split"
	}
	return s
}

// stages of the CIFAR nets (paper section 4.2): n blocks of two 3x3
// convolutions each at 16, 32 and 64 channels; the size halves from stage to
// stage.
func (a Arch) stages() (blocks int, width [3]int) {
	return (a.Depth - 2) / 6, [3]int{16, 32, 64}
}
