package nets

import "fmt"

// Inserted is a layer that a deep net has beyond a shallow one: a 3x3
// convolution and its batch norm, by the first part of their names.
type Inserted struct {
	Conv, Norm string // "layer1.3.conv1", "layer1.3.bn1"
	Channels   int
}

// Extension lists the layers that a has beyond shallow, stage by stage: those
// of the blocks behind shallow's own. They leave size and channels as they are
// and what comes to them is not below 0, so that each can compute the
// identity, and the deep net what the shallow one does (paper section 1). It
// is an error where a net does not extend the other so.
func (a Arch) Extension(shallow Arch) ([][]Inserted, error) {
	alike := shallow
	alike.Depth = a.Depth
	switch {
	case a.Residual || a.Bottleneck || shallow.Residual || shallow.Bottleneck:
		return nil, fmt.Errorf("%s does not extend %s; plain nets of two-layer blocks extend one another", a, shallow)
	case alike != a || a.ImageNet() != shallow.ImageNet():
		return nil, fmt.Errorf("%s is of another design than %s, and does not extend it", a, shallow)
	case a.Depth <= shallow.Depth:
		return nil, fmt.Errorf("%s is not deeper than %s", a, shallow)
	}
	all, width := a.stages()
	own, _ := shallow.stages()
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
