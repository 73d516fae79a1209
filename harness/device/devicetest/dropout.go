// Conformance of dropout in whole steps: what its masks depend on.

package devicetest

import (
	"math"
	"testing"

	"depthlab/harness/device"
)

// dropout checks that the masks depend on the noise in the rows and on nothing else: not on
// the launch, the session, the place in the batch, or what ran before. The tests
// kernels and steps compare the masks themselves with ref's.
func (s *suite) dropout(t *testing.T) {
	n := newNet(t, "resnet-8/shortcut-dropout=0.5", 8, 0, 8, "")
	h := s.open(t, n)
	loss := func(rows []device.Row) float64 { // at rate 0, which changes no parameters
		p := device.Launch{Rows: rows, Rates: make([]device.Rates, 1)}
		return float64(h.train(p)[0].Loss)
	}
	rows := n.plan(0, 1, 0).Rows
	first := loss(rows)
	if again := loss(rows); again != first {
		t.Errorf("the same rows again: loss %v, first %v", again, first)
	}
	changed := func(change func(rows []device.Row)) []device.Row {
		c := append([]device.Row(nil), rows...)
		change(c)
		return c
	}
	for _, bit := range []int32{1 << 1, 1 << 30} { // not the lowest, which flips the image
		if other := loss(changed(func(r []device.Row) { r[3][3] ^= bit })); other == first {
			t.Errorf("the noise of an image has another bit %#x, but the loss is %v as before", bit, first)
		}
	}
	swapped := loss(changed(func(r []device.Row) { r[0], r[7] = r[7], r[0] }))
	if e := math.Abs(swapped-first) / first; !(e <= s.tolerance().loss) {
		t.Errorf("two images have changed places: loss %v, before %v", swapped, first)
	}

	// Evaluations have no masks.
	eval := evalRows(n)
	want, err := h.Eval(eval)
	if err != nil {
		t.Fatal(err)
	}
	for i := range eval {
		eval[i][3] ^= 1 << 20
	}
	if got, err := h.Eval(eval); err != nil || got != want {
		t.Errorf("with other noise an evaluation gives %+v, %v; before %+v", got, err, want)
	}

	// A resume in the middle, with launches cut in another way.
	whole := h.train(n.plan(0, 2, 0.05))
	half := h.state(n)
	whole = append(whole, h.train(n.plan(2, 3, 0.05))...)
	resumed := s.open(t, n)
	for name, v := range half {
		resumed.write(name, v)
	}
	for i := 2; i < 5; i++ {
		if got := resumed.train(n.plan(i, 1, 0.05))[0]; got != whole[i] {
			t.Errorf("resumed step %d: %+v, not stopped %+v", i, got, whole[i])
		}
	}
	sameBits(t, "resumed", resumed.state(n), h.state(n))
}
