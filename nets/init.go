package nets

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Init gives the first value of a parameter: a function of the seed and the
// parameter's name alone. Those of convolutions are normal with variance
// 2/fan (He et al. 2015, "Delving Deep into Rectifiers", equations 10 and 14):
// fan is the inputs of an output, or with fanOut the outputs of an input.
//
// The paper does not say how the classifier begins. No rectifier follows it,
// and with variance 2/fan the logits of deep residual nets are so large that
// some never leave chance; so it has the variance of Torch's default, which
// fb.resnet.torch trains with: 1/(3 inputs). Scales are 1; shifts and bias 0.
func Init(p *Param, seed uint64, fanOut bool) []float32 {
	shape := p.Node.Shape()
	w := make([]float32, shape.TotalSize())
	switch p.Kind {
	case Scale:
		for i := range w {
			w[i] = 1
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
