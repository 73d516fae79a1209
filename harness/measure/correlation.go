// The correlation of gradients at neighbouring inputs: of scalar nets, and of the net itself.

package measure

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"depthlab/experiments"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/record"
)

func correlationCost(_ experiments.Run, m experiments.Measurements) string {
	o := m.Correlation
	return fmt.Sprintf("%d scalar nets, %s", o.Draws, tests(4*o.Points, o.Images))
}

// correlation computes the correlation of gradients at two inputs. Its values:
//
//	"scalar", "scalar_norm"  scalar nets, plain or residual like the net, without and with batch
//	                         norm: the mean correlation after 1, 2, ... layers, as many as
//	                         the net has
//	"lag"                    distances on a line, in standard deviations of a pixel
//	"start", "trained"       the net's correlation at these distances, before and after training
//
// The scalar nets are the paper's (Balduzzi et al. 2017). The paper does not have the correlation
// of the net itself: along the line x + t u, with an image x and a random direction u, a logit is
// a function of t, whose slope is computed over the distance nearby. The correlation at a distance
// is the mean of the products of two slopes, divided by the root of the product of their mean
// squares, over the line and the logits, and then averaged over the images. No mean is subtracted,
// because over random nets it is 0. Batch norm has its running statistics; before training they
// are averaged over mini-batches with the initial weights.
func correlation(n *net, m experiments.Measurements) (*work, error) {
	net, err := n.model()
	if err != nil {
		return nil, err
	}
	if r := n.Device.Info().Replicas; r > 1 {
		return nil, fmt.Errorf("the logits of %d replicas cannot be read; use one device (--replicas 1)", r)
	}
	o := m.Correlation
	l := newLine(net, n.Data, o)
	inputs := grid(o.Inputs, 2)
	state := -1 // 0: before training, 1: after
	enter := func(ctx context.Context, to int) error {
		if to == state {
			return nil
		}
		state = to
		if to == 0 {
			return net.Average(ctx, net.Run.BatchNorm.Batches)
		}
		_, err := n.trained()
		return err
	}
	return &work{
		points: o.Draws + 2*o.Points,
		point: func(ctx context.Context, i int) ([]float64, error) {
			if i < o.Draws {
				return scalars(n, o, inputs, i), ctx.Err()
			}
			i -= o.Draws
			if err := enter(ctx, i/o.Points); err != nil {
				return nil, err
			}
			return l.slopes(i % o.Points)
		},
		event: func(points [][]float64) (record.Event, error) {
			depth := n.arch.Depth
			mean := make([]float64, 2*depth)
			for _, p := range points[:o.Draws] {
				for k, x := range p {
					mean[k] += x / float64(o.Draws)
				}
			}
			for k := range mean {
				mean[k] = digits(mean[k])
			}
			v := map[string][]float64{"scalar": mean[:depth], "scalar_norm": mean[depth:]}
			for lag := 1; lag <= o.Points/2; lag++ {
				v["lag"] = append(v["lag"], digits(float64(lag)*l.step))
			}
			points = points[o.Draws:]
			v["start"], v["trained"] = l.correlations(points[:o.Points]), l.correlations(points[o.Points:])
			return values(v)
		},
	}, nil
}

// scalars returns the correlations of the i-th scalar net, without and then with batch norm.
func scalars(n *net, o experiments.Correlation, inputs []float64, i int) (all []float64) {
	for _, norm := range []bool{false, true} {
		random := rand.New(rand.NewPCG(uint64(o.Seed)<<32|uint64(i), n.Run.Seed))
		s := scalar{residual: n.arch.Residual, norm: norm, width: o.Width}
		all = append(all, s.correlations(inputs, n.arch.Depth, random)...)
	}
	return all
}

// line has a line through each of some images, all in the same direction.
type line struct {
	net     *model.Model
	rows    []device.Row
	mean    []float32 // which the preprocessing subtracts
	u       []float64 // direction; its root mean square is about the standard deviation of a pixel
	at      []float64 // points on the line, in standard deviations of a pixel
	step    float64   // distance of two points
	classes int
	images  int
}

func newLine(net *model.Model, src *data.Source, o experiments.Correlation) *line {
	images := some(net.Images.Test, o.Images)
	l := &line{
		net: net, mean: net.Input.Mean, at: grid(o.Points, o.Span), step: 2 * o.Span / float64(o.Points-1),
		rows: data.EvalRows(images, net.Run.Batch, net.Run.Input.Pad), classes: net.Classes, images: len(images),
	}
	random := rand.New(rand.NewPCG(uint64(o.Seed), 1))
	deviation := deviation(&src.Test)
	l.u = make([]float64, len(l.mean))
	for i := range l.u {
		l.u[i] = deviation * random.NormFloat64()
	}
	return l
}

// deviation returns the standard deviation of the pixels of a set.
func deviation(set *data.Set) float64 {
	var sum, square float64
	for _, p := range set.Images {
		sum += float64(p)
		square += float64(p) * float64(p)
	}
	n := float64(len(set.Images))
	return math.Sqrt(square/n - sum/n*sum/n)
}

// nearby is the distance of the two points between which a slope is computed, in standard
// deviations of a pixel: small enough that a deep net is linear between them, and large enough
// that the rounding of float32 does not matter.
const nearby = 2e-3

// slopes returns the slopes of the logits of all images at the i-th point of the line, of shape
// (images, classes).
func (l *line) slopes(i int) ([]float64, error) {
	before, err := l.logits(l.at[i] - nearby/2)
	if err != nil {
		return nil, err
	}
	slopes, err := l.logits(l.at[i] + nearby/2)
	for k := range slopes {
		slopes[k] = digits((slopes[k] - before[k]) / nearby)
	}
	return slopes, err
}

// logits returns the logits of all images at a place on the line, of shape (images, classes). The
// net's input is (pixel - mean) * scale, so that another mean moves the images.
func (l *line) logits(t float64) (all []float64, err error) {
	mean := make([]float32, len(l.mean))
	for k, m := range l.mean {
		mean[k] = float32(float64(m) - t*l.u[k])
	}
	if err := l.net.Session.Write("mean", mean); err != nil {
		return nil, err
	}
	batch := l.net.Run.Batch
	logits := make([]float32, batch*l.classes)
	for at := 0; at < len(l.rows); at += batch {
		if _, err := l.net.Session.Eval(l.rows[at:][:batch]); err != nil {
			return nil, err
		}
		if err := l.net.Session.Read("logits", logits); err != nil {
			return nil, err
		}
		for _, v := range logits {
			all = append(all, float64(v))
		}
	}
	return all[:l.images*l.classes], nil
}

// correlations returns the correlation at each distance, averaged over the images, from the slopes
// at each point.
func (l *line) correlations(slopes [][]float64) (all []float64) {
	for lag := 1; lag <= len(slopes)/2; lag++ {
		sum, n := 0.0, 0
		for image := range l.images {
			if r := slopeCorrelation(slopes, image*l.classes, l.classes, lag); !math.IsNaN(r) {
				sum, n = sum+r, n+1
			}
		}
		all = append(all, digits(sum/float64(max(n, 1))))
	}
	return all
}

// slopeCorrelation returns the correlation of slopes at points that are lag apart, over the
// functions from first on; NaN if all slopes are 0.
func slopeCorrelation(slopes [][]float64, first, functions, lag int) float64 {
	var both, a, b float64
	for i := range len(slopes) - lag {
		for k := first; k < first+functions; k++ {
			s, t := slopes[i][k], slopes[i+lag][k]
			both, a, b = both+s*t, a+s*s, b+t*t
		}
	}
	return both / math.Sqrt(a*b)
}

// digits rounds x to six significant digits.
func digits(x float64) float64 {
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 6, 64), 64)
	if err != nil {
		panic(fmt.Sprintf("measure: %v cannot be rounded", x))
	}
	return y
}
