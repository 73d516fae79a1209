// Counts the kernels of one step, with their kind and memory traffic.

package hlo

import (
	"slices"
	"strings"
)

// Kernel is one kernel launch.
type Kernel struct {
	Name  string
	Kind  string // one of Kinds
	Place string // instruction of the Program that it comes from, or the last of them
	Bytes int64  // bytes read and written, each operand once
}

// Kinds lists the kinds of kernels in the order of a table.
var Kinds = []string{Convolution, "matrix product", "reduction", "element-wise", "copy", AllReduce, "other"}

const (
	Convolution = "convolution (cuDNN)" // a call of cuDNN
	AllReduce   = "all-reduce (NCCL)"   // a call of NCCL; Bytes are what it reads and writes on one GPU
)

// Kernels lists the kernels that one step launches, given the HloModuleProtoWithConfig of
// a program compiled for a GPU. A loop with a known trip count is part of the step. A
// loop without one is the loop over steps: its body and its condition are the step.
func Kernels(raw []byte) ([]Kernel, error) {
	m, err := parse(raw)
	if err != nil {
		return nil, err
	}
	entry := m.computations[m.entry]
	for _, i := range entry.instructions {
		if i.opcode == "while" && i.turns == 0 {
			return m.called(i), nil
		}
	}
	return m.kernels(entry), nil
}

// free are the opcodes that launch nothing.
var free = []string{"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all",
	"partition-id", "replica-id", "opt-barrier", "copy-done", "async-done", "async-update", "all-reduce-done"}

func (m *module) kernels(c *computation) []Kernel {
	var all []Kernel
	for _, i := range c.instructions {
		switch {
		case slices.Contains(free, i.opcode):
		case i.opcode == "call" || i.opcode == "async-start" || i.opcode == "while" || i.opcode == "conditional":
			turn := m.called(i)
			for range max(i.turns, 1) {
				all = append(all, turn...)
			}
		default:
			all = append(all, Kernel{i.name, m.kind(i), i.place, m.traffic(c, i)})
		}
	}
	return all
}

// called lists the kernels of the computations that an instruction calls, once. For a
// loop these are its body and its condition. The condition is left out if the trip count
// is known, because it is not computed then.
func (m *module) called(i *instruction) []Kernel {
	var all []Kernel
	for n, id := range i.called {
		if c := m.computations[id]; c != nil && (n == 0 || i.turns == 0) {
			all = append(all, m.kernels(c)...)
		}
	}
	return all
}

func (m *module) kind(i *instruction) string {
	switch {
	case strings.HasPrefix(i.target, "__cudnn$conv"):
		return Convolution
	case strings.HasPrefix(i.target, "__cublas"), i.opcode == "dot":
		return "matrix product"
	case i.opcode == "custom-call":
		return "other"
	case i.opcode == "all-reduce" || i.opcode == "all-reduce-start":
		return AllReduce
	}
	inside := m.fused(i)
	if inside == nil {
		return operation(i.opcode)
	}
	kind := "copy"
	for _, x := range inside.instructions {
		switch k := operation(x.opcode); {
		case k == "reduction" || k == "matrix product":
			return k
		case k == "element-wise":
			kind = k
		}
	}
	return kind
}

// moves are the opcodes that only move data or convert its type.
var moves = []string{"copy", "convert", "transpose", "reshape", "bitcast", "slice", "dynamic-slice", "dynamic-update-slice",
	"concatenate", "pad", "broadcast", "reverse", "parameter", "constant", "tuple", "get-tuple-element", "iota", "copy-start"}

func operation(opcode string) string {
	switch {
	case opcode == "reduce" || opcode == "reduce-window":
		return "reduction"
	case opcode == "dot":
		return "matrix product"
	case slices.Contains(moves, opcode):
		return "copy"
	}
	return "element-wise"
}

// traffic is the number of bytes that an instruction reads and writes. If only slices of
// an operand are read, or only a slice of the result is written in place, only the slices
// count.
func (m *module) traffic(c *computation, i *instruction) int64 {
	bytes := m.written(c, i)
	for n, id := range i.operands {
		if x := c.byID[id]; x != nil {
			bytes += m.read(i, n, x.shape.bytes)
		}
	}
	return bytes
}

func (m *module) written(c *computation, i *instruction) int64 {
	switch {
	case i == nil:
		return 0
	case i.target != "" && len(i.shape.parts) > 0:
		return i.shape.parts[0].bytes // scratch memory follows the result
	case i.opcode == "dynamic-update-slice" && len(i.operands) > 1 && c.byID[i.operands[1]] != nil:
		return c.byID[i.operands[1]].shape.bytes
	case i.opcode == "bitcast" && len(i.operands) > 0 && c.byID[i.operands[0]] != nil:
		return m.written(c, c.byID[i.operands[0]])
	case i.opcode == "tuple":
		var bytes int64
		for _, id := range i.operands {
			bytes += m.written(c, c.byID[id])
		}
		return bytes
	}
	if inside := m.fused(i); inside != nil && inside.byID[inside.root] != nil {
		return m.written(inside, inside.byID[inside.root])
	}
	return i.shape.bytes
}

// fused is the computation of a fusion, nil for other instructions.
func (m *module) fused(i *instruction) *computation {
	if i.opcode != "fusion" || len(i.called) == 0 {
		return nil
	}
	return m.computations[i.called[0]]
}

func (m *module) read(i *instruction, operand int, whole int64) int64 {
	switch inside := m.fused(i); {
	case inside != nil:
		return inside.read(operand, whole)
	case operand == 0 && i.opcode == "dynamic-slice":
		return i.shape.bytes
	case operand == 0 && i.opcode == "dynamic-update-slice":
		return 0
	}
	return whole
}

// read is the number of bytes that a fusion reads of an operand.
func (inside *computation) read(operand int, whole int64) int64 {
	at := slices.IndexFunc(inside.instructions, func(x *instruction) bool {
		return x.opcode == "parameter" && x.parameter == int64(operand)
	})
	if at < 0 {
		return whole
	}
	return min(inside.used(inside.instructions[at].id, whole), whole)
}

// used is the number of bytes that other instructions read of an instruction's result.
func (c *computation) used(id, whole int64) int64 {
	var bytes int64
	for _, x := range c.instructions {
		for n, operand := range x.operands {
			switch {
			case operand != id:
			case x.opcode == "bitcast" || x.opcode == "convert":
				bytes += c.used(x.id, whole)
			case n == 0 && x.opcode == "dynamic-update-slice": // in place
			case n == 0 && (x.opcode == "slice" || x.opcode == "dynamic-slice" || x.opcode == "gather"):
				bytes += x.shape.bytes
			default:
				return whole
			}
		}
	}
	return bytes
}
