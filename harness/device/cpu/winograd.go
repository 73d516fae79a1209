// 3x3 convolutions of stride 1, and their gradients, by Winograd's F(4x4, 3x3): tiles of 6x6
// pixels, 4 pixels apart, and the weights are transformed linearly; then 36 multiplications,
// one at each position, replace 144 (Lavin & Gray 2015, arXiv:1509.09308). kernels/winograd.h
// has the mathematics. Everything is float32, except that x and y may be bfloat16, and with
// AVX512-BF16 the factors of the multiplications.

package cpu

import (
	"depthlab/nets/kernel"
)

// winogradTask is the task of winograd and winogradGradWeight (kernels/winograd.h has the same
// struct). Lengths are in bytes. x is the operand that is read; y is the result, or dy of
// winogradGradWeight. A block has as many channels as a vector has lanes; a block of outputs
// (outBlocks) always has 16.
type winogradTask struct {
	shared                 // groups of images
	x, y, weights, table   uintptr
	scratch                uintptr
	threadScratch          int64
	padded, transformed    int64 // sizes in the scratch: padded images of x, transformed tiles
	xImage, yImage, yBlock int64
	padRow, padBlock       int64
	inBlocks, outBlocks    int64
	rows, pixels           int64 // rows of x, pixels in a row
	groups, position, yRow int64 // groups of 16 tiles; position: stride between the 36 positions of transformed tiles
	images, group          int64 // images; images whose tiles are transformed together

	// For the weight gradient: count is the number of chunks of images, each of which has its
	// own sums; weights is the address of the sums; groups is the number of tiles of an image.
	chunk            int64 // size of the sums of a chunk
	tileRow          int64 // size of a block of a group's transformed tiles
	gradientPosition int64 // stride between positions of transformed dy
	paddedGradient   int64 // size in the scratch: a padded image of dy
	xPixel, xBlock   int64 // strides of x, and of dy, which may be channels-last
	yPixel           int64
}

// winogradWeightsTask is the task of winogradWeights. A piece is 16 outputs and a block of
// inputs. w is the address of float32 weights.
type winogradWeightsTask struct {
	shared
	inBlocks     int64
	w, u         uintptr
	out, in, tap int64 // strides of w between outputs, inputs, taps
}

// winogradSumTask is the task of winogradGradSum.
type winogradSumTask struct {
	shared          // pieces of 16 outputs and 16 inputs
	chunks          int64
	u, dw           uintptr
	chunk, inBlocks int64
}

const (
	tileGroup = 16 // tiles that are multiplied at a time
	positions = 36
	channels  = 16 // output channels that are computed together
	line      = 64 // bytes of a cache line
)

// fitsWinograd reports whether these kernels support the convolution of x to y (N, C, H, W).
func fitsWinograd(c *compiler, k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.winograd != 0 && fitsWinogradGrad(c, k, x, y) && together(y) > 0
}

// fitsWinogradGrad reports whether they support the weight gradient.
func fitsWinogradGrad(c *compiler, k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.winogradGradWeight != 0 && k.Size == 3 && k.Pad == 1 && k.Stride == 1 && x[1]%channels == 0 && y[1]%channels == 0 &&
		y[2] >= 4 && y[3] >= 4
}

// together is the number of images of y (N, C, H, W) to transform together: the smallest whose
// tiles fill groups of 16 with little waste. It is 0 if all images do not fill one group.
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

// chunkCount is the number of chunks, each with its own sums, that the images of x are divided
// into for a weight gradient: perThread for each of four threads, more than one because threads
// are not equally fast. Their number is not that of the device's threads, so that results do
// not depend on it.
func chunkCount(c *compiler, x kernel.Shape, perThread int) int { return min(x[0], perThread*4) }

// area is the bytes of the 3x3 weights of an input and an output.
const area = 9 * 4

// winogradForward: x, w -> y.
func winogradForward(c *compiler) error {
	ins := int64(c.inShape(1)[1])
	return winogradProduct(c, 0, 1, winogradWeightsTask{out: ins * area, in: area, tap: 4})
}

// winogradGradInput: w, dy -> dx. It is a convolution of dy with reversed taps, and with
// inputs and outputs exchanged.
func winogradGradInput(c *compiler) error {
	ins := int64(c.inShape(0)[1])
	return winogradProduct(c, 1, 0, winogradWeightsTask{out: area, in: ins * area, tap: -4})
}

// winogradProduct appends the convolution of input i with the weights, input j, to output 0. wt
// holds the strides of the weights; with a negative tap they are read from the last tap on.
func winogradProduct(c *compiler, i, j int, wt winogradWeightsTask) error {
	x, y := c.inShape(i), c.outShape(0)
	xm, ym, err := inAndOut(c, i, 0)
	if err != nil {
		return err
	}
	w, err := plainIn(c, j)
	if err != nil {
		return err
	}
	t, n, pixel := newWinograd(c, x, y), together(y), c.own.pixel()
	t.padRow = int64(x[3]+2) * pixel
	t.padBlock = t.padRow * int64(x[2]+2)
	t.padded = t.padBlock * t.inBlocks * int64(n)
	t.images, t.group = int64(x[0]), int64(n)
	t.count = (t.images + t.group - 1) / t.group
	t.position = t.inBlocks*tileGroup*pixel/c.own.pairs + line
	const product = (tileGroup + 1) * line // bytes of a position of the products
	switch small := x[1] == channels && y[1] == channels; {
	case !small:
		t.transformed = positions * t.position
		t.threadScratch = t.transformed
	case c.own.lanes < channels:
		// The products of a position overwrite the transformed tiles of the position before,
		// which are no longer needed. They must not overwrite their own, which are still read.
		t.padded += product
		t.transformed = -product
	default:
		t.transformed = 0 // the products overwrite the transformed tiles of their position
		t.position = product
	}
	t.threadScratch += t.padded + positions*product
	scratch, err := paddedScratch(c, padKey{c.own.winograd, x[1], x[2], x[3], t.threadScratch})
	if err != nil {
		return err
	}
	table, err := forwardTiles(c, &t, x, y)
	if err != nil {
		return err
	}
	t.scratch, t.table = uintptr(scratch.at(0)), uintptr(table.at(0))

	wt.count, wt.inBlocks = t.inBlocks*t.outBlocks, t.inBlocks
	u := c.space(t.outBlocks * positions * (int64(x[1]*channels*4)/c.own.pairs + line)) // weightsPosition in kernels/winograd.h
	first := max(0, -8*wt.tap)
	if err := launch(c, c.own.transformWeights(), winogradName, &wt, func() { wt.w, wt.u = w.address(first), u.address(0) }); err != nil {
		return err
	}
	return launch(c, c.own.winograd, winogradName, &t, func() { t.x, t.y, t.weights = xm.address(0), ym.address(0), u.address(0) })
}

// winogradGradWeight: x, dy -> dw.
func winogradGradWeight(c *compiler) error {
	x, y := c.inShape(0), c.inShape(1)
	xm, ym, err := twoIn(c, 0, 1)
	if err != nil {
		return err
	}
	t, tiles, pixel := newWinograd(c, x, y), int64(tileCount(y)), c.own.pixel()
	yBlocks := int64(y[1] / c.own.lanes)
	t.padRow = int64(roundUp(x[3], 4)+2) * pixel
	t.padBlock = t.padRow * int64(roundUp(x[2], 4)+2)
	t.padded, t.paddedGradient = t.padBlock*t.inBlocks, t.padBlock*yBlocks
	steps := (tiles + c.own.pairs - 1) / c.own.pairs
	perImage := positions * steps * pixel * (t.inBlocks + yBlocks) // transformed
	t.groups, t.images = tiles, int64(x[0])
	pieces := int64(x[1] / channels * (y[1] / channels))
	t.chunk = pieces * positions * channels * channels * 4
	perThread := 2
	if t.chunk >= chunkBytes {
		perThread = 1
	}
	t.count = int64(chunkCount(c, x, perThread))
	t.group = min(max(transformedBytes/perImage, (groupTiles+tiles-1)/tiles), (t.images+t.count-1)/t.count)
	t.tileRow = t.group * steps * pixel
	t.position, t.gradientPosition = t.inBlocks*t.tileRow+line, yBlocks*t.tileRow+line
	t.transformed = positions * t.position
	t.threadScratch = t.padded + t.paddedGradient + t.transformed + positions*t.gradientPosition
	scratch, err := paddedScratch(c, padKey{c.own.winogradGradWeight, x[1], x[2], x[3], t.threadScratch})
	if err != nil {
		return err
	}
	table, err := gradTiles(c, &t, y)
	if err != nil {
		return err
	}
	t.scratch, t.table = uintptr(scratch.at(0)), uintptr(table.at(0))
	sums := c.space(t.chunk * t.count)
	if err := launch(c, c.own.winogradGradWeight, winogradName, &t, func() { t.x, t.y, t.weights = xm.address(0), ym.address(0), sums.address(0) }); err != nil {
		return err
	}
	sum := winogradSumTask{shared: shared{count: pieces}, chunks: t.count, chunk: t.chunk, inBlocks: t.inBlocks}
	dw, err := plainOut(c, 0)
	if err != nil {
		return err
	}
	return launch(c, c.own.floats.winogradGradSum, winogradName, &sum, func() { sum.u, sum.dw = sums.address(0), dw.address(0) })
}

const (
	winogradName     = "own:winograd"
	transformedBytes = 512 << 10 // size of a group's transformed tiles of x and dy, if several images fit
	groupTiles       = 64        // least tiles of a group, because sums are read from memory for each
	chunkBytes       = 9 << 20   // size of a chunk's sums above which a thread has one chunk: they would fill the cache
)

// newWinograd returns a task with the fields that depend only on the shapes x and y.
func newWinograd(c *compiler, x, y kernel.Shape) winogradTask {
	size := int64(c.own.number)
	t := winogradTask{inBlocks: int64(x[1] / c.own.lanes), outBlocks: int64(y[1] / channels), rows: int64(x[2]), pixels: int64(x[3])}
	t.xImage, t.yImage = int64(x[1]*x[2]*x[3])*size, int64(y[1]*y[2]*y[3])*size
	t.xPixel, t.xBlock = blockStrides(c, x)
	t.yPixel, t.yBlock = blockStrides(c, y)
	t.yRow = t.yPixel * int64(y[3])
	return t
}

// tileCount is the number of tiles of an image of y.
func tileCount(y kernel.Shape) int { return (y[2] + 3) / 4 * ((y[3] + 3) / 4) }

// forwardTiles returns the table of the tiles of images that are transformed together, group by
// group: for each tile two int32 byte offsets, in a block of the padded images and in a block
// of y. The last group overlaps the one before, and the last tile of a row or column too:
// pixels in both are written twice, with the same values.
func forwardTiles(c *compiler, t *winogradTask, x, y kernel.Shape) (region, error) {
	tiles, across := tileCount(y), (y[3]+3)/4
	all := tiles * int(t.group)
	t.groups = int64(roundUp(all, tileGroup) / tileGroup)
	return cachedTable(c, tableKey{t.group, x[1], y[1], y[2], y[3]}, int(t.groups)*tileGroup, func(i int) [2]int32 {
		i = min(i/tileGroup*tileGroup, all-tileGroup) + i%tileGroup
		image, row, column := int64(i/tiles), int64(min(i%tiles/across*4, y[2]-4)), int64(min(i%tiles%across*4, y[3]-4))
		return [2]int32{int32(image*t.padBlock*t.inBlocks + row*t.padRow + column*c.own.pixel()),
			int32(image*t.yImage + row*t.yRow + column*t.yRow/t.pixels)}
	})
}

// gradTiles returns the table of the tiles of an image: the offset of each in a padded block.
// Tiles at the edge reach beyond it.
func gradTiles(c *compiler, t *winogradTask, y kernel.Shape) (region, error) {
	across := (y[3] + 3) / 4
	return cachedTable(c, tableKey{h: y[2], w: y[3]}, tileCount(y), func(i int) [2]int32 {
		return [2]int32{int32(int64(i/across*4)*t.padRow + int64(i%across*4)*c.own.pixel())}
	})
}

// tableKey is everything that a table depends on.
type tableKey struct {
	group         int64
	in, out, h, w int
}

// cachedTable returns the table of a key with n entries, and makes it the first time.
func cachedTable(c *compiler, key tableKey, n int, at func(int) [2]int32) (region, error) {
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

// padKey is everything that the layout of padded images depends on.
type padKey struct {
	fn      uintptr
	c, h, w int
	size    int64
}

// paddedScratch returns key.size bytes for each thread, for images with a margin of zeros, so that
// windows need no test for the border. Instructions with the same key share the memory,
// because their margins are in the same places.
func paddedScratch(c *compiler, key padKey) (region, error) {
	if m := c.pads[key]; m != nil {
		return m, nil
	}
	m, err := c.keep(key.size * int64(c.d.threads))
	c.pads[key] = m
	return m, err
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
