// 3x3 convolutions of stride 1, and their gradients, by Winograd's F(4x4, 3x3): of
// tiles of 6x6 pixels, 4x4 apart, and of the weights linear transforms are taken,
// whose product at each of the 36 positions replaces 144 multiplications by 36
// (Lavin & Gray 2015, arXiv:1509.09308). kernels/winograd.h has the mathematics.
// All is float32, but for x and y, which with AVX-512 may be bfloat16.

package cpu

import (
	"depthlab/nets/kernel"
)

// winogradTask is what winograd and winogradGradWeight work on; the assembly and
// kernels/winograd.h know the offsets. Lengths are in bytes, x is the operand that
// is read and y the one written, or dy. Blocks are of as many channels as a vector
// has lanes; those of outputs, outBlocks, are always of 16.
type winogradTask struct {
	next, count, threads   int64 // groups of images taken, all of them, threads that came
	x, y, weights, table   uintptr
	scratch                uintptr
	threadScratch          int64
	padded, transformed    int64 // parts of the scratch: images of x, tiles
	xImage, yImage, yBlock int64
	padRow, padBlock       int64
	inBlocks, outBlocks    int64
	rows, pixels           int64 // of x; pixels in a row
	groups, position, yRow int64 // groups of 16 tiles; position: from one of the 36 to the next, transformed
	images, group          int64 // group: images whose tiles are transformed together

	// Of the gradient by the weight: count counts chunks of images, which have
	// sums of their own, weights points to these, and groups counts the tiles of
	// an image.
	chunk            int64 // of one chunk's sums
	tileRow          int64 // of a block of a group's transformed tiles
	gradientPosition int64
	paddedGradient   int64 // part of the scratch: an image of dy
}

// winogradWeightsTask is what winogradWeights works on, in pieces of 16 outputs and a
// block of inputs.
type winogradWeightsTask struct {
	next, count, inBlocks int64
	w, u                  uintptr
	wOut, wIn, uOut       int64
	tap, position, uIn    int64
}

// winogradSumTask is what winogradGradSum works on.
type winogradSumTask struct {
	next, count, chunks int64 // pieces of 16 outputs and 16 inputs taken, pieces, chunks
	u, dw               uintptr
	chunk, inBlocks     int64
}

const (
	tileGroup = 16 // tiles that are multiplied at a time
	positions = 36
	channels  = 16 // that are computed together
)

// winograd reports whether these functions convolve x (N,C,H,W) to y.
func (c *compiler) winograd(k kernel.Conv, x, y kernel.Shape) bool {
	return c.winogradGrad(k, x, y) && together(y) > 0
}

// winogradGrad reports whether they take the gradient by the weight.
func (c *compiler) winogradGrad(k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.winograd != 0 && k.Size == 3 && k.Pad == 1 && k.Stride == 1 && x[1]%channels == 0 && y[1]%channels == 0 &&
		y[2] >= 4 && y[3] >= 4
}

// together is the number of images of y (N,C,H,W) whose tiles fill groups of 16
// well, 0 if there are too few.
func together(y kernel.Shape) int {
	least := roundUp(tileGroup, tileCount(y)) / tileCount(y)
	if least > y[0] {
		return 0
	}
	for n := least; n <= min(y[0], tileGroup); n++ {
		tiles := n * tileCount(y)
		if 8*(roundUp(tiles, tileGroup)-tiles) <= tiles {
			return n
		}
	}
	return least
}

// chunks is the number of parts with sums of their own that the images of x are cut
// into for a gradient by the weight: two a thread where memory allows, since threads
// are not equally fast. Of the kernels in C it is what four threads would have, so that
// no bit depends on their number.
func (c *compiler) chunks(x kernel.Shape, perThread int) int {
	threads := c.d.threads
	if c.own.byC {
		threads = 4
	}
	return min(x[0], perThread*threads)
}

// winogradForward: x, w -> y.
func (c *compiler) winogradForward(k kernel.Conv) error {
	tap, blocks := c.own.tap(), int64(c.inShape(1)[1]/c.own.lanes)
	w, err := c.winogradWeight(1, weights(k, c.inShape(1)[1], c.own.lanes), tagOIhw16i16o)
	if err != nil {
		return err
	}
	return c.winogradProduct(0, w, c.inShape(0), c.outShape(0), winogradWeightsTask{tap: tap, wIn: 9 * tap, wOut: blocks * 9 * tap})
}

// winogradGradInput: w, dy -> dx. The last tap comes first, and inputs are
// outputs.
func (c *compiler) winogradGradInput(k kernel.Conv) error {
	tap, blocks := c.own.tap(), int64(c.inShape(0)[0]/c.own.lanes)
	w, err := c.winogradWeight(0, weights(k, c.inShape(0)[1], c.own.lanes).turned(c.own.lanes), tagOIhw16o16i)
	if err != nil {
		return err
	}
	t := winogradWeightsTask{tap: -tap, wIn: 9 * tap, wOut: blocks * 9 * tap}
	if !c.own.byC { // oneDNN's layout has the blocks the other way round
		t.wOut, t.wIn = 9*tap, int64(c.inShape(0)[1]/channels)*9*tap
	}
	return c.winogradProduct(1, w, c.inShape(1), c.outShape(0), t)
}

// winogradWeight gives the weight, input i, packed, or where oneDNN is there in its
// layout tag.
func (c *compiler) winogradWeight(i int, p packing, tag int32) (mem, error) {
	if c.own.byC {
		return c.packed(i, p)
	}
	d, err := c.d.desc(c.inShape(i), f32, tag)
	if err != nil {
		return mem{}, err
	}
	return c.in(i, d)
}

// winogradProduct convolves input i, of shape x, with the weight w into output 0, of
// shape y. The task holds the strides of the weight.
func (c *compiler) winogradProduct(i int, w mem, x, y kernel.Shape, wt winogradWeightsTask) error {
	xm, ym, err := c.inAndOut(i, 0)
	if err != nil {
		return err
	}
	t, n, pixel := c.newWinograd(x, y), together(y), c.own.pixel()
	t.padRow = int64(x[3]+2) * pixel
	t.padBlock = t.padRow * int64(x[2]+2)
	t.padded = t.padBlock * t.inBlocks * int64(n)
	t.images, t.group = int64(x[0]), int64(n)
	t.count = (t.images + t.group - 1) / t.group
	t.position = t.inBlocks*tileGroup*pixel + 64
	const product = (tileGroup + 1) * 64 // bytes of a position of the products
	switch small := x[1] == channels && y[1] == channels; {
	case !small:
		t.transformed = positions * t.position
		t.threadScratch = t.transformed
	case c.own.lanes < channels:
		// The products take the place of what those of the position before were made
		// from: what they are made from themselves is still read.
		t.padded += product
		t.transformed = -product
	default:
		t.transformed = 0 // the products take the place of what they are made from
	}
	t.threadScratch += t.padded + positions*product
	scratch, err := c.padded(padKey{c.own.winograd, x[1], x[2], x[3], t.threadScratch})
	if err != nil {
		return err
	}
	table, err := c.tiles(&t, x, y)
	if err != nil {
		return err
	}
	t.scratch, t.table = uintptr(scratch.at(0)), uintptr(table.at(0))

	wt.count, wt.inBlocks = t.inBlocks*t.outBlocks, t.inBlocks
	wt.uIn = int64(c.own.lanes) * 4 * channels
	wt.position = t.inBlocks * wt.uIn
	wt.uOut = positions * wt.position
	u := c.space(wt.uOut * t.outBlocks)
	first := int64(0)
	if wt.tap < 0 {
		first = -8 * wt.tap
	}
	if err := launch(c, c.own.winogradWeights, winogradName, &wt, func() { wt.w, wt.u = w.address(first), u.address(0) }); err != nil {
		return err
	}
	return launch(c, c.own.winograd, winogradName, &t, func() { t.x, t.y, t.weights = xm.address(0), ym.address(0), u.address(0) })
}

// winogradGradWeight: x, dy -> dw.
func (c *compiler) winogradGradWeight(k kernel.Conv) error {
	x, y := c.inShape(0), c.inShape(1)
	xm, ym, err := c.twoIn(0, 1)
	if err != nil {
		return err
	}
	t, tiles, pixel := c.newWinograd(x, y), int64(tileCount(y)), c.own.pixel()
	yBlocks := int64(y[1] / c.own.lanes)
	t.padRow = int64(roundUp(x[3], 4)+2) * pixel
	t.padBlock = t.padRow * int64(roundUp(x[2], 4)+2)
	t.padded, t.paddedGradient = t.padBlock*t.inBlocks, t.padBlock*yBlocks
	perImage := positions * tiles * pixel * (t.inBlocks + yBlocks) // transformed
	t.groups, t.images = tiles, int64(x[0])
	pieces := int64(x[1] / channels * (y[1] / channels))
	t.chunk = pieces * positions * channels * channels * 4
	perThread := 2
	if t.chunk >= chunkBytes {
		perThread = 1
	}
	t.count = int64(c.chunks(x, perThread))
	t.group = min(max(transformedBytes/perImage, (groupTiles+tiles-1)/tiles), (t.images+t.count-1)/t.count)
	t.tileRow = t.group * tiles * pixel
	t.position, t.gradientPosition = t.inBlocks*t.tileRow+64, yBlocks*t.tileRow+64
	t.transformed = positions * t.position
	t.threadScratch = t.padded + t.paddedGradient + t.transformed + positions*t.gradientPosition
	scratch, err := c.padded(padKey{c.own.winogradGradWeight, x[1], x[2], x[3], t.threadScratch})
	if err != nil {
		return err
	}
	table, err := c.gradTiles(&t, y)
	if err != nil {
		return err
	}
	t.scratch, t.table = uintptr(scratch.at(0)), uintptr(table.at(0))
	sums := c.space(t.chunk * t.count)
	if err := launch(c, c.own.winogradGradWeight, winogradName, &t, func() { t.x, t.y, t.weights = xm.address(0), ym.address(0), sums.address(0) }); err != nil {
		return err
	}
	sum := winogradSumTask{count: pieces, chunks: t.count, chunk: t.chunk, inBlocks: t.inBlocks}
	packed := weights(k, x[1], c.own.lanes)
	var dw mem
	if c.own.byC {
		dw = c.space(packed.bytes())
	} else if dw, err = c.outAs(0, tagOIhw16i16o); err != nil {
		return err
	}
	if err := launch(c, c.own.winogradGradSum, winogradName, &sum, func() { sum.u, sum.dw = sums.address(0), dw.address(0) }); err != nil {
		return err
	}
	if c.own.byC {
		return c.unpack(0, dw, packed)
	}
	return nil
}

// outAs gives output i in float32 in oneDNN's layout tag.
func (c *compiler) outAs(i int, tag int32) (mem, error) {
	d, err := c.d.desc(c.outShape(i), f32, tag)
	if err != nil {
		return mem{}, err
	}
	return c.out(i, d)
}

const (
	winogradName     = "own:winograd"
	transformedBytes = 512 << 10 // of x and dy, where an image is no more
	groupTiles       = 64        // at least, for sums that come from memory
	chunkBytes       = 9 << 20   // of sums, which alone would fill the cache
)

// newWinograd gives what the tasks of a convolution of x to y share.
func (c *compiler) newWinograd(x, y kernel.Shape) winogradTask {
	size := int64(4)
	if c.dtype == bf16 {
		size = 2
	}
	t := winogradTask{inBlocks: int64(x[1] / c.own.lanes), outBlocks: int64(y[1] / channels), rows: int64(x[2]), pixels: int64(x[3])}
	t.xImage, t.yImage = int64(x[1]*x[2]*x[3])*size, int64(y[1]*y[2]*y[3])*size
	t.yRow = int64(y[3]*c.own.lanes) * size
	t.yBlock = t.yRow * int64(y[2])
	return t
}

// tileCount is the number of tiles of an image of y.
func tileCount(y kernel.Shape) int { return (y[2] + 3) / 4 * ((y[3] + 3) / 4) }

// tiles gives, group by group, where each tile of the images taken together
// begins: int32 byte offsets in a block of the padded images and in a block of
// y. The last group overlaps the one before, and at an edge the last tile: what
// lies in both is written twice, the same way round by all.
func (c *compiler) tiles(t *winogradTask, x, y kernel.Shape) (region, error) {
	tiles, across := tileCount(y), (y[3]+3)/4
	all := tiles * int(t.group)
	t.groups = int64(roundUp(all, tileGroup) / tileGroup)
	return c.table(tableKey{t.group, x[1], y[1], y[2], y[3]}, int(t.groups)*tileGroup, func(i int) [2]int32 {
		i = min(i/tileGroup*tileGroup, all-tileGroup) + i%tileGroup
		image, row, column := int64(i/tiles), int64(min(i%tiles/across*4, y[2]-4)), int64(min(i%tiles%across*4, y[3]-4))
		return [2]int32{int32(image*t.padBlock*t.inBlocks + row*t.padRow + column*c.own.pixel()),
			int32(image*t.yImage + row*t.yRow + column*t.yRow/t.pixels)}
	})
}

// gradTiles gives where each tile of an image begins in a padded block. Those of
// an edge hang over it.
func (c *compiler) gradTiles(t *winogradTask, y kernel.Shape) (region, error) {
	across := (y[3] + 3) / 4
	return c.table(tableKey{h: y[2], w: y[3]}, tileCount(y), func(i int) [2]int32 {
		return [2]int32{int32(int64(i/across*4)*t.padRow + int64(i%across*4)*c.own.pixel())}
	})
}

// tableKey is what a table depends on.
type tableKey struct {
	group         int64
	in, out, h, w int
}

// table makes a table once.
func (c *compiler) table(key tableKey, n int, at func(int) [2]int32) (region, error) {
	if m := c.tables[key]; m != nil {
		return m, nil
	}
	m, err := c.keep(int64(n * 8))
	if err != nil {
		return nil, err
	}
	table := view[[2]int32](m)
	for i := range n {
		table[i] = at(i)
	}
	c.tables[key] = m
	return m, nil
}

// padKey is what the layout of padded images depends on.
type padKey struct {
	fn      uintptr
	c, h, w int
	size    int64
}

// padded gives key.size bytes for each thread, into which images are laid out
// between margins of zeros: windows then need no test for the border.
// Instructions with one key, what the layout depends on, share them.
func (c *compiler) padded(key padKey) (region, error) {
	if m := c.pads[key]; m != nil {
		return m, nil
	}
	m, err := c.keep(key.size * int64(c.d.threads))
	c.pads[key] = m
	return m, err
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
