// Counts the parameters and multiply-adds of a net.

package nets

import (
	G "gorgonia.org/gorgonia"

	"depthlab/nets/kernel"
	"depthlab/nets/ops"
)

// Count returns the number of parameters of a net, and the multiply-adds of the forward
// pass of one image in convolutions and classifier. It ignores Batch, Group and Eps of c.
func Count(a Arch, c Config) (params, macs int64, err error) {
	c.Batch, c.Group = 1, 0
	g, err := a.Build(Eval, c)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range g.Params {
		params += int64(p.Node.Shape().TotalSize())
	}
	for _, n := range g.Expr.AllNodes() {
		op, ok := n.Op().(*ops.Op)
		if !ok {
			continue
		}
		switch op.Kernel.(type) {
		case kernel.Conv, kernel.Linear:
			var in []kernel.Shape
			for it := g.Expr.From(n.ID()); it.Next(); {
				in = append(in, kernel.Shape(it.Node().(*G.Node).Shape()))
			}
			flops, _ := op.Kernel.Cost(in)
			macs += flops / 2
		}
	}
	return params, macs, nil
}
