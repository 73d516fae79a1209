// Package lower writes a Program as StableHLO text, the input of XLA: one short
// emitter a kernel, in the files named as those of nets/kernel.
//
// What has four axes is held channels-last, images (N,H,W,C) and weights
// (O,H,W,I) alike; so is what has three: (H,W,C). The packed arenas are one
// vector each. Work is float32, or bfloat16 for activations where the precision
// says so. Reference: the StableHLO specification, github.com/openxla/stablehlo.
package lower

import (
	"fmt"
	"slices"
	"strings"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Name is the device's, in errors.
const Name = "xla"

// Unrolled is the most instructions of a Program that are written one by one,
// unless Options say else: some 290 layers. XLA's time for n instructions grows
// as n at first, then as n*n (110, 218 and 434 layers for an H100: 23, 47 and 132
// seconds of one core; 1202 in loops: 11), but each turn of a loop must copy
// what is to be kept (1202 layers: 17.2 kernels a convolution layer; 110 layers
// one by one: 9.6).
const Unrolled = 2000

// Options of a lowering.
type Options struct {
	Precision device.Precision // "" means FP32
	// Steps is how many steps one launch can do: with 0 exactly one, else any
	// number up to Steps, in a loop.
	Steps int
	// Unrolled is the most instructions of a Program that are written one by
	// one, micro-batches but the first two left out; of a longer one, the equal
	// blocks that follow each other become loops. 0 means the constant Unrolled.
	Unrolled int
	// Sequential says that XLA adds the elements of a sum one after the other,
	// as it does on a CPU: the sums of batch norms are cut into pieces then, as
	// float32 loses digits in the long ones (a gradient was 5 times as far from
	// float64).
	Sequential bool
}

// Module is a Program as text. Its function main takes State, then rows
// (Steps,N,4), rates (Steps,2) and, with a loop, the number of steps (); it
// gives the first Written of State again, whose arguments it uses up, then
// losses (Steps), errors (Steps) and how many steps were good (). A step whose
// loss is not finite changes no parameters, momenta or statistics, and is
// the last. Of a Program on several replicas, that is each one's.
type Module struct {
	Text    string
	State   []Memory
	Written int
	Batch   int // rows a step, of a replica
	Steps   int // 1 without a loop
	Loop    bool
	// Replicas is how many devices execute it together, at least 1.
	Replicas int
	head     []string // of main
}

// Memory is an array that outlives the step: a packed arena, by the name of
// the arena, or an input or metric, by its own.
type Memory struct {
	Name  string
	Arena program.Arena
	Type  kernel.DType
	Shape kernel.Shape // as in the Program; as it is held, see Held
}

// Held is the shape in which a device holds a buffer of shape s.
func Held(s kernel.Shape) kernel.Shape {
	switch len(s) {
	case 4:
		return kernel.Shape{s[0], s[2], s[3], s[1]}
	case 3:
		return kernel.Shape{s[1], s[2], s[0]}
	}
	return s
}

var elems = map[kernel.DType]elem{kernel.Float32: f32, kernel.Int32: i32, kernel.Uint8: u8}

// emitter writes the body of one step.
type emitter struct {
	text
	p          *program.Program
	code       []program.Instr // the Program's, in an order that suits loops
	loops      []*loop         // in code, in their order
	bf16       bool
	sequential bool                     // see Options
	precision  string                   // of convolutions
	values     map[program.BufID]value  // of what is not packed
	arenas     map[program.Arena]*arena // of what is
	rolled     map[program.BufID]turn   // what a loop wrote
	parts      *parts                   // micro-batches in a loop; nil for none
	part       *value                   // the number of its turn, in it
}

// Supports returns nil or an *device.UnsupportedError.
func Supports(k kernel.Kernel) error {
	switch k.(type) {
	case kernel.Conv, kernel.ConvGradInput, kernel.ConvGradWeight,
		kernel.BatchNorm, kernel.BatchNormGrad, kernel.BatchNormInfer, kernel.MovingAverage,
		kernel.Pad, kernel.PadGrad, kernel.Add, kernel.AvgPool, kernel.AvgPoolGrad, kernel.MaxPool, kernel.MaxPoolGrad,
		kernel.Linear, kernel.LinearGradInput, kernel.LinearGradWeight, kernel.LinearGradBias,
		kernel.CrossEntropy, kernel.CrossEntropyGrad, kernel.Batch, kernel.Accumulate, kernel.AllReduce,
		kernel.ReLU, kernel.ReLUGrad, kernel.Scale, kernel.Gate, kernel.GateGrad:
		return nil
	}
	if k, ok := k.(kernel.Optimizer); ok && optimizes(k) {
		return nil
	}
	return &device.UnsupportedError{Device: Name, What: "the operation " + k.String(), Hint: "the device ref computes every operation"}
}

// kernel writes one instruction's operation. Operands and results are as held,
// but of any float type.
func (e *emitter) kernel(k kernel.Kernel, in []value) []value {
	switch k := k.(type) {
	case kernel.Conv:
		return e.conv(k, in)
	case kernel.ConvGradInput:
		return e.convGradInput(k, in)
	case kernel.ConvGradWeight:
		return e.convGradWeight(k, in)
	case kernel.BatchNorm:
		return e.batchNorm(k, in)
	case kernel.BatchNormGrad:
		return e.batchNormGrad(k, in)
	case kernel.BatchNormInfer:
		return e.batchNormInfer(k, in)
	case kernel.MovingAverage:
		return e.movingAverage(k, in)
	case kernel.Pad:
		return e.padChannels(k, in)
	case kernel.PadGrad:
		return e.padGrad(k, in)
	case kernel.Accumulate:
		return []value{e.add(in[0], in[1])}
	case kernel.AllReduce:
		return e.allReduce(k, in)
	case kernel.Add:
		return []value{e.add(e.convert(in[0], f32), e.convert(in[1], f32))}
	case kernel.ReLU:
		return e.relu(in)
	case kernel.ReLUGrad:
		return e.reluGrad(in)
	case kernel.Scale:
		return []value{e.times(e.convert(in[0], f32), float64(k.By))}
	case kernel.Gate:
		return e.gate(k, in)
	case kernel.GateGrad:
		return e.gateGrad(k, in)
	case kernel.MaxPool:
		return e.maxPool(k, in)
	case kernel.MaxPoolGrad:
		return e.maxPoolGrad(k, in)
	case kernel.AvgPool:
		return e.avgPool(in)
	case kernel.AvgPoolGrad:
		return e.avgPoolGrad(k, in)
	case kernel.Linear:
		return e.linear(in)
	case kernel.LinearGradInput:
		return []value{e.dot(in[1], in[0], 1, 0)}
	case kernel.LinearGradWeight:
		return []value{e.dot(in[1], in[0], 0, 0)}
	case kernel.LinearGradBias:
		return []value{e.reduce("add", in[0], 0)}
	case kernel.CrossEntropy:
		return e.crossEntropy(k, in)
	case kernel.CrossEntropyGrad:
		return e.crossEntropyGrad(k, in)
	case kernel.Batch:
		return e.batch(k, in)
	case kernel.Optimizer:
		return e.optimizer(k, in)
	}
	panic("lower: kernel without emitter") // Lower asks Supports first
}

// half is the operand of a convolution: bfloat16 where the precision says so.
func (e *emitter) half(x value) value {
	if e.bf16 {
		return e.convert(x, bf16)
	}
	return e.convert(x, f32)
}

// get gives the value of a buffer, as held.
func (e *emitter) get(id program.BufID) value {
	b := &e.p.Buffers[id]
	if a, ok := e.arenas[b.Arena]; ok {
		return a.read(&e.text, int(b.Offset/4), Held(b.Shape)...)
	}
	if t, ok := e.rolled[id]; ok {
		return t.value(e)
	}
	return e.values[id]
}

// elem is the type that a buffer is held in: activations are bfloat16 where
// the precision says so.
func (e *emitter) elem(b *program.Buffer) elem {
	if e.bf16 && b.Arena == program.Work && len(b.Shape) == 4 {
		return bf16
	}
	return elems[b.Type]
}

// set stores it, in the buffer's own type.
func (e *emitter) set(id program.BufID, v value) {
	b := &e.p.Buffers[id]
	v = e.convert(v, e.elem(b))
	if a, ok := e.arenas[b.Arena]; ok {
		a.write(int(b.Offset/4), v)
		return
	}
	e.values[id] = v
}

// instr writes one instruction.
func (e *emitter) instr(c *program.Instr) {
	e.place = c.Layer + "/" + c.Kernel.String()
	in := make([]value, len(c.In))
	for i, id := range c.In {
		in[i] = e.get(id)
	}
	k := c.Kernel
	if b, ok := k.(kernel.Batch); ok && e.part != nil {
		first := e.add(e.mul(*e.part, e.constant(float64(b.Images), i32)), e.constant(float64(b.First), i32))
		in[kernel.BatchRows] = e.rows(in[kernel.BatchRows], first, b.Images)
		k = kernel.Batch{H: b.H, W: b.W, Pad: b.Pad}
	} else if ok && b.First > 0 {
		// Not before the micro-batch before is over, and its activations forgotten.
		if e.p.Grads != program.None {
			in[kernel.BatchRows] = e.after(in[kernel.BatchRows], e.get(e.p.Grads))
		}
	}
	for i, v := range e.kernel(k, in) {
		e.set(c.Out[i], v)
	}
	e.place = ""
}

// instrs writes a stretch of the code, equal blocks as loops. No loop crosses
// its ends.
func (e *emitter) instrs(from, to int) {
	for i := from; i < to; i++ {
		at := slices.IndexFunc(e.loops, func(l *loop) bool { return l.at == i })
		if at < 0 {
			e.instr(&e.code[i])
			continue
		}
		e.roll(e.loops[at])
		i += e.loops[at].period*e.loops[at].count - 1
	}
}

// Lower writes a Program as text. What it lacks is an *device.UnsupportedError.
func Lower(p *program.Program, o Options) (*Module, error) {
	e, m, ids, err := begin(p, o)
	if err != nil {
		return nil, err
	}
	state, rows, rates := m.arguments(e)
	if m.Loop {
		steps := m.argument("steps", i32, nil, -1)
		m.finish(e, m.loop(e, ids, state, rows, rates, steps))
		return m, nil
	}
	next, loss, wrong, ok := m.step(e, ids, state, e.reshape(rows, m.Batch, 4), e.reshape(rates, 2))
	m.finish(e, append(next, loss, wrong, e.convert(ok, i32)))
	return m, nil
}

// begin checks what is asked for and lists the module's state.
func begin(p *program.Program, o Options) (*emitter, *Module, []program.BufID, error) {
	e := &emitter{p: p, code: p.Code, sequential: o.Sequential, values: map[program.BufID]value{}, arenas: map[program.Arena]*arena{}, rolled: map[program.BufID]turn{}}
	switch o.Precision {
	case "", device.FP32:
		e.precision = "HIGHEST"
	case device.TF32:
		e.precision = "DEFAULT"
	case device.BF16:
		e.precision, e.bf16 = "DEFAULT", true
	default:
		return nil, nil, nil, &device.UnsupportedError{Device: Name, What: "precision " + string(o.Precision), Hint: "use fp32, tf32 or bf16"}
	}
	for i := range p.Code {
		if err := Supports(p.Code[i].Kernel); err != nil {
			return nil, nil, nil, err
		}
	}
	if o.Unrolled == 0 {
		o.Unrolled = Unrolled
	}
	e.parts = findParts(p, p.Code)
	written := len(p.Code)
	if l := e.parts; l != nil {
		written -= l.period * (l.count - 1)
	}
	if written > o.Unrolled {
		if l := e.parts; l != nil {
			e.loops = findRepeats(p, e.code, l.at+l.period) // the other turns are not written
		} else {
			e.code = early(p)
			e.loops = findRepeats(p, e.code, len(e.code))
		}
	}
	m := &Module{Steps: max(o.Steps, 1), Loop: o.Steps > 0, Replicas: p.Devices()}
	ids, err := m.memories(p)
	return e, m, ids, err
}

// memories lists what the step reads and writes, the written first, and gives
// for each the buffer that it is (-1 for an arena).
func (m *Module) memories(p *program.Program) (ids []program.BufID, err error) {
	type use struct {
		Memory
		id      program.BufID
		written bool
	}
	var uses []*use
	at := map[string]*use{}
	touch := func(id program.BufID, write bool) {
		b := &p.Buffers[id]
		if b.Arena == program.Work || id == p.Rows || id == p.Rates {
			return
		}
		u := &use{Memory: Memory{b.Name, b.Arena, b.Type, b.Shape}, id: id}
		if b.Arena.Packed() {
			u = &use{Memory: Memory{b.Arena.String(), b.Arena, kernel.Float32, kernel.Shape{int(p.Bytes[b.Arena] / 4)}}, id: -1}
		}
		if at[u.Name] == nil {
			at[u.Name] = u
			uses = append(uses, u)
		}
		at[u.Name].written = at[u.Name].written || write
	}
	if p.Loss == program.None || p.Wrong == program.None || p.Rows == program.None {
		return nil, fmt.Errorf("xla: program %s has no loss, no count of wrong images or no rows", p.Name)
	}
	touch(p.Loss, false)
	touch(p.Wrong, false)
	m.Batch = p.Buffers[p.Rows].Shape[0]
	for i := range p.Code {
		for _, id := range p.Code[i].In {
			touch(id, false)
		}
		for _, id := range p.Code[i].Out {
			touch(id, true)
		}
	}
	slices.SortStableFunc(uses, func(a, b *use) int {
		switch {
		case a.written == b.written:
			return 0
		case a.written:
			return -1
		}
		return 1
	})
	for _, u := range uses {
		m.State = append(m.State, u.Memory)
		ids = append(ids, u.id)
		if u.written {
			m.Written++
		}
	}
	return ids, nil
}

// argument adds a parameter of main; the one that becomes result donated (-1:
// none) is used up.
func (m *Module) argument(name string, t elem, dims []int, donated int) value {
	v := value{"%" + name, t, dims}
	s := v.name + ": " + v.typ()
	if donated >= 0 {
		s += fmt.Sprintf(" {tf.aliasing_output = %d : i32}", donated)
	}
	m.head = append(m.head, s)
	return v
}

// arguments adds state and plan.
func (m *Module) arguments(e *emitter) (state []value, rows, rates value) {
	for i, x := range m.State {
		donated := -1
		if i < m.Written {
			donated = i
		}
		state = append(state, m.argument(fmt.Sprintf("s%d", i), elems[x.Type], Held(x.Shape), donated))
	}
	return state, m.argument("rows", i32, []int{m.Steps, m.Batch, 4}, -1), m.argument("rates", f32, []int{m.Steps, 2}, -1)
}

// finish puts head, body and results together.
func (m *Module) finish(e *emitter, results []value) {
	types := join(results, value.typ)
	attributes := ""
	if m.Replicas > 1 {
		attributes = fmt.Sprintf("attributes {mhlo.num_replicas = %d : i32} ", m.Replicas)
	}
	m.Text = fmt.Sprintf("module @step %s{\n  func.func @main(%s) -> (%s) {\n%s    return %s : %s\n  }\n}\n",
		attributes, strings.Join(m.head, ", "), types, e.String(), join(results, func(v value) string { return v.name }), types)
}

// bind makes state and plan the values of their buffers.
func (m *Module) bind(e *emitter, ids []program.BufID, state []value, rows, rates value) {
	for i, x := range m.State {
		if x.Arena.Packed() {
			e.arenas[x.Arena] = newArena(state[i])
		} else {
			e.values[ids[i]] = state[i]
		}
	}
	e.values[e.p.Rows] = rows
	if e.p.Rates != program.None {
		e.values[e.p.Rates] = rates
	}
}

// step writes the step itself: from state, rows (N,4) and rates (2), to the
// written state, loss (1), wrong (1) and whether the loss is finite ().
func (m *Module) step(e *emitter, ids []program.BufID, state []value, rows, rates value) (next []value, loss, wrong, ok value) {
	m.bind(e, ids, state, rows, rates)
	at := 0
	if l := e.parts; l != nil {
		e.instrs(at, l.at)
		e.microBatches(l)
		at = l.at + l.period*l.count
	}
	e.instrs(at, len(e.code))
	e.place = "end of the step"
	loss, wrong = e.values[e.p.Loss], e.values[e.p.Wrong]
	ok = e.line(i1, loss.dims, "is_finite %s : (%s) -> %s", loss.name, loss.typ(), tensor(i1, loss.dims))
	ok = e.reshape(ok)
	for i, x := range m.State[:m.Written] {
		switch {
		case x.Arena == program.Grad:
			next = append(next, e.arenas[x.Arena].read(&e.text, 0, x.Shape...))
		case x.Arena.Packed():
			v := e.arenas[x.Arena].read(&e.text, 0, x.Shape...)
			next = append(next, e.pick(e.spread(ok, v.dims), v, state[i]))
		default:
			next = append(next, e.values[ids[i]])
		}
	}
	e.place = ""
	return next, loss, wrong, ok
}

// loop writes steps in a row: while i < steps and the last loss was finite.
func (m *Module) loop(e *emitter, ids []program.BufID, state []value, rows, rates, steps value) []value {
	one := e.constant(1, i32)
	none := e.constant(0, f32, m.Steps)
	carried := append([]value{e.constant(0, i32), e.constant(1, i1), none, none}, state[:m.Written]...)
	out := e.while(carried, func(in []value) value {
		return e.same("and", e.compare("LT", in[0], steps), in[1])
	}, func(in []value) []value {
		i := in[0]
		all := append(slices.Clone(in[4:]), state[m.Written:]...)
		next, loss, wrong, fine := m.step(e, ids, all, e.row(rows, i), e.row(rates, i))
		return append([]value{e.add(i, one), fine, e.setRow(in[2], i, e.reshape(loss)), e.setRow(in[3], i, e.reshape(wrong))}, next...)
	})
	good := e.sub(e.add(out[0], e.convert(out[1], i32)), one)
	return append(out[4:], out[2], out[3], good)
}
