// Which kernel computes a convolution: the first that supports its shapes of Winograd, the
// direct kernels, oneDNN if it is open, and the definition.

package cpu

import "depthlab/nets/kernel"

// conv: x, w -> y.
func (c *compiler) conv(k kernel.Conv) error {
	x, y := c.inShape(0), c.outShape(0)
	switch {
	case c.winograd(k, x, y):
		return c.winogradForward(k)
	case c.direct(k, x, y):
		return c.directForward(k)
	case c.d.lib != nil:
		return c.libraryConv(k)
	}
	return c.reference()
}

// convGradInput: w, dy -> dx.
func (c *compiler) convGradInput(k kernel.ConvGradInput) error {
	y, x := c.inShape(1), c.outShape(0)
	switch {
	case c.winograd(k.Conv, y, x):
		return c.winogradGradInput(k.Conv)
	case c.directBack(k.Conv, x, y):
		return c.directGradInput(k.Conv)
	case c.d.lib != nil:
		return c.libraryConvGradInput(k)
	}
	return c.reference()
}

// convGradWeight: x, dy -> dw.
func (c *compiler) convGradWeight(k kernel.ConvGradWeight) error {
	x, y := c.inShape(0), c.inShape(1)
	switch {
	case c.winogradGrad(k.Conv, x, y):
		return c.winogradGradWeight(k.Conv)
	case c.directGrad(k.Conv, x, y):
		return c.directGradWeight(k.Conv)
	case c.d.lib != nil:
		return c.libraryConvGradWeight(k)
	}
	return c.reference()
}
