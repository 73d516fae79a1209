// Package lower writes a Program as StableHLO text, the input of XLA: one short emitter for
// each kernel, in files named like those of nets/kernel.
//
// Tensors with four axes are channels-last, images (N, H, W, C) and weights (O, H, W, I);
// those with three, too: (H, W, C). Each packed arena is one vector. Work is float32, except
// that activations are bfloat16 if the precision is bf16. Reference: the StableHLO
// specification, github.com/openxla/stablehlo.
package lower

import (
	"fmt"
	"slices"
	"strings"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Name is the name of the device, for errors.
const Name = "xla"

// Unrolled is the default of Options.Unrolled: some 290 layers. The compile time of n
// instructions grows as n at first, then as n*n: for an H100, 110, 218 and 434 layers take
// 23, 47 and 132 seconds of one core, 1202 layers in loops 11. But each iteration of a loop
// must copy what is kept: 1202 layers in loops have 17.2 kernels for each convolution layer,
// 110 layers without loops 9.6.
const Unrolled = 2000

// Options are the options of a lowering.
type Options struct {
	Precision device.Precision // "" means FP32
	// Steps is the largest number of steps in a launch. 0 means one step without a loop.
	Steps int
	// Unrolled is the largest number of instructions that are written one by one, counting
	// only the first two micro-batches. In a longer Program, consecutive equal blocks become
	// loops. 0 means the constant Unrolled.
	Unrolled int
	// Sequential says that XLA sums elements one after the other, as it does on a CPU. Then
	// the sums of batch norm are computed in pieces, because float32 loses digits in long
	// sums (the error of a gradient was 5 times as large).
	Sequential bool
}

// Module is a Program as text. Its function main takes State, then rows (Steps, N, 4), rates
// (Steps, 2) and, with a loop, the number of steps (). It returns the first Written arrays
// of State, whose arguments are donated, then losses (Steps), wrong answers (Steps) and the
// number of good steps (). A step whose loss is not finite changes no parameters, optimizer
// state or statistics, and is the last. With replicas, all of this is for each one.
type Module struct {
	Text     string
	State    []Memory
	Written  int
	Batch    int // rows in a step, for each replica
	Steps    int // 1 without a loop
	Loop     bool
	Replicas int      // devices that execute it together; at least 1
	head     []string // parameters of main
}

// Memory is an array that outlives the step: a packed arena, with the arena's name, or a
// buffer of Input or Metric, with its own name.
type Memory struct {
	Name  string
	Arena program.Arena
	Type  kernel.DType
	Shape kernel.Shape // logical, as in the Program; Held gives the shape on the device
}

// Held is the shape on the device (channels-last) of a buffer of logical shape s.
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
	code       []program.Instr // of the Program, reordered if there are loops
	loops      []*loop         // in code, in its order
	bf16       bool
	sequential bool                         // see Options
	precision  string                       // of convolutions
	values     map[program.BufID]value      // of buffers that are not packed
	arenas     map[program.Arena]*arena     // packed arenas
	looped     map[program.BufID]loopOutput // buffers that a loop wrote
	micro      *microLoop                   // loop over micro-batches; nil if there is none
	microIndex *value                       // iteration of micro; nil outside of it
}

// Supports returns a *device.UnsupportedError if k has no emitter.
func Supports(k kernel.Kernel) error {
	switch k.(type) {
	case kernel.Conv, kernel.ConvGradInput, kernel.ConvGradWeight,
		kernel.BatchNorm, kernel.BatchNormGrad, kernel.BatchNormInfer, kernel.MovingAverage,
		kernel.Pad, kernel.PadGrad, kernel.Add, kernel.AvgPool, kernel.AvgPoolGrad, kernel.MaxPool, kernel.MaxPoolGrad,
		kernel.Linear, kernel.LinearGradInput, kernel.LinearGradWeight, kernel.LinearGradBias,
		kernel.CrossEntropy, kernel.CrossEntropyGrad, kernel.Batch, kernel.Accumulate, kernel.AllReduce,
		kernel.ReLU, kernel.ReLUGrad, kernel.Scale, kernel.Gate, kernel.GateGrad, kernel.Dropout:
		return nil
	}
	if k, ok := k.(kernel.Optimizer); ok && hasOptimizer(k) {
		return nil
	}
	return &device.UnsupportedError{Device: Name, What: "the operation " + k.String(), Hint: "the device ref computes every operation"}
}

// kernel writes the operations of one kernel. Operands and results have the shapes of Held,
// and any float type.
func (e *emitter) kernel(k kernel.Kernel, in []value) []value {
	switch k := k.(type) {
	case kernel.Conv:
		return conv(e, k, in)
	case kernel.ConvGradInput:
		return convGradInput(e, k, in)
	case kernel.ConvGradWeight:
		return convGradWeight(e, k, in)
	case kernel.BatchNorm:
		return batchNorm(e, k, in)
	case kernel.BatchNormGrad:
		return batchNormGrad(e, k, in)
	case kernel.BatchNormInfer:
		return batchNormInfer(e, k, in)
	case kernel.MovingAverage:
		return movingAverage(e, k, in)
	case kernel.Pad:
		return padChannels(e, k, in)
	case kernel.PadGrad:
		return padGrad(e, k, in)
	case kernel.Accumulate:
		return []value{e.add(in[0], in[1])}
	case kernel.AllReduce:
		return allReduce(e, k, in)
	case kernel.Add:
		return []value{e.add(e.convert(in[0], f32), e.convert(in[1], f32))}
	case kernel.ReLU:
		return relu(e, in)
	case kernel.ReLUGrad:
		return reluGrad(e, in)
	case kernel.Scale:
		return []value{e.times(e.convert(in[0], f32), float64(k.By))}
	case kernel.Gate:
		return gate(e, k, in)
	case kernel.GateGrad:
		return gateGrad(e, k, in)
	case kernel.Dropout:
		return dropout(e, k, in)
	case kernel.MaxPool:
		return maxPool(e, k, in)
	case kernel.MaxPoolGrad:
		return maxPoolGrad(e, k, in)
	case kernel.AvgPool:
		return avgPool(e, in)
	case kernel.AvgPoolGrad:
		return avgPoolGrad(e, k, in)
	case kernel.Linear:
		return linear(e, in)
	case kernel.LinearGradInput:
		return []value{e.dot(in[1], in[0], 1, 0)}
	case kernel.LinearGradWeight:
		return []value{e.dot(in[1], in[0], 0, 0)}
	case kernel.LinearGradBias:
		return []value{e.reduce("add", in[0], 0)}
	case kernel.CrossEntropy:
		return crossEntropy(e, k, in)
	case kernel.CrossEntropyGrad:
		return crossEntropyGrad(e, k, in)
	case kernel.Batch:
		return batch(e, k, in)
	case kernel.Optimizer:
		return optimizer(e, k, in)
	}
	panic("lower: no emitter for kernel " + k.String()) // Lower calls Supports first
}

// convOperand converts an operand of a convolution to bfloat16 if the precision is bf16,
// else to float32.
func convOperand(e *emitter, x value) value {
	if e.bf16 {
		return e.convert(x, bf16)
	}
	return e.convert(x, f32)
}

// get returns the value of a buffer, in the shape of Held.
func (e *emitter) get(id program.BufID) value {
	b := &e.p.Buffers[id]
	if a, ok := e.arenas[b.Arena]; ok {
		return a.read(&e.text, int(b.Offset/4), Held(b.Shape)...)
	}
	if t, ok := e.looped[id]; ok {
		return t.value(e)
	}
	return e.values[id]
}

// elem is the element type of a buffer on the device: bfloat16 for activations if the
// precision is bf16, else the buffer's own.
func (e *emitter) elem(b *program.Buffer) elem {
	if e.bf16 && b.Arena == program.Work && len(b.Shape) == 4 {
		return bf16
	}
	return elems[b.Type]
}

// set makes v, converted to the buffer's type, the value of a buffer.
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
	if b, ok := k.(kernel.Batch); ok && e.microIndex != nil {
		first := e.add(e.mul(*e.microIndex, e.constant(float64(b.Images), i32)), e.constant(float64(b.First), i32))
		in[kernel.BatchRows] = e.rows(in[kernel.BatchRows], first, b.Images)
		k = kernel.Batch{H: b.H, W: b.W, Pad: b.Pad, Noise: b.Noise}
	} else if ok && b.First > 0 {
		// Do not begin before the gradients of the previous micro-batch are complete, so that
		// the memory of its activations is free.
		if e.p.Grads != program.None {
			in[kernel.BatchRows] = e.after(in[kernel.BatchRows], e.get(e.p.Grads))
		}
	}
	for i, v := range e.kernel(k, in) {
		e.set(c.Out[i], v)
	}
	e.place = ""
}

// instrs writes instructions [from, to), equal blocks as loops. No loop may cross the ends.
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

// Lower writes a Program as text. The error is a *device.UnsupportedError if a kernel has no
// emitter, or if the precision is not supported.
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

// begin checks options and kernels, finds loops, and lists the module's state. ids are as
// in memories.
func begin(p *program.Program, o Options) (*emitter, *Module, []program.BufID, error) {
	e := &emitter{p: p, code: p.Code, sequential: o.Sequential, values: map[program.BufID]value{}, arenas: map[program.Arena]*arena{}, looped: map[program.BufID]loopOutput{}}
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
	e.micro = findMicroLoop(p, p.Code)
	written := len(p.Code)
	if l := e.micro; l != nil {
		written -= l.period * (l.count - 1)
	}
	if written > o.Unrolled {
		if l := e.micro; l != nil {
			e.loops = findRepeats(p, e.code, l.at+l.period) // only the first iteration of l is written
		} else {
			e.code = averagesEarly(p)
			e.loops = findRepeats(p, e.code, len(e.code))
		}
	}
	m := &Module{Steps: max(o.Steps, 1), Loop: o.Steps > 0, Replicas: p.Devices()}
	ids, err := m.memories(p)
	return e, m, ids, err
}

// memories sets m.State to the arrays that the step reads and writes, those that it writes
// first, and returns the buffer of each (-1 for an arena).
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
		return nil, fmt.Errorf("xla: program %s: a buffer for the loss, the wrong answers or the rows is missing", p.Name)
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

// argument adds a parameter of main. donated is the result that reuses its memory, -1 for
// none.
func (m *Module) argument(name string, t elem, dims []int, donated int) value {
	v := value{"%" + name, t, dims}
	s := v.name + ": " + v.typ()
	if donated >= 0 {
		s += fmt.Sprintf(" {tf.aliasing_output = %d : i32}", donated)
	}
	m.head = append(m.head, s)
	return v
}

// arguments adds the parameters of main for state, rows and rates.
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

// finish sets m.Text from head, body and results.
func (m *Module) finish(e *emitter, results []value) {
	types := join(results, value.typ)
	attributes := ""
	if m.Replicas > 1 {
		attributes = fmt.Sprintf("attributes {mhlo.num_replicas = %d : i32} ", m.Replicas)
	}
	m.Text = fmt.Sprintf("module @step %s{\n  func.func @main(%s) -> (%s) {\n%s    return %s : %s\n  }\n}\n",
		attributes, strings.Join(m.head, ", "), types, e.String(), join(results, func(v value) string { return v.name }), types)
}

// bind makes state, rows and rates the values of their buffers.
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

// step writes one step, from state, rows (N, 4) and rates (2). It returns the written state,
// the loss (1), the wrong answers (1) and whether the loss is finite ().
func (m *Module) step(e *emitter, ids []program.BufID, state []value, rows, rates value) (next []value, loss, wrong, ok value) {
	m.bind(e, ids, state, rows, rates)
	at := 0
	if l := e.micro; l != nil {
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
			next = append(next, e.pick(e.broadcast(ok, v.dims), v, state[i]))
		default:
			next = append(next, e.values[ids[i]])
		}
	}
	e.place = ""
	return next, loss, wrong, ok
}

// loop writes the loop over steps: while i < steps and the last loss was finite.
func (m *Module) loop(e *emitter, ids []program.BufID, state []value, rows, rates, steps value) []value {
	one := e.constant(1, i32)
	none := e.constant(0, f32, m.Steps)
	carried := append([]value{e.constant(0, i32), e.constant(1, i1), none, none}, state[:m.Written]...)
	out := e.while(carried, func(in []value) value {
		return e.elementwise("and", e.compare("LT", in[0], steps), in[1])
	}, func(in []value) []value {
		i := in[0]
		all := append(slices.Clone(in[4:]), state[m.Written:]...)
		next, loss, wrong, fine := m.step(e, ids, all, e.row(rows, i), e.row(rates, i))
		return append([]value{e.add(i, one), fine, e.setRow(in[2], i, e.reshape(loss)), e.setRow(in[3], i, e.reshape(wrong))}, next...)
	})
	good := e.sub(e.add(out[0], e.convert(out[1], i32)), one)
	return append(out[4:], out[2], out[3], good)
}
