// Elementwise kernels on flat arrays (kernels/flat.c): sums of rows, the update of
// parameters.

package cpu

import "depthlab/nets/kernel"

// flatTask is the task of sumRows (kernels/flat.c has the same struct).
type flatTask struct {
	shared
	to, from         uintptr
	bytes, rows, row int64 // bytes of a row, number of rows, stride between rows
}

// sgdTask is the task of sgd.
type sgdTask struct {
	shared
	w, g, v               uintptr
	bytes                 int64
	rate, momentum, decay float32
	form                  int32
}

const (
	flatName  = "own:flat"
	flatPiece = 16 << 10 // bytes
)

// flatPieces is the number of pieces of an array of this size.
func flatPieces(bytes int64) int64 { return (bytes + flatPiece - 1) / flatPiece }

// addRows appends the sum of rows of float32, with a stride of row bytes.
func addRows(c *compiler, to, from mem, bytes, rows, row int64) error {
	t := flatTask{shared: shared{count: flatPieces(bytes)}, bytes: bytes, rows: rows, row: row}
	return launch(c, c.own.floats.sumRows, flatName, &t, func() { t.to, t.from = to.address(0), from.address(0) })
}

// add: a, b -> y.
func add(c *compiler) error {
	switch {
	case leaveSum(c):
		return nil
	case c.own.sumRows != 0:
		return ownAdd(c)
	case c.d.lib != nil:
		return libraryAdd(c)
	}
	return translateReference(c)
}

// ownAdd sums two rows; their stride is the distance of the operands.
func ownAdd(c *compiler) error {
	s := c.outShape(0)
	x, err := natural(c, s)
	if err != nil {
		return err
	}
	a, y, err := inOut(c, 0, 0, x)
	if err != nil {
		return err
	}
	b, err := c.in(1, x)
	if err != nil {
		return err
	}
	t, sum := flatTask{shared: shared{count: flatPieces(x.size)}, bytes: x.size, rows: 2}, c.own.sumRows
	if x.dtype == f32 {
		sum = c.own.floats.sumRows
	}
	return launch(c, sum, flatName, &t, func() {
		t.to, t.from = y.address(0), a.address(0)
		t.row = int64(b.address(0)) - int64(a.address(0))
	})
}

// update: w, g, state, rates -> w, state.
func update(c *compiler, k kernel.Optimizer) error {
	form, ok := k.(kernel.SGD)
	if !ok || c.own.floats.sgd == 0 {
		return translateReference(c)
	}
	in, err := plainAll(c, c.instr.In, c.in)
	if err != nil {
		return err
	}
	w, g, state, rates := kernel.OptimizerOperands(in)
	t := sgdTask{shared: shared{count: flatPieces(w.desc.size)}, bytes: w.desc.size, momentum: form.Momentum, decay: form.Decay, form: int32(form.Form)}
	c.host(func() func() {
		rate := floats(rates, 1)
		return func() { t.rate = rate[0] }
	})
	return launch(c, c.own.floats.sgd, flatName, &t, func() { t.w, t.g, t.v = w.address(0), g.address(0), state[0].address(0) })
}
