package onednn

import (
	"os"
	"unsafe"

	"github.com/ebitengine/purego"

	"depthlab/nets/kernel"
)

// Convolutions of our own, for CPUs with AVX2 and no AVX-512. oneDNN's AVX2
// kernels reach a half to two thirds of the multiply-add peak on the narrow
// layers of these nets (too few sums in flight, a broadcast for every product
// of the weight gradient); those of avx2_amd64.s keep twelve sums in
// registers. They run on libgomp's team, like oneDNN's, in the blocked layout.

// convTask is what convForward works on; the assembly knows the offsets.
// Lengths are in bytes, x is the operand that is read and y the one written:
// the gradient by the input is a convolution of dy with the weight turned
// round.
type convTask struct {
	next, count                    int64 // images taken, images
	x, y, w, table, zero           uintptr
	xImage, yImage, xBlock, yBlock int64
	wOut, wIn, wTap                int64 // from one block of outputs, of inputs, and tap to the next
	inBlocks, outPairs             int64
	taps, pixels                   int64
}

// gradTask is what convGradWeight works on.
type gradTask struct {
	next, count                    int64 // chunks of images taken, chunks
	x, y, dw                       uintptr
	xImage, yImage, xBlock, yBlock int64
	chunk                          int64 // bytes of one chunk's sums
	inBlocks, outHalves            int64
	rows, cols                     int64
	images, group                  int64 // group: images that pass together through the cache
	rowBytes                       int64
}

// EnvKernels set to "library" leaves every convolution to oneDNN.
const EnvKernels = "DEPTHLAB_ONEDNN_KERNELS"

// ownKernels reports whether to use the kernels of this file.
func (d *Device) ownKernels() bool {
	return convForwardAddress() != 0 && d.cpu.Flags["avx2"] && d.cpu.Flags["fma"] && !d.cpu.avx512() &&
		os.Getenv(EnvKernels) != "library"
}

// ownConv reports whether there is a kernel of our own that convolves x
// (N,C,H,W) with 3x3 weights into channel blocks of y.
func (c *compiler) ownConv(k kernel.Conv, x, y kernel.Shape) bool {
	return c.own && k.Size == 3 && k.Pad == 1 && x[1]%8 == 0 && y[1]%16 == 0 && y[2]*y[3] >= 6
}

// ownForward: x, w -> y.
func (c *compiler) ownForward(k kernel.Conv) error {
	x, y := c.inShape(0), c.outShape(0)
	blocks := int64(x[1] / 8)
	return c.ownProduct(0, 1, k.Stride, x, y, tagOIhw8i8o, convTask{wTap: 256, wIn: 9 * 256, wOut: blocks * 9 * 256}, 0)
}

// ownGradInput: w, dy -> dx. The last tap comes first.
func (c *compiler) ownGradInput() error {
	dx, dy := c.outShape(0), c.inShape(1)
	blocks := int64(dx[1] / 8)
	return c.ownProduct(1, 0, 1, dy, dx, tagOIhw8o8i, convTask{wTap: -256, wOut: 9 * 256, wIn: blocks * 9 * 256}, 8*256)
}

// ownProduct convolves input i, of shape x, with the weight, input j in layout
// tag, into output 0, of shape y. The task holds the strides of the weight,
// which begins at byte first.
func (c *compiler) ownProduct(i, j, stride int, x, y kernel.Shape, tag int32, t convTask, first int64) error {
	xd, err := c.act(x)
	if err != nil {
		return err
	}
	yd, err := c.act(y)
	if err != nil {
		return err
	}
	wd, err := c.d.desc(c.inShape(j), f32, tag)
	if err != nil {
		return err
	}
	xm, err := c.in(i, xd)
	if err != nil {
		return err
	}
	wm, err := c.in(j, wd)
	if err != nil {
		return err
	}
	ym, err := c.out(0, yd)
	if err != nil {
		return err
	}
	table, err := c.taps(stride, x, y)
	if err != nil {
		return err
	}
	m, err := c.keep(int64(unsafe.Sizeof(t)))
	if err != nil {
		return err
	}
	t.count = int64(x[0])
	t.table, t.zero = uintptr(table.at(zeroBytes)), uintptr(table.at(0))
	t.xBlock, t.yBlock = int64(x[2]*x[3]*32), int64(y[2]*y[3]*32)
	t.xImage, t.yImage = t.xBlock*int64(x[1]/8), t.yBlock*int64(y[1]/8)
	t.inBlocks, t.outPairs, t.taps, t.pixels = int64(x[1]/8), int64(y[1]/16), 9, int64(y[2]*y[3])
	c.host(func() func() {
		t.x, t.y, t.w = xm.address(0), ym.address(0), wm.address(first)
		task := (*convTask)(m.at(0))
		*task = t
		entry, team := convForwardAddress(), c.d.lib.parallel
		return func() {
			task.next = 0
			purego.SyscallN(team, entry, uintptr(unsafe.Pointer(task)), 0, 0)
		}
	})
	c.ops[len(c.ops)-1].what = ownName
	return nil
}

const (
	ownName   = "own:avx2"
	zeroBytes = 64 // a block of zero channels before the table: the padding
)

type tableKey struct{ stride, h, w int }

// taps gives, tap by tap, the byte offset of the input pixel for each pixel of
// y, -1 in the padding: int32, after zeroBytes of zeros.
func (c *compiler) taps(stride int, x, y kernel.Shape) (region, error) {
	key := tableKey{stride, x[2], x[3]}
	if m := c.tables[key]; m != nil {
		return m, nil
	}
	m, err := c.keep(zeroBytes + 9*4*int64(y[2]*y[3]))
	if err != nil {
		return nil, err
	}
	table := unsafe.Slice((*int32)(m.at(zeroBytes)), 9*y[2]*y[3])
	i := 0
	for tap := range 9 {
		for oy := range y[2] {
			for ox := range y[3] {
				iy, ix := oy*stride+tap/3-1, ox*stride+tap%3-1
				table[i] = -1
				if iy >= 0 && iy < x[2] && ix >= 0 && ix < x[3] {
					table[i] = int32((iy*x[3] + ix) * 32)
				}
				i++
			}
		}
	}
	c.tables[key] = m
	return m, nil
}

// ownGradWeight: x, dy -> dw, for stride 1. Each chunk of images has sums of
// its own, so that the result does not depend on which thread took it.
func (c *compiler) ownGradWeight() error {
	x, y := c.inShape(0), c.inShape(1)
	xd, err := c.act(x)
	if err != nil {
		return err
	}
	yd, err := c.act(y)
	if err != nil {
		return err
	}
	dwd, err := c.d.desc(c.outShape(0), f32, tagOIhw8o8i)
	if err != nil {
		return err
	}
	xm, err := c.in(0, xd)
	if err != nil {
		return err
	}
	ym, err := c.in(1, yd)
	if err != nil {
		return err
	}
	dw, err := c.out(0, dwd)
	if err != nil {
		return err
	}
	chunks := min(x[0], 2*c.d.threads) // two a thread, since threads are not equally fast
	sums := &block{size: dwd.size * int64(chunks), first: c.at, last: c.at}
	c.work = append(c.work, sums)
	m, err := c.keep(int64(unsafe.Sizeof(gradTask{})))
	if err != nil {
		return err
	}
	t := gradTask{count: int64(chunks), chunk: dwd.size, images: int64(x[0]),
		inBlocks: int64(x[1] / 8), outHalves: int64(y[1] / 4), rows: int64(x[2]), cols: int64(x[3])}
	t.rowBytes = t.cols * 32
	t.xBlock, t.yBlock = t.rowBytes*t.rows, t.rowBytes*t.rows
	t.xImage, t.yImage = t.xBlock*int64(x[1]/8), t.yBlock*int64(y[1]/8)
	t.group = max(1, passBytes/(t.xImage+t.yImage))
	c.host(func() func() {
		t.x, t.y, t.dw = xm.address(0), ym.address(0), uintptr(sums.ptr)
		task := (*gradTask)(m.at(0))
		*task = t
		entry, team := convGradWeightAddress(), c.d.lib.parallel
		n := int(dwd.size / 4)
		all, out := slice[float32](sums, 0, n*chunks), slice[float32](dw.block, dw.offset, n)
		return func() {
			task.next = 0
			purego.SyscallN(team, entry, uintptr(unsafe.Pointer(task)), 0, 0)
			copy(out, all)
			for i := 1; i < chunks; i++ {
				for j, v := range all[i*n:][:n] {
					out[j] += v
				}
			}
		}
	})
	c.ops[len(c.ops)-1].what = ownName
	return nil
}

// passBytes of x and dy pass through the cache for each set of sums.
const passBytes = 128 << 10
