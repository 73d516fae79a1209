// Package program is the narrow waist: a training step as plain data, a list
// of buffers and a list of instructions that read and write them. What nets
// mean is said above it, how it is computed below it.
package program

import (
	"fmt"
	"io"
	"strings"

	"depthlab/nets/kernel"
)

// BufID is an index into Program.Buffers.
type BufID int

// None is the BufID of a buffer that a program does not have.
const None BufID = -1

// Arena says what a buffer is for, and so how long it lives.
type Arena uint8

const (
	// Input is written by the host: the resident data set once, the plan at
	// each step. The batch that the net sees is kept here too. Nothing in it is
	// reused within a step.
	Input Arena = iota
	// Param holds the parameters, packed: the weights in the order of the
	// net, then the vectors (scales, shifts, bias). The span "params" is all
	// of them, "params[weights]" and "params[vectors]" its two halves; every
	// other buffer is a view of one parameter, "layer1.0.conv1.weight".
	Param
	// Grad mirrors Param: "grads", and "grad.NAME" at the offset of NAME. Where
	// the batch is cut, "parts" and "part.NAME" behind it are the gradients of
	// one micro-batch, before they are added to those of the ones before.
	Grad
	// Optimizer holds what the optimizer keeps from step to step, by the names
	// that it gives (kernel.Optimizer): tensors that mirror Param, of SGD "momenta"
	// and "momentum.NAME", and single values.
	Optimizer
	// Stat holds batch norm's running statistics, packed: "stats" is all.
	Stat
	// Metric holds what the host reads after a step, and the same of the latest
	// micro-batch of a batch that is cut.
	Metric
	// Work holds activations and their gradients, placed by liveness: two
	// buffers may share bytes when they are never alive together.
	Work
	NumArenas
)

// String is the arena's name. That of Optimizer is as old as SGD alone; former
// hashes cover it.
func (a Arena) String() string {
	return [...]string{"input", "param", "grad", "momentum", "stat", "metric", "work"}[a]
}

// Packed reports whether an arena is one array that outlives the step, its buffers
// views of it. Of Input and Metric each buffer is an array of its own.
func (a Arena) Packed() bool { return a != Input && a != Metric && a != Work }

// Persistent lists the arenas that one step hands on to the next: what a checkpoint
// holds.
func Persistent() []Arena { return []Arena{Param, Optimizer, Stat} }

// Phase is the part of the step that an instruction belongs to. Each
// micro-batch of a batch that is cut is loaded, sent forward and back; the
// update comes once, at the end.
type Phase uint8

const (
	Load     Phase = iota // select and augment the batch
	Forward               // up to loss and error count
	Backward              // gradients
	Update                // parameters and running statistics
)

func (p Phase) String() string {
	return [...]string{"load", "forward", "backward", "update"}[p]
}

// Buffer is an array of the program. Offset is in bytes from the start of its
// arena and a multiple of Align, views into packed arenas aside. First and
// Last are the first instruction that writes and the last that reads it; they
// are -1 and len(Code) for what outlives the step (all arenas but Work).
type Buffer struct {
	Name        string
	Shape       kernel.Shape
	Type        kernel.DType
	Arena       Arena
	Offset      int64
	First, Last int
	Span        bool // lies over other buffers of its arena: no tensor of its own
	Part        bool // of the latest micro-batch alone: means nothing after the step
}

// Bytes is the size of the buffer as a Program sees it (float32).
func (b *Buffer) Bytes() int64 { return int64(b.Shape.Len()) * int64(b.Type.Size()) }

// Instr is one kernel applied to buffers. A buffer may be in Out and In at
// once only where the kernel updates in place (SGD, MovingAverage, Accumulate, AllReduce).
type Instr struct {
	Kernel  kernel.Kernel
	Out, In []BufID
	Layer   string // path of the layer in PyTorch's manner: "layer1.0.conv1"
	Phase   Phase
}

// Program is one closed step of training (or evaluation, or calibration):
// batch selection, forward, loss, backward, update.
type Program struct {
	Name    string // "resnet-20 train batch 128"
	Buffers []Buffer
	Code    []Instr
	Bytes   [NumArenas]int64 // size of each arena
	// Replicas is how many devices compute the program together, each with rows
	// of its own (data parallel); 0 for one. What is said of a buffer is said of
	// each replica's.
	Replicas int
	Roles
}

// Devices is how many devices compute the program: at least one.
func (p *Program) Devices() int { return max(1, p.Replicas) }

// Roles are the buffers where net, host and device meet, None where a program
// has no such buffer.
type Roles struct {
	Images, Labels    BufID // the resident data set: written once
	Mean, Scale, Fill BufID // how an image is prepared: written once
	Rows, Rates       BufID // the plan of a step: written before each
	Input, Label      BufID // the batch that the net sees
	Logits            BufID // of an evaluation, for the host to read
	Loss, Wrong       BufID // what the host reads after a step
	Params, Grads     BufID // spans of all parameters and of their gradients
}

// roles says what each role's buffer must be. An extent of 0 may be any.
var roles = []struct {
	name  string
	id    func(r *Roles) *BufID
	arena Arena
	typ   kernel.DType
	shape kernel.Shape
}{
	{"images", func(r *Roles) *BufID { return &r.Images }, Input, kernel.Uint8, kernel.Shape{0, 0, 0, 0}},
	{"labels", func(r *Roles) *BufID { return &r.Labels }, Input, kernel.Int32, kernel.Shape{0}},
	{"mean", func(r *Roles) *BufID { return &r.Mean }, Input, kernel.Float32, kernel.Shape{0, 0, 0}},
	{"scale", func(r *Roles) *BufID { return &r.Scale }, Input, kernel.Float32, kernel.Shape{0}},
	{"fill", func(r *Roles) *BufID { return &r.Fill }, Input, kernel.Float32, kernel.Shape{0}},
	{"rows", func(r *Roles) *BufID { return &r.Rows }, Input, kernel.Int32, kernel.Shape{0, 4}},
	{"rates", func(r *Roles) *BufID { return &r.Rates }, Input, kernel.Float32, kernel.Shape{2}},
	{"input", func(r *Roles) *BufID { return &r.Input }, Input, kernel.Float32, kernel.Shape{0, 0, 0, 0}},
	{"label", func(r *Roles) *BufID { return &r.Label }, Input, kernel.Int32, kernel.Shape{0}},
	{"logits", func(r *Roles) *BufID { return &r.Logits }, Input, kernel.Float32, kernel.Shape{0, 0}},
	{"loss", func(r *Roles) *BufID { return &r.Loss }, Metric, kernel.Float32, kernel.Shape{1}},
	{"wrong", func(r *Roles) *BufID { return &r.Wrong }, Metric, kernel.Float32, kernel.Shape{1}},
	{"params", func(r *Roles) *BufID { return &r.Params }, Param, kernel.Float32, kernel.Shape{0}},
	{"grads", func(r *Roles) *BufID { return &r.Grads }, Grad, kernel.Float32, kernel.Shape{0}},
}

// New is a program of that name with no buffers yet.
func New(name string) *Program {
	p := &Program{Name: name}
	for _, r := range roles {
		*r.id(&p.Roles) = None
	}
	return p
}

// Renumber replaces buffer i by to[i] wherever a buffer is named.
func (p *Program) Renumber(to []BufID) {
	for i := range p.Code {
		for _, ids := range [][]BufID{p.Code[i].Out, p.Code[i].In} {
			for j := range ids {
				ids[j] = to[ids[j]]
			}
		}
	}
	for _, r := range roles {
		if id := r.id(&p.Roles); *id != None {
			*id = to[*id]
		}
	}
}

// Lookup finds a buffer by name.
func (p *Program) Lookup(name string) (BufID, bool) {
	for i := range p.Buffers {
		if p.Buffers[i].Name == name {
			return BufID(i), true
		}
	}
	return -1, false
}

// Views lists the buffers of an arena that are no spans: its named tensors.
func (p *Program) Views(a Arena) []BufID {
	var ids []BufID
	for i := range p.Buffers {
		if b := &p.Buffers[i]; b.Arena == a && !b.Span {
			ids = append(ids, BufID(i))
		}
	}
	return ids
}

// ForwardEnd is the instruction behind the last one of the forward phase:
// there the loss is known, of all micro-batches.
func (p *Program) ForwardEnd() int {
	end := len(p.Code)
	for end > 0 && p.Code[end-1].Phase > Forward {
		end--
	}
	return end
}

// Dump writes the program as text, one line a buffer and one an instruction:
// the form that golden files hold.
func (p *Program) Dump(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "program %s\n", p.Name)
	if p.Replicas > 0 {
		fmt.Fprintf(&b, "replicas %d\n", p.Replicas)
	}
	for a := Arena(0); a < NumArenas; a++ {
		fmt.Fprintf(&b, "arena %s %d\n", a, p.Bytes[a])
	}
	for i := range p.Buffers {
		x := &p.Buffers[i]
		fmt.Fprintf(&b, "%%%d %s %s%v %s+%d", i, x.Name, x.Type, x.Shape, x.Arena, x.Offset)
		if x.Arena == Work {
			fmt.Fprintf(&b, " live %d-%d", x.First, x.Last)
		}
		b.WriteByte('\n')
	}
	for i, c := range p.Code {
		fmt.Fprintf(&b, "%d %s %s: %v <- %v  %s\n", i, c.Phase, c.Kernel, c.Out, c.In, c.Layer)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
