// Checks that a Program keeps the rules that devices rely on.

package program

import (
	"fmt"
	"slices"
	"sort"

	"depthlab/nets/kernel"
)

// Check verifies the rules that every device relies on:
//
//   - Operands exist, with the shapes and types that their kernels want.
//   - No work buffer is read before it is written. Only kernels that update in place write a
//     buffer that they read.
//   - Phases are in order.
//   - Buffers are aligned and lie inside their arenas. Two buffers that are live at the
//     same time share no byte, except spans.
//   - Buffers with a role have its arena, type and shape.
//   - Replicas sum their gradients before they update.
//
// It returns the first violation, which is a bug in the compiler.
func (p *Program) Check() error {
	names := map[string]bool{}
	for i := range p.Buffers {
		b := &p.Buffers[i]
		if names[b.Name] {
			return fmt.Errorf("program %s: two buffers are called %s", p.Name, b.Name)
		}
		names[b.Name] = true
		if b.Arena >= NumArenas {
			return fmt.Errorf("program %s: buffer %s is in no arena", p.Name, b.Name)
		}
		if b.Offset < 0 || b.Offset+b.Bytes() > p.Bytes[b.Arena] {
			return fmt.Errorf("program %s: buffer %s lies outside the %s arena of %d bytes", p.Name, b.Name, b.Arena, p.Bytes[b.Arena])
		}
		if !b.Arena.Packed() && b.Offset%Align != 0 {
			return fmt.Errorf("program %s: buffer %s lies at %d, not a multiple of %d", p.Name, b.Name, b.Offset, Align)
		}
		if b.Arena != Work && (b.First != -1 || b.Last != len(p.Code)) {
			return fmt.Errorf("program %s: buffer %s outlives the step but has life %d-%d", p.Name, b.Name, b.First, b.Last)
		}
	}
	if err := p.checkRoles(); err != nil {
		return err
	}
	if err := p.checkCode(); err != nil {
		return err
	}
	return p.checkOverlap()
}

func (p *Program) checkRoles() error {
	for _, r := range roles {
		id := *r.id(&p.Roles)
		if id == None {
			continue
		}
		if id < 0 || int(id) >= len(p.Buffers) {
			return fmt.Errorf("program %s: the role %s is for buffer %d of %d", p.Name, r.name, id, len(p.Buffers))
		}
		b := &p.Buffers[id]
		fits := b.Arena == r.arena && b.Type == r.typ && len(b.Shape) == len(r.shape)
		for i := 0; fits && i < len(r.shape); i++ {
			fits = r.shape[i] == 0 || r.shape[i] == b.Shape[i]
		}
		if !fits {
			return fmt.Errorf("program %s: the role %s is for %s, %s%v in the %s arena, want %s%v in the %s arena",
				p.Name, r.name, b.Name, b.Type, b.Shape, b.Arena, r.typ, r.shape, r.arena)
		}
		if (r.arena == Param || r.arena == Grad) && !b.Span {
			return fmt.Errorf("program %s: the role %s is for %s, want a span of the %s arena", p.Name, r.name, b.Name, r.arena)
		}
	}
	return nil
}

func (p *Program) checkCode() error {
	written := make([]bool, len(p.Buffers))
	summed := p.Devices() == 1 // the gradients, over the replicas
	phase := Load
	for i := range p.Code {
		c := &p.Code[i]
		fault := func(format string, args ...any) error {
			return fmt.Errorf("program %s: instruction %d (%s, layer %s): %s", p.Name, i, c.Kernel, c.Layer, fmt.Sprintf(format, args...))
		}
		if c.Phase < phase && !(c.Phase == Load && phase == Backward) { // the next micro-batch
			return fault("phase %s after %s", c.Phase, phase)
		}
		phase = c.Phase
		var in []kernel.Shape
		for _, id := range c.In {
			if id < 0 || int(id) >= len(p.Buffers) {
				return fault("reads buffer %d of %d", id, len(p.Buffers))
			}
			b := &p.Buffers[id]
			if b.Arena == Work {
				if !written[id] {
					return fault("reads %s before it is written", b.Name)
				}
				if i < b.First || i > b.Last {
					return fault("reads %s outside its life %d-%d", b.Name, b.First, b.Last)
				}
			}
			in = append(in, b.Shape)
		}
		out, err := c.Kernel.Shape(in)
		if err != nil {
			return fault("%v", err)
		}
		if len(out) != len(c.Out) {
			return fault("%d outputs, the kernel has %d", len(c.Out), len(out))
		}
		var updated []int
		if k, ok := c.Kernel.(kernel.InPlace); ok {
			updated = k.Updated(len(c.In))
		}
		for j, id := range c.Out {
			if id < 0 || int(id) >= len(p.Buffers) {
				return fault("writes buffer %d of %d", id, len(p.Buffers))
			}
			b := &p.Buffers[id]
			t := kernel.Float32
			if k, ok := c.Kernel.(kernel.Types); ok {
				t = k.Types()[j]
			}
			if !b.Shape.Equal(out[j]) || b.Type != t {
				return fault("output %s is %s%v, the kernel writes %s%v", b.Name, b.Type, b.Shape, t, out[j])
			}
			if b.Arena == Work {
				if written[id] {
					return fault("writes %s twice", b.Name)
				}
				if b.First != i {
					return fault("writes %s, whose life begins at %d", b.Name, b.First)
				}
			}
			if updated == nil && slices.Contains(c.In, id) {
				return fault("reads and writes %s, and does not update in place", b.Name)
			}
			if updated != nil && id != c.In[updated[j]] {
				return fault("writes %s, and is to update operand %d in place, %s", b.Name, updated[j], p.Buffers[c.In[updated[j]]].Name)
			}
			written[id] = true
		}
		if k, ok := c.Kernel.(kernel.AllReduce); ok {
			if k.Replicas != p.Devices() {
				return fault("a program of %d replicas", p.Devices())
			}
			summed = summed || slices.Contains(c.Out, p.Grads)
		}
		if _, ok := c.Kernel.(kernel.Optimizer); ok {
			if !summed {
				return fault("updates by the gradients of one of %d replicas", p.Replicas)
			}
			for _, id := range p.Views(Grad) {
				if !written[id] {
					return fault("needs %s, which nothing wrote", p.Buffers[id].Name)
				}
			}
		}
	}
	return nil
}

// checkOverlap sweeps over the buffers of each arena in the order of their offsets, and
// looks for two that share bytes while both are live.
func (p *Program) checkOverlap() error {
	for arena := Arena(0); arena < NumArenas; arena++ {
		ids := p.Views(arena)
		sort.Slice(ids, func(i, j int) bool { return p.Buffers[ids[i]].Offset < p.Buffers[ids[j]].Offset })
		for i := range ids {
			a := &p.Buffers[ids[i]]
			for _, id := range ids[i+1:] {
				b := &p.Buffers[id]
				if b.Offset >= a.Offset+a.Bytes() {
					break
				}
				if a.First <= b.Last && b.First <= a.Last {
					return fmt.Errorf("program %s: %s and %s share bytes while both are alive", p.Name, a.Name, b.Name)
				}
			}
		}
	}
	return nil
}
