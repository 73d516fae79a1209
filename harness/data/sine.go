// Sines with the same bits on every machine.

package data

import "math"

// Angles are 32-bit fractions of a turn, so that they wrap around. Sines come from a
// table, so that they are the same on every machine: package math does not guarantee the
// last bit, and uses assembly on some machines.

// turns converts an angle in turns to a 32-bit fraction of a turn. |t| < 2^31.
func turns(t float64) uint32 { return uint32(int64(math.Floor(mul(t, 1<<32)))) }

const (
	sineBits = 12
	sineOne  = 1 << 14 // the value of 1.0 in the table
)

var sineTable = func() (table [1 << sineBits]int16) {
	for i := range table {
		table[i] = int16(math.Floor(mul(sineOf((float64(i)+0.5)/(1<<sineBits)), sineOne) + 0.5))
	}
	return
}()

// sine is sineOne times the sine of an angle. Its error is at most 1/650 of sineOne.
func sine(angle uint32) int64 { return int64(sineTable[angle>>(32-sineBits)]) }

// sineOf is the sine of t turns with an error below 1e-12, from its Taylor series over a
// quarter turn. Every operation is rounded once, by the rules of IEEE 754.
func sineOf(t float64) float64 {
	t -= math.Floor(t)
	if t >= 0.5 {
		return -sineOf(t - 0.5)
	}
	if t > 0.25 {
		t = 0.5 - t
	}
	x := mul(t, 2*math.Pi)
	x2 := mul(x, x)
	sum := 0.0
	for k := 19.0; k > 1; k -= 2 {
		sum = mul(1-sum, x2) / (k * (k - 1))
	}
	return mul(x, 1-sum)
}

func cosineOf(t float64) float64 { return sineOf(t + 0.25) }
