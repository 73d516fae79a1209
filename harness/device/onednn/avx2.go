package onednn

import (
	"unsafe"

	"depthlab/nets/kernel"
)

// What Winograd's kernels leave of the forward 3x3 convolutions with AVX2 and no
// AVX-512, those of stride 2 above all, in blocks of 8 channels. oneDNN's reach a
// half to two thirds of the multiply-add peak on the narrow layers of these nets;
// that of avx2_amd64.s keeps twelve sums in registers.

// convTask is what convForward works on; the assembly knows the offsets.
// Lengths are in bytes.
type convTask struct {
	next, count, threads        int64 // images taken, images, threads that came
	x, y, w, table, pad         uintptr
	xImage, yImage, yBlock      int64
	wOut, wIn, wTap             int64 // from one block of outputs, of inputs, and tap to the next
	padBlock, padRow            int64
	inBlocks, outPairs, pixels  int64 // pixels of y
	padImage, xRows, xRowPixels int64
}

// rectifyTask is what rectify32 and rectify16 work on, in bytes: multiples of
// a vector's 32.
type rectifyTask struct {
	next, count  int64 // pieces taken, pieces
	p            uintptr
	piece, total int64
}

// ownConv reports whether there is a kernel of our own that convolves x
// (N,C,H,W) with 3x3 weights into channel blocks of y.
func (c *compiler) ownConv(k kernel.Conv, x, y kernel.Shape) bool {
	return c.own.direct && k.Size == 3 && k.Pad == 1 && x[1]%8 == 0 && y[1]%16 == 0 && y[2]*y[3] >= tilePixels
}

// ownForward: x, w -> y.
func (c *compiler) ownForward(k kernel.Conv) error {
	x, y := c.inShape(0), c.outShape(0)
	xm, wm, ym, err := c.productOperands(0, 1, tagOIhw8i8o)
	if err != nil {
		return err
	}
	table, err := c.corners(k.Stride, x, y)
	if err != nil {
		return err
	}
	const tap = 8 * 8 * 4
	t := convTask{wTap: tap, wIn: 9 * tap, wOut: int64(x[1]/8) * 9 * tap}
	t.padRow = int64(x[3]+2) * 32
	t.padBlock = t.padRow * int64(x[2]+2)
	t.padImage = t.padBlock * int64(x[1]/8)
	pad, err := c.padded(padKey{entries[entryConvForward], 0, x[1], x[2], x[3], t.padImage})
	if err != nil {
		return err
	}
	m, err := c.keep(int64(unsafe.Sizeof(t)))
	if err != nil {
		return err
	}
	t.count, t.table, t.pad = int64(x[0]), uintptr(table.at(0)), uintptr(pad.at(0))
	t.xImage, t.yBlock = int64(x[1]*x[2]*x[3]*4), int64(y[2]*y[3]*32)
	t.yImage = t.yBlock * int64(y[1]/8)
	t.inBlocks, t.outPairs, t.pixels = int64(x[1]/8), int64(y[1]/16), int64(y[2]*y[3])
	t.xRows, t.xRowPixels = int64(x[2]), int64(x[3])
	c.host(func() func() {
		t.x, t.y, t.w = xm.address(0), ym.address(0), wm.address(0)
		task, run := (*convTask)(m.at(0)), c.d.onTeam(entries[entryConvForward], m)
		return func() {
			*task = t
			run()
		}
	})
	c.ops[len(c.ops)-1].what = ownName
	return nil
}

const (
	ownName    = "own:avx2"
	tilePixels = 6
)

// tableKey is what a table depends on.
type tableKey struct{ stride, in, out, h, w int }

// corners gives, for each tile of y and each pixel of the tile, the byte offset
// in a block of the padded image where the pixel's window begins: int32.
func (c *compiler) corners(stride int, x, y kernel.Shape) (region, error) {
	key := tableKey{stride, 0, 0, x[2], x[3]}
	if m := c.tables[key]; m != nil {
		return m, nil
	}
	pixels := y[2] * y[3]
	tiles := (pixels + tilePixels - 1) / tilePixels
	m, err := c.keep(int64(tiles * tilePixels * 4))
	if err != nil {
		return nil, err
	}
	table := unsafe.Slice((*int32)(m.at(0)), tiles*tilePixels)
	for i := range table {
		p := min(i/tilePixels*tilePixels, pixels-tilePixels) + i%tilePixels // the last tile overlaps
		table[i] = int32((p/y[3]*stride*(x[3]+2) + p%y[3]*stride) * 32)
	}
	c.tables[key] = m
	return m, nil
}

// padKey is what the layout of padded images depends on.
type padKey struct {
	fn              uintptr
	stride, c, h, w int
	size            int64
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

// rectify sets what is below 0 in y to 0 and leaves NaN alone, which oneDNN's
// rectifiers turn into 0.
func (c *compiler) rectify(y mem) error {
	entry, exponent, sign := entryRectify32, uint32(0x7f800000), uint32(1<<31)
	if c.dtype == bf16 {
		entry = entryRectify16
	}
	if !c.d.runs("avx2") || y.desc.size%32 != 0 {
		c.host(func() func() {
			if c.dtype == bf16 {
				x := slice[uint16](y.block, y.offset, int(y.desc.size/2))
				return func() { rectify(x, uint16(exponent>>16), uint16(sign>>16)) }
			}
			x := slice[uint32](y.block, y.offset, int(y.desc.size/4))
			return func() { rectify(x, exponent, sign) }
		})
		return nil
	}
	m, err := c.keep(int64(unsafe.Sizeof(rectifyTask{})))
	if err != nil {
		return err
	}
	const piece = 64 << 10
	c.host(func() func() {
		task, run := (*rectifyTask)(m.at(0)), c.d.onTeam(entries[entry], m)
		t := rectifyTask{count: (y.desc.size + piece - 1) / piece, p: y.address(0), piece: piece, total: y.desc.size}
		return func() {
			*task = t
			run()
		}
	})
	c.ops[len(c.ops)-1].what = ownName
	return nil
}

// rectify works on the bits of floats.
func rectify[T uint16 | uint32](bits []T, exponent, sign T) {
	for i, v := range bits {
		if v&sign != 0 && v&^sign <= exponent {
			bits[i] = 0
		}
	}
}
