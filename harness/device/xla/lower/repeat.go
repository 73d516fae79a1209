package lower

import (
	"slices"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// loop is a stretch of a Program that repeats itself, as the equal blocks of a
// deep net do, there and back: count turns of period instructions, from at on.
// The instructions of two turns are alike, and the places of their buffers
// advance evenly, so that one turn, written with the turn's number, does all.
type loop struct {
	at, period, count int
	in                [][]operand // of each instruction of a turn
	carried           []operand   // what a turn takes from the one before it, each once
	stacked           []port      // what is read after the loop, and so kept of each turn
	chunks            []chunk     // what turns write to packed arenas

	final, stacks map[port]value // when written: of the last turn, of all (count, ...)
}

// port is an output of a turn: the out-th of its instr-th instruction.
type port struct{ instr, out int }

// operand says where turn k finds an operand.
type operand struct {
	from source
	id   program.BufID // in turn 0
	port port          // of this turn, the one before or loop
	loop *loop         // saved: turn at + k*step of this earlier loop
	at   int           // packed: element at + k*step of the arena
	step int
}

type source uint8

const (
	outside source = iota // the same buffer for every turn
	inside                // written in the turn itself
	carried               // written in the turn before; id in turn 0
	saved                 // written in an earlier loop
	packed                // in an arena
)

// chunk is what turn k writes to elements [at + k*step, ... + |step|) of an
// arena: ports, one behind the other.
type chunk struct {
	arena    program.Arena
	at, step int
	n        int
	ports    []port
}

// fewest turns are worth a loop; longest is the most instructions of a turn.
const (
	fewest  = 4
	longest = 64
)

// repeats finds the loops of a list of instructions, in their order.
type repeats struct {
	p      *program.Program
	code   []program.Instr
	writer map[program.BufID]port // of what is in Work: instr is an index of code
	loops  []*loop
}

// findRepeats looks for loops that begin before the to-th instruction.
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
		// A turn may begin anywhere in a block: best where little is carried.
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

// place is where a buffer is: pos is what may advance from turn to turn, what
// else there is may not.
type place struct {
	arena program.Arena
	other int
	pos   int
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

// match gives the loop of this period that begins at an instruction, nil if
// there is none.
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

// alike reports whether turn k does what turn 0 does, with every buffer k
// times as far from turn 0's as turn 1's is.
func (r *repeats) alike(l *loop, k int) bool {
	if l.at+(k+1)*l.period > len(r.code) {
		return false
	}
	for i := range l.period {
		first, second, c := &r.code[l.at+i], &r.code[l.at+l.period+i], &r.code[l.at+k*l.period+i]
		if c.Kernel != first.Kernel || len(c.In) != len(first.In) || len(c.Out) != len(first.Out) {
			return false
		}
		even := func(a, b, id program.BufID) bool {
			x, y, z := r.place(a), r.place(b), r.place(id)
			x.pos += k * (y.pos - x.pos)
			return z == x && r.p.Buffers[id].Shape.Equal(r.p.Buffers[a].Shape)
		}
		for n := range c.In {
			if !even(first.In[n], second.In[n], c.In[n]) {
				return false
			}
		}
		for n := range c.Out {
			if !even(first.Out[n], second.Out[n], c.Out[n]) {
				return false
			}
		}
	}
	return true
}

// operand says where turns find operand n of their instruction i, and how many
// turns, from the first on, find it there.
func (r *repeats) operand(l *loop, i, n int) (operand, int) {
	id := r.code[l.at+i].In[n]
	x, y := r.place(id), r.place(r.code[l.at+l.period+i].In[n])
	o := operand{id: id, at: x.pos, step: y.pos - x.pos}
	switch {
	case o.step == 0:
		if x.arena == program.Work && x.pos >= l.at {
			return o, 0 // what turn 0 wrote
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
	o.from, o.loop = saved, r.around(x.pos)
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

// around gives the loop that an instruction is in, nil if it is in none.
func (r *repeats) around(instr int) *loop {
	for _, l := range r.loops {
		if l.at <= instr && instr < l.at+l.period*l.count {
			return l
		}
	}
	return nil
}

// writes lists what the turns of a loop write to arenas, and reports whether a
// loop can do that: turns side by side, without a gap, nothing that another
// instruction of the loop reads.
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
	turns := r.code[l.at:][:l.period*l.count]
	for i, c := range turns {
		for _, id := range c.Out {
			written[id] = i
		}
	}
	for i, c := range turns {
		for _, id := range c.In {
			if w, ok := written[id]; ok && w != i && r.p.Buffers[id].Arena != program.Work {
				return false
			}
		}
	}
	return true
}

// stack finds what loops must keep of each turn: whatever is read after them,
// but for what their last turn hands on.
func (r *repeats) stack() {
	keep := func(l *loop, p port) {
		if !slices.Contains(l.stacked, p) {
			l.stacked = append(l.stacked, p)
		}
	}
	read := func(id program.BufID) {
		w, ok := r.writer[id]
		if l := r.around(w.instr); ok && l != nil {
			turn, p := l.turn(w)
			if turn != l.count-1 || !l.carries(p) {
				keep(l, p)
			}
		}
	}
	for i := range r.code {
		l := r.around(i)
		if l == nil {
			for _, id := range r.code[i].In {
				read(id)
			}
			continue
		}
		if i >= l.at+l.period {
			continue // as in the first turn
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

// turn gives the turn and port of an output of the list.
func (l *loop) turn(w port) (int, port) {
	return (w.instr - l.at) / l.period, port{(w.instr - l.at) % l.period, w.out}
}

func (l *loop) carries(p port) bool {
	return slices.ContainsFunc(l.carried, func(o operand) bool { return o.port == p })
}

// early gives the instructions of a Program with the moving averages of batch
// norm behind what they average, so that they are in the loops too: nothing
// else of a step with batch statistics reads or writes the running ones.
func early(p *program.Program) []program.Instr {
	behind := map[program.BufID]program.Instr{}
	for _, c := range p.Code {
		if _, ok := c.Kernel.(kernel.MovingAverage); ok {
			batches, _, _, _ := kernel.AverageOperands(c.In)
			behind[batches[len(batches)-1]] = c // the last variance
		}
	}
	var code []program.Instr
	for _, c := range p.Code {
		if _, ok := c.Kernel.(kernel.MovingAverage); ok {
			continue
		}
		code = append(code, c)
		for _, id := range c.Out {
			if m, ok := behind[id]; ok {
				code = append(code, m)
			}
		}
	}
	return code
}
