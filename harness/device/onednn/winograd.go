package onednn

import (
	"unsafe"

	"depthlab/nets/kernel"
)

// 3x3 convolutions of stride 1, and their gradients by the input, for AVX-512
// by Winograd's F(2x2, 3x3): of tiles of 4x4 pixels, 2x2 apart, and of the
// weights linear transforms are taken, whose product at each of the 16
// positions replaces 36 multiplications by 16 (Lavin & Gray 2016, "Fast
// algorithms for convolutional neural networks"). Sums are float32; in bfloat16
// the transformed tiles and weights are rounded, as the weights are without.

// winogradTask is what winograd32 and its twin for bfloat16 work on; the
// assembly knows the offsets. Lengths are in bytes, x is the operand that is
// read and y the one written.
type winogradTask struct {
	next, count, threads   int64 // images taken, images, threads that came
	x, y, weights, table   uintptr
	scratch                uintptr
	threadScratch          int64
	padded, transformed    int64 // parts of the scratch: an image, a group of 16 tiles
	xImage, yImage, yBlock int64
	padRow, padBlock       int64
	inBlocks, outBlocks    int64
	rows, pixels           int64 // of x; pixels in a row
	groups, position, yRow int64 // position: from one of the 16 to the next, transformed

	// Of the gradient by the weight: y is dy, count counts chunks of images,
	// which have sums of their own, weights points to these, and groups counts
	// the tiles of an image.
	images, group    int64 // group: images that pass together through the cache
	chunk            int64 // of one chunk's sums
	tileRow          int64 // of a block of a group's transformed tiles
	gradientPosition int64
}

// winogradWeightsTask is what winogradWeights32 and its twin work on: blocks of
// 16 outputs and 16 inputs.
type winogradWeightsTask struct {
	next, count, inBlocks int64
	w, u                  uintptr
	wOut, wIn, uOut       int64
	tap, position, uIn    int64
}

// winogradSumTask is what winogradGradSum works on.
type winogradSumTask struct {
	next, count, chunks int64 // blocks of 16 outputs and 16 inputs taken, blocks, chunks
	u, dw               uintptr
	chunk               int64
}

const tileGroup = 16

// winograd reports whether these functions convolve x (N,C,H,W) to y.
func (c *compiler) winograd(k kernel.Conv, x, y kernel.Shape) bool {
	_, all := tileCount(y)
	return c.own.wide && k.Size == 3 && k.Pad == 1 && k.Stride == 1 && x[1]%16 == 0 && y[1]%16 == 0 &&
		y[2] > 1 && y[3] > 1 && all >= tileGroup
}

// winogradGrad reports whether they take the gradient by the weight, in which
// no tile may count twice. In bfloat16 tiles go in pairs, if need be of two
// images of a chunk, and the transforms of 16 channels cost more than they save.
func (c *compiler) winogradGrad(k kernel.Conv, x, y kernel.Shape) bool {
	pairs := y[2]*y[3]/4%2 == 0 || x[0]%(2*c.chunks(x)) == 0
	return c.winograd(k, x, y) && y[2]%2 == 0 && y[3]%2 == 0 && (c.dtype == f32 || pairs && x[1] > 16)
}

// chunks is the number of parts with sums of their own that the images of x
// are cut into for a gradient by the weight: two a thread, since threads are
// not equally fast.
func (c *compiler) chunks(x kernel.Shape) int { return min(x[0], 2*c.d.threads) }

// winogradForward: x, w -> y.
func (c *compiler) winogradForward() error {
	w := c.inShape(1)
	return c.winogradProduct(0, 1, c.inShape(0), c.outShape(0), tagOIhw16i16o, winogradWeightsTask{
		tap: tapBytes, wIn: 9 * tapBytes, wOut: int64(w[1]/16) * 9 * tapBytes})
}

// winogradGradInput: w, dy -> dx. The last tap comes first, and inputs are
// outputs.
func (c *compiler) winogradGradInput() error {
	w := c.inShape(0)
	return c.winogradProduct(1, 0, c.inShape(1), c.outShape(0), tagOIhw16o16i, winogradWeightsTask{
		tap: -tapBytes, wOut: 9 * tapBytes, wIn: int64(w[1]/16) * 9 * tapBytes})
}

const tapBytes = 16 * 16 * 4

// winogradProduct convolves input i, of shape x, with the weight, input j in
// layout tag, into output 0, of shape y. The task holds the strides of the
// weight.
func (c *compiler) winogradProduct(i, j int, x, y kernel.Shape, tag int32, wt winogradWeightsTask) error {
	xm, wm, ym, err := c.productOperands(i, j, tag)
	if err != nil {
		return err
	}
	size, product, weights := int64(4), entryWinograd32, entryWinogradWeights32
	if c.dtype == bf16 {
		size, product, weights = 2, entryWinograd16, entryWinogradWeights16
	}
	t := c.newWinograd(x, y)
	t.count = int64(x[0])
	t.position = t.inBlocks * tileGroup * 16 * size
	t.transformed = 16 * t.position
	t.threadScratch = t.padded + t.transformed + 16*tileGroup*64
	scratch, err := c.padded(padKey{product, 1, x[1], x[2], x[3]}, t.threadScratch)
	if err != nil {
		return err
	}
	table, groups, err := c.tiles(y, size, tileGroup)
	if err != nil {
		return err
	}
	t.scratch, t.table, t.groups = uintptr(scratch.at(0)), uintptr(table.at(0)), int64(groups)

	wt.count, wt.inBlocks = t.inBlocks*t.outBlocks, t.inBlocks
	wt.uIn = 16 * 16 * size
	wt.position = t.inBlocks * wt.uIn
	wt.uOut = 16 * wt.position
	u := &block{size: wt.uOut * t.outBlocks, first: c.at, last: c.at}
	c.work = append(c.work, u)
	first := int64(0)
	if wt.tap < 0 {
		first = 8 * tapBytes
	}
	const head = (unsafe.Sizeof(t) + 63) / 64 * 64
	m, err := c.keep(int64(head + unsafe.Sizeof(wt)))
	if err != nil {
		return err
	}
	c.host(func() func() {
		t.x, t.y, t.weights = xm.address(0), ym.address(0), uintptr(u.ptr)
		wt.w, wt.u = wm.address(first), uintptr(u.ptr)
		task, weightTask := (*winogradTask)(m.at(0)), (*winogradWeightsTask)(m.at(int64(head)))
		transform, run := c.d.onTeam(weights, m[head:]), c.d.onTeam(product, m)
		return func() {
			*weightTask = wt
			transform()
			*task = t
			run()
		}
	})
	c.ops[len(c.ops)-1].what = winogradName
	return nil
}

// winogradGradWeight: x, dy -> dw.
func (c *compiler) winogradGradWeight() error {
	x, y := c.inShape(0), c.inShape(1)
	xm, ym, dw, err := c.gradOperands(tagOIhw16i16o)
	if err != nil {
		return err
	}
	t := c.newWinograd(x, y)
	size, product := int64(4), entryWinogradGradWeight32
	if c.dtype == bf16 {
		size, product = 2, entryWinogradGradWeight16
	}
	tiles := int64(y[2] * y[3] / 4)
	perImage := 16 * tiles * 16 * size * (t.inBlocks + t.outBlocks) // transformed
	t.groups, t.images = tiles, int64(x[0])
	t.group = min(max(1, transformedBytes/perImage), t.images)
	if tiles%2 != 0 {
		t.group += t.group % 2
	}
	t.tileRow = t.group * tiles * 16 * size
	t.position, t.gradientPosition = t.inBlocks*t.tileRow, t.outBlocks*t.tileRow
	t.transformed = 16 * t.position
	t.threadScratch = t.padded + t.transformed + 16*t.gradientPosition
	chunks, blocks := c.chunks(x), t.inBlocks*t.outBlocks
	t.count, t.chunk = int64(chunks), blocks*16*16*16*4
	scratch, err := c.padded(padKey{product, 1, x[1], x[2], x[3]}, t.threadScratch)
	if err != nil {
		return err
	}
	table, _, err := c.tiles(y, size, 1)
	if err != nil {
		return err
	}
	t.scratch, t.table = uintptr(scratch.at(0)), uintptr(table.at(0))
	sums := &block{size: t.chunk * int64(chunks), first: c.at, last: c.at}
	c.work = append(c.work, sums)
	sum := winogradSumTask{count: blocks, chunks: int64(chunks), chunk: t.chunk}
	const head = (unsafe.Sizeof(t) + 63) / 64 * 64
	m, err := c.keep(int64(head + unsafe.Sizeof(sum)))
	if err != nil {
		return err
	}
	c.host(func() func() {
		t.x, t.y, t.weights = xm.address(0), ym.address(0), uintptr(sums.ptr)
		sum.u, sum.dw = uintptr(sums.ptr), dw.address(0)
		task, sumTask := (*winogradTask)(m.at(0)), (*winogradSumTask)(m.at(int64(head)))
		run, add := c.d.onTeam(product, m), c.d.onTeam(entryWinogradGradSum, m[head:])
		return func() {
			*task = t
			run()
			*sumTask = sum
			add()
		}
	})
	c.ops[len(c.ops)-1].what = winogradName
	return nil
}

const (
	winogradName     = "own:winograd"
	transformedBytes = 512 << 10 // of x and dy, at most, where an image is no more
)

// newWinograd gives what the tasks of a convolution of x to y share.
func (c *compiler) newWinograd(x, y kernel.Shape) winogradTask {
	size := int64(4)
	if c.dtype == bf16 {
		size = 2
	}
	t := winogradTask{inBlocks: int64(x[1] / 16), outBlocks: int64(y[1] / 16),
		rows: int64(x[2]), pixels: int64(x[3]), padRow: int64(x[3]+2) * 64}
	t.xImage, t.yBlock, t.yRow = int64(x[1]*x[2]*x[3])*size, int64(y[2]*y[3]*16)*size, int64(y[3]*16)*size
	t.yImage = t.yBlock * t.outBlocks
	t.padBlock = t.padRow * int64(x[2]+2)
	t.padded = t.padBlock * t.inBlocks
	return t
}

// tileCount is the number of tiles in a row of y, and in all.
func tileCount(y kernel.Shape) (across, all int) {
	across = (y[3] + 1) / 2
	return across, across * ((y[2] + 1) / 2)
}

// tiles gives, group by group, where each tile of y begins: int32 byte offsets
// in a block of the padded image, of float32, and in a block of y. The last of
// the groups of size group overlaps the one before, and at an odd edge the last
// tile: what lies in both is written twice.
func (c *compiler) tiles(y kernel.Shape, size int64, group int) (table region, groups int, err error) {
	across, all := tileCount(y)
	groups = (all + group - 1) / group
	key := tableKey{-group, y[2], y[3]}
	if table = c.tables[key]; table != nil {
		return table, groups, nil
	}
	if table, err = c.keep(int64(groups * group * 8)); err != nil {
		return nil, 0, err
	}
	at := unsafe.Slice((*[2]int32)(table.at(0)), groups*group)
	for i := range at {
		t := min(i/group*group, all-group) + i%group
		row, column := min(2*(t/across), y[2]-2), min(2*(t%across), y[3]-2)
		at[i] = [2]int32{int32((row*(y[3]+2) + column) * 64), int32((row*y[3]+column)*16) * int32(size)}
	}
	c.tables[key] = table
	return table, groups, nil
}
