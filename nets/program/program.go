// Package program is the narrow waist: a training step as plain data, a list of
// buffers and a list of instructions that read and write them. Packages above it define
// nets; packages below it (the devices) compute them.
package program

import (
	"fmt"
	"io"
	"strings"

	"depthlab/nets/kernel"
)

// BufID is an index into Program.Buffers.
type BufID int

// None marks a role that a program has no buffer for.
const None BufID = -1

// Arena is the memory that a buffer is in. It determines the buffer's lifetime.
type Arena uint8

const (
	// Input holds what the host writes: the resident data set once, rows and rates
	// for each step. The batch that the net sees lies here, too. Its bytes are never
	// reused within a step.
	Input Arena = iota
	// Param holds the parameters, packed: weights in the order of the net, then
	// vectors (scales, shifts, bias). The span "params" covers all of them,
	// "params[weights]" and "params[vectors]" its two halves. Every other buffer is
	// a view of one parameter: "layer1.0.conv1.weight".
	Param
	// Grad mirrors Param: the span "grads", and "grad.NAME" at the offset of NAME.
	// Where the batch is cut into micro-batches, "parts" and "part.NAME" follow: the
	// gradients of one micro-batch, before they are added to "grads".
	Grad
	// Optimizer holds the optimizer's state under the names that it defines
	// (kernel.Optimizer): tensors that mirror Param (for SGD the span "momenta" and
	// "momentum.NAME") and single values.
	Optimizer
	// Stat holds batch norm's running statistics, packed, with the span "stats".
	Stat
	// Metric holds what the host reads after a step: loss and wrong answers, and
	// those of the latest micro-batch.
	Metric
	// Work holds activations and their gradients, placed by liveness: two buffers may
	// share bytes if they are never live at the same time.
	Work
	NumArenas
)

// String is the arena's name. Optimizer keeps its first name, "momentum", because
// hashes of saved programs cover it.
func (a Arena) String() string {
	return [...]string{"input", "param", "grad", "momentum", "stat", "metric", "work"}[a]
}

// Packed reports whether an arena is one array that outlives the step, with its
// buffers as views. In Input and Metric each buffer is an array of its own.
func (a Arena) Packed() bool { return a != Input && a != Metric && a != Work }

// Persistent lists the arenas that one step hands to the next. A checkpoint holds them.
func Persistent() []Arena { return []Arena{Param, Optimizer, Stat} }

// Phase is the part of a step that an instruction belongs to. Load, Forward and
// Backward run once for each micro-batch, Update once at the end.
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

// Buffer is an array of the program. Offset is in bytes from the start of its arena,
// and a multiple of Align except for views into packed arenas. First is the first
// instruction that writes the buffer, Last the last one that reads it (its liveness).
// They are -1 and len(Code) for buffers that outlive the step (all arenas but Work).
type Buffer struct {
	Name        string
	Shape       kernel.Shape
	Type        kernel.DType
	Arena       Arena
	Offset      int64
	First, Last int
	Span        bool // overlaps other buffers of its arena: not a tensor of its own
	Part        bool // belongs to the latest micro-batch only: undefined after the step
}

// Bytes is the size of the buffer as a Program sees it (float32).
func (b *Buffer) Bytes() int64 { return int64(b.Shape.Len()) * int64(b.Type.Size()) }

// Instr is one kernel applied to buffers. A buffer may be in both Out and In only if
// the kernel updates it in place (optimizers, MovingAverage, Accumulate, AllReduce).
type Instr struct {
	Kernel  kernel.Kernel
	Out, In []BufID
	Layer   string // path of the layer as PyTorch names it: "layer1.0.conv1"
	Phase   Phase
}

// Program is one closed step of training (or evaluation, or calibration):
// batch selection, forward, loss, backward, update.
type Program struct {
	Name    string // "resnet-20 train batch 128"
	Buffers []Buffer
	Code    []Instr
	Bytes   [NumArenas]int64 // size of each arena
	// Replicas is the number of devices that run the program together, each on rows
	// of its own (data parallel); 0 for one. Every replica has all of the buffers.
	Replicas int
	Roles
}

// Devices is the number of devices that run the program: at least one.
func (p *Program) Devices() int { return max(1, p.Replicas) }

// Roles names the buffers through which net, host and device communicate. A role is
// None if the program has no such buffer.
type Roles struct {
	Images, Labels    BufID // the resident data set; written once
	Mean, Scale, Fill BufID // normalisation of images and padding; written once
	Rows, Rates       BufID // batch rows and learning rates; written before each step
	Input, Label      BufID // the batch that the net sees
	Noise             BufID // random bits of each image of the batch, for dropout; None without
	Logits            BufID // of an evaluation; read by the host
	Loss, Wrong       BufID // mean loss and number of wrong answers; read by the host after each step
	Params, Grads     BufID // spans of all parameters and of their gradients
}

// roles lists the arena, type and shape that each role's buffer must have. An extent of
// 0 matches any.
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
	{"noise", func(r *Roles) *BufID { return &r.Noise }, Input, kernel.Int32, kernel.Shape{0}},
	{"logits", func(r *Roles) *BufID { return &r.Logits }, Input, kernel.Float32, kernel.Shape{0, 0}},
	{"loss", func(r *Roles) *BufID { return &r.Loss }, Metric, kernel.Float32, kernel.Shape{1}},
	{"wrong", func(r *Roles) *BufID { return &r.Wrong }, Metric, kernel.Float32, kernel.Shape{1}},
	{"params", func(r *Roles) *BufID { return &r.Params }, Param, kernel.Float32, kernel.Shape{0}},
	{"grads", func(r *Roles) *BufID { return &r.Grads }, Grad, kernel.Float32, kernel.Shape{0}},
}

// New makes an empty program: no buffers, all roles None.
func New(name string) *Program {
	p := &Program{Name: name}
	for _, r := range roles {
		*r.id(&p.Roles) = None
	}
	return p
}

// Renumber replaces BufID i by to[i] in all instructions and roles.
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

// Views lists an arena's named tensors: its buffers without the spans.
func (p *Program) Views(a Arena) []BufID {
	var ids []BufID
	for i := range p.Buffers {
		if b := &p.Buffers[i]; b.Arena == a && !b.Span {
			ids = append(ids, BufID(i))
		}
	}
	return ids
}

// ForwardEnd is the index after the last forward instruction. There the loss of all
// micro-batches is known.
func (p *Program) ForwardEnd() int {
	end := len(p.Code)
	for end > 0 && p.Code[end-1].Phase > Forward {
		end--
	}
	return end
}

// Dump writes the program as text, one line for each buffer and each instruction. Golden
// files have this form.
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
