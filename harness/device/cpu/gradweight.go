// Weight gradients of 3x3 convolutions of stride 2 for AVX-512, in blocks of 16 channels.
// oneDNN's kernel reaches a third of the peak of multiply-adds. This one keeps 24 sums in
// registers: for eight input channels and the three columns of the kernel, each a vector of
// output channels. A product is a broadcast of x times a vector of dy. In bfloat16
// (VDPBF16PS) both hold pairs of pixels, which are laid out once for each kernel column.

package cpu

import "depthlab/nets/kernel"

// wideTask is the task of wideGradWeight32 and wideGradWeight16; the assembly has the same
// offsets. Lengths are in bytes. The images are divided into chunks, each with its own sums,
// and a chunk into groups that fit in the cache.
type wideTask struct {
	next, count, threads     int64 // chunks taken, chunks, threads that have begun
	x, y, dw, scratch        uintptr
	threadScratch            int64
	xImage, yImage, yBlock   int64
	xRow, chunk              int64 // chunk: size of the sums of a chunk
	inBlocks, rowStep        int64 // rowStep: stride in the scratch for a row of y
	rows, steps              int64 // rows of y; pixels or pairs in a row
	images, group            int64
	scratchRow, scratchBlock int64
	column1, column2         int64      // offsets of kernel columns 1 and 2 in a row of the scratch
	partner, xRows           int64      // partner: distance between the two pixels of a pair
	runs                     [4]wideRun // ends with one whose count is 0
	xStep                    int64      // stride of a step in the scratch
}

// wideRun lays out count pixels, or pairs, of a row of x.
type wideRun struct {
	from, to, count int64 // from: offset in the row of x; to: in the row of the scratch
	first           int64 // mask of the first pixel: 0 if it is outside of the image
}

const (
	beyond = 0
	inside = 1<<32 - 1
	column = 64 // bytes of a pixel of a block in float32, or of a pair in bfloat16
)

// wide reports whether this kernel supports the weight gradient of a convolution of x to y.
func (c *compiler) wide(k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.wideGradWeight != 0 && k.Size == 3 && k.Pad == 1 && k.Stride == 2 && x[1]%16 == 0 && y[1]%16 == 0 &&
		(c.dtype == f32 || x[3]%4 == 0 && x[3] >= 8)
}

// layOut sets how rows of x, W pixels wide, are laid out in the scratch: pixel by pixel in
// float32, in bfloat16 the pairs for each kernel column.
func (t *wideTask) layOut(dtype int32, W int64) {
	if dtype == f32 {
		t.runs[0] = wideRun{to: column, count: W}
		t.column1, t.column2, t.xStep = column, 2*column, 2*column
		t.scratchRow = (W + 2) * column
		return
	}
	const pixel = column / 2
	n := t.steps
	t.xStep, t.partner = column, 2*pixel
	t.runs[0] = wideRun{-pixel, 0, n, beyond}
	t.runs[1] = wideRun{0, n * column, n, inside}
	t.runs[2] = wideRun{pixel, 2 * n * column, n, inside}
	t.column1, t.column2, t.scratchRow = n*column, 2*n*column, 3*n*column
}

// wideGradWeight: x, dy -> dw.
func (c *compiler) wideGradWeight() error {
	x, y := c.inShape(0), c.inShape(1)
	xm, ym, err := c.twoIn(0, 1)
	if err != nil {
		return err
	}
	dw, err := c.outAs(0, tagOIhw16i16o)
	if err != nil {
		return err
	}
	chunks := c.chunks(x, 2)
	pixel := int64(column)
	t := wideTask{count: int64(chunks), chunk: dw.desc.size, images: int64(x[0]),
		inBlocks: int64(x[1] / 16), xRows: int64(x[2]), rows: int64(y[2]), steps: int64(y[3])}
	if c.dtype == bf16 {
		pixel, t.steps = pixel/2, t.steps/2
	}
	t.xRow, t.yBlock = int64(x[3])*pixel, int64(y[2]*y[3])*pixel
	t.xImage, t.yImage = t.xRow*t.xRows*t.inBlocks, t.yBlock*int64(y[1]/16)
	t.layOut(c.dtype, int64(x[3]))
	t.scratchBlock, t.rowStep = t.scratchRow*(t.xRows+2), 2*t.scratchRow
	t.group = max(1, passBytes/(t.scratchBlock*t.inBlocks+t.yImage))
	t.threadScratch = t.scratchBlock * t.inBlocks * t.group
	scratch, err := c.padded(padKey{c.own.wideGradWeight, x[1], x[2], x[3], t.threadScratch})
	if err != nil {
		return err
	}
	t.scratch = uintptr(scratch.at(0))
	sums := c.space(dw.desc.size * int64(chunks))
	if err := launch(c, c.own.wideGradWeight, "own:avx512", &t, func() { t.x, t.y, t.dw = xm.address(0), ym.address(0), sums.address(0) }); err != nil {
		return err
	}
	c.host(func() func() { return addChunks(sums, dw, chunks) })
	return nil
}

// addChunks returns a function that adds the sums of all chunks, in their order.
func addChunks(sums, to mem, chunks int) func() {
	n := int(to.desc.size / 4)
	all, out := floats(sums, n*chunks), floats(to, n)
	return func() {
		copy(out, all)
		for i := 1; i < chunks; i++ {
			for j, v := range all[i*n:][:n] {
				out[j] += v
			}
		}
	}
}

// passBytes is the size of x and dy that a group should not exceed, so that it stays in the
// cache.
const passBytes = 128 << 10
