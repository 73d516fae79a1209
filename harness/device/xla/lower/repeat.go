// Finds the equal blocks of deep nets, which become loops.

package lower

import (
	"slices"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// loop is a repeated part of a Program, such as the equal blocks of a deep net, forward or
// backward: count iterations of period instructions, from at on. The instructions of any
// two iterations are equal, and the positions of their buffers advance by constant steps,
// so that one iteration, written with a variable index, computes all of them.
type loop struct {
	at, period, count int
	in                [][]operand // for each instruction of an iteration
	carried           []operand   // what an iteration reads from the one before it, each once
	stacked           []port      // what is read after the loop, and so kept of each iteration
	chunks            []chunk     // what iterations write to packed arenas

	// Set when the loop is written: outputs of the last iteration, and of all (count, ...).
	final, stacks map[port]value
}

// port is an output of an iteration: the out-th of its instr-th instruction.
type port struct{ instr, out int }

// operand says where iteration k finds an operand.
type operand struct {
	from source
	id   program.BufID // in iteration 0
	port port          // inside: of this iteration; carried: of the one before; saved: of loop
	loop *loop         // saved: of iteration at + k*step of this earlier loop
	at   int           // packed: element at + k*step of the arena
	step int
}

// source is where an operand was written.
type source uint8

const (
	outside source = iota // the same buffer for every iteration
	inside                // written in the same iteration
	carried               // written in the iteration before; iteration 0 reads id
	saved                 // written in an earlier loop
	packed                // in an arena
)

// chunk is what iteration k writes to elements [at + k*step, at + k*step + n) of an arena:
// its ports, one after the other. n is |step|.
type chunk struct {
	arena    program.Arena
	at, step int
	n        int
	ports    []port
}

// fewest is the smallest number of iterations of a loop, longest the largest number of
// instructions in an iteration.
const (
	fewest  = 4
	longest = 64
)

// repeats finds the loops of a list of instructions, in their order.
type repeats struct {
	p      *program.Program
	code   []program.Instr
	writer map[program.BufID]port // of buffers in Work; instr is an index into code
	loops  []*loop
}

// findRepeats finds the loops that begin before instruction to, the longest at each place.
func findRepeats(p *program.Program, code []program.Instr, to int) []*loop {
	r := &repeats{p: p, code: code, writer: map[program.BufID]port{}}
	for i := range code {
		for n, id := range code[i].Out {
			if p.Buffers[id].Arena == program.Work {
				r.writer[id] = port{i, n}
			}
		}
	}
	for i := 0; i < to; {
		var best *loop
		for period := 1; period <= longest; period++ {
			l := r.match(i, period)
			if l != nil && (best == nil || l.count*l.period > best.count*best.period) {
				best = l
			}
		}
		if best == nil {
			i++
			continue
		}
		// An iteration may begin anywhere in a block. Choose where it carries least.
		for later := i + 1; later < i+best.period; later++ {
			if l := r.match(later, best.period); l != nil && l.count == best.count && len(l.carried) < len(best.carried) {
				best = l
			}
		}
		r.loops = append(r.loops, best)
		i = best.at + best.period*best.count
	}
	r.stack()
	return r.loops
}

// place is where a buffer is. Only pos may change from one iteration to the next.
type place struct {
	arena program.Arena
	other int // Work: the output of the instruction; unpacked arenas: the buffer
	pos   int // Work: the instruction; packed arenas: the element
}

func (r *repeats) place(id program.BufID) place {
	b := &r.p.Buffers[id]
	switch {
	case b.Arena == program.Work:
		w := r.writer[id]
		return place{b.Arena, w.out, w.instr}
	case b.Arena.Packed():
		return place{b.Arena, 0, int(b.Offset / 4)}
	}
	return place{b.Arena, int(id), 0}
}

// match returns the loop of this period that begins at an instruction, nil if there is
// none.
func (r *repeats) match(at, period int) *loop {
	l := &loop{at: at, period: period, count: 1}
	for l.count < len(r.code) && r.alike(l, l.count) {
		l.count++
	}
	for i := 0; i < period && l.count >= fewest; i++ {
		c := &r.code[at+i]
		var in []operand
		for n := range c.In {
			o, count := r.operand(l, i, n)
			in, l.count = append(in, o), min(l.count, count)
			if o.from == carried && !slices.ContainsFunc(l.carried, func(x operand) bool { return x.port == o.port }) {
				l.carried = append(l.carried, o)
			}
		}
		l.in = append(l.in, in)
	}
	if l.count < fewest || !r.writes(l) {
		return nil
	}
	return l
}

// alike reports whether iteration k equals iteration 0, with the position of every buffer
// advanced by k times the step from iteration 0 to iteration 1.
func (r *repeats) alike(l *loop, k int) bool {
	if l.at+(k+1)*l.period > len(r.code) {
		return false
	}
	for i := range l.period {
		first, second, c := &r.code[l.at+i], &r.code[l.at+l.period+i], &r.code[l.at+k*l.period+i]
		if c.Kernel != first.Kernel || len(c.In) != len(first.In) || len(c.Out) != len(first.Out) {
			return false
		}
		regular := func(a, b, id program.BufID) bool {
			x, y, z := r.place(a), r.place(b), r.place(id)
			x.pos += k * (y.pos - x.pos)
			return z == x && r.p.Buffers[id].Shape.Equal(r.p.Buffers[a].Shape)
		}
		for n := range c.In {
			if !regular(first.In[n], second.In[n], c.In[n]) {
				return false
			}
		}
		for n := range c.Out {
			if !regular(first.Out[n], second.Out[n], c.Out[n]) {
				return false
			}
		}
	}
	return true
}

// operand says where iterations find operand n of their instruction i, and how many
// iterations, from the first on, find it there.
func (r *repeats) operand(l *loop, i, n int) (operand, int) {
	id := r.code[l.at+i].In[n]
	x, y := r.place(id), r.place(r.code[l.at+l.period+i].In[n])
	o := operand{id: id, at: x.pos, step: y.pos - x.pos}
	switch {
	case o.step == 0:
		if x.arena == program.Work && x.pos >= l.at {
			return o, 0 // written by iteration 0, and read by all
		}
		return o, l.count
	case x.arena != program.Work:
		o.from = packed
		return o, l.count
	case o.step == l.period && x.pos >= l.at:
		o.from, o.port = inside, port{x.pos - l.at, x.other}
		return o, l.count
	case o.step == l.period && x.pos >= l.at-l.period:
		o.from, o.port = carried, port{x.pos - l.at + l.period, x.other}
		return o, l.count
	}
	o.from, o.loop = saved, r.loopOf(x.pos)
	if o.loop == nil || o.step%o.loop.period != 0 {
		return o, 0
	}
	o.at, o.port = (x.pos-o.loop.at)/o.loop.period, port{(x.pos - o.loop.at) % o.loop.period, x.other}
	o.step /= o.loop.period
	count := 0
	for k := o.at; count < l.count && 0 <= k && k < o.loop.count; k += o.step {
		count++
	}
	return o, count
}

// loopOf returns the loop that an instruction is in, nil if it is in none.
func (r *repeats) loopOf(instr int) *loop {
	for _, l := range r.loops {
		if l.at <= instr && instr < l.at+l.period*l.count {
			return l
		}
	}
	return nil
}

// writes sets l.chunks to what the iterations of a loop write to arenas, and reports
// whether a loop can do that: iterations must write side by side, without gaps, and nothing
// that another instruction of the loop reads.
func (r *repeats) writes(l *loop) bool {
	for i := range l.period {
		for n, id := range r.code[l.at+i].Out {
			a, b := r.place(id), r.place(r.code[l.at+l.period+i].Out[n])
			switch {
			case a.arena == program.Work:
				continue
			case !a.arena.Packed() || a.pos == b.pos:
				return false
			}
			l.chunks = append(l.chunks, chunk{a.arena, a.pos, b.pos - a.pos, r.p.Buffers[id].Shape.Len(), []port{{i, n}}})
		}
	}
	slices.SortFunc(l.chunks, func(a, b chunk) int {
		if a.arena != b.arena {
			return int(a.arena) - int(b.arena)
		}
		return a.at - b.at
	})
	var joined []chunk
	for _, c := range l.chunks {
		if n := len(joined) - 1; n >= 0 && joined[n].arena == c.arena && joined[n].at+joined[n].n == c.at && joined[n].step == c.step {
			joined[n].n += c.n
			joined[n].ports = append(joined[n].ports, c.ports...)
		} else {
			joined = append(joined, c)
		}
	}
	l.chunks = joined
	for _, c := range l.chunks {
		if c.n != max(c.step, -c.step) {
			return false
		}
	}
	written := map[program.BufID]int{}
	all := r.code[l.at:][:l.period*l.count]
	for i, c := range all {
		for _, id := range c.Out {
			written[id] = i
		}
	}
	for i, c := range all {
		for _, id := range c.In {
			if w, ok := written[id]; ok && w != i && r.p.Buffers[id].Arena != program.Work {
				return false
			}
		}
	}
	return true
}

// stack sets what loops must keep of each iteration: everything that is read after the
// loop, except what the last iteration carries on.
func (r *repeats) stack() {
	keep := func(l *loop, p port) {
		if !slices.Contains(l.stacked, p) {
			l.stacked = append(l.stacked, p)
		}
	}
	read := func(id program.BufID) {
		w, ok := r.writer[id]
		if l := r.loopOf(w.instr); ok && l != nil {
			iteration, p := l.iteration(w)
			if iteration != l.count-1 || !l.carries(p) {
				keep(l, p)
			}
		}
	}
	for i := range r.code {
		l := r.loopOf(i)
		if l == nil {
			for _, id := range r.code[i].In {
				read(id)
			}
			continue
		}
		if i >= l.at+l.period {
			continue // the same as in the first iteration
		}
		for _, o := range l.in[i-l.at] {
			switch o.from {
			case outside, carried:
				read(o.id)
			case saved:
				keep(o.loop, o.port)
			}
		}
	}
}

// iteration returns the iteration and the port in it of an output of the whole code.
func (l *loop) iteration(w port) (int, port) {
	return (w.instr - l.at) / l.period, port{(w.instr - l.at) % l.period, w.out}
}

func (l *loop) carries(p port) bool {
	return slices.ContainsFunc(l.carried, func(o operand) bool { return o.port == p })
}

// averagesEarly returns the instructions of a Program with each MovingAverage directly
// after the batch norm whose statistics it averages, so that it is in the loop, too. This
// changes no result: nothing else in a training step reads or writes running statistics.
func averagesEarly(p *program.Program) []program.Instr {
	after := map[program.BufID]program.Instr{} // by the last variance that it averages
	for _, c := range p.Code {
		if _, ok := c.Kernel.(kernel.MovingAverage); ok {
			batches, _, _, _ := kernel.AverageOperands(c.In)
			after[batches[len(batches)-1]] = c
		}
	}
	var code []program.Instr
	for _, c := range p.Code {
		if _, ok := c.Kernel.(kernel.MovingAverage); ok {
			continue
		}
		code = append(code, c)
		for _, id := range c.Out {
			if m, ok := after[id]; ok {
				code = append(code, m)
			}
		}
	}
	return code
}
