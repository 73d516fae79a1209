// Initial weights.

package nets

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Init returns the initial value of a parameter. It depends only on the seed and the
// parameter's name. Weights of convolutions are normal with variance 2/fan (He et al.
// 2015, "Delving Deep into Rectifiers", equations 10 and 14). fan is the fan-in, or with
// fanOut the fan-out. Scales start at 1, shifts at 0, biases at p.Start.
//
// The paper does not say how to initialise the classifier. No rectifier follows it. With
// variance 2/fan the logits of deep residual nets are so large that some nets never get
// better than chance. So its weights have the variance of Torch's default, which
// fb.resnet.torch trains with: 1/(3 inputs).
func Init(p *Param, seed uint64, fanOut bool) []float32 {
	shape := p.Node.Shape()
	w := make([]float32, shape.TotalSize())
	switch p.Kind {
	case Scale:
		for i := range w {
			w[i] = 1
		}
	case Bias:
		for i := range w {
			w[i] = p.Start
		}
	case ConvWeight, LinearWeight:
		variance := 2 / float64(len(w)/shape[0])
		switch {
		case p.Kind == LinearWeight:
			variance = 1 / float64(3*shape[1])
		case fanOut:
			variance = 2 / float64(len(w)/shape[1])
		}
		h := fnv.New64a()
		h.Write([]byte(p.Name))
		normal := rand.New(rand.NewPCG(seed, h.Sum64()))
		std := math.Sqrt(variance)
		for i := range w {
			w[i] = float32(std * normal.NormFloat64())
		}
	}
	return w
}
