// Writes equal blocks as a loop.

package lower

import (
	"fmt"
	"slices"

	"depthlab/nets/program"
)

// roll writes a loop: one iteration inside a while. The loop carries the index, what an
// iteration reads from the one before it, and stacks to which each iteration writes a row:
// one for each kept activation, one for all small vectors together (writing a row is a
// kernel on a GPU, however short it is), and one for each chunk of an arena.
func (e *emitter) roll(l *loop) {
	code := e.code
	start := []value{e.constant(0, i32)}
	for _, o := range l.carried {
		start = append(start, e.get(o.id))
	}
	var activations []port
	vectors := chunk{step: 1}
	for _, p := range l.stacked {
		if s := e.output(l, p).Shape; len(s) == 4 {
			activations = append(activations, p)
		} else {
			vectors.ports, vectors.n = append(vectors.ports, p), vectors.n+s.Len()
		}
	}
	chunks := l.chunks
	if vectors.n > 0 {
		chunks = append([]chunk{vectors}, chunks...)
	}
	empty := func(t elem, dims ...int) { start = append(start, e.constant(0, t, append([]int{l.count}, dims...)...)) }
	for _, p := range activations {
		empty(e.elem(e.output(l, p)), Held(e.output(l, p).Shape)...)
	}
	for _, c := range chunks {
		empty(f32, c.n)
	}
	// The loop reads arenas as they were before it: repeats.writes makes sure of that.
	views := map[operand]piece{}
	for i := range l.in {
		for _, o := range l.in[i] {
			if o.from == packed {
				first, last := o.at, o.at+(l.count-1)*o.step
				n := e.p.Buffers[o.id].Shape.Len()
				views[o] = e.arenas[e.p.Buffers[o.id].Arena].span(&e.text, min(first, last), max(first, last)+n-min(first, last))
			}
		}
	}

	result := e.while(start, func(in []value) value {
		return e.compare("LT", in[0], e.constant(float64(l.count), i32))
	}, func(in []value) []value {
		k, in := in[0], in[1:]
		affine := func(at, step int) value {
			return e.add(e.mul(k, e.constant(float64(step), i32)), e.constant(float64(at), i32))
		}
		out := make([][]value, l.period)
		for i := range out {
			c := &code[l.at+i]
			e.place = fmt.Sprintf("%s and %d like it/%s", c.Layer, l.count-1, c.Kernel)
			operands := make([]value, len(c.In))
			for n, o := range l.in[i] {
				switch o.from {
				case outside:
					operands[n] = e.get(o.id)
				case inside:
					operands[n] = out[o.port.instr][o.port.out]
				case carried:
					operands[n] = in[slices.IndexFunc(l.carried, func(x operand) bool { return x.port == o.port })]
				case saved:
					operands[n] = e.row(o.loop.stacks[o.port], affine(o.at, o.step))
				case packed:
					v, shape := views[o], e.p.Buffers[o.id].Shape
					operands[n] = e.reshape(e.window(e.flat(v.v), affine(o.at-v.at+v.from, o.step), shape.Len()), Held(shape)...)
				}
			}
			for n, v := range e.kernel(c.Kernel, operands) {
				out[i] = append(out[i], e.convert(v, e.elem(&e.p.Buffers[c.Out[n]])))
			}
		}
		e.place = "turns of a loop"
		next := []value{e.add(k, e.constant(1, i32))}
		for _, o := range l.carried {
			next = append(next, out[o.port.instr][o.port.out])
		}
		in = in[len(l.carried):]
		for n, p := range activations {
			next = append(next, e.setRow(in[n], k, out[p.instr][p.out]))
		}
		in = in[len(activations):]
		for n, c := range chunks {
			at := k
			if c.step < 0 {
				at = affine(l.count-1, -1)
			}
			var parts []value
			for _, p := range c.ports {
				parts = append(parts, e.flat(out[p.instr][p.out]))
			}
			next = append(next, e.setRow(in[n], at, e.concat(0, parts...)))
		}
		e.place = ""
		return next
	})[1:]

	l.final, l.stacks = map[port]value{}, map[port]value{}
	for n, o := range l.carried {
		l.final[o.port] = result[n]
	}
	result = result[len(l.carried):]
	for n, p := range activations {
		l.stacks[p] = result[n]
	}
	result = result[len(activations):]
	at := 0
	for _, p := range vectors.ports {
		s := e.output(l, p).Shape
		v := e.slice(result[0], []int{0, at}, []int{l.count, at + s.Len()}, []int{1, 1})
		l.stacks[p] = e.reshape(v, append([]int{l.count}, s...)...)
		at += s.Len()
	}
	result = result[len(chunks)-len(l.chunks):]
	for n, c := range l.chunks {
		e.arenas[c.arena].write(min(c.at, c.at+(l.count-1)*c.step), result[n])
	}
	for k := range l.count {
		for i := range l.period {
			for n, id := range code[l.at+k*l.period+i].Out {
				e.looped[id] = loopOutput{l, k, port{i, n}}
			}
		}
	}
}

// output is the buffer of a port in iteration 0.
func (e *emitter) output(l *loop, p port) *program.Buffer {
	return &e.p.Buffers[e.code[l.at+p.instr].Out[p.out]]
}

// loopOutput is where to find a buffer that a loop wrote: a port of iteration k.
type loopOutput struct {
	*loop
	k    int
	port port
}

// value returns the buffer's value, after the loop.
func (t loopOutput) value(e *emitter) value {
	if v, ok := t.final[t.port]; ok && t.k == t.count-1 {
		return v
	}
	v := t.stacks[t.port]
	from, to, step := make([]int, len(v.dims)), slices.Clone(v.dims), make([]int, len(v.dims))
	from[0], to[0] = t.k, t.k+1
	for i := range step {
		step[i] = 1
	}
	return e.reshape(e.slice(v, from, to, step), v.dims[1:]...)
}
