// Emitter of Batch: gathers, crops, flips and normalises images.

package lower

import "depthlab/nets/kernel"

// batch gathers the images of a batch pixel by pixel. Operands: images (D, H', W', C),
// labels (D), rows (N, 4), mean (H', W', C), scale (C), fill (C). Results: images
// (N, H, W, C), labels (N) and, with Noise, noise (N).
func batch(e *emitter, k kernel.Batch, in []value) []value {
	images, labels, rows := in[kernel.BatchImages], in[kernel.BatchLabels], in[kernel.BatchRows]
	if k.Images > 0 {
		rows = e.slice(rows, []int{k.First, 0}, []int{k.First + k.Images, 4}, []int{1, 1})
	}
	n, h, w, c := rows.dims[0], images.dims[1], images.dims[2], images.dims[3]
	pixels := []int{n, k.H, k.W}
	index := e.column(rows, 0)
	each := func(column int) value { return e.broadcast(e.column(rows, column), pixels, 0) }
	number := func(v int) value { return e.constant(float64(v), i32, pixels...) }

	y := e.sub(e.add(e.iota(i32, 1, pixels...), each(1)), number(k.Pad))
	x := e.iota(i32, 2, pixels...)
	flip := e.elementwise("and", each(3), number(1))
	x = e.pick(e.compare("NE", flip, number(0)), e.sub(number(k.W-1), x), x)
	x = e.sub(e.add(x, each(2)), number(k.Pad))
	inside := e.elementwise("and",
		e.elementwise("and", e.compare("GE", y, number(0)), e.compare("LT", y, number(h))),
		e.elementwise("and", e.compare("GE", x, number(0)), e.compare("LT", x, number(w))))

	entry := func(v value) value { return e.reshape(v, n, k.H, k.W, 1) }
	at := e.concat(3, entry(y), entry(x))
	mean := e.gather(in[kernel.BatchMean], at)
	pixel := e.gather(images, e.concat(3, entry(e.broadcast(index, pixels, 0)), entry(y), entry(x)))
	out := []int{n, k.H, k.W, c}
	v := e.mul(e.sub(e.convert(pixel, f32), mean), e.broadcast(in[kernel.BatchScale], out, 3))
	v = e.pick(e.broadcast(inside, out, 0, 1, 2), v, e.broadcast(in[kernel.BatchFill], out, 3))

	empty := e.compare("LT", index, e.constant(0, i32, n))
	v = e.pick(e.broadcast(empty, out, 0), e.constant(0, f32, out...), v)
	label := e.gather(labels, e.reshape(index, n, 1))
	all := []value{v, e.pick(empty, e.constant(-1, i32, n), label)}
	if k.Noise {
		all = append(all, e.column(rows, 3))
	}
	return all
}
