package hlo

import (
	"slices"
	"strings"
)

// Kernel is one launch.
type Kernel struct {
	Name  string
	Kind  string // one of Kinds
	Place string // the instruction of the Program that it comes from, or the last of them
	Bytes int64  // read and written, each operand once
}

// Kinds of kernels, in the order of a table.
var Kinds = []string{Convolution, "matrix product", "reduction", "element-wise", "copy", "other"}

// Convolution is the kind of a call of cuDNN.
const Convolution = "convolution (cuDNN)"

// Kernels lists what one step launches, from the HloModuleProtoWithConfig of a
// program compiled for a GPU. Where there is a loop, the step is its body.
func Kernels(raw []byte) ([]Kernel, error) {
	m, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return m.kernels(m.step()), nil
}

// step is the entry computation or, where that holds a loop, its body: the
// largest that the loop calls.
func (m *module) step() *computation {
	step := m.computations[m.entry]
	for _, i := range step.instructions {
		if i.opcode != "while" {
			continue
		}
		step = &computation{}
		for _, id := range i.called {
			if c := m.computations[id]; c != nil && len(c.instructions) > len(step.instructions) {
				step = c
			}
		}
		break
	}
	return step
}

// free are the opcodes that launch nothing.
var free = []string{"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all",
	"partition-id", "replica-id", "opt-barrier", "copy-done", "async-done", "async-update"}

func (m *module) kernels(c *computation) []Kernel {
	var all []Kernel
	for _, i := range c.instructions {
		switch {
		case slices.Contains(free, i.opcode):
		case i.opcode == "call" || i.opcode == "async-start" || i.opcode == "while" || i.opcode == "conditional":
			for _, id := range i.called {
				if c := m.computations[id]; c != nil {
					all = append(all, m.kernels(c)...)
				}
			}
		default:
			all = append(all, Kernel{i.name, m.kind(i), i.place, m.traffic(c, i)})
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

// moves are the opcodes that bring data elsewhere or into another type.
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

// traffic is the bytes that an instruction reads and writes. Of an operand of
// which a fusion reads slices or gathers only, those count.
func (m *module) traffic(c *computation, i *instruction) int64 {
	bytes := i.shape.bytes
	if i.target != "" && len(i.shape.parts) > 0 {
		bytes = i.shape.parts[0].bytes // behind the result comes scratch memory
	}
	for n, id := range i.operands {
		if x := c.byID[id]; x != nil {
			bytes += m.read(i, n, x.shape.bytes)
		}
	}
	return bytes
}

// fused is what a fusion computes, nil for other instructions.
func (m *module) fused(i *instruction) *computation {
	if i.opcode != "fusion" || len(i.called) == 0 {
		return nil
	}
	return m.computations[i.called[0]]
}

func (m *module) read(i *instruction, operand int, whole int64) int64 {
	inside := m.fused(i)
	if inside == nil {
		return whole
	}
	var parameters []*instruction
	for _, x := range inside.instructions {
		if x.opcode == "parameter" {
			parameters = append(parameters, x)
		}
	}
	if operand >= len(parameters) {
		return whole
	}
	var part int64
	for _, x := range inside.instructions {
		for n, id := range x.operands {
			if id != parameters[operand].id {
				continue
			}
			if n != 0 || x.opcode != "slice" && x.opcode != "dynamic-slice" && x.opcode != "gather" {
				return whole
			}
			part += x.shape.bytes
		}
	}
	return min(part, whole)
}
