// Profiles: the time of each instruction.

package cpu

import (
	"time"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

// Row is the time of one instruction since the session was opened.
type Row = device.Timing

// Profile returns a row for each instruction, in program order; none unless the session was
// opened with Options.Profile.
func (s *Session) Profile() []Row {
	var all []Row
	for _, c := range codes(s) {
		all = append(all, c.profile...)
	}
	return all
}

func (c *code) startProfile() {
	for i := range c.prog.Code {
		instr := &c.prog.Code[i]
		r := Row{Program: c.prog.Name, Layer: instr.Layer, Kernel: instr.Kernel.String(), Phase: instr.Phase.String()}
		r.Flops, r.Bytes = instr.Kernel.Cost(c.inShapes(i))
		c.profile = append(c.profile, r)
	}
	for i := range c.ops {
		r := &c.profile[c.ops[i].instr]
		r.Impl = append(r.Impl, c.ops[i].impl())
	}
}

// impl names what computes an op: oneDNN's implementation, one of our kernels, or "go".
func (o *op) impl() string {
	switch {
	case o.prim != nil:
		return o.prim.impl
	case o.what != "":
		return o.what
	}
	return "go"
}

// runTimed is run, and times each op.
func runTimed(s *Session, c *code, from, to int) error {
	for i := from; i < to; i++ {
		o := &c.ops[i]
		start := time.Now()
		if err := s.exec(c, o); err != nil {
			return err
		}
		r := &c.profile[o.instr]
		r.Seconds += time.Since(start).Seconds()
		if i == from || c.ops[i-1].instr != o.instr {
			r.Calls++
		}
	}
	return nil
}

func (c *code) inShapes(i int) []kernel.Shape {
	var in []kernel.Shape
	for _, id := range c.prog.Code[i].In {
		in = append(in, c.prog.Buffers[id].Shape)
	}
	return in
}
