// Placement: sets the liveness of buffers and gives each its offset in its arena.

package compile

import "depthlab/nets/program"

// place drops buffers that no instruction uses, sets First and Last (liveness), and gives
// buffers their offsets: in the Work arena by liveness, in Input and Metric one after
// another. Buffers of packed arenas have their offsets already.
func place(p *program.Program) {
	prune(p)
	for i := range p.Buffers {
		p.Buffers[i].First, p.Buffers[i].Last = -1, len(p.Code)
	}
	seen := make([]bool, len(p.Buffers))
	use := func(id program.BufID, i int) {
		b := &p.Buffers[id]
		if b.Arena != program.Work {
			return
		}
		if !seen[id] {
			seen[id], b.First = true, i
		}
		b.Last = i
	}
	for i, c := range p.Code {
		for _, id := range c.In {
			use(id, i)
		}
		for _, id := range c.Out {
			use(id, i)
		}
	}
	var work []int
	var sizes []int64
	var first, last []int
	for i := range p.Buffers {
		b := &p.Buffers[i]
		switch b.Arena {
		case program.Work:
			work = append(work, i)
			sizes, first, last = append(sizes, b.Bytes()), append(first, b.First), append(last, b.Last)
		case program.Input, program.Metric:
			b.Offset = p.Bytes[b.Arena]
			p.Bytes[b.Arena] += (b.Bytes() + program.Align - 1) / program.Align * program.Align
		}
	}
	offsets, total := program.Place(sizes, first, last, program.Align)
	for j, i := range work {
		p.Buffers[i].Offset = offsets[j]
	}
	p.Bytes[program.Work] = total
}

// prune removes work buffers that no instruction uses. They were outputs that turned out
// to be the gradient of a parameter, which has a buffer in the Grad arena.
func prune(p *program.Program) {
	used := make([]bool, len(p.Buffers))
	for _, c := range p.Code {
		for _, id := range append(c.Out[:len(c.Out):len(c.Out)], c.In...) {
			used[id] = true
		}
	}
	renumber := make([]program.BufID, len(p.Buffers))
	kept := p.Buffers[:0]
	for i, b := range p.Buffers {
		renumber[i] = program.BufID(len(kept))
		if used[i] || b.Arena != program.Work {
			kept = append(kept, b)
		}
	}
	p.Buffers = kept
	p.Renumber(renumber)
}
