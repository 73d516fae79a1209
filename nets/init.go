package nets

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Init gives the first value of a parameter: a function of the seed and the
// parameter's name alone. Weights are normal with variance 2/fan (He et al.
// 2015, "Delving Deep into Rectifiers", equations 10 and 14): fan is the
// inputs of an output, or with fanOut, for convolutions, the outputs of an
// input. Scales are 1; shifts and bias 0.
func Init(p *Param, seed uint64, fanOut bool) []float32 {
	shape := p.Node.Shape()
	w := make([]float32, shape.TotalSize())
	switch p.Kind {
	case Scale:
		for i := range w {
			w[i] = 1
		}
	case ConvWeight, LinearWeight:
		fan := len(w) / shape[0]
		if fanOut && p.Kind == ConvWeight {
			fan = len(w) / shape[1]
		}
		h := fnv.New64a()
		h.Write([]byte(p.Name))
		normal := rand.New(rand.NewPCG(seed, h.Sum64()))
		std := math.Sqrt(2 / float64(fan))
		for i := range w {
			w[i] = float32(std * normal.NormFloat64())
		}
	}
	return w
}
