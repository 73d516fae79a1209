// Lowering: walks a Gorgonia graph and writes a Program's buffers and instructions.

package compile

import (
	"fmt"
	"sort"
	"strings"

	G "gorgonia.org/gorgonia"

	"depthlab/nets"
	"depthlab/nets/kernel"
	"depthlab/nets/ops"
	"depthlab/nets/program"
)

// call identifies an instruction within a micro-batch. Nodes with equal kernel, layer
// and operands become one instruction. Kernels are comparable structs.
type call struct {
	kernel kernel.Kernel
	layer  string
	in     [8]program.BufID // no kernel in a graph has more operands
}

func callOf(k kernel.Kernel, layer string, in []program.BufID) call {
	c := call{kernel: k, layer: layer}
	if n := copy(c.in[:], in); n < len(in) {
		panic(fmt.Sprintf("compile: %s has %d operands, want at most %d", k, len(in), n))
	}
	return c
}

// lowering is the state of translating one graph into a Program.
type lowering struct {
	p     *program.Program
	graph *nets.Graph
	cfg   Config
	mode  nets.Mode
	parts int // number of micro-batches
	part  int // the current micro-batch

	images int // images of a step on one device

	values map[*G.Node]program.BufID // the buffer that holds each node's value
	calls  map[call]int              // the instruction of each call
	grads  map[*G.Node]string        // buffer names of the nodes that are parameter gradients
	names  map[string]program.BufID
	writer map[program.BufID]int // the last instruction that wrote each buffer

	statistics map[string][]program.BufID // by batch norm: mean and variance of each micro-batch
}

func (l *lowering) buffer(name string, t kernel.DType, a program.Arena, shape ...int) program.BufID {
	l.p.Buffers = append(l.p.Buffers, program.Buffer{Name: name, Shape: shape, Type: t, Arena: a, Offset: -1, First: -1, Last: -1})
	id := program.BufID(len(l.p.Buffers) - 1)
	l.names[name] = id
	return id
}

func (l *lowering) id(name string) program.BufID {
	id, ok := l.names[name]
	if !ok {
		panic("compile: no buffer " + name)
	}
	return id
}

// addInputs makes the buffers through which host and device exchange data.
func addInputs(l *lowering) {
	c := l.cfg
	p := l.p
	p.Images = l.buffer("images", kernel.Uint8, program.Input, c.Images, c.Channels, c.Size, c.Columns())
	p.Labels = l.buffer("labels", kernel.Int32, program.Input, c.Images)
	p.Rows = l.buffer("rows", kernel.Int32, program.Input, l.images, 4)
	p.Rates = l.buffer("rates", kernel.Float32, program.Input, 2)
	p.Mean = l.buffer("mean", kernel.Float32, program.Input, c.Channels, c.Size, c.Columns())
	p.Scale = l.buffer("scale", kernel.Float32, program.Input, c.Channels)
	p.Fill = l.buffer("fill", kernel.Float32, program.Input, c.Channels)
	p.Input = l.buffer("input", kernel.Float32, program.Input, l.graph.Input.Shape()...)
	p.Label = l.buffer("label", kernel.Int32, program.Input, l.graph.Label.Shape()...)
	if l.graph.Noise != nil {
		p.Noise = l.buffer("noise", kernel.Int32, program.Input, l.graph.Noise.Shape()...)
	}
	if l.mode == nets.Eval {
		p.Logits = l.buffer("logits", kernel.Float32, program.Input, l.images, c.Classes)
	}
}

// addParams lays out the packed arenas: weights in the order of the net, then the vectors
// (scales, shifts, bias). With this order, weight decay of the weights alone takes two
// flat updates.
func addParams(l *lowering) {
	var ordered []*nets.Param
	for _, weights := range []bool{true, false} {
		for _, p := range l.graph.Params {
			if p.Kind.IsWeight() == weights {
				ordered = append(ordered, p)
			}
		}
	}
	l.p.Bytes[program.Param] = 4 * int64(addMirror(l, ordered, program.Param, 0, "", "params"))
	if l.mode == nets.Train {
		l.p.Bytes[program.Grad] = 4 * int64(addMirror(l, ordered, program.Grad, 0, "grad.", "grads"))
		addState(l, ordered)
	}
	l.p.Params = l.id("params")
	if l.mode == nets.Train {
		l.p.Grads = l.id("grads")
	}
	if l.parts > 1 {
		size := l.p.Bytes[program.Grad]
		for _, p := range ordered {
			at := l.p.Buffers[l.id("grad."+p.Name)].Offset
			id := l.view("part."+p.Name, program.Grad, int(size+at)/4, p.Node.Shape()...)
			l.p.Buffers[id].Part = true
		}
		l.span("parts", program.Grad, int(size)/4, int(size)/4)
		l.p.Bytes[program.Grad] = 2 * size
	}
	at := 0
	for _, n := range l.graph.Norms {
		l.view(n.Name+".running_mean", program.Stat, at, n.Channels)
		l.view(n.Name+".running_var", program.Stat, at+n.Channels, n.Channels)
		at += 2 * n.Channels
	}
	l.span("stats", program.Stat, 0, at)
	l.p.Bytes[program.Stat] = int64(at) * 4
}

// addMirror lays out one tensor for each parameter in an arena, starting at element at,
// and makes spans over all of them, over the weights and over the vectors. It returns
// the first free element after them.
func addMirror(l *lowering, ordered []*nets.Param, a program.Arena, at int, prefix, span string) int {
	first, vectors := at, at
	for _, p := range ordered {
		l.view(prefix+p.Name, a, at, p.Node.Shape()...)
		at += p.Node.Shape().TotalSize()
		if p.Kind.IsWeight() {
			vectors = at
		}
	}
	l.span(span, a, first, at-first)
	l.span(span+"[weights]", a, first, vectors-first)
	l.span(span+"[vectors]", a, vectors, at-vectors)
	return at
}

// addState lays out the optimizer's state. A single value (Adam's step count) exists once
// for each range of parameters that is updated.
func addState(l *lowering, ordered []*nets.Param) {
	at := 0
	for _, s := range l.cfg.Optimizer.State() {
		if !s.Single {
			at = addMirror(l, ordered, program.Optimizer, at, s.Name+".", s.All)
			continue
		}
		ranges := paramRanges(l)
		l.view(s.Name, program.Optimizer, at, len(ranges))
		if len(ranges) > 1 { // a single range is the view itself
			for i, r := range ranges {
				l.span(s.All+r, program.Optimizer, at+i, 1)
			}
		}
		at += len(ranges)
	}
	l.p.Bytes[program.Optimizer] = 4 * int64(at)
}

// paramRanges lists the ranges of parameters, each updated by one instruction, as suffixes
// of span names.
func paramRanges(l *lowering) []string {
	if l.cfg.WeightsOnly {
		return []string{"[weights]", "[vectors]"}
	}
	return []string{""}
}

// addLeaves maps the graph's leaves to their buffers, and gradients to the buffers that
// they are written to.
func addLeaves(l *lowering) {
	l.values, l.calls, l.grads = map[*G.Node]program.BufID{}, map[call]int{}, map[*G.Node]string{}
	l.values[l.graph.Input], l.values[l.graph.Label] = l.p.Input, l.p.Label
	if l.graph.Noise != nil {
		l.values[l.graph.Noise] = l.p.Noise
	}
	for _, p := range l.graph.Params {
		l.values[p.Node] = l.id(p.Name)
		if l.mode == nets.Train {
			l.grads[p.Grad] = l.summed("grad.", "part.") + p.Name
		}
	}
	if l.mode == nets.Eval {
		for _, n := range l.graph.Norms {
			l.values[n.Mean], l.values[n.Variance] = l.id(n.Name+".running_mean"), l.id(n.Name+".running_var")
		}
	}
}

// summed picks the buffer of a value that is summed over micro-batches. The first
// micro-batch writes to the sum itself, so that nothing has to be zeroed.
func (l *lowering) summed(sum, part string) string {
	if l.part == 0 {
		return sum
	}
	return part
}

// view makes a buffer that starts at element at of a packed arena.
func (l *lowering) view(name string, a program.Arena, at int, shape ...int) program.BufID {
	id := l.buffer(name, kernel.Float32, a, shape...)
	l.p.Buffers[id].Offset = int64(at) * 4
	return id
}

// span makes a buffer of n elements that overlaps other buffers of a packed arena.
func (l *lowering) span(name string, a program.Arena, at, n int) program.BufID {
	id := l.view(name, a, at, n)
	l.p.Buffers[id].Span = true
	return id
}

func (l *lowering) emit(k kernel.Kernel, layer string, ph program.Phase, out, in []program.BufID) {
	l.p.Code = append(l.p.Code, program.Instr{Kernel: k, Out: out, In: in, Layer: layer, Phase: ph})
}

// emitLoad emits the instruction that cuts the current micro-batch out of the data set.
func emitLoad(l *lowering) {
	addLeaves(l)
	p := l.p
	in := []program.BufID{p.Images, p.Labels, p.Rows, p.Mean, p.Scale, p.Fill}
	k := kernel.Batch{H: l.cfg.Size, W: l.cfg.Columns(), Pad: l.cfg.Pad}
	if l.parts > 1 {
		k.Images = l.cfg.MicroBatch
		k.First = l.part * k.Images
	}
	out := []program.BufID{p.Input, p.Label}
	if p.Noise != program.None {
		k.Noise, out = true, append(out, p.Noise)
	}
	l.emit(k, "batch", program.Load, out, in)
}

// emitNodes lowers the graph in the order in which its nodes were made. That order is
// topological: forward from the input, then backward from the loss.
func emitNodes(l *lowering) error {
	all := append(G.Nodes(nil), l.graph.Expr.AllNodes()...)
	sort.Slice(all, func(i, j int) bool { return all[i].ID() < all[j].ID() })
	expr := l.graph.Expr
	for _, n := range all {
		if _, ok := l.values[n]; ok || n.Op() == nil {
			continue
		}
		var in []program.BufID
		operands := expr.From(n.ID())
		var children G.Nodes
		for operands.Next() {
			children = append(children, operands.Node().(*G.Node))
		}
		for _, c := range children {
			in = append(in, l.values[c])
		}
		phase := program.Forward
		if n.ID() > l.graph.Loss.ID() {
			phase = program.Backward
		}
		switch op := n.Op().(type) {
		case *ops.Op:
			l.values[n] = emitCall(l, n, op, phase, in)
		default:
			switch {
			case len(children) == 0: // the constant 1 that the backward pass starts from
			case len(in) == 2 && strings.HasPrefix(op.String(), "+"): // Gorgonia's sum of gradients
				sum := &ops.Op{Kernel: kernel.Add{}, Layer: l.p.Code[l.writer[in[0]]].Layer}
				l.values[n] = emitCall(l, n, sum, phase, in)
			default:
				return fmt.Errorf("node %v has operation %v, which has no kernel", n, op)
			}
		}
	}
	return nil
}

// emitCall returns the buffer of the output that op stands for. It finds the instruction
// that runs op's kernel on these operands, or emits it.
func emitCall(l *lowering, n *G.Node, op *ops.Op, ph program.Phase, in []program.BufID) program.BufID {
	key := callOf(op.Kernel, op.Layer, in)
	i, ok := l.calls[key]
	if !ok {
		i = len(l.p.Code)
		l.calls[key] = i
		out := l.outputs(op.Kernel, op.Layer, in)
		for _, id := range out {
			l.writer[id] = i
		}
		l.emit(op.Kernel, op.Layer, ph, out, in)
		if _, ok := op.Kernel.(kernel.CrossEntropy); ok {
			emitSum(l, ph, "loss", "part.loss")
			emitSum(l, ph, "wrong", "part.wrong")
		}
	}
	id := l.p.Code[i].Out[op.Output]
	name, ok := l.grads[n]
	if n == l.graph.Logits && l.mode == nets.Eval {
		name, ok = "logits", true
	}
	if ok {
		id = l.id(name)
		l.p.Code[i].Out[op.Output] = id
	}
	return id
}

// outputs makes the buffers that a kernel writes: metrics for the loss, else work buffers.
func (l *lowering) outputs(k kernel.Kernel, layer string, in []program.BufID) []program.BufID {
	if _, ok := k.(kernel.CrossEntropy); ok {
		var ids []program.BufID
		for _, name := range []string{l.summed("loss", "part.loss"), l.summed("wrong", "part.wrong")} {
			if _, ok := l.names[name]; !ok {
				id := l.buffer(name, kernel.Float32, program.Metric, 1)
				l.p.Buffers[id].Part = l.part > 0
			}
			ids = append(ids, l.id(name))
		}
		if l.part == 0 {
			l.p.Loss, l.p.Wrong = ids[0], ids[1]
		}
		return ids
	}
	var shapes []kernel.Shape
	for _, id := range in {
		shapes = append(shapes, l.p.Buffers[id].Shape)
	}
	out, err := k.Shape(shapes)
	if err != nil {
		panic("compile: " + err.Error()) // impossible: ops.Apply checked the same shapes
	}
	ids := make([]program.BufID, len(out))
	for i, s := range out {
		name := fmt.Sprintf("%s:%d", layer, len(l.p.Code))
		if i > 0 {
			name += fmt.Sprintf(".%d", i)
		}
		ids[i] = l.buffer(name, kernel.Float32, program.Work, s...)
	}
	return ids
}

// emitSum adds the current micro-batch's part to the sum. The first micro-batch
// needs no addition: it wrote to the sum itself.
func emitSum(l *lowering, ph program.Phase, sum, part string) {
	if l.part > 0 {
		l.emit(kernel.Accumulate{}, "sum", ph, []program.BufID{l.id(sum)}, []program.BufID{l.id(sum), l.id(part)})
	}
}

// emitKeep ends a micro-batch: it accumulates gradients and remembers batch statistics for
// the update.
func emitKeep(l *lowering) {
	if l.mode == nets.Train {
		emitSum(l, program.Backward, "grads", "parts")
	}
	if l.mode == nets.Eval {
		return
	}
	for _, n := range l.graph.Norms {
		out := l.p.Code[l.writer[l.values[n.Node]]].Out
		l.statistics[n.Name] = append(l.statistics[n.Name], out[1], out[2])
	}
}

// emitUpdate emits the instructions that change running statistics and parameters.
func emitUpdate(l *lowering) {
	if l.mode == nets.Eval {
		return
	}
	rates := l.p.Rates
	for _, n := range l.graph.Norms {
		in := l.statistics[n.Name]
		y := n.Node.Shape()
		g := l.p.Buffers[in[0]].Shape[0]
		running := []program.BufID{l.id(n.Name + ".running_mean"), l.id(n.Name + ".running_var")}
		l.emit(kernel.MovingAverage{Count: y[0] / g * y[2] * y[3], Replicas: l.p.Replicas}, n.Name, program.Update,
			running, append(in, running[0], running[1], rates))
	}
	emitReduce(l)
	if l.mode != nets.Train {
		return
	}
	for _, r := range paramRanges(l) {
		k := l.cfg.Optimizer
		if r == "[vectors]" {
			k = k.WithoutDecay()
		}
		w := l.id("params" + r)
		out, in := []program.BufID{w}, []program.BufID{w, l.id("grads" + r)}
		for _, s := range k.State() {
			out, in = append(out, l.id(s.All+r)), append(in, l.id(s.All+r))
		}
		name, _, _ := strings.Cut(k.String(), " ")
		l.emit(k, name, program.Update, out, append(in, rates))
	}
}

// emitReduce emits the one all-reduce of a step: running statistics, metrics and, in
// training, gradients.
func emitReduce(l *lowering) {
	if l.p.Replicas == 0 {
		return
	}
	ids := []program.BufID{l.id("stats"), l.p.Loss, l.p.Wrong}
	if l.mode == nets.Train {
		ids = append([]program.BufID{l.p.Grads}, ids...)
	}
	l.emit(kernel.AllReduce{Replicas: l.p.Replicas}, "replicas", program.Update, ids, ids)
}
