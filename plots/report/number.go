// Short JSON for curves, because a page has many.

package report

import (
	"math"
	"strconv"
)

// Steps are encoded as the first step and the differences.
type Steps []int

// MarshalJSON encodes them.
func (s Steps) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	before := 0
	for i, n := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n-before), 10)
		before = n
	}
	return append(b, ']'), nil
}

// Values are encoded with five digits; numbers from 1 to 1e6 with at most three decimals. NaN
// and infinity become null.
type Values []float64

// MarshalJSON encodes them.
func (v Values) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			b = append(b, "null"...)
		case math.Abs(x) >= 1 && math.Abs(x) < 1e6:
			b = strconv.AppendFloat(b, math.Round(x*1000)/1000, 'f', -1, 64)
		default:
			b = strconv.AppendFloat(b, x, 'g', 5, 64)
		}
	}
	return append(b, ']'), nil
}
