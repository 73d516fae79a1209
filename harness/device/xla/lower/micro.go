// Micro-batches as a loop.

package lower

import (
	"slices"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// microLoop is the loop over the micro-batches after the first, which have the same
// instructions. With the loop XLA compiles two micro-batches, however many there are, and
// the activations of only one are in memory.
type microLoop struct {
	at, period, count int    // count iterations of period instructions, from at on
	kept              []port // outputs of each iteration that the update reads
}

// findMicroLoop returns nil if there are fewer than three micro-batches, or if the
// instructions of those after the first differ.
func findMicroLoop(p *program.Program, code []program.Instr) *microLoop {
	var begin []int
	for i := range code {
		if k, ok := code[i].Kernel.(kernel.Batch); ok && k.Images > 0 {
			begin = append(begin, i)
		}
	}
	if len(begin) < 3 {
		return nil
	}
	l := &microLoop{at: begin[1], period: begin[2] - begin[1], count: len(begin) - 1}
	end := l.at + l.period*l.count
	if end > len(code) {
		return nil
	}
	// A buffer of Work is written once. writer is the index of the instruction, counted
	// from l.at, output the index of the output.
	writer := map[program.BufID]int{}
	output := map[program.BufID]int{}
	for i := range l.period * l.count {
		for n, id := range code[l.at+i].Out {
			if p.Buffers[id].Arena == program.Work {
				writer[id], output[id] = i, n
			}
		}
	}
	same := func(first, id program.BufID, iteration int) bool {
		x, inside := writer[first]
		y, too := writer[id]
		return inside == too && (!inside && first == id || inside && y == x+iteration*l.period && output[first] == output[id])
	}
	for i := l.period; i < l.period*l.count; i++ {
		iteration, first, c := i/l.period, &code[l.at+i%l.period], &code[l.at+i]
		k := first.Kernel
		if b, ok := k.(kernel.Batch); ok {
			b.First += iteration * b.Images
			k = b
		}
		if c.Kernel != k || len(c.In) != len(first.In) || len(c.Out) != len(first.Out) {
			return nil
		}
		for n := range c.In {
			if !same(first.In[n], c.In[n], iteration) {
				return nil
			}
		}
		for n := range c.Out {
			if !same(first.Out[n], c.Out[n], iteration) {
				return nil
			}
		}
	}
	for i := range code[end:] {
		for _, id := range code[end+i].In {
			if w, ok := writer[id]; ok {
				if at := (port{w % l.period, output[id]}); !slices.Contains(l.kept, at) {
					l.kept = append(l.kept, at)
				}
			}
		}
	}
	return l
}

// microBatches writes the loop. The loop carries what outlives an iteration (gradients,
// metrics, the batch), and stacks of the outputs that are kept of each.
func (e *emitter) microBatches(l *microLoop) {
	first := e.code[l.at:][:l.period] // instructions of the first iteration
	var ids []program.BufID
	var arenas []program.Arena
	for _, c := range first {
		for _, id := range c.Out {
			switch a := e.p.Buffers[id].Arena; {
			case a == program.Work:
			case !a.Packed() && !slices.Contains(ids, id):
				ids = append(ids, id)
			case a.Packed() && !slices.Contains(arenas, a):
				arenas = append(arenas, a)
			}
		}
	}
	carried := func(k value) []value {
		all := []value{k}
		for _, id := range ids {
			all = append(all, e.values[id])
		}
		for _, a := range arenas {
			all = append(all, e.arenas[a].read(&e.text, 0, e.arenas[a].n))
		}
		return all
	}
	take := func(in []value) (stacks []value) {
		for i, id := range ids {
			e.values[id] = in[i]
		}
		for i, a := range arenas {
			e.arenas[a] = newArena(in[len(ids)+i])
		}
		return in[len(ids)+len(arenas):]
	}
	start := carried(e.constant(0, i32))
	for _, p := range l.kept {
		b := &e.p.Buffers[first[p.instr].Out[p.out]]
		start = append(start, e.constant(0, e.elem(b), append([]int{l.count}, Held(b.Shape)...)...))
	}
	result := e.while(start, func(in []value) value {
		return e.compare("LT", in[0], e.constant(float64(l.count), i32))
	}, func(in []value) []value {
		k := in[0]
		stacks := take(in[1:])
		e.microIndex = &k
		e.instrs(l.at, l.at+l.period)
		e.microIndex = nil
		e.place = "turns of micro-batches"
		next := carried(e.add(k, e.constant(1, i32)))
		for i, p := range l.kept {
			next = append(next, e.setRow(stacks[i], k, e.get(first[p.instr].Out[p.out])))
		}
		e.place = ""
		return next
	})
	for i, stack := range take(result[1:]) {
		p := l.kept[i]
		for k := range l.count {
			id := e.code[l.at+k*l.period+p.instr].Out[p.out]
			delete(e.looped, id)
			e.values[id] = e.row(stack, e.constant(float64(k), i32))
		}
	}
}
