// Net extension: the layers that turn a shallow plain net into a deeper one.

package nets

import "fmt"

// Inserted is a layer that a deep net has in addition to a shallow one: a 3x3 convolution
// and its batch norm. Conv and Norm are the prefixes of their parameters' names.
type Inserted struct {
	Conv, Norm string // "layer1.3.conv1", "layer1.3.bn1"
	Channels   int
}

// Extension lists the layers that a has in addition to shallow, stage by stage. They are
// the blocks that follow shallow's own blocks in each stage. They change neither size nor
// channels, and their inputs are never negative (they follow a rectifier). So each of
// them can compute the identity, and the deep net can compute the same function as the
// shallow one (paper section 1). Fails if a does not extend shallow in this way.
func (a Arch) Extension(shallow Arch) ([][]Inserted, error) {
	alike := shallow
	alike.Depth = a.Depth
	switch {
	case a.Residual || a.Bottleneck || shallow.Residual || shallow.Bottleneck:
		return nil, fmt.Errorf("%s does not extend %s; plain nets of two-layer blocks extend one another", a, shallow)
	case alike != a || a.ImageNet() != shallow.ImageNet():
		return nil, fmt.Errorf("%s has another design than %s and does not extend it", a, shallow)
	case a.Depth <= shallow.Depth:
		return nil, fmt.Errorf("%s is not deeper than %s", a, shallow)
	}
	all, width := stages(a)
	own, _ := stages(shallow)
	stages := make([][]Inserted, len(all))
	for s := range all {
		for i := own[s]; i < all[s]; i++ {
			for layer := 1; layer <= 2; layer++ {
				path := fmt.Sprintf("layer%d.%d.", s+1, i)
				stages[s] = append(stages[s], Inserted{fmt.Sprintf("%sconv%d", path, layer), fmt.Sprintf("%sbn%d", path, layer), width << s})
			}
		}
	}
	return stages, nil
}
