// Pooling by kernels/pool.c.

package cpu

import "depthlab/nets/kernel"

// poolTask is the task of the kernels of kernels/pool.c, which has the same struct.
type poolTask struct {
	shared                               // images
	x, y, dx                             uintptr
	blocks, height, width, rows, columns int64
	size, stride, before                 int64
	inverse                              float32 // 1 / pixels
}

const poolName = "own:pool"

// fitsPool reports whether these kernels support activations of shape s.
func fitsPool(c *compiler, s kernel.Shape) bool { return c.own.maxPool != 0 && c.layout.fits(s) }

// newPool returns a task for images of shape x.
func newPool(c *compiler, x kernel.Shape) poolTask {
	return poolTask{shared: shared{count: int64(x[0])}, blocks: int64(x[1] / c.own.lanes), height: int64(x[2]), width: int64(x[3]), inverse: 1 / float32(x[2]*x[3])}
}

// windows returns a task for max pooling of x to y.
func windows(c *compiler, k kernel.MaxPool, x, y kernel.Shape) poolTask {
	t := newPool(c, x)
	t.rows, t.columns = int64(y[2]), int64(y[3])
	t.size, t.stride, t.before = int64(k.Size), int64(k.Stride), int64(k.Before)
	return t
}

// maxPool: x -> y.
func maxPool(c *compiler, k kernel.MaxPool) error {
	switch {
	case fitsPool(c, c.inShape(0)):
	case c.d.lib != nil:
		return libraryMaxPool(c, k)
	default:
		return translateReference(c)
	}
	x, y, err := inAndOut(c, 0, 0)
	if err != nil {
		return err
	}
	t := windows(c, k, c.inShape(0), c.outShape(0))
	return launch(c, c.own.maxPool, poolName, &t, func() { t.x, t.y = x.address(0), y.address(0) })
}

// maxPoolGrad: x, dy -> dx.
func maxPoolGrad(c *compiler, k kernel.MaxPoolGrad) error {
	switch {
	case fitsPool(c, c.inShape(0)):
	case c.d.lib != nil:
		return libraryMaxPoolGrad(c, k)
	default:
		return translateReference(c)
	}
	x, dx, err := inAndOut(c, 0, 0)
	if err != nil {
		return err
	}
	dy, err := activation(c, 1, c.inShape, c.in)
	if err != nil {
		return err
	}
	t := windows(c, k.MaxPool, c.inShape(0), c.inShape(1))
	return launch(c, c.own.maxPoolGrad, poolName, &t, func() { t.x, t.y, t.dx = x.address(0), dy.address(0), dx.address(0) })
}

// avgPool: x (N, C, H, W) -> y (N, C). The channels of y are contiguous, so its layout is the
// same in blocks and plain.
func avgPool(c *compiler) error {
	switch {
	case fitsPool(c, c.inShape(0)):
	case c.d.lib != nil:
		return libraryAvgPool(c)
	default:
		return translateReference(c)
	}
	x, err := activation(c, 0, c.inShape, c.in)
	if err != nil {
		return err
	}
	y, t := keptMem(c, c.instr.Out[0]), newPool(c, c.inShape(0))
	return launch(c, c.own.avgPool, poolName, &t, func() { t.x, t.y = x.address(0), y.address(0) })
}

// avgPoolGrad: dy (N, C) -> dx (N, C, H, W).
func avgPoolGrad(c *compiler) error {
	switch {
	case fitsPool(c, c.outShape(0)):
	case c.d.lib != nil:
		return libraryAvgPoolGrad(c)
	default:
		return translateReference(c)
	}
	dx, err := activation(c, 0, c.outShape, c.out)
	if err != nil {
		return err
	}
	dy, t := keptMem(c, c.instr.In[0]), newPool(c, c.outShape(0))
	return launch(c, c.own.avgPoolGrad, poolName, &t, func() { t.y, t.dx = dy.address(0), dx.address(0) })
}
