// Which kernel computes a convolution: the first that supports its shapes of Winograd, the
// direct kernels, oneDNN if it is open, and the definition.

package cpu

import "depthlab/nets/kernel"

// conv: x, w -> y.
func conv(c *compiler, k kernel.Conv) error {
	x, y := c.inShape(0), c.outShape(0)
	switch {
	case fitsWinograd(c, k, x, y):
		return winogradForward(c)
	case fitsDirect(c, k, x, y):
		return directForward(c, k)
	case c.d.lib != nil:
		return libraryConv(c, k)
	}
	return translateReference(c)
}

// convGradInput: w, dy -> dx.
func convGradInput(c *compiler, k kernel.ConvGradInput) error {
	y, x := c.inShape(1), c.outShape(0)
	switch {
	case fitsWinograd(c, k.Conv, y, x):
		return winogradGradInput(c)
	case fitsDirectBack(c, k.Conv, x, y):
		return directGradInput(c, k.Conv)
	case c.d.lib != nil:
		return libraryConvGradInput(c, k)
	}
	return translateReference(c)
}

// convGradWeight: x, dy -> dw.
func convGradWeight(c *compiler, k kernel.ConvGradWeight) error {
	x, y := c.inShape(0), c.inShape(1)
	switch {
	case fitsWinogradGrad(c, k.Conv, x, y):
		return winogradGradWeight(c)
	case fitsDirectGrad(c, k.Conv, x, y):
		return directGradWeight(c, k.Conv)
	case c.d.lib != nil:
		return libraryConvGradWeight(c, k)
	}
	return translateReference(c)
}
