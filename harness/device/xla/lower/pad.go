// Emitters of Pad, the parameter-free shortcut (option A), and its gradient.

package lower

import "depthlab/nets/kernel"

func padChannels(e *emitter, k kernel.Pad, in []value) []value {
	x := in[0]
	c, first := x.dims[3], k.First(x.dims[3])
	x = e.slice(x, []int{0, 0, 0, 0}, x.dims, []int{1, k.Stride, k.Stride, 1})
	return []value{e.pad(x, []int{0, 0, 0, first}, []int{0, 0, 0, k.Out - c - first}, []int{0, 0, 0, 0})}
}

func padGrad(e *emitter, k kernel.PadGrad, in []value) []value {
	dy := in[0]
	first, d := k.First(k.C), dy.dims
	dy = e.slice(dy, []int{0, 0, 0, first}, []int{d[0], d[1], d[2], first + k.C}, []int{1, 1, 1, 1})
	gap := k.Stride - 1
	rest := func(n, out int) int { return n - 1 - (out-1)*k.Stride }
	return []value{e.pad(dy, []int{0, 0, 0, 0}, []int{0, rest(k.H, d[1]), rest(k.W, d[2]), 0}, []int{0, gap, gap, 0})}
}
