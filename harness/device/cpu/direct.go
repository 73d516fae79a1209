// Direct convolutions of any size and stride, their gradients, and matrix products.
// kernels/direct.c has the mathematics.

package cpu

import (
	"math"

	"depthlab/nets/kernel"
)

// directTask is the task of direct and directGradWeight (kernels/direct.c has the same
// struct). Lengths are in bytes. x is the operand whose windows are read; y is the result,
// or dy of directGradWeight.
type directTask struct {
	shared
	x, y, w, table, scratch                    uintptr
	threadScratch                              int64
	images, group                              int64 // images; images in a piece
	bands, bandRows, rows                      int64
	xImage, xRow, xBlock, yImage, yRow, yBlock int64 // strides; those of x after it is laid out
	blocks, outBlocks                          int64
	together                                   int64 // input blocks that are computed for all outputs before the next ones
	step                                       int64 // stride between the numbers (or pairs) of a run
	stored                                     int64 // bytes of a pixel of a block in x
	planes, plane                              int64 // planes of x that are interleaved; bytes of a pixel of one
	height, line, width, skip, pixel           int64 // x before it is laid out: rows, bytes of a row; width pixels, every skip-th, are laid out
	before, stride                             int64
	laidRows, laidRow                          int64 // rows of a laid out band, and bytes of each; 0 if x is read in place
	taps, columns                              int64 // of pairGradWeight: taps in a row of the window, pixels in a row of dy
	chunk                                      int64 // size of the sums of a chunk
	parts                                      int64
	part                                       [4]directPart
}

// directPart is a convolution with some of the taps.
type directPart struct {
	weights, table  int64 // offsets: in w (bytes), in the table (pixels)
	pixels          int64 // pixels of y in a whole piece
	from, rows, run int64 // window: offset from the corner in bytes, rows, numbers (or pairs) in a row
}

const (
	directName   = "own:direct"
	cacheNumbers = 256       // numbers of runs whose weights, for 16 outputs, fit in the first-level cache
	bandBytes    = 192 << 10 // bytes of x that stay in the cache while all outputs are computed
	gradPixels   = 256       // pixels that a weight gradient adds to each set of sums
	leastNumber  = 3         // least numbers of a run: see runs in kernels/direct.c
)

// source is the operand whose windows are read.
type source struct {
	shape         kernel.Shape
	blocks        int64 // blocks of channels
	pixel, stored int64 // bytes of a pixel of a block: laid out, in memory
	pairs         int64 // numbers that are multiplied together: 2 bfloat16, or 1 float32
	planes, plane int64 // planes that are interleaved to blocks first; bytes of a pixel of one
	differs       bool  // from x in memory: x must be laid out
}

// lanes is the number of channels in a block, steps the products of their numbers (or pairs) with
// 16 outputs.
func (s source) lanes() int   { return int(s.pixel * s.pairs / 4) }
func (s source) steps() int64 { return s.pixel / 4 }

// sourceOf describes an activation of shape s: in blocks of channels, or in planes of single
// channels if it does not fit the layout. bfloat16 is laid out as float32 unless it is multiplied
// in pairs; then a zero is added to an odd number of planes.
func sourceOf(c *compiler, s kernel.Shape, pairs int64) source {
	number, differs := 4/pairs, c.dtype == bf16 && pairs == 1
	if c.layout.fits(s) {
		lanes := int64(c.own.lanes)
		return source{s, int64(s[1]) / lanes, lanes * number, c.own.stored(), pairs, 1, c.own.stored(), differs}
	}
	planes, stored := int64(s[1]), int64(c.own.number)
	return source{s, 1, (planes + pairs - 1) / pairs * 4, planes * stored, pairs, planes, stored, differs || planes > 1 || pairs > 1}
}

// together is the number of blocks whose weights, for 16 outputs, fit in the first-level
// cache. cached is the bytes of a pixel of these blocks. size is that of the convolution.
func (s source) together(size int) int64 { return max(1, cacheNumbers/int64(size*size*s.lanes())) }
func (s source) cached(size int) int64   { return s.pixel * min(s.blocks, s.together(size)) }

// ordered is s in blocks of 8 channels instead of 16, for windows of more than one pixel: then
// sums have the same order as with vectors of 8. Rows of x are laid out so.
func (s source) ordered(size int) source {
	if s.lanes() != channels || size == 1 || s.pairs > 1 {
		return s
	}
	return source{s.shape, 2 * s.blocks, s.pixel / 2, s.stored / 2, 1, 1, s.plane, true}
}

// joined is s with up to 16 channels in a block.
func (s source) joined() source {
	n := channels / int64(s.lanes())
	if n <= 1 || s.blocks%n != 0 {
		return s
	}
	return source{s.shape, s.blocks / n, s.pixel * n, s.stored * n, 1, s.planes * n, s.plane, true}
}

// window is the size and stride of a convolution, and its padding with zeros before and
// after each axis of x.
type window struct {
	size, stride, before, after int
}

// newDirect returns a task for images of x. y has rows rows; a piece is bandRows rows of
// group images. Table and parts are not set. Rows of x are laid out with padding if the
// window needs it, if x differs, or if pixels are skipped.
func newDirect(c *compiler, x source, w window, images, rows, group, bandRows int) directTask {
	H, W := int64(x.shape[2]), int64(x.shape[3])
	t := directTask{
		images: int64(images), group: int64(group), bandRows: int64(bandRows), rows: int64(rows), bands: int64((rows + bandRows - 1) / bandRows),
		blocks: x.blocks, pixel: x.pixel, stored: x.stored, planes: x.planes, plane: x.plane, height: H, line: W * x.plane, width: W, skip: 1, before: int64(w.before), stride: int64(w.stride), step: 4,
	}
	t.xRow = W * x.pixel
	t.xBlock = H * t.xRow
	if t.together = x.together(w.size); c.dtype == bf16 {
		t.together = t.blocks // partial sums in y would be rounded
	}
	if w.size == 1 && w.stride > 1 { // lay out only the pixels that are read
		t.skip, t.stride = t.stride, 1
		t.width = (W + t.skip - 1) / t.skip
	}
	if w.before+w.after > 0 || x.differs || t.skip > 1 {
		t.laidRows = (t.bandRows-1)*t.stride + int64(w.size)
		t.laidRow = (t.width + int64(w.before+w.after)) * x.pixel
		t.xRow, t.xBlock = t.laidRow, t.laidRows*t.laidRow
	}
	t.xImage = t.blocks * t.xBlock
	if t.laidRow > 0 {
		t.threadScratch = t.xImage * t.group
	}
	return t
}

// fitsDirect reports whether the direct kernel supports the convolution of x to y (N, C, H, W).
func fitsDirect(c *compiler, k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.direct != 0 && y[1]%channels == 0 && y[0]*y[2]*y[3] >= c.own.tileRows()
}

// directForward: x, w -> y.
func directForward(c *compiler, k kernel.Conv) error {
	x, y := c.inShape(0), c.outShape(0)
	xm, ym, err := inAndOut(c, 0, 0)
	if err != nil {
		return err
	}
	src := sourceOf(c, x, c.own.pairs).ordered(k.Size)
	work := work{images: y[0], rows: y[2], columns: y[3], tile: c.own.tileRows(), least: 2 * c.d.threads,
		rowBytes: int64(min(k.Stride, k.Size)*x[3]/max(1, k.Stride/k.Size)) * src.cached(k.Size), weights: int64(c.inShape(1).Len()) * 4 / src.pairs}
	group, bandRows := work.split()
	t := newDirect(c, src, window{k.Size, k.Stride, k.Pad, k.Pad}, y[0], y[2], group, bandRows)
	t.outBlocks, t.parts = int64(y[1]/channels), 1
	yStrides(c, &t, y, 1)
	table := t.pixels(int(t.group), int(t.bandRows), y[3], t.stride, 1, 0, 0, c.own.stored())
	t.part[0] = directPart{pixels: int64(len(table)), rows: int64(k.Size), run: int64(k.Size) * src.steps()}
	w, err := packed(c, 1, weights(k, x[1], src.lanes()).by(src.pairs))
	if err != nil {
		return err
	}
	return directProduct(c, c.own.direct, &t, table, xm, w, ym)
}

// directProduct appends a call of fn, a direct kernel.
func directProduct(c *compiler, fn uintptr, t *directTask, table [][2]int32, x, w, y mem) error {
	t.count = (t.images + t.group - 1) / t.group * t.bands
	return launchDirect(c, fn, t, table, x, w, y)
}

// launchDirect appends a call of fn, direct or directGradWeight.
func launchDirect(c *compiler, fn uintptr, t *directTask, table [][2]int32, x, w, y mem) error {
	m, err := c.keep(int64(len(table) * 8))
	if err != nil {
		return err
	}
	copy(view[[2]int32](m), table)
	scratch := c.space(t.threadScratch * int64(c.d.threads))
	return launch(c, fn, directName, t, func() {
		t.x, t.y, t.w, t.table = x.address(0), y.address(0), w.address(0), uintptr(m.at(0))
		t.scratch = scratch.address(0)
	})
}

// yStrides sets the strides of an activation of shape y. A row of the task is every step-th
// row of y.
func yStrides(c *compiler, t *directTask, y kernel.Shape, step int) {
	t.yRow = int64(step*y[3]) * c.own.stored()
	t.yBlock = int64(y[2]*y[3]) * c.own.stored()
	t.yImage = int64(y[1]/c.own.lanes) * t.yBlock
}

// pixels lists, for each pixel of a piece, the offset of its window in x and its own offset
// in y. The piece has group images of rows x columns pixels. Pixels are stride apart in x and
// step in y, where the first one is at (row, column).
func (t *directTask) pixels(group, rows, columns int, stride, step int64, row, column, yPixel int64) (table [][2]int32) {
	yRow := t.yRow / step
	for n := range int64(group) {
		for i := range int64(rows) {
			for j := range int64(columns) {
				table = append(table, [2]int32{
					int32(n*t.xImage + i*stride*t.xRow + j*stride*t.pixel),
					int32(n*t.yImage + (i*step+row)*yRow + (j*step+column)*yPixel),
				})
			}
		}
	}
	return table
}

// work is a convolution to be divided into pieces: bands of rows of an image, or a few whole
// images. The last piece may be smaller.
type work struct {
	images, rows, columns int
	tile                  int   // pixels that are computed together; the least pixels of a piece
	least                 int   // wanted number of pieces
	rowBytes              int64 // bytes of x for a row of y that should stay in the cache
	weights               int64 // bytes of all weights
}

// cost estimates the time for pieces of group images and bandRows rows, relative to the
// products alone. It counts pixels that are computed twice, x that does not fit in the cache,
// weights that are read from memory for each piece, and idle threads. ok is false if a piece
// has too few pixels.
func (w work) cost(group, bandRows int) (cost float64, ok bool) {
	pixels, pieces, computed := group*bandRows*w.columns, 0, 0
	for _, n := range []struct{ times, pixels int }{
		{w.images / group * (w.rows / bandRows), pixels},
		{w.images / group, group * (w.rows % bandRows) * w.columns},
		{w.rows / bandRows, w.images % group * bandRows * w.columns},
	} {
		if n.times*n.pixels == 0 {
			continue
		}
		if n.pixels < w.tile {
			return 0, false
		}
		pieces += n.times
		computed += n.times * roundUp(n.pixels, w.tile)
	}
	cost = float64(computed) / float64(w.images*w.rows*w.columns)
	if over := float64(int64(group*bandRows)*w.rowBytes) / bandBytes; over > 1 {
		cost += 0.15 * (1 + math.Log2(over))
	}
	if w.weights > bandBytes {
		cost += 8 / float64(pixels)
	}
	if pieces < w.least {
		cost += 0.5 * float64(w.least-pieces) / float64(w.least)
	}
	return cost, true
}

// split returns the images and rows of the cheapest piece.
func (w work) split() (group, bandRows int) {
	best := math.Inf(1)
	group, bandRows = w.images, w.rows
	consider := func(g, r int) {
		if c, ok := w.cost(g, r); ok && c < best {
			best, group, bandRows = c, g, r
		}
	}
	for r := 1; r <= w.rows; r++ {
		consider(1, r)
	}
	for g := 2; g <= min(w.images, channels); g++ {
		consider(g, w.rows)
	}
	return group, bandRows
}

// class is the rows (or columns) of dx with the same remainder modulo the stride.
type class struct {
	first int // index of the first row
	count int
	taps  []int // taps that reach these rows, in the order of the rows of dy
	from  int   // row of dy that the first tap reads for the first row
}

// classes returns the classes of n rows of dx, and how many rows they read before and after
// the m rows of dy.
func classes(k kernel.Conv, n, m int) (all []class, before, after int) {
	for first := range k.Stride {
		c := class{first: first, count: (n - first + k.Stride - 1) / k.Stride}
		for tap := k.Size - 1; tap >= 0; tap-- {
			if d := first + k.Pad - tap; d%k.Stride == 0 {
				if c.taps = append(c.taps, tap); len(c.taps) == 1 {
					c.from = d / k.Stride
				}
			}
		}
		if c.taps != nil {
			before = max(before, -c.from)
			after = max(after, c.count+c.from+len(c.taps)-1-m)
		}
		all = append(all, c)
	}
	return all, before, after
}

// fitsDirectBack reports whether the direct kernel supports the input gradient.
func fitsDirectBack(c *compiler, k kernel.Conv, x, y kernel.Shape) bool {
	pixels := x[0]
	for _, n := range x[2:] {
		if least := n / k.Stride; least > 0 { // the smallest class that is not empty
			pixels *= least
		}
	}
	return c.own.direct != 0 && x[1]%channels == 0 && c.layout.fits(y) && k.Stride <= 2 && pixels >= c.own.tileRows()
}

// directGradInput: w, dy -> dx.
func directGradInput(c *compiler, k kernel.Conv) error {
	y, x := c.inShape(1), c.outShape(0)
	ym, xm, err := inAndOut(c, 1, 0)
	if err != nil {
		return err
	}
	rows, beforeRow, afterRow := classes(k, x[2], y[2])
	columns, beforeColumn, afterColumn := classes(k, x[3], y[3])
	before, after := max(beforeRow, beforeColumn), max(afterRow, afterColumn)
	groups := (x[2] + k.Stride - 1) / k.Stride // rows of dx that are computed together
	src := sourceOf(c, y, c.own.pairs).ordered(k.Size)
	work := work{images: x[0], rows: groups, columns: max(1, x[3]/k.Stride), tile: c.own.tileRows(), least: 2 * c.d.threads,
		rowBytes: int64(y[3]) * src.cached((k.Size+k.Stride-1)/k.Stride), weights: int64(c.inShape(0).Len()) * 4 / src.pairs}
	if x[2]%k.Stride != 0 { // some classes have one row less: use whole images
		work.rows, work.columns = 1, work.columns*max(1, x[2]/k.Stride)
		work.rowBytes *= int64(y[2])
	}
	group, bandRows := work.split()
	bandRows *= groups / work.rows
	t := newDirect(c, src, window{before + after + 1, 1, before, after}, x[0], groups, group, bandRows)
	t.outBlocks = int64(x[1] / channels)
	yStrides(c, &t, x, k.Stride)
	packed, size := weights(k, x[1], c.own.lanes).turned(src.lanes()).by(src.pairs), int64(0)
	var table [][2]int32
	var parts []packing
	for _, r := range rows {
		for _, col := range columns {
			p := directPart{table: int64(len(table)), rows: int64(len(r.taps)), run: int64(len(col.taps)) * src.steps()}
			if p.rows*p.run == 0 {
				p.rows, p.run = 0, 0
			}
			p.from = int64(r.from+before)*t.xRow + int64(col.from+before)*t.pixel
			n := min(bandRows, r.count)
			table = append(table, t.pixels(group, n, col.count, 1, int64(k.Stride), int64(r.first), int64(col.first), c.own.stored())...)
			p.pixels = int64(len(table)) - p.table
			packed.taps = nil
			for _, i := range r.taps {
				for _, j := range col.taps {
					packed.taps = append(packed.taps, i*k.Size+j)
				}
			}
			p.weights = size
			size += packed.bytes()
			parts = append(parts, packed)
			t.part[t.parts] = p
			t.parts++
		}
	}
	w, plain := c.space(size), mem{}
	if plain, err = plainIn(c, 0); err != nil {
		return err
	}
	for i, p := range parts {
		if len(p.taps) > 0 {
			repack(c, mem{block: w.block, offset: t.part[i].weights}, plain, p, false)
		}
	}
	return directProduct(c, c.own.direct, &t, table, ym, w, xm)
}

// fitsDirectGrad reports whether the direct kernel supports the weight gradient. Beside oneDNN it
// computes only 3x3 convolutions of stride 2, where oneDNN reaches a third of the peak.
func fitsDirectGrad(c *compiler, k kernel.Conv, x, y kernel.Shape) bool {
	if c.d.lib != nil {
		return k.Size == 3 && k.Stride == 2 && fitsPairs(c, x, y)
	}
	return c.own.directGradWeight != 0 && y[1]%channels == 0 && k.Size*sourceOf(c, x, 1).lanes() >= leastNumber
}

// fitsPairs reports whether the weight gradient is computed from pairs of pixels.
func fitsPairs(c *compiler, x, y kernel.Shape) bool {
	return c.own.pairGradWeight != 0 && c.layout.fits(x) && c.layout.fits(y) && y[3] > 1
}

// pair changes a task of the weight gradient to pairs of pixels, with a row for each tap, and
// returns its table.
func (t *directTask) pair(size, columns int, yPixel int64) (table [][2]int32) {
	t.taps, t.columns = int64(size), int64(columns)
	t.laidRow = (t.columns + 1) / 2 * t.pixel
	t.laidRows = (t.bandRows-1)*t.stride + t.taps
	t.xRow, t.xBlock = t.laidRow, t.laidRows*t.taps*t.laidRow
	t.xImage = t.blocks * t.xBlock
	t.threadScratch = t.xImage * t.group
	for n := range t.group {
		for i := range t.bandRows {
			for j := int64(0); j < t.columns; j += 2 {
				table = append(table, [2]int32{
					int32(n*t.xImage + i*t.stride*t.taps*t.xRow + j/2*t.pixel), int32(n*t.yImage + i*t.yRow + min(j, t.columns-2)*yPixel)})
			}
		}
	}
	t.part[0] = directPart{pixels: int64(len(table)), rows: t.taps * t.taps, run: t.pixel / 4}
	return table
}

// directGradWeight: x, dy -> dw.
func directGradWeight(c *compiler, k kernel.Conv) error {
	x, y := c.inShape(0), c.inShape(1)
	xm, ym, err := twoIn(c, 0, 1)
	if err != nil {
		return err
	}
	paired := fitsPairs(c, x, y)
	if paired && k.Size == 1 && k.Stride == 1 && k.Pad == 0 && y[2]*y[3] < gradPixels { // fewer odd rows
		x = kernel.Shape{x[0], x[1], 1, x[2] * x[3]}
		y = kernel.Shape{y[0], y[1], 1, y[2] * y[3]}
	}
	src, group, bandRows := sourceOf(c, x, 1), 1, y[2]
	if k.Size == 1 { // with longer runs more sums stay in registers
		src = src.joined()
	}
	if pixels := y[2] * y[3]; pixels < gradPixels {
		group = min(y[0], gradPixels/pixels)
	} else {
		bandRows = max(1, gradPixels/y[3])
	}
	t := newDirect(c, src, window{k.Size, k.Stride, k.Pad, k.Pad}, y[0], y[2], group, bandRows)
	t.outBlocks, t.parts = int64(y[1]/channels), 1
	yStrides(c, &t, y, 1)
	var table [][2]int32
	fn := c.own.directGradWeight
	if paired {
		fn, table = c.own.pairGradWeight, t.pair(k.Size, y[3], c.own.stored())
	} else {
		table = t.pixels(group, bandRows, y[3], t.stride, 1, 0, 0, c.own.stored())
		t.part[0] = directPart{pixels: int64(len(table)), rows: int64(k.Size), run: int64(k.Size) * src.steps()}
	}
	p := weights(k, x[1], src.lanes())
	t.chunk, t.count = p.bytes(), int64(chunkCount(c, x, 2))
	sums := c.space(t.chunk * t.count)
	if err := launchDirect(c, fn, &t, table, xm, sums, ym); err != nil {
		return err
	}
	return sumChunks(c, &t, sums, p)
}

// sumChunks appends the addition of the chunks' sums, and unpacks the weight gradient to output
// 0. oneDNN has the same packed layout, and unpacks it on all threads.
func sumChunks(c *compiler, t *directTask, sums mem, p packing) error {
	if c.d.lib == nil {
		dw := c.space(p.bytes())
		if err := addRows(c, dw, sums, t.chunk, t.count, t.chunk); err != nil {
			return err
		}
		return unpack(c, 0, dw, p)
	}
	d, err := describeLayout(c.d, c.outShape(0), f32, tagOIhw16i16o)
	if err != nil {
		return err
	}
	dw, err := c.out(0, d)
	if err != nil {
		return err
	}
	return addRows(c, dw, sums, t.chunk, t.count, t.chunk)
}

// product appends the product of matrix a (rows, inner), with strides of rowStep and step
// bytes, and a packed matrix w. It returns the result (rows, columns), where columns is the
// number of outputs rounded up to a multiple of 16.
func product(c *compiler, a mem, rows int, rowStep, step int64, w mem, p packing) (mem, int, error) {
	columns := p.blocks() * channels
	y := c.space(int64(rows*columns) * 4)
	_, bandRows := work{images: 1, rows: rows, columns: 1, tile: c.own.tileRows(), least: 2 * c.d.threads}.split()
	t := directTask{
		images: 1, group: 1, rows: int64(rows), bandRows: int64(bandRows), bands: int64((rows + bandRows - 1) / bandRows),
		xRow: rowStep, stride: 1, yRow: int64(columns) * 4, yBlock: c.own.pixel(), blocks: 1, outBlocks: int64(p.blocks()), step: step, parts: 1, together: 1,
	}
	table := make([][2]int32, bandRows)
	for i := range table {
		table[i] = [2]int32{int32(int64(i) * t.xRow), int32(int64(i) * t.yRow)}
	}
	t.part[0] = directPart{pixels: int64(bandRows), rows: 1, run: int64(p.ins)}
	return y, columns, directProduct(c, c.own.floats.direct, &t, table, a, w, y)
}
