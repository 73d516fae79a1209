// Batch norm fused with the addition of the shortcut, the rectifier and their gradients, in
// two passes over the images. oneDNN needs three passes, and more for what it does not fuse;
// and it has no groups of images, so each group is one call.

package cpu

import (
	"math"
	"unsafe"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// normTask is the task of the functions of kernels/norm.c, which has the same struct. Lengths are in bytes. The address of an absent operand is 0.
type normTask struct {
	shared                          // images
	x, y, add, dy, dx, dadd uintptr // add: the shortcut, or the second part of dy
	blocks                  int64   // blocks of channels, as many channels as a vector has lanes
	image, block, pixel     int64   // strides
	pixels                  int64   // pixels of an image
	sums                    uintptr // (N, blocks, 2, lanes) float32
	coefficients            uintptr // (G, blocks, k, lanes) float32
	group                   int64   // images that share coefficients
	inverse                 float32 // 1 / pixels
	floor                   float32 // lower bound of y: 0 with a rectifier, else -Inf
}

// batchNorm: x, scale, shift [, add] -> y, mean, variance.
func batchNorm(c *compiler, k kernel.BatchNorm) error {
	switch {
	case fitsFused(c, c.inShape(0)):
		return fusedNorm(c, k)
	case c.d.lib != nil:
		return libraryNorm(c, k)
	}
	return translateReference(c)
}

// batchNormInfer: x, scale, shift, mean, variance [, add] -> y.
func batchNormInfer(c *compiler, k kernel.BatchNormInfer) error {
	switch {
	case fitsFused(c, c.inShape(0)):
		return fusedNormInfer(c, k)
	case c.d.lib != nil:
		return libraryNormInfer(c, k)
	}
	return translateReference(c)
}

// batchNormGrad: x, scale, mean, variance [, y], dy -> dx, dscale, dshift
// [, dadd].
func batchNormGrad(c *compiler, k kernel.BatchNormGrad) error {
	switch {
	case fitsFused(c, c.inShape(0)):
		return fusedNormGrad(c, k)
	case c.d.lib != nil:
		return libraryNormGrad(c, k)
	}
	return translateReference(c)
}

// fitsFused reports whether the fused kernels support activations of shape s.
func fitsFused(c *compiler, s kernel.Shape) bool {
	return c.own.normApply != 0 && len(s) == 4 && s[1]%c.own.lanes == 0
}

// fused is a batch norm: while it is translated, and while it runs.
type fused struct {
	c            *compiler
	task         normTask
	mem          region // the copy of the task that the functions read
	group, C     int
	lanes        int
	place        []int // index of each channel's first sum among the sums of an image
	operands     []operandAt
	sums         []float32 // (N, blocks, 2, lanes)
	coefficients []float32 // (G, blocks, k, lanes)
	total        []float64 // (2, C)
}

// operandAt is a field of the task to be set once memory has addresses.
type operandAt struct {
	field *uintptr
	mem   mem
}

// newFused prepares a batch norm on activations of shape s (N, C, H, W), with k coefficients
// for each channel. group images share statistics; 0 means all N.
func newFused(c *compiler, s kernel.Shape, group, k int) (*fused, error) {
	if group == 0 {
		group = s[0]
	}
	lanes := c.own.lanes
	f := &fused{c: c, group: group, C: s[1], lanes: lanes, total: make([]float64, 2*s[1])}
	for ch := range s[1] {
		f.place = append(f.place, ch/lanes*2*lanes+ch%lanes)
	}
	t := &f.task
	t.count, t.group, t.blocks = int64(s[0]), int64(group), int64(s[1]/lanes)
	t.pixels, t.inverse = int64(s[2]*s[3]), 1/float32(s[2]*s[3])
	t.image = int64(s[1] * s[2] * s[3] * c.own.number)
	t.pixel, t.block = blockStrides(c, s)
	var err error
	if f.mem, err = c.keep(int64(unsafe.Sizeof(*t))); err != nil {
		return nil, err
	}
	sums, err := c.keep(int64(2*s[0]*s[1]) * 4)
	if err != nil {
		return nil, err
	}
	coefficients, err := c.keep(int64(k*s[0]/group*s[1]) * 4)
	if err != nil {
		return nil, err
	}
	f.sums, f.coefficients = view[float32](sums), view[float32](coefficients)
	t.sums, t.coefficients = uintptr(sums.at(0)), uintptr(coefficients.at(0))
	return f, nil
}

// input makes a field of the task the address of input i, output that of output i.
func (f *fused) input(field *uintptr, i int) error {
	m, err := activation(f.c, i, f.c.inShape, f.c.in)
	f.operands = append(f.operands, operandAt{field, m})
	return err
}

func (f *fused) output(field *uintptr, i int) error {
	m, err := activation(f.c, i, f.c.outShape, f.c.out)
	f.operands = append(f.operands, operandAt{field, m})
	return err
}

// whole makes a field of the task the address of a buffer in its home layout.
func (f *fused) whole(field *uintptr, id program.BufID) {
	f.operands = append(f.operands, operandAt{field, mem{block: f.c.blocks[id], desc: f.c.home[id]}})
}

// leaveSum reports whether the current instruction, a sum of two gradients, may be left to
// the gradient of batch norm after it, which must be its only reader.
func leaveSum(c *compiler) bool {
	if c.at+1 == len(c.prog.Code) {
		return false
	}
	next, sum := &c.prog.Code[c.at+1], c.instr.Out[0]
	k, ok := next.Kernel.(kernel.BatchNormGrad)
	if !ok || !k.Add || next.In[len(next.In)-1] != sum || c.prog.Buffers[sum].Last != c.at+1 || !fitsFused(c, c.shape(sum)) {
		return false
	}
	for _, id := range next.In[:len(next.In)-1] {
		if id == sum {
			return false
		}
	}
	for _, id := range c.instr.In {
		c.blocks[id].last = max(c.blocks[id].last, c.at+1)
	}
	c.unsummed[sum] = [2]program.BufID{c.instr.In[0], c.instr.In[1]}
	return true
}

// call appends the function that bind returns.
func (f *fused) call(bind func() func()) {
	f.c.host(func() func() {
		for _, o := range f.operands {
			*o.field = o.mem.address(0)
		}
		return bind()
	})
	f.c.ops[len(f.c.ops)-1].what = "own:norm"
}

// pass returns a function that runs fn with the values that the task has at that time.
func (f *fused) pass(fn uintptr) func() {
	task, run := (*normTask)(f.mem.at(0)), f.c.d.onTeam(fn, f.mem)
	return func() {
		*task = f.task
		run()
	}
}

// vector is a view of a plain float32 buffer.
func vector(c *compiler, id program.BufID) []float32 {
	return slice[float32](c.blocks[id], 0, c.shape(id).Len())
}

// fusedNorm: x, scale, shift [, add] -> y, mean, variance.
func fusedNorm(c *compiler, k kernel.BatchNorm) error {
	f, err := newFused(c, c.inShape(0), k.Group, 3)
	if err != nil {
		return err
	}
	if err := f.inputs(k.Add, 3); err != nil {
		return err
	}
	f.rectify(k.ReLU)
	in, out := c.instr.In, c.instr.Out
	f.call(func() func() {
		scale, shift := vector(c, in[1]), vector(c, in[2])
		mean, variance := vector(c, out[1]), vector(c, out[2])
		statistics, apply := f.pass(c.own.normStatistics), f.pass(c.own.normApply)
		return func() {
			statistics()
			f.moments(mean, variance)
			f.affine(scale, shift, mean, variance, k.Eps)
			apply()
		}
	})
	return nil
}

// fusedNormInfer: x, scale, shift, mean, variance [, add] -> y.
func fusedNormInfer(c *compiler, k kernel.BatchNormInfer) error {
	f, err := newFused(c, c.inShape(0), 0, 3)
	if err != nil {
		return err
	}
	if err := f.inputs(k.Add, 5); err != nil {
		return err
	}
	f.rectify(k.ReLU)
	in := c.instr.In
	f.call(func() func() {
		scale, shift, mean, variance := vector(c, in[1]), vector(c, in[2]), vector(c, in[3]), vector(c, in[4])
		apply := f.pass(c.own.normApply)
		return func() {
			f.affine(scale, shift, mean, variance, k.Eps)
			apply()
		}
	})
	return nil
}

// inputs sets the operands of a forward batch norm. The shortcut is input add.
func (f *fused) inputs(withAdd bool, add int) error {
	if err := f.input(&f.task.x, 0); err != nil {
		return err
	}
	if withAdd {
		if err := f.input(&f.task.add, add); err != nil {
			return err
		}
	}
	return f.output(&f.task.y, 0)
}

// rectify sets the lower bound of y.
func (f *fused) rectify(relu bool) {
	if !relu {
		f.task.floor = float32(math.Inf(-1))
	}
}

// moments computes mean and variance (G, C) of each group from those of its images.
func (f *fused) moments(mean, variance []float32) {
	C, pixels := f.C, float64(f.task.pixels)
	n := float64(f.group)
	for g := range len(mean) / C {
		sums := f.sums[2*g*f.group*C:][:2*f.group*C]
		m, v := mean[g*C:][:C], variance[g*C:][:C]
		total, square := f.total[:C], f.total[C:]
		clear(f.total)
		for at := 0; at < len(sums); at += 2 * C {
			for c, i := range f.place {
				total[c] += float64(sums[at+i])
			}
		}
		for c := range total {
			total[c] /= n
		}
		for at := 0; at < len(sums); at += 2 * C {
			for c, i := range f.place {
				d := float64(sums[at+i]) - total[c]
				square[c] += float64(sums[at+i+f.lanes]) + pixels*d*d
			}
		}
		for c := range total {
			m[c], v[c] = float32(total[c]), float32(square[c]/(n*pixels))
		}
	}
}

// affine sets the coefficients of y = (x - mean) scale + shift.
func (f *fused) affine(scale, shift, mean, variance []float32, eps float32) {
	lanes := f.lanes
	for i := range mean {
		c := i % f.C
		at := f.coefficients[i/lanes*3*lanes+i%lanes:]
		at[0] = mean[i]
		at[lanes] = float32(float64(scale[c]) / math.Sqrt(float64(variance[i])+float64(eps)))
		at[2*lanes] = shift[c]
	}
}

// fusedNormGrad: x, scale, mean, variance [, y], dy -> dx, dscale, dshift
// [, dadd].
func fusedNormGrad(c *compiler, k kernel.BatchNormGrad) error {
	f, err := newFused(c, c.inShape(0), k.Group, 4)
	if err != nil {
		return err
	}
	in, out := c.instr.In, c.instr.Out
	t := &f.task
	if err := f.input(&t.x, 0); err != nil {
		return err
	}
	if k.ReLU {
		if err := f.input(&t.y, 4); err != nil {
			return err
		}
	}
	if parts, ok := c.unsummed[in[len(in)-1]]; ok {
		f.whole(&t.dy, parts[0])
		f.whole(&t.add, parts[1])
	} else if err := f.input(&t.dy, len(in)-1); err != nil {
		return err
	}
	if err := f.output(&t.dx, 0); err != nil {
		return err
	}
	if k.Add {
		if err := f.output(&t.dadd, 3); err != nil {
			return err
		}
	}
	f.call(func() func() {
		scale, mean, variance := vector(c, in[1]), vector(c, in[2]), vector(c, in[3])
		dscale, dshift := vector(c, out[1]), vector(c, out[2])
		sums, apply := f.pass(c.own.normGradSums), f.pass(c.own.normGradApply)
		first, second := *t, *t
		first.coefficients = uintptr(unsafe.Pointer(&mean[0]))
		if k.Add { // the first pass writes the masked gradient to dadd
			second.dy, second.y, second.add, second.dadd = t.dadd, 0, 0, 0
		}
		return func() {
			*t = first
			sums()
			f.slopes(scale, mean, variance, dscale, dshift, k.Eps)
			*t = second
			apply()
		}
	})
	return nil
}

// slopes sums the gradients of scale and shift (C), and sets the coefficients of
// dx = dy scale + shift + (x - mean) slope.
func (f *fused) slopes(scale, mean, variance, dscale, dshift []float32, eps float32) {
	C, lanes, n := f.C, f.lanes, float64(f.group)*float64(f.task.pixels)
	clear(dscale)
	clear(dshift)
	for g := range len(mean) / C {
		sums := f.sums[2*g*f.group*C:][:2*f.group*C]
		gradient, product := f.total[:C], f.total[C:]
		clear(f.total)
		for at := 0; at < len(sums); at += 2 * C {
			for c, i := range f.place {
				gradient[c] += float64(sums[at+i])
				product[c] += float64(sums[at+i+f.lanes])
			}
		}
		for c := range gradient {
			i := g*C + c
			inverse := 1 / math.Sqrt(float64(variance[i])+float64(eps))
			product[c] *= inverse // now the sum of dy times normalised x
			dshift[c] += float32(gradient[c])
			dscale[c] += float32(product[c])
			a := float64(scale[c]) * inverse
			at := f.coefficients[i/lanes*4*lanes+i%lanes:]
			at[0] = mean[i]
			at[lanes] = float32(a)
			at[2*lanes] = float32(-a * gradient[c] / n)
			at[3*lanes] = float32(-a * inverse * product[c] / n)
		}
	}
}
