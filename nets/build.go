// The nets of the paper as Gorgonia graphs: stem, blocks, shortcuts, loss.

package nets

import (
	"cmp"
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"depthlab/nets/kernel"
	"depthlab/nets/ops"
)

// Mode is what a graph is for.
type Mode uint8

const (
	Train     Mode = iota // batch statistics, loss, gradients of all parameters
	Eval                  // running statistics, loss
	Calibrate             // batch statistics, to be averaged; no gradients
)

func (m Mode) String() string { return [...]string{"train", "eval", "calibrate"}[m] }

// Config holds what a graph depends on besides the architecture.
type Config struct {
	Batch    int // N: images in the batch, or in one micro-batch where the batch is cut
	Whole    int // images in the whole batch where it is cut into micro-batches, else 0
	Channels int // C of an image
	Size     int // H of an image
	Width    int // W of an image; 0 means square
	Classes  int
	Group    int     // images that share batch statistics; 0 means the whole batch
	Eps      float32 // added to batch norm's variance

	Smoothing float64 // label smoothing of the training loss; 0 for none
}

// Columns is W of an image.
func (c Config) Columns() int { return cmp.Or(c.Width, c.Size) }

func (c Config) shorter() int { return min(c.Size, c.Columns()) }

// Kind is the role of a parameter.
type Kind uint8

const (
	ConvWeight Kind = iota
	LinearWeight
	Scale // of batch norm
	Shift
	Bias
)

// IsWeight reports whether weight decay applies to the parameter with
// "decays: weights": it then skips scales, shifts and biases.
func (k Kind) IsWeight() bool { return k == ConvWeight || k == LinearWeight }

// Param is a learned leaf of the graph.
type Param struct {
	Name  string // as PyTorch names it: "layer1.0.conv1.weight"
	Kind  Kind
	Start float32 // of a Bias: its values before training
	Node  *G.Node
	Grad  *G.Node // mode Train only
}

// Norm is one batch norm of the net. Mean and Variance are nil except in mode Eval:
// there they are the leaves that hold the running statistics ("NAME.running_mean", "NAME.running_var").
type Norm struct {
	Name           string
	Channels       int
	Node           *G.Node
	Mean, Variance *G.Node
}

// Graph is a net as a Gorgonia expression.
type Graph struct {
	Expr   *G.ExprGraph
	Input  *G.Node // (N, Channels, rows, columns)
	Label  *G.Node // int32 (N)
	Noise  *G.Node // int32 (N), random bits of each image; nil without dropout
	Logits *G.Node // (N, Classes)
	Loss   *G.Node // scalar
	Params []*Param
	Norms  []*Norm
}

// Build makes the graph of the net. In mode Train it also makes the gradients. It
// asks Gorgonia for them only once, because Gorgonia keeps old ones.
func (a Arch) Build(m Mode, c Config) (*Graph, error) {
	b := &builder{mode: m, cfg: c, g: &Graph{Expr: G.NewGraph()}}
	g := b.g
	g.Input = G.NewTensor(g.Expr, G.Float32, 4, G.WithShape(c.Batch, c.Channels, c.Size, c.Columns()), G.WithName("input"))
	g.Label = G.NewTensor(g.Expr, tensor.Int32, 1, G.WithShape(c.Batch), G.WithName("label"))

	if a.Weights.Dropout != 0 && m != Eval {
		g.Noise = G.NewTensor(g.Expr, tensor.Int32, 1, G.WithShape(c.Batch), G.WithName("noise"))
	}

	stages, width := stages(a)
	b.err = a.CheckSize(c.shorter())
	x := b.stem(a, g.Input, width)
	for stage, blocks := range stages {
		for i := range blocks {
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			path := fmt.Sprintf("layer%d.%d.", stage+1, i)
			if a.Order == Preact {
				x = b.preact(a, path, x, width<<stage, stride, i == 0)
			} else {
				x = b.block(a, path, x, width<<stage, stride, i == 0)
			}
		}
	}
	switch a.Order {
	case Preact:
		x = b.norm("bn", x, nil, true)
	case ReLUPreact:
		x = b.apply(kernel.ReLU{}, "relu", x)
	}
	x = b.apply(kernel.AvgPool{}, "avgpool", x)
	g.Logits = b.linear("fc", x, c.Classes)
	loss := kernel.CrossEntropy{Of: c.Whole}
	if m == Train { // tests give the plain loss
		loss.Smoothing = c.Smoothing
	}
	g.Loss = b.apply(loss, "loss", g.Logits, g.Label)
	if b.err == nil && m == Train {
		b.differentiate()
	}
	if b.err != nil {
		return nil, fmt.Errorf("%s: %w", a, b.err)
	}
	return g, nil
}

// builder builds a graph layer by layer. It keeps the first error, so that the
// definition of a net reads as a list of layers.
type builder struct {
	mode     Mode
	cfg      Config
	g        *Graph
	dropouts int // so far
	err      error
}

// stem makes the layers before the first block: the 7x7 convolution and max-pool of
// Table 1, or the 3x3 convolution of section 4.2. ImageNet nets on small images use
// the 3x3 convolution, too. With pre-activation the stem has no batch norm, or no
// rectifier: the first block begins with it.
func (b *builder) stem(a Arch, x *G.Node, width int) *G.Node {
	switch a.Order {
	case Preact:
		return b.conv("conv1", x, width, 3, 1)
	case ReLUPreact:
		return b.convNorm("conv1", "bn1", x, width, 3, 1, nil, false)
	}
	if !a.ImageNet() || b.cfg.shorter() <= smallImage {
		return b.convNorm("conv1", "bn1", x, width, 3, 1, nil, true)
	}
	x = b.convNorm("conv1", "bn1", x, width, 7, 2, nil, true)
	pool := kernel.MaxPool{Size: 3, Stride: 2, After: 1}
	if a.PoolPad {
		pool.Before = 1
	}
	return b.apply(pool, "maxpool", x)
}

// layer is a convolution of a block.
type layer struct{ out, size, stride int }

// block lists the convolutions of a block: two of 3x3 (paper Figure 2), one of 3x3, in
// which the paper saw no advantage (section 3.2), or a bottleneck, whose 1x1 convolutions
// reduce the channels to a quarter and restore them (Figure 5).
func (a Arch) block(width, stride int) []layer {
	switch {
	case a.Bottleneck && a.V15:
		return []layer{{width, 1, 1}, {width, 3, stride}, {4 * width, 1, 1}}
	case a.Bottleneck:
		return []layer{{width, 1, stride}, {width, 3, 1}, {4 * width, 1, 1}}
	case a.Single:
		return []layer{{width, 3, stride}}
	}
	return []layer{{width, 3, stride}, {width, 3, 1}}
}

// block makes one block: relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)), or with other
// activations at its end. In plain nets it has no shortcut. With ReLUPreact the shortcut
// of a stage's first block starts after the block's first rectifier, as in preact.
func (b *builder) block(a Arch, path string, x *G.Node, width, stride int, first bool) *G.Node {
	layers := a.block(width, stride)
	last := len(layers) - 1
	y := x
	if a.Order == ReLUPreact {
		y = b.apply(kernel.ReLU{}, path+"relu", x)
		if first || a.Shortcut == 'C' {
			x = y
		}
	}
	for i, l := range layers[:last] {
		y = b.convNorm(fmt.Sprintf("%sconv%d", path, i+1), fmt.Sprintf("%sbn%d", path, i+1), y, l.out, l.size, l.stride, nil, true)
	}
	end := layers[last]
	side := b.shortcut(a, path, x, end.out, stride)
	y = b.conv(fmt.Sprintf("%sconv%d", path, last+1), y, end.out, end.size, end.stride)
	norm := fmt.Sprintf("%sbn%d", path, last+1)
	switch a.Order {
	case BNAfterAdd:
		return b.norm(norm, b.apply(kernel.Add{}, path+"add", y, side), nil, true)
	case ReLUBeforeAdd:
		return b.apply(kernel.Add{}, path+"add", b.norm(norm, y, nil, true), side)
	case ReLUPreact:
		return b.norm(norm, y, side, false)
	}
	return b.weighted(a, path, norm, x, y, side, stride)
}

// weighted ends a block: relu(bn(y) + side), the two multiplied by the factors of
// a.Weights. Gates are computed from x by a 1x1 convolution with bias and without batch
// norm, with the block's stride.
func (b *builder) weighted(a Arch, path, norm string, x, y, side *G.Node, stride int) *G.Node {
	if b.err != nil {
		return nil
	}
	var z, bias *G.Node // of the gates
	switch w := a.Weights; {
	case w.Gate != NoGate:
		out := y.Shape()[1]
		z = b.conv(path+"gate", x, out, 1, stride)
		bias = b.bias(path+"gate.bias", out, w.Start)
		side = b.apply(kernel.Gate{Carry: true}, path+"gate", side, z, bias)
	case w.Shortcut != 0:
		side = b.apply(kernel.Scale{By: w.Shortcut}, path+"scale", side)
	case w.Dropout != 0:
		side = b.dropout(w.Dropout, path+"dropout", side)
	}
	switch w := a.Weights; {
	case w.Gate == Exclusive:
		y = b.apply(kernel.Gate{}, path+"gate", b.norm(norm, y, nil, false), z, bias)
	case w.Branch != 0:
		y = b.apply(kernel.Scale{By: w.Branch}, path+"branch_scale", b.norm(norm, y, nil, false))
	default:
		return b.norm(norm, y, side, true)
	}
	return b.apply(kernel.ReLU{}, path+"relu", b.apply(kernel.Add{}, path+"add", y, side))
}

// dropout sets random elements to 0 in training, also where batch norm's statistics are
// averaged. In tests it multiplies by the probability that an element is kept.
func (b *builder) dropout(rate float32, layer string, x *G.Node) *G.Node {
	if b.mode == Eval {
		return b.apply(kernel.Scale{By: 1 - rate}, layer, x)
	}
	k := kernel.Dropout{Rate: rate, Layer: b.dropouts}
	b.dropouts++
	return b.apply(k, layer, x, b.g.Noise)
}

// preact is a block with full pre-activation (He et al. 2016, "Identity Mappings in
// Deep Residual Networks", Figure 4e): a batch norm and a rectifier before each
// convolution, and nothing after the sum:
// conv(relu(bn(conv(relu(bn(x)))))) + x. In the first block of a stage, and wherever
// the shortcut is a projection, the shortcut starts after the first rectifier.
// Projections have no batch norm (as in the authors' code,
// github.com/KaimingHe/resnet-1k-layers).
func (b *builder) preact(a Arch, path string, x *G.Node, width, stride int, first bool) *G.Node {
	if b.err != nil {
		return nil
	}
	layers := a.block(width, stride)
	out := layers[len(layers)-1].out
	y, side := x, x
	for i, l := range layers {
		y = b.norm(fmt.Sprintf("%sbn%d", path, i+1), y, nil, true)
		if i == 0 && (first || a.Shortcut == 'C') {
			side = b.side(a, path, y, out, stride)
		}
		y = b.conv(fmt.Sprintf("%sconv%d", path, i+1), y, l.out, l.size, l.stride)
	}
	return b.apply(kernel.Add{}, path+"add", y, side)
}

// side is a shortcut without batch norm. Where the sizes agree it is the identity
// (options A and B). Where they differ it pads with zero channels (A) or projects (B).
// Option C projects everywhere.
func (b *builder) side(a Arch, path string, x *G.Node, out, stride int) *G.Node {
	if b.err != nil || isIdentity(a, x, out, stride) {
		return x
	}
	if a.Shortcut == 'A' {
		return b.apply(kernel.Pad{Stride: stride, Out: out, Where: a.Where}, path+"shortcut", x)
	}
	return b.conv(path+"downsample.0", x, out, 1, stride)
}

// shortcut is nil in plain nets. In residual nets it is side, with a batch norm after a
// projection, unless a batch norm follows the addition.
func (b *builder) shortcut(a Arch, path string, x *G.Node, out, stride int) *G.Node {
	if b.err != nil || !a.Residual {
		return nil
	}
	y := b.side(a, path, x, out, stride)
	if b.err != nil || isIdentity(a, x, out, stride) || a.Shortcut == 'A' || a.Order == BNAfterAdd {
		return y
	}
	return b.norm(path+"downsample.1", y, nil, false)
}

// isIdentity reports whether the shortcut from x is the identity.
func isIdentity(a Arch, x *G.Node, out, stride int) bool {
	return stride == 1 && x.Shape()[1] == out && a.Shortcut != 'C'
}

// convNorm is a convolution followed by norm.
func (b *builder) convNorm(conv, norm string, x *G.Node, out, size, stride int, add *G.Node, relu bool) *G.Node {
	return b.norm(norm, b.conv(conv, x, out, size, stride), add, relu)
}

// conv is a convolution without bias.
func (b *builder) conv(name string, x *G.Node, out, size, stride int) *G.Node {
	if b.err != nil {
		return nil
	}
	w := b.param(name+".weight", ConvWeight, out, x.Shape()[1], size, size)
	return b.apply(kernel.Conv{Size: size, Stride: stride, Pad: size / 2, Out: out}, name, x, w)
}

// norm is a batch norm with the sum of a shortcut (add, nil for none) and the rectifier
// (relu) fused into it.
func (b *builder) norm(name string, x, add *G.Node, relu bool) *G.Node {
	if b.err != nil {
		return nil
	}
	channels := x.Shape()[1]
	scale, shift := b.param(name+".weight", Scale, channels), b.param(name+".bias", Shift, channels)
	n := &Norm{Name: name, Channels: channels}
	b.g.Norms = append(b.g.Norms, n)
	operands := []*G.Node{x, scale, shift}
	var k kernel.Kernel = kernel.BatchNorm{Eps: b.cfg.Eps, Group: b.cfg.Group, Add: add != nil, ReLU: relu}
	if b.mode == Eval {
		n.Mean, n.Variance = b.leaf(name+".running_mean", channels), b.leaf(name+".running_var", channels)
		operands = append(operands, n.Mean, n.Variance)
		k = kernel.BatchNormInfer{Eps: b.cfg.Eps, Add: add != nil, ReLU: relu}
	}
	if add != nil {
		operands = append(operands, add)
	}
	n.Node = b.apply(k, name, operands...)
	return n.Node
}

func (b *builder) linear(name string, x *G.Node, out int) *G.Node {
	if b.err != nil {
		return nil
	}
	w := b.param(name+".weight", LinearWeight, out, x.Shape()[1])
	return b.apply(kernel.Linear{Out: out}, name, x, w, b.bias(name+".bias", out, 0))
}

func (b *builder) param(name string, kind Kind, shape ...int) *G.Node {
	n := b.leaf(name, shape...)
	b.g.Params = append(b.g.Params, &Param{Name: name, Kind: kind, Node: n})
	return n
}

// bias makes a bias whose values before training are start.
func (b *builder) bias(name string, channels int, start float32) *G.Node {
	n := b.param(name, Bias, channels)
	b.g.Params[len(b.g.Params)-1].Start = start
	return n
}

func (b *builder) leaf(name string, shape ...int) *G.Node {
	return G.NewTensor(b.g.Expr, G.Float32, len(shape), G.WithShape(shape...), G.WithName(name))
}

func (b *builder) apply(k kernel.Kernel, layer string, operands ...*G.Node) *G.Node {
	if b.err != nil {
		return nil
	}
	var n *G.Node
	n, b.err = ops.Apply(k, layer, 0, operands...)
	return n
}

func (b *builder) differentiate() {
	var leaves G.Nodes
	for _, p := range b.g.Params {
		leaves = append(leaves, p.Node)
	}
	var grads G.Nodes
	if grads, b.err = G.Grad(b.g.Loss, leaves...); b.err != nil {
		return
	}
	for i, p := range b.g.Params {
		p.Grad = grads[i]
	}
}

// Leaves lists the parameters and batch norms of a net. It ignores Batch, Group and Eps
// of c.
func (a Arch) Leaves(c Config) ([]*Param, []*Norm, error) {
	c.Batch, c.Group = 1, 0
	g, err := a.Build(Eval, c)
	if err != nil {
		return nil, nil, err
	}
	return g.Params, g.Norms, nil
}
