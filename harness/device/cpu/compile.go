// Translates a Program to a list of calls of kernels.

package cpu

import (
	"fmt"
	"unsafe"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// code is a translated program: a list of calls with bound arguments. A step is one loop
// over it.
type code struct {
	prog     *program.Program
	ops      []op
	backward int      // index of the first op after the forward phase
	blocks   []*block // memory of each buffer
	home     []*desc  // layout of each buffer; nil if it holds no floats
	args     region
	memories []uintptr
	regions  []region // tables and tasks of our own kernels
	profile  []Row    // nil if the session does not profile
}

// op is one call, of a oneDNN primitive (prim) or of a Go function (fn). An instruction
// becomes one or a few.
type op struct {
	instr int
	prim  *prim
	fn    func()
	exec  []uintptr     // arguments of dnnl_primitive_execute
	args  []arg         // arguments of prim; nil after link
	bind  func() func() // returns fn, once memory has addresses; nil after link
	what  string        // for the profile: "own:winograd"; "" for plain Go
}

// arg is an argument of a primitive (dnnl_exec_arg_t) before link.
type arg struct {
	id  int32
	mem mem
}

// execArg is dnnl_exec_arg_t.
type execArg struct {
	id     int32
	_      int32
	memory uintptr
}

// mem is memory in a layout.
type mem struct {
	block  *block
	offset int64
	desc   *desc
}

// address is the address of byte offset. Call it only after blocks have addresses.
func (m mem) address(offset int64) uintptr {
	return uintptr(unsafe.Add(m.block.ptr, m.offset+offset))
}

// form is a buffer in another layout than its home.
type form struct {
	buf  program.BufID
	desc *desc
}

// compiler translates one program.
type compiler struct {
	*code
	d        *Device
	layout   layout
	dtype    int32 // of activations and convolution operands
	own      own
	at       int            // index of the current instruction
	instr    *program.Instr // the current instruction
	work     []*block
	staged   map[form]mem // inputs that were reordered in this step
	tables   map[tableKey]region
	pads     map[padKey]region
	places   map[strides][]uint32               // hashes of the places of an image's elements, for dropout
	masks    map[program.BufID][]mem            // oneDNN's masks of rectifiers, one for each group, by the rectified output
	largest  map[pooledBuffer]mem               // oneDNN's record of the largest element of each window of a max-pool
	unsummed map[program.BufID][2]program.BufID // gradients that stay two parts: see leaveSum
	after    []op                               // reorders of the instruction's outputs to their homes
}

// translate translates p. persistent returns the block of a buffer that outlives the
// step, nil for others. Their blocks are returned, to be placed by liveness.
func translate(d *Device, l layout, dtype int32, p *program.Program, persistent func(program.BufID) *block) (*code, []*block, error) {
	c := &compiler{
		code: &code{prog: p}, d: d, layout: l, dtype: dtype,
		staged: map[form]mem{}, tables: map[tableKey]region{}, pads: map[padKey]region{}, places: map[strides][]uint32{}, masks: map[program.BufID][]mem{},
		largest: map[pooledBuffer]mem{}, unsummed: map[program.BufID][2]program.BufID{},
	}
	c.own = ownKernels(d, l, dtype)
	for i := range p.Buffers {
		b := &p.Buffers[i]
		home, err := homeOf(c, b)
		if err != nil {
			return nil, nil, fmt.Errorf("cpu: program %s: buffer %s: %w", p.Name, b.Name, err)
		}
		at := persistent(program.BufID(i))
		if at == nil {
			at = &block{size: b.Bytes(), first: b.First, last: b.Last}
			if home != nil {
				at.size = home.size
			}
			c.work = append(c.work, at)
		}
		c.home, c.blocks = append(c.home, home), append(c.blocks, at)
	}
	forward := p.ForwardEnd()
	for i := range p.Code {
		c.at, c.instr = i, &p.Code[i]
		if err := c.d.Supports(c.instr.Kernel); err != nil {
			return nil, nil, err
		}
		if err := translateInstr(c); err != nil {
			return nil, nil, c.fault(i, err)
		}
		c.ops = append(c.ops, c.after...)
		c.after = nil
		c.forget()
		if i+1 == forward {
			c.backward = len(c.ops)
		}
	}
	return c.code, c.work, nil
}

// fault adds program, layer and kernel of an instruction to an error.
func (c *code) fault(instr int, err error) error {
	i := &c.prog.Code[instr]
	return fmt.Errorf("cpu: program %s: layer %s: %s: %w", c.prog.Name, i.Layer, i.Kernel, err)
}

// homeOf is the layout in which a buffer is kept: for activations that of the session,
// for all others the plain one. It is nil for integers.
func homeOf(c *compiler, b *program.Buffer) (*desc, error) {
	switch {
	case b.Type != kernel.Float32:
		return nil, nil
	case b.Arena == program.Work && len(b.Shape) == 4:
		return c.act(b.Shape)
	}
	return plainDesc(c.d, b.Shape)
}

// act is the layout of an activation of shape s (N, C, H, W).
func (c *compiler) act(s kernel.Shape) (*desc, error) {
	tag := tagPlain[4]
	if c.layout.fits(s) {
		tag = c.layout.tag
	}
	return describeLayout(c.d, s, c.dtype, tag)
}

func (c *compiler) shape(id program.BufID) kernel.Shape { return c.prog.Buffers[id].Shape }

// inShape and outShape are the shapes of the instruction's operands.
func (c *compiler) inShape(i int) kernel.Shape  { return c.shape(c.instr.In[i]) }
func (c *compiler) outShape(i int) kernel.Shape { return c.shape(c.instr.Out[i]) }

// in returns input i in layout want. If that is not its home, it is reordered, once in
// each step.
func (c *compiler) in(i int, want *desc) (mem, error) {
	id := c.instr.In[i]
	direct := mem{block: c.blocks[id], desc: c.home[id]}
	if want == c.home[id] {
		return direct, nil
	}
	key := form{id, want}
	m, ok := c.staged[key]
	if !ok {
		m = c.temp(want)
		o, err := c.reorder(direct, m)
		if err != nil {
			return mem{}, err
		}
		c.ops = append(c.ops, o)
		c.staged[key] = m
	}
	m.block.last = c.at
	return m, nil
}

// out returns memory in layout want for output i. If that is not the output's home, it
// is reordered at the end of the instruction.
func (c *compiler) out(i int, want *desc) (mem, error) {
	id := c.instr.Out[i]
	direct := mem{block: c.blocks[id], desc: c.home[id]}
	if want == c.home[id] {
		return direct, nil
	}
	m := c.temp(want)
	o, err := c.reorder(m, direct)
	c.after = append(c.after, o)
	return m, err
}

// temp is memory for the current instruction. To keep it longer, raise block.last.
func (c *compiler) temp(x *desc) mem {
	b := &block{size: x.size, first: c.at, last: c.at}
	c.work = append(c.work, b)
	return mem{block: b, desc: x}
}

// keep allocates n bytes that live as long as the code.
func (c *compiler) keep(n int64) (region, error) {
	m, err := allocate(n)
	c.regions = append(c.regions, m)
	return m, err
}

// forget drops reordered copies of what the instruction wrote. Persistent buffers may
// overlap, so a write to one outdates all copies of its arena.
func (c *compiler) forget() {
	for _, id := range c.instr.Out {
		a := c.prog.Buffers[id].Arena
		for key := range c.staged {
			if key.buf == id || a != program.Work && c.prog.Buffers[key.buf].Arena == a {
				delete(c.staged, key)
			}
		}
	}
}

// call appends the execution of a primitive.
func (c *compiler) call(p *prim, args ...arg) {
	c.ops = append(c.ops, op{instr: c.at, prim: p, args: args})
}

// host appends a call of a Go function. bind returns it, once memory has addresses.
func (c *compiler) host(bind func() func()) {
	c.ops = append(c.ops, op{instr: c.at, bind: bind})
}

// reorder is a copy between two layouts of one shape.
func (c *compiler) reorder(from, to mem) (op, error) {
	if c.d.lib == nil {
		return op{instr: c.at, bind: func() func() { return copyActivation(c, from, to) }}, nil
	}
	type key struct{ from, to *desc }
	p, err := newPrim(c.d, key{from.desc, to.desc}, func(pd *uintptr) (status, error) {
		return c.d.lib.reorder(pd, from.desc.handle, c.d.engine, to.desc.handle, c.d.engine, 0), nil
	})
	if err != nil {
		return op{}, fmt.Errorf("reorder: %w", err)
	}
	return op{instr: c.at, prim: p, args: []arg{{argSrc, from}, {argDst, to}}}, nil
}

// link binds the arguments. Every block must have an address.
func (c *code) link(d *Device) error {
	var n int64
	for i := range c.ops {
		n += int64(len(c.ops[i].args)) * int64(unsafe.Sizeof(execArg{}))
	}
	var err error
	if c.args, err = allocate(n); err != nil {
		return err
	}
	made := map[mem]uintptr{}
	var offset int64
	for i := range c.ops {
		o := &c.ops[i]
		if o.bind != nil {
			o.fn, o.bind = o.bind(), nil
			continue
		}
		o.exec = []uintptr{o.prim.handle, d.stream, uintptr(len(o.args)), uintptr(c.args.at(offset))}
		for _, a := range o.args {
			h := made[a.mem]
			if h == 0 {
				at := unsafe.Add(a.mem.block.ptr, a.mem.offset)
				if err := check(d.lib.memoryCreate(&h, a.mem.desc.handle, d.engine, at), "memory create"); err != nil {
					return c.fault(o.instr, err)
				}
				made[a.mem] = h
				c.memories = append(c.memories, h)
			}
			*(*execArg)(c.args.at(offset)) = execArg{id: a.id, memory: h}
			offset += int64(unsafe.Sizeof(execArg{}))
		}
		o.args = nil
	}
	return nil
}

// free releases what translate and link allocated.
func (c *code) free(d *Device) error {
	for _, m := range c.memories {
		d.lib.memoryDestroy(m)
	}
	c.memories = nil
	err := c.args.free()
	for _, m := range c.regions {
		if e := m.free(); err == nil {
			err = e
		}
	}
	c.args, c.regions = nil, nil
	return err
}

// inOut returns input i and output j, both in layout x.
func inOut(c *compiler, i, j int, x *desc) (from, to mem, err error) {
	if from, err = c.in(i, x); err != nil {
		return
	}
	to, err = c.out(j, x)
	return
}

// keptMem is a buffer in its home layout, which is plain float32 for vectors and matrices.
func keptMem(c *compiler, id program.BufID) mem { return mem{block: c.blocks[id], desc: c.home[id]} }

// natural is the home layout of a buffer of Work of shape s.
func natural(c *compiler, s kernel.Shape) (*desc, error) {
	if len(s) == 4 {
		return c.act(s)
	}
	return plainDesc(c.d, s)
}

// plainIn returns input i, which holds floats, in plain layout.
func plainIn(c *compiler, i int) (mem, error) {
	d, err := plainDesc(c.d, c.inShape(i))
	if err != nil {
		return mem{}, err
	}
	return c.in(i, d)
}

// plainOut returns output i in plain layout.
func plainOut(c *compiler, i int) (mem, error) {
	d, err := plainDesc(c.d, c.outShape(i))
	if err != nil {
		return mem{}, err
	}
	return c.out(i, d)
}
