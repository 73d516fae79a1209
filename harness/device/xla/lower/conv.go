// Emitters of convolutions and their gradients.

package lower

import (
	"fmt"

	"depthlab/nets/kernel"
)

// Convolutions are written in the forms that XLA turns into cuDNN calls, with images
// (N, H, W, C) and weights (O, H, W, I). The gradient of the input is a convolution of dy,
// dilated by the stride, with the reversed weight. The gradient of the weight is a
// convolution of x with dy, dilated by the stride, where batch and channels change roles.

func conv(e *emitter, k kernel.Conv, in []value) []value {
	x, w := convOperand(e, in[0]), convOperand(e, in[1])
	y := []int{x.dims[0], outSize(k, x.dims[1]), outSize(k, x.dims[2]), k.Out}
	return []value{convolution(e, x, w, y, "[b, 0, 1, f]x[o, 0, 1, i]->[b, 0, 1, f]", window{
		stride: [2]int{k.Stride, k.Stride}, low: [2]int{k.Pad, k.Pad}, high: [2]int{k.Pad, k.Pad},
	})}
}

func convGradInput(e *emitter, k kernel.ConvGradInput, in []value) []value {
	w, dy := convOperand(e, in[0]), convOperand(e, in[1])
	reversed := e.line(w.elem, w.dims, "reverse %s, dims = [1, 2] : %s", w.name, w.typ())
	win := window{dilateX: [2]int{k.Stride, k.Stride}}
	for i, n := range []int{k.H, k.W} {
		win.low[i] = k.Size - 1 - k.Pad
		win.high[i] = n + k.Pad - 1 - (dy.dims[1+i]-1)*k.Stride
	}
	dx := []int{dy.dims[0], k.H, k.W, w.dims[3]}
	return []value{convolution(e, dy, reversed, dx, "[b, 0, 1, f]x[i, 0, 1, o]->[b, 0, 1, f]", win)}
}

func convGradWeight(e *emitter, k kernel.ConvGradWeight, in []value) []value {
	x, dy := convOperand(e, in[0]), convOperand(e, in[1])
	win := window{dilateW: [2]int{k.Stride, k.Stride}, low: [2]int{k.Pad, k.Pad}}
	for i := range 2 {
		// Negative padding leaves out the input pixels that no window reaches.
		win.high[i] = (dy.dims[1+i]-1)*k.Stride + k.Size - x.dims[1+i] - k.Pad
	}
	dw := []int{k.Out, k.Size, k.Size, x.dims[3]}
	return []value{convolution(e, x, dy, dw, "[f, 0, 1, b]x[i, 0, 1, o]->[f, 0, 1, b]", win)}
}

func outSize(k kernel.Conv, n int) int { return (n+2*k.Pad-k.Size)/k.Stride + 1 }

// window is the geometry of a convolution, for rows and columns: stride, padding (low,
// high), dilation of the input (X) and of the kernel (W). A stride or dilation of 0 means
// 1.
type window struct{ stride, low, high, dilateX, dilateW [2]int }

func convolution(e *emitter, x, w value, out []int, numbers string, win window) value {
	pair := func(p [2]int) string { return fmt.Sprintf("[%d, %d]", max(p[0], 1), max(p[1], 1)) }
	return e.line(x.elem, out, "convolution(%s, %s) dim_numbers = %s, window = {stride = %s, pad = [[%d, %d], [%d, %d]], lhs_dilate = %s, rhs_dilate = %s} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision %s>, #stablehlo<precision %s>]} : (%s, %s) -> %s",
		x.name, w.name, numbers, pair(win.stride), win.low[0], win.high[0], win.low[1], win.high[1], pair(win.dilateX), pair(win.dilateW),
		e.precision, e.precision, x.typ(), w.typ(), tensor(x.elem, out))
}
