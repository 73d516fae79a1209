// Max pooling by oneDNN.

package cpu

import (
	"math"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// pooledBuffer is a max-pool of a buffer.
type pooledBuffer struct {
	x program.BufID
	k kernel.MaxPool
}

// maxPoolPrim returns the primitive of a max-pool from x to y, or of its gradient.
func maxPoolPrim(c *compiler, k kernel.MaxPool, x, y kernel.Shape, backward bool) (*prim, error) {
	type key struct {
		k        kernel.MaxPool
		x        *desc
		backward bool
	}
	xd, err := c.act(x)
	if err != nil {
		return nil, err
	}
	yd, err := c.act(y)
	if err != nil {
		return nil, err
	}
	var hint *prim
	if backward {
		if hint, err = maxPoolPrim(c, k, x, y, false); err != nil {
			return nil, err
		}
	}
	l, e := c.d.lib, c.d.engine
	square := func(n int) dims { return dims{int64(n), int64(n)} }
	size, stride, before, after, none := square(k.Size), square(k.Stride), square(k.Before), square(k.After), dims{}
	return newPrim(c.d, key{k, xd, backward}, func(pd *uintptr) (status, error) {
		if backward {
			return l.poolBackward(pd, e, algPoolMax, xd.handle, yd.handle, &stride, &size, &none, &before, &after, hint.pd, 0), nil
		}
		return l.poolForward(pd, e, propTraining, algPoolMax, xd.handle, yd.handle, &stride, &size, &none, &before, &after, 0), nil
	})
}

// poolTo appends the forward primitive, and returns the memory in which oneDNN records the
// largest element of each window.
func poolTo(c *compiler, k kernel.MaxPool, x, y mem, xs, ys kernel.Shape) (mem, error) {
	p, err := maxPoolPrim(c, k, xs, ys, false)
	if err != nil {
		return mem{}, err
	}
	desc, err := p.query(queryWorkspace)
	if err != nil {
		return mem{}, err
	}
	which := c.temp(desc)
	c.call(p, arg{argSrc, x}, arg{argDst, y}, arg{argWorkspace, which})
	return which, nil
}

// libraryMaxPool: x -> y.
func libraryMaxPool(c *compiler, k kernel.MaxPool) error {
	xs, ys := c.inShape(0), c.outShape(0)
	x, y, err := pooledActs(c, 0, 0, xs, ys)
	if err != nil {
		return err
	}
	which, err := poolTo(c, k, x, y, xs, ys)
	if err != nil {
		return err
	}
	c.largest[pooledBuffer{c.instr.In[0], k}] = which
	c.host(func() func() {
		from, to := pixelsOf(c, x, xs), pixelsOf(c, y, ys)
		return func() {
			if !allFinite(from.data, from.size) {
				from.pool(k, to)
			}
		}
	})
	return nil
}

// pooledActs returns input i and output j in the layout of activations.
func pooledActs(c *compiler, i, j int, in, out kernel.Shape) (from, to mem, err error) {
	fd, err := c.act(in)
	if err != nil {
		return
	}
	td, err := c.act(out)
	if err != nil {
		return
	}
	if from, err = c.in(i, fd); err != nil {
		return
	}
	to, err = c.out(j, td)
	return
}

// libraryMaxPoolGrad: x, dy -> dx. If a window has a NaN, the gradient goes to the largest
// other element; that does not matter, because a step with NaN ends after the forward phase.
func libraryMaxPoolGrad(c *compiler, k kernel.MaxPoolGrad) error {
	xs, ys := c.inShape(0), c.inShape(1)
	dy, dx, err := pooledActs(c, 1, 0, ys, xs)
	if err != nil {
		return err
	}
	which, ok := c.largest[pooledBuffer{c.instr.In[0], k.MaxPool}]
	if !ok { // the forward instruction is not in this program
		x, err := c.in(0, dx.desc)
		if err != nil {
			return err
		}
		if which, err = poolTo(c, k.MaxPool, x, c.temp(dy.desc), xs, ys); err != nil {
			return err
		}
	}
	which.block.last = c.at
	p, err := maxPoolPrim(c, k.MaxPool, xs, ys, true)
	if err != nil {
		return err
	}
	c.call(p, arg{argDiffDst, dy}, arg{argDiffSrc, dx}, arg{argWorkspace, which})
	return nil
}

// pixels is an activation in its layout, to be read and written by Go.
type pixels struct {
	strides
	shape kernel.Shape
	data  []byte
}

func pixelsOf(c *compiler, m mem, s kernel.Shape) pixels {
	return pixels{stridesIn(c, s), s, slice[byte](m.block, m.offset, int(m.desc.size))}
}

// pool writes the max-pool of p to y by its definition, because oneDNN ignores NaN and -Inf.
func (p pixels) pool(k kernel.MaxPool, y pixels) {
	x, out := kernel.New(kernel.Float32, p.shape...), kernel.New(kernel.Float32, y.shape...)
	p.each(func(i, at int) { x.F32[i] = p.load(at) })
	k.Ref([]kernel.Tensor{out}, []kernel.Tensor{x})
	y.each(func(i, at int) { y.store(at, out.F32[i]) })
}

// each calls f for each element, with its index in plain order and its byte offset.
func (p pixels) each(f func(i, at int)) {
	s := p.shape
	i := 0
	for n := range s[0] {
		for ch := range s[1] {
			for h := range s[2] {
				at := p.at(n, ch, h)
				for range s[3] {
					f(i, at)
					i++
					at += p.block * p.size
				}
			}
		}
	}
}

// load and store convert bfloat16 to and from float32. store truncates, which loses nothing:
// what is stored was loaded before.
func (p pixels) load(at int) float32 {
	if p.size == 2 {
		return math.Float32frombits(uint32(view[uint16](p.data[at:])[0]) << 16)
	}
	return view[float32](p.data[at:])[0]
}

func (p pixels) store(at int, v float32) {
	if p.size == 2 {
		view[uint16](p.data[at:])[0] = uint16(math.Float32bits(v) >> 16)
	} else {
		view[float32](p.data[at:])[0] = v
	}
}
