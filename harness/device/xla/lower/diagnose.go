// The module that finds the first layer with a value that is not finite.

package lower

import (
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Probe is one value that Diagnose checks: an output of an instruction, or a parameter
// that it reads.
type Probe struct{ Layer, Instr string }

// Diagnose writes the forward part of a Program as a module that finds where a value that
// is not finite came from. Its main takes State, rows (1, N, 4) and rates (1, 2), donates
// nothing, and returns one boolean for each probe: true if all its elements are finite.
func Diagnose(p *program.Program, o Options) (*Module, []Probe, error) {
	o.Steps = 0
	e, m, ids, err := begin(p, o)
	if err != nil {
		return nil, nil, err
	}
	m.Written = 0
	state, rows, rates := m.arguments(e)
	m.bind(e, ids, state, e.reshape(rows, m.Batch, 4), e.reshape(rates, 2))
	var probes []Probe
	var flags []value
	check := func(v value, what Probe) {
		finite := e.line(i1, v.dims, "is_finite %s : (%s) -> %s", v.name, v.typ(), tensor(i1, v.dims))
		all := e.reduce("and", finite, axes(v)...)
		probes, flags = append(probes, what), append(flags, e.reshape(all, 1))
	}
	for i := range p.Code {
		c := &p.Code[i]
		if c.Phase > program.Forward {
			continue
		}
		for _, id := range c.In {
			if b := &p.Buffers[id]; b.Arena == program.Param {
				check(e.get(id), Probe{c.Layer, "parameter " + b.Name})
			}
		}
		e.instr(c)
		for _, id := range c.Out {
			if b := &p.Buffers[id]; b.Type == kernel.Float32 {
				check(e.get(id), Probe{c.Layer, c.Kernel.String()})
			}
		}
	}
	m.finish(e, []value{e.concat(0, flags...)})
	return m, probes, nil
}

// axes lists all axes of a value.
func axes(v value) []int {
	all := make([]int, len(v.dims))
	for i := range all {
		all[i] = i
	}
	return all
}
