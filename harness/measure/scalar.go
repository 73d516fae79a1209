// Scalar nets with initial weights (Balduzzi et al. 2017, arXiv:1702.08591, section 3).

package measure

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// scalar is a net with one input and one output, f(x) = v . x_{L+1}(x), with random weights:
//
//	x_1     = w x + b            w and b normal with variance 1
//	x_{l+1} = W relu(x_l)        plain
//	x_{l+1} = x_l + W relu(x_l)  residual
//
// W is normal with variance 2/N (He et al. 2015). With batch norm each unit of x_l is
// normalised over the inputs before its rectifier; in the derivative, mean and variance are
// constants, as in tests.
type scalar struct {
	residual, norm bool
	width          int
}

// correlations returns, for L = 1 to layers, the correlation of the gradients df/dx of a net of L
// layers at two inputs, averaged over all pairs of inputs. The expectation over the random v is
// computed exactly: it is the cosine of the angle between dx_{L+1}/dx at the two inputs.
func (s scalar) correlations(inputs []float64, layers int, random *rand.Rand) []float64 {
	x, dx := mat.NewDense(len(inputs), s.width, nil), mat.NewDense(len(inputs), s.width, nil)
	for unit := range s.width {
		w, b := random.NormFloat64(), random.NormFloat64()
		for i, t := range inputs {
			x.Set(i, unit, w*t+b)
			dx.Set(i, unit, w)
		}
	}
	return s.through(x, dx, layers, random)
}

// through computes correlations from the first layer's values x and derivatives dx, of shape
// (inputs, width).
func (s scalar) through(x, dx *mat.Dense, layers int, random *rand.Rand) (all []float64) {
	for range layers {
		w := mat.NewDense(s.width, s.width, nil)
		for i := range s.width {
			for j := range s.width {
				w.Set(i, j, random.NormFloat64()*math.Sqrt(2/float64(s.width)))
			}
		}
		r, dr := s.activate(x, dx)
		var y, dy mat.Dense
		y.Mul(r, w)
		dy.Mul(dr, w)
		if s.residual {
			y.Add(&y, x)
			dy.Add(&dy, dx)
		}
		x, dx = &y, &dy
		all = append(all, meanCosine(dx))
	}
	return all
}

// activate applies the rectifier, after batch norm if there is one, to the values x and the
// derivatives dx, of shape (inputs, width).
func (s scalar) activate(x, dx *mat.Dense) (r, dr *mat.Dense) {
	r, dr = mat.DenseCopyOf(x), mat.DenseCopyOf(dx)
	inputs, units := x.Dims()
	for unit := range units {
		mean, scale := 0.0, 1.0
		if s.norm {
			var square float64
			for i := range inputs {
				v := x.At(i, unit)
				mean, square = mean+v, square+v*v
			}
			mean /= float64(inputs)
			scale = 1 / math.Sqrt(square/float64(inputs)-mean*mean+1e-5)
		}
		for i := range inputs {
			if v := (x.At(i, unit) - mean) * scale; v > 0 {
				r.Set(i, unit, v)
				dr.Set(i, unit, dx.At(i, unit)*scale)
			} else {
				r.Set(i, unit, 0)
				dr.Set(i, unit, 0)
			}
		}
	}
	return r, dr
}

// meanCosine returns the cosine of the angle between two rows, averaged over all pairs.
func meanCosine(rows *mat.Dense) float64 {
	n, width := rows.Dims()
	sum := make([]float64, width)
	for i := range n {
		row := rows.RawRowView(i)
		length := mat.Norm(mat.NewVecDense(width, row), 2)
		if length == 0 {
			continue
		}
		for k, v := range row {
			sum[k] += v / length
		}
	}
	square := 0.0
	for _, v := range sum {
		square += v * v
	}
	return (square - float64(n)) / float64(n*(n-1)) // the square of a sum of unit vectors
}
