// Deleted blocks: a trained net as if some of its blocks were not there.

package nets

import (
	"fmt"
	"math"
)

// Block is a block of a trained net, and what deletes it.
type Block struct {
	Name  string // "layer1.0"
	First bool   // of its stage
	// Without are the values of parameters and running statistics with which a trained net
	// computes, in mode Eval, what it would without the block. nil if there are none: the
	// block changes size or channels, and no shortcut leads around it.
	//
	// In a residual net the branch is dropped and the shortcut stays as it is: what the
	// branch ends with, its last batch norm or, if it has none there, its last convolution,
	// becomes 0 (Veit et al. 2016, arXiv:1605.06431). In a plain net the block becomes the
	// identity.
	Without map[string][]float32
}

// CanDelete returns an error if no block of the net can be deleted.
func (a Arch) CanDelete() error {
	if !a.Residual && a.Bottleneck {
		return fmt.Errorf("%s has bottlenecks without shortcuts, which no identity can replace", a)
	}
	return nil
}

// BlockList lists the blocks in their order. Eps is batch norm's.
func (a Arch) BlockList(c Config) ([]Block, error) {
	params, norms, err := a.Leaves(c)
	if err != nil {
		return nil, err
	}
	shape := map[string][]int{}
	for _, p := range params {
		shape[p.Name] = p.Node.Shape()
	}
	channels := map[string]int{}
	for _, n := range norms {
		channels[n.Name] = n.Channels
	}
	stages, _ := stages(a)
	var all []Block
	for stage, blocks := range stages {
		for i := range blocks {
			b := Block{Name: fmt.Sprintf("layer%d.%d", stage+1, i), First: i == 0}
			layers := 0
			for shape[fmt.Sprintf("%s.conv%d.weight", b.Name, layers+1)] != nil {
				layers++
			}
			conv, norm := fmt.Sprintf("%s.conv%d", b.Name, layers), fmt.Sprintf("%s.bn%d", b.Name, layers)
			switch {
			case a.Residual && (a.Order == Preact || a.Order == BNAfterAdd): // the branch ends with a convolution
				b.Without = map[string][]float32{conv + ".weight": make([]float32, volume(shape[conv+".weight"]))}
			case a.Residual:
				b.Without = map[string][]float32{norm + ".weight": make([]float32, channels[norm]), norm + ".bias": make([]float32, channels[norm])}
			default:
				b.Without = identity(b.Name, layers, shape, c.Eps)
			}
			all = append(all, b)
		}
	}
	return all, nil
}

// identity makes each layer of a plain block compute the identity of what is never
// negative; nil if a layer changes the number of channels, and so the size. A plain net
// has no other strides.
func identity(block string, layers int, shape map[string][]int, eps float32) map[string][]float32 {
	all := map[string][]float32{}
	for i := 1; i <= layers; i++ {
		conv, norm := fmt.Sprintf("%s.conv%d", block, i), fmt.Sprintf("%s.bn%d", block, i)
		w := shape[conv+".weight"]
		if w[0] != w[1] {
			return nil
		}
		all[conv+".weight"] = Centred(w[0], w[2])
		scale, mean, variance := make([]float32, w[0]), make([]float32, w[0]), make([]float32, w[0])
		for c := range scale {
			variance[c] = 1
			scale[c] = float32(math.Sqrt(1 + float64(eps)))
		}
		all[norm+".weight"], all[norm+".bias"] = scale, make([]float32, w[0])
		all[norm+".running_mean"], all[norm+".running_var"] = mean, variance
	}
	return all
}

// Centred are the weights (channels, channels, size, size) of a convolution of stride 1
// that computes the identity: a one in the middle of each channel's own kernel.
func Centred(channels, size int) []float32 {
	w := make([]float32, channels*channels*size*size)
	for c := range channels {
		w[(c*channels+c)*size*size+size*size/2] = 1
	}
	return w
}

func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
