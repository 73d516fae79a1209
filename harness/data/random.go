// Random numbers with the same bits on every machine.

package data

import "math/bits"

// random is the generator SplitMix64 (Steele, Lea, Flood 2014). Its state is 64 bits, so
// that making a new generator for every image and every slot of the sampler is cheap. It is
// implemented here because its bits are part of every published result.
type random uint64

// keyed makes the generator of a list of numbers. Different lists give independent
// generators.
func keyed(keys ...uint64) random {
	var s uint64
	for _, k := range keys {
		s = mix(s+golden) ^ k
	}
	return random(mix(s + golden))
}

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// next returns 64 random bits.
func (r *random) next() uint64 {
	*r += golden
	return mix(uint64(*r))
}

// below is uniform in 0..n-1. Probabilities differ from 1/n by at most 2^-64.
func (r *random) below(n uint64) uint64 {
	high, _ := bits.Mul64(r.next(), n)
	return high
}

// unit is uniform in [0, 1), with 53 bits, which float64 holds exactly.
func (r *random) unit() float64 { return float64(r.next()>>11) * (1.0 / (1 << 53)) }

// between is uniform in [a, b).
func (r *random) between(a, b float64) float64 { return a + mul(b-a, r.unit()) }

// bell is a sum of eight random bytes minus its mean: an integer with a nearly normal
// distribution (excess kurtosis -0.15, never beyond 4.9 standard deviations) and standard
// deviation bellSigma. It takes one draw and only integer arithmetic.
func (r *random) bell() int64 {
	const even = 0x00ff00ff00ff00ff
	z := r.next()
	pairs := z&even + z>>8&even // four sums of 9 bits
	return int64(pairs*0x0001000100010001>>48) - 1020
}

const bellSigma = 209.02153 // sqrt(8 * (256^2-1) / 12)

// normal is bell scaled to standard deviation 1.
func (r *random) normal() float64 { return float64(r.bell()) / bellSigma }

// mul is a product that is rounded before it is used. Otherwise Go may fuse a product and
// a sum into one rounding (FMA), which it does on arm64 but not on amd64.
func mul(a, b float64) float64 { return float64(a * b) }
