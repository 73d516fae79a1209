// Convolutions of any size and stride, their gradients and products of matrices as
// sums of products; kernels/direct.c has the mathematics.

package cpu

import (
	"math"

	"depthlab/nets/kernel"
)

// directTask is what direct and directGradWeight work on; kernels/direct.c knows the
// offsets. Lengths are in bytes, x is the operand whose windows are read and y the
// one written, or dy.
type directTask struct {
	next, count, threads                       int64 // pieces taken, all of them, threads that came
	x, y, w, table, scratch                    uintptr
	threadScratch                              int64
	images, group                              int64 // group: images that are taken together
	bands, bandRows, rows                      int64
	xImage, xRow, xBlock, yImage, yRow, yBlock int64 // xImage, xRow, xBlock: as the windows see x
	blocks, outBlocks                          int64
	together                                   int64 // blocks that are gone through with all outputs
	step                                       int64 // from a number of a run to the next
	planes, plane                              int64 // of x that become neighbours; bytes of a pixel of one
	height, line, width, skip, pixel           int64 // rows and bytes of a row of x as it comes; pixels that are laid, every skip-th
	before, stride                             int64
	laidRows, laidRow                          int64 // of a band with its margin; 0 if x stays where it is
	chunk                                      int64 // of one chunk's sums
	parts                                      int64
	part                                       [4]directPart
}

// directPart is a convolution of some of the taps.
type directPart struct {
	weights, table  int64 // where they begin: bytes of w, pixels of the table
	pixels          int64 // of a band of y
	from, rows, run int64 // of a window: its first byte from the corner, rows of it, numbers in a row
}

const (
	directName   = "own:direct"
	cacheNumbers = 256       // of runs, whose weights of 16 outputs stay in the first cache
	bandBytes    = 192 << 10 // of x that convolutions go through with all outputs, one after the other
	gradPixels   = 256       // that gradients by the weight go through for each of their sums
	leastNumber  = 3         // of a run: see runs in kernels/direct.c
)

// source is the operand whose windows are read.
type source struct {
	shape         kernel.Shape
	blocks, pixel int64 // bytes of a pixel: of the channels that lie together
	planes, plane int64 // that become neighbours first; bytes of a pixel of one
}

// lanes are the channels that lie together.
func (s source) lanes() int { return int(s.pixel / 4) }

// source gives an activation that a kernel in C reads: in blocks, or in planes of
// single channels where the layout does not hold it.
func (c *compiler) source(s kernel.Shape) source {
	if c.layout.fits(s) {
		return source{s, int64(s[1] / c.own.lanes), c.own.pixel(), 1, c.own.pixel()}
	}
	return source{s, 1, int64(s[1]) * 4, int64(s[1]), 4}
}

// together is how many blocks are gone through with all outputs: their weights of 16
// outputs stay in the first cache. cached is the bytes of a pixel of them.
func (s source) together(size int) int64 { return max(1, cacheNumbers/int64(size*size*s.lanes())) }
func (s source) cached(size int) int64   { return s.pixel * min(s.blocks, s.together(size)) }

// joined is the same with up to 16 channels side by side.
func (s source) joined() source {
	n := channels / int64(s.lanes())
	if n <= 1 || s.blocks%n != 0 {
		return s
	}
	return source{s.shape, s.blocks / n, s.pixel * n, s.planes * n, s.plane}
}

// window is where the taps of a convolution lie around a pixel.
type window struct {
	size, stride, before, after int // before, after: zeros around x
}

// newDirect gives a task that goes through y, rows of pixels of group images, by way
// of windows of x; table and parts are missing yet. Rows of x are laid out with a
// margin where a window needs one, or where channels come in planes.
func (c *compiler) newDirect(x source, w window, images, rows, group, bandRows int) directTask {
	H, W := int64(x.shape[2]), int64(x.shape[3])
	t := directTask{
		images: int64(images), group: int64(group), bandRows: int64(bandRows), rows: int64(rows), bands: int64((rows + bandRows - 1) / bandRows),
		blocks: x.blocks, pixel: x.pixel, planes: x.planes, plane: x.plane, height: H, line: W * x.plane, width: W, skip: 1, before: int64(w.before), stride: int64(w.stride), step: 4,
	}
	t.xRow = W * x.pixel
	t.xBlock = H * t.xRow
	t.together = x.together(w.size)
	if w.size == 1 && w.stride > 1 { // what lies between pixels is left out
		t.skip, t.stride = t.stride, 1
		t.width = (W + t.skip - 1) / t.skip
	}
	if w.before+w.after > 0 || x.planes > 1 || t.skip > 1 {
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

// direct reports whether these functions convolve x (N,C,H,W) to y.
func (c *compiler) direct(k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.direct != 0 && y[1]%channels == 0 && y[0]*y[2]*y[3] >= c.own.tileRows()
}

// directForward: x, w -> y.
func (c *compiler) directForward(k kernel.Conv) error {
	x, y := c.inShape(0), c.outShape(0)
	xm, ym, err := c.inAndOut(0, 0)
	if err != nil {
		return err
	}
	src := c.source(x)
	work := work{images: y[0], rows: y[2], columns: y[3], tile: c.own.tileRows(), least: 2 * c.d.threads,
		rowBytes: int64(min(k.Stride, k.Size)*x[3]/max(1, k.Stride/k.Size)) * src.cached(k.Size), weights: int64(c.inShape(1).Len()) * 4}
	group, bandRows := work.split()
	t := c.newDirect(src, window{k.Size, k.Stride, k.Pad, k.Pad}, y[0], y[2], group, bandRows)
	t.outBlocks, t.parts = int64(y[1]/channels), 1
	c.yStrides(&t, y, 1)
	table := t.pixels(int(t.group), int(t.bandRows), y[3], t.stride, 1, 0, 0, c.own.pixel())
	t.part[0] = directPart{pixels: int64(len(table)), rows: int64(k.Size), run: int64(k.Size * src.lanes())}
	w, err := c.packed(1, weights(k, x[1], src.lanes()))
	if err != nil {
		return err
	}
	return c.directProduct(&t, table, xm, w, ym)
}

// directProduct appends the kernel.
func (c *compiler) directProduct(t *directTask, table [][2]int32, x, w, y mem) error {
	t.count = (t.images + t.group - 1) / t.group * t.bands
	return c.launchDirect(c.own.direct, t, table, x, w, y)
}

func (c *compiler) launchDirect(fn uintptr, t *directTask, table [][2]int32, x, w, y mem) error {
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

// yStrides sets those of an activation of shape y, of which a row of the task is
// every step-th.
func (c *compiler) yStrides(t *directTask, y kernel.Shape, step int) {
	t.yRow = int64(step*y[3]) * c.own.pixel()
	t.yBlock = int64(y[2]*y[3]) * c.own.pixel()
	t.yImage = int64(y[1]/c.own.lanes) * t.yBlock
}

// pixels lists where the window of each pixel begins in x and where the pixel lies in
// y: of group images, rows by columns, stride apart in x and step in y, where row and
// column are those of the first.
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

// work is a convolution to be cut into pieces: a band of rows of an image, or a few
// whole images; the last one may be smaller.
type work struct {
	images, rows, columns int
	tile                  int   // pixels that are computed together; a piece has no fewer
	least                 int   // pieces, if there can be as many
	rowBytes              int64 // of x that a row of y reads in one go with all outputs
	weights               int64 // bytes
}

// cost of a piece of so many images and rows, relative to that of the products alone:
// what is computed twice, what of x does not stay in the cache, weights that come from
// memory for each piece, and threads without one. ok is false if a piece is too small.
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

// split gives how many images, or rows of one, make the cheapest piece.
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

// class is the pixels of dx whose row, or column, leaves the same remainder.
type class struct {
	first int // of them
	count int
	taps  []int // that reach them, in the order of the pixels of dy that they meet
	from  int   // the first of these, from the pixel's own on
}

// classes are those of n pixels, and how far beyond the edges of m pixels of dy
// they reach.
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

// directBack reports whether these functions take the gradient by x.
func (c *compiler) directBack(k kernel.Conv, x, y kernel.Shape) bool {
	pixels := x[0]
	for _, n := range x[2:] {
		if least := n / k.Stride; least > 0 { // of the smallest class that is not empty
			pixels *= least
		}
	}
	return c.own.direct != 0 && x[1]%channels == 0 && c.layout.fits(y) && k.Stride <= 2 && pixels >= c.own.tileRows()
}

// directGradInput: w, dy -> dx.
func (c *compiler) directGradInput(k kernel.Conv) error {
	y, x := c.inShape(1), c.outShape(0)
	ym, xm, err := c.inAndOut(1, 0)
	if err != nil {
		return err
	}
	rows, beforeRow, afterRow := classes(k, x[2], y[2])
	columns, beforeColumn, afterColumn := classes(k, x[3], y[3])
	before, after := max(beforeRow, beforeColumn), max(afterRow, afterColumn)
	groups := (x[2] + k.Stride - 1) / k.Stride // rows of dx that are computed together
	work := work{images: x[0], rows: groups, columns: max(1, x[3]/k.Stride), tile: c.own.tileRows(), least: 2 * c.d.threads,
		rowBytes: int64(y[3]) * c.source(y).cached((k.Size+k.Stride-1)/k.Stride), weights: int64(c.inShape(0).Len()) * 4}
	if x[2]%k.Stride != 0 { // some classes have a row less: whole images
		work.rows, work.columns = 1, work.columns*max(1, x[2]/k.Stride)
		work.rowBytes *= int64(y[2])
	}
	group, bandRows := work.split()
	bandRows *= groups / work.rows
	t := c.newDirect(c.source(y), window{before + after + 1, 1, before, after}, x[0], groups, group, bandRows)
	t.outBlocks = int64(x[1] / channels)
	c.yStrides(&t, x, k.Stride)
	packed, size := weights(k, x[1], c.own.lanes).turned(c.own.lanes), int64(0)
	var table [][2]int32
	var parts []packing
	for _, r := range rows {
		for _, col := range columns {
			p := directPart{table: int64(len(table)), rows: int64(len(r.taps)), run: int64(len(col.taps) * c.own.lanes)}
			if p.rows*p.run == 0 {
				p.rows, p.run = 0, 0
			}
			p.from = int64(r.from+before)*t.xRow + int64(col.from+before)*t.pixel
			n := min(bandRows, r.count)
			table = append(table, t.pixels(group, n, col.count, 1, int64(k.Stride), int64(r.first), int64(col.first), c.own.pixel())...)
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
	if plain, err = c.plainIn(0); err != nil {
		return err
	}
	for i, p := range parts {
		if len(p.taps) > 0 {
			c.repack(mem{block: w.block, offset: t.part[i].weights}, plain, p, false)
		}
	}
	return c.directProduct(&t, table, ym, w, xm)
}

// directGrad reports whether these functions take the gradient by the weight.
func (c *compiler) directGrad(k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.directGradWeight != 0 && y[1]%channels == 0 && k.Size*c.source(x).lanes() >= leastNumber
}

// directGradWeight: x, dy -> dw.
func (c *compiler) directGradWeight(k kernel.Conv) error {
	x, y := c.inShape(0), c.inShape(1)
	xm, ym, err := c.twoIn(0, 1)
	if err != nil {
		return err
	}
	src, group, bandRows := c.source(x), 1, y[2]
	if k.Size == 1 { // longer runs let more sums stay in registers
		src = src.joined()
	}
	if pixels := y[2] * y[3]; pixels < gradPixels {
		group = min(y[0], gradPixels/pixels)
	} else {
		bandRows = max(1, gradPixels/y[3])
	}
	t := c.newDirect(src, window{k.Size, k.Stride, k.Pad, k.Pad}, y[0], y[2], group, bandRows)
	t.outBlocks, t.parts = int64(y[1]/channels), 1
	c.yStrides(&t, y, 1)
	table := t.pixels(group, bandRows, y[3], t.stride, 1, 0, 0, c.own.pixel())
	t.part[0] = directPart{pixels: int64(len(table)), rows: int64(k.Size), run: int64(k.Size * src.lanes())}
	p := weights(k, x[1], src.lanes())
	t.chunk, t.count = p.bytes(), int64(c.chunks(x, 2))
	sums := c.space(t.chunk * t.count)
	if err := c.launchDirect(c.own.directGradWeight, &t, table, xm, sums, ym); err != nil {
		return err
	}
	if err := c.addRows(sums, sums, t.chunk, t.count, t.chunk); err != nil {
		return err
	}
	return c.unpack(0, sums, p)
}

// product appends that of a matrix (rows, inner), whose elements lie rowStep and step
// bytes apart, with a packed one, and gives the packed result's address and its
// columns: 16 times as many as there are blocks of outputs.
func (c *compiler) product(a mem, rows int, rowStep, step int64, w mem, p packing) (mem, int, error) {
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
	return y, columns, c.directProduct(&t, table, a, w, y)
}
