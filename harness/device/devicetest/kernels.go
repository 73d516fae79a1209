// Conformance of single kernels: values, guard bands, NaN and Inf, unsupported kernels.

package devicetest

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// single is one kernel with the shapes of its operands.
type single struct {
	k  kernel.Kernel
	in []kernel.Shape
}

func (c single) String() string { return fmt.Sprintf("%s of %v", c.k, c.in) }

// optimizers are all optimizers except SGD in the authors' form, which the nets here are
// trained with.
var (
	nesterov = kernel.SGD{Momentum: 0.9, Decay: 1e-4, Form: kernel.Nesterov}
	adamW    = kernel.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01, Decoupled: true}

	optimizers = []kernel.Optimizer{
		kernel.SGD{Momentum: 0.9, Decay: 1e-4, Form: kernel.PyTorch}, nesterov,
		kernel.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 1e-4}, adamW,
	}
)

// singles lists all kernels with the shapes of real nets, and with odd shapes.
func singles(t testing.TB) []single {
	var all []single
	seen := map[string]bool{}
	add := func(k kernel.Kernel, in ...kernel.Shape) {
		key := fmt.Sprintf("%T%#v%v", k, k, in)
		if !seen[key] {
			seen[key] = true
			all = append(all, single{k, in})
		}
	}
	type real struct {
		name        string
		batch, size int
	}
	nets := []real{{"plain-20", 4, 32}, {"resnet-20", 4, 32}, {"resnet-20/split", 4, 32}, {"resnet-20/B", 4, 32}, {"resnet-20/C", 4, 32}}
	if testskip.Everything() && End.IsZero() {
		nets = append(nets, real{"resnet-18", 2, 64}, real{"resnet-50/torchvision", 2, 64})
	}
	for _, r := range nets {
		n := newNet(t, r.name, r.batch, 2, r.size, "")
		for _, p := range n.programs.All() {
			for _, c := range p.Code {
				if _, ok := c.Kernel.(kernel.Optimizer); ok && r.size > 32 {
					continue // covered by smaller nets; here it would be millions of parameters
				}
				var in []kernel.Shape
				for _, id := range c.In {
					in = append(in, p.Buffers[id].Shape)
				}
				add(c.Kernel, in...)
			}
		}
	}

	// Convolutions with odd sizes, one image, one channel: sizes that vectors of 16 and
	// groups of images do not divide.
	for _, c := range []struct {
		k kernel.Conv
		x kernel.Shape
	}{
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 5}, kernel.Shape{3, 7, 9, 5}},
		{kernel.Conv{Size: 3, Stride: 2, Pad: 1, Out: 24}, kernel.Shape{1, 16, 7, 5}},
		{kernel.Conv{Size: 1, Stride: 2, Out: 20}, kernel.Shape{2, 10, 7, 9}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 1}, kernel.Shape{1, 1, 1, 1}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 32}, kernel.Shape{8, 32, 14, 14}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 16}, kernel.Shape{3, 32, 10, 12}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 16}, kernel.Shape{2, 32, 7, 9}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 16}, kernel.Shape{1, 16, 1, 34}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 16}, kernel.Shape{5, 16, 8, 8}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 48}, kernel.Shape{19, 16, 4, 4}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 16}, kernel.Shape{3, 16, 27, 28}},
		// Sums of more products than a cache holds weights for.
		{kernel.Conv{Size: 1, Stride: 1, Out: 32}, kernel.Shape{3, 544, 7, 7}},
		{kernel.Conv{Size: 1, Stride: 2, Out: 288}, kernel.Shape{5, 288, 9, 10}},
		{kernel.Conv{Size: 3, Stride: 2, Pad: 1, Out: 64}, kernel.Shape{2, 64, 14, 10}},
		{kernel.Conv{Size: 7, Stride: 2, Pad: 3, Out: 16}, kernel.Shape{2, 3, 31, 22}},
		{kernel.Conv{Size: 3, Stride: 1, Pad: 1, Out: 16}, kernel.Shape{2, 1, 9, 8}},
		{kernel.Conv{Size: 1, Stride: 1, Out: 16}, kernel.Shape{2, 2, 9, 8}},
		{kernel.Conv{Size: 1, Stride: 1, Out: 16}, kernel.Shape{17, 16, 1, 1}},
	} {
		w := kernel.Shape{c.k.Out, c.x[1], c.k.Size, c.k.Size}
		y, err := c.k.Shape([]kernel.Shape{c.x, w})
		if err != nil {
			t.Fatal(err)
		}
		add(c.k, c.x, w)
		add(kernel.ConvGradInput{Conv: c.k, H: c.x[2], W: c.x[3]}, w, y[0])
		add(kernel.ConvGradWeight{Conv: c.k}, c.x, y[0])
	}
	for _, k := range []kernel.BatchNorm{{}, {Add: true}, {ReLU: true}, {Group: 1, Add: true, ReLU: true}, {Group: 3}} {
		k.Eps = 1e-5
		x, v := kernel.Shape{6, 5, 3, 7}, kernel.Shape{5}
		in := []kernel.Shape{x, v, v}
		infer := []kernel.Shape{x, v, v, v, v}
		if k.Add {
			in, infer = append(in, x), append(infer, x)
		}
		out, err := k.Shape(in)
		if err != nil {
			t.Fatal(err)
		}
		add(k, in...)
		in = []kernel.Shape{x, v, out[1], out[2]}
		if k.ReLU {
			in = append(in, x)
		}
		add(kernel.BatchNormGrad{BatchNorm: k}, append(in, x)...)
		add(kernel.BatchNormInfer{Eps: k.Eps, Add: k.Add, ReLU: k.ReLU}, infer...)
	}
	for _, where := range []kernel.PadWhere{kernel.Trailing, kernel.Split} {
		k := kernel.Pad{Stride: 2, Out: 8, Where: where} // 5 zero channels: they cannot be split in halves
		add(k, kernel.Shape{2, 3, 5, 7})
		add(kernel.PadGrad{Pad: k, C: 3, H: 5, W: 7}, kernel.Shape{2, 8, 3, 4})
	}
	for _, k := range []kernel.MaxPool{
		{Size: 3, Stride: 2, After: 1}, {Size: 3, Stride: 2, Before: 1, After: 1},
		{Size: 2, Stride: 2}, {Size: 3, Stride: 1, Before: 2, After: 0},
	} {
		for _, x := range []kernel.Shape{{2, 5, 8, 7}, {2, 16, 9, 6}} {
			y, err := k.Shape([]kernel.Shape{x})
			if err != nil {
				t.Fatal(err)
			}
			add(k, x)
			add(kernel.MaxPoolGrad{MaxPool: k}, x, y[0])
		}
	}
	for _, x := range []kernel.Shape{{3, 5, 7, 5}, {6, 16, 9, 8}} {
		c := kernel.Shape{x[1]}
		add(kernel.ReLU{}, x)
		add(kernel.ReLUGrad{}, x, x)
		add(kernel.Scale{By: 0.3}, x)
		for _, k := range []kernel.Dropout{{Rate: 0.5}, {Rate: 0.2, Layer: 17}} {
			add(k, x, x[:1])
		}
		for _, k := range []kernel.Gate{{}, {Carry: true}} {
			add(k, x, x, c)
			add(kernel.GateGrad{Gate: k}, x, x, c, x)
		}
	}
	add(kernel.AvgPool{}, kernel.Shape{3, 5, 7, 5})
	add(kernel.AvgPoolGrad{H: 7, W: 5}, kernel.Shape{3, 5})
	add(kernel.Linear{Out: 7}, kernel.Shape{3, 5}, kernel.Shape{7, 5}, kernel.Shape{7})
	add(kernel.Linear{Out: 1000}, kernel.Shape{4, 512}, kernel.Shape{1000, 512}, kernel.Shape{1000})
	add(kernel.LinearGradInput{}, kernel.Shape{1000, 512}, kernel.Shape{4, 1000})
	add(kernel.LinearGradWeight{}, kernel.Shape{4, 512}, kernel.Shape{4, 1000})
	add(kernel.CrossEntropy{}, kernel.Shape{3, 1000}, kernel.Shape{3})
	add(kernel.CrossEntropyGrad{}, kernel.Shape{3, 1000}, kernel.Shape{3})
	add(kernel.CrossEntropy{Smoothing: 0.1}, kernel.Shape{3, 1000}, kernel.Shape{3})
	add(kernel.CrossEntropyGrad{Smoothing: 0.1}, kernel.Shape{3, 10}, kernel.Shape{3})
	// For micro-batches.
	add(kernel.CrossEntropy{Of: 6}, kernel.Shape{3, 1000}, kernel.Shape{3})
	add(kernel.CrossEntropyGrad{Of: 6}, kernel.Shape{3, 1000}, kernel.Shape{3})
	add(kernel.Accumulate{}, kernel.Shape{37}, kernel.Shape{37})
	stat, c := kernel.Shape{2, 5}, kernel.Shape{5}
	add(kernel.MovingAverage{Count: 12}, stat, stat, stat, stat, c, c, kernel.Shape{2})
	add(kernel.MovingAverage{Count: 12, Replicas: 3}, stat, stat, c, c, kernel.Shape{2})
	add(kernel.AllReduce{Replicas: 1}, kernel.Shape{37}, kernel.Shape{5}) // with more replicas: tested by Replicas
	add(kernel.Batch{H: 8, W: 11, Pad: 2, First: 1, Images: 3, Noise: true}, kernel.Shape{9, 3, 7, 12}, kernel.Shape{9}, kernel.Shape{6, 4}, kernel.Shape{3, 7, 12}, kernel.Shape{3}, kernel.Shape{3})
	add(kernel.Add{}, kernel.Shape{3, 5, 7, 5}, kernel.Shape{3, 5, 7, 5})
	for _, k := range optimizers {
		in := []kernel.Shape{{37}, {37}}
		for _, s := range k.State() {
			if s.Single {
				in = append(in, kernel.Shape{1})
			} else {
				in = append(in, kernel.Shape{37})
			}
		}
		add(k, append(in, kernel.Shape{2})...)
	}
	return all
}

// bound is the largest allowed error of a kernel, relative to the largest element of the
// output. An error relative to each element would make no sense for sums that cancel.
func bound(k kernel.Kernel, p device.Precision) float64 {
	const ulp32, ulp16 = 1. / (1 << 24), 1. / (1 << 8) // half a unit in the last place: float32, bfloat16
	switch k.(type) {
	case kernel.MaxPool:
		return 0 // copies values that are exact in bfloat16
	case kernel.Pad, kernel.PadGrad, kernel.AvgPoolGrad, kernel.ReLU, kernel.ReLUGrad, kernel.Scale, kernel.Dropout:
		// Copies, and one product.
		if p == device.BF16 {
			return 2 * ulp16
		}
		return 2 * ulp32
	case kernel.Optimizer, kernel.MovingAverage, kernel.Accumulate, kernel.AllReduce:
		// Float32 in each precision: three roundings or, fused, two.
		return 8 * ulp32
	case kernel.CrossEntropy, kernel.CrossEntropyGrad:
		// Float32 in each precision: an exponential, a sum and a logarithm.
		return 64 * ulp32
	case kernel.Linear, kernel.LinearGradInput, kernel.LinearGradWeight, kernel.LinearGradBias, kernel.AvgPool, kernel.MaxPoolGrad, kernel.Add, kernel.Batch:
		// Sums of at most some hundred terms. In bfloat16 operands and result are
		// rounded.
		if p == device.BF16 {
			return 4 * ulp16
		}
		return 32 * ulp32
	}
	// Convolutions sum up to 9*64 products, their weight gradients up to some thousand,
	// and batch norms a whole channel. The rounding errors of n terms add up to about
	// sqrt(n) of them, here some dozen. Winograd's transforms cost a few times that. In
	// bfloat16 the sums are float32. The operands, the result and the value that batch
	// norm subtracts the mean from are rounded.
	if p == device.BF16 {
		return 6 * ulp16
	}
	return 256 * ulp32
}

// tiny is a program of one instruction, with its operands.
type tiny struct {
	single
	p        *program.Program
	operands []kernel.Tensor
	names    []string // buffers that the host writes operands to
	outs     []string // buffers that the host reads outputs from
	rows     []device.Row
}

// rates of the single step that a tiny program runs.
var rates = device.Rates{Learning: 0.05, Statistics: 0.1}

// staged reports whether operand i of the kernel is an activation. In work space a device
// may keep it in its own layout.
func staged(k kernel.Kernel, i int, s kernel.Shape) bool {
	_, first := k.(kernel.ConvGradInput) // its operand 0 is the weight
	_, conv := k.(kernel.Conv)
	_, batch := k.(kernel.Batch)
	return len(s) == 4 && !batch && !(first && i == 0) && !(conv && i == 1)
}

// newTiny makes the program. Operands and outputs are in the Input arena, where the host
// can access them, with guard bands around the outputs. With work set, activations are
// copied to and from work space (by a Pad that pads nothing), as inside a net.
func newTiny(t testing.TB, c single, work bool) *tiny {
	t.Helper()
	p := program.New(c.k.String())
	x := &tiny{single: c, p: p, operands: operands(t, c)}
	buffer := func(name string, dt kernel.DType, a program.Arena, s kernel.Shape) program.BufID {
		p.Buffers = append(p.Buffers, program.Buffer{Name: name, Shape: s, Type: dt, Arena: a, Offset: p.Bytes[a], First: -1, Last: -1})
		b := &p.Buffers[len(p.Buffers)-1]
		p.Bytes[a] += (b.Bytes() + program.Align - 1) / program.Align * program.Align
		return program.BufID(len(p.Buffers) - 1)
	}
	emit := func(k kernel.Kernel, ph program.Phase, out, in []program.BufID) {
		i := len(p.Code)
		for _, id := range in {
			p.Buffers[id].Last = i
		}
		for _, id := range out {
			if b := &p.Buffers[id]; b.First < 0 {
				b.First = i
			}
		}
		p.Code = append(p.Code, program.Instr{Kernel: k, Out: out, In: in, Layer: "layer", Phase: ph})
	}
	copied := func(id program.BufID, ph program.Phase, to program.BufID) {
		emit(kernel.Pad{Stride: 1, Out: p.Buffers[id].Shape[1]}, ph, []program.BufID{to}, []program.BufID{id})
	}
	phase := program.Forward
	// Buffers that the plan writes have the names of their roles.
	taken := map[int]string{}
	switch c.k.(type) {
	case kernel.Batch:
		taken = map[int]string{0: "images", 1: "labels", 2: "rows"}
		phase = program.Load
		x.rows = make([]device.Row, c.in[2][0])
		for i := range x.rows {
			copy(x.rows[i][:], x.operands[2].I32[i*4:])
		}
	case kernel.Optimizer, kernel.MovingAverage:
		taken[len(c.in)-1], phase = "rates", program.Update
	case kernel.ConvGradInput, kernel.ConvGradWeight, kernel.BatchNormGrad, kernel.PadGrad, kernel.MaxPoolGrad, kernel.AvgPoolGrad, kernel.LinearGradInput, kernel.LinearGradWeight, kernel.LinearGradBias, kernel.CrossEntropyGrad, kernel.ReLUGrad, kernel.GateGrad:
		phase = program.Backward
	}
	if x.rows == nil {
		x.rows = []device.Row{{-1}}
		p.Images = buffer("images", kernel.Uint8, program.Input, kernel.Shape{1, 1, 1, 1})
		p.Labels = buffer("labels", kernel.Int32, program.Input, kernel.Shape{1})
		p.Rows = buffer("rows", kernel.Int32, program.Input, kernel.Shape{1, 4})
	}
	var in []program.BufID
	for i, o := range x.operands {
		name, planned := taken[i]
		if !planned {
			name = fmt.Sprintf("in%d", i)
		}
		id := buffer(name, typeOf(o), program.Input, o.Shape)
		if planned && name != "images" && name != "labels" {
			x.names = append(x.names, "")
		} else {
			x.names = append(x.names, name)
		}
		if work && staged(c.k, i, o.Shape) {
			w := buffer(name+" staged", kernel.Float32, program.Work, o.Shape)
			copied(id, min(phase, program.Forward), w)
			id = w
		}
		in = append(in, id)
		switch name {
		case "images":
			p.Images = id
		case "labels":
			p.Labels = id
		case "rows":
			p.Rows = id
		case "rates":
			p.Rates = id
		}
	}
	if p.Rates == program.None {
		p.Rates = buffer("rates", kernel.Float32, program.Input, kernel.Shape{2})
	}

	shapes, err := c.k.Shape(c.in)
	if err != nil {
		t.Fatal(err)
	}
	var out, back []program.BufID
	loss := func() []program.BufID {
		p.Loss, p.Wrong = buffer("loss", kernel.Float32, program.Metric, kernel.Shape{1}), buffer("wrong", kernel.Float32, program.Metric, kernel.Shape{1})
		return []program.BufID{p.Loss, p.Wrong}
	}
	switch k := c.k.(type) {
	case kernel.InPlace:
		for _, i := range k.Updated(len(in)) {
			out = append(out, in[i])
		}
	case kernel.CrossEntropy:
		out = loss()
	default:
		for i, s := range shapes {
			dt := kernel.Float32
			if k, ok := c.k.(kernel.Types); ok {
				dt = k.Types()[i]
			}
			buffer(fmt.Sprintf("guard%d", i), kernel.Float32, program.Input, kernel.Shape{guard})
			id := buffer(fmt.Sprintf("out%d", i), dt, program.Input, s)
			if work && len(s) == 4 && dt == kernel.Float32 && !reflect.DeepEqual(s, weightOf(c)) {
				back = append(back, id)
				id = buffer(fmt.Sprintf("out%d staged", i), kernel.Float32, program.Work, s)
			}
			out = append(out, id)
		}
		buffer(fmt.Sprintf("guard%d", len(shapes)), kernel.Float32, program.Input, kernel.Shape{guard})
	}
	if p.Loss == program.None {
		loss()
	}
	emit(c.k, phase, out, in)
	for _, id := range out {
		b := &p.Buffers[id]
		if b.Arena == program.Work {
			copied(id, phase, back[0])
			back = back[1:]
			id = p.Code[len(p.Code)-1].Out[0]
		}
		x.outs = append(x.outs, p.Buffers[id].Name)
	}
	for i := range p.Buffers {
		if b := &p.Buffers[i]; b.Arena != program.Work {
			b.First, b.Last = -1, len(p.Code)
		}
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return x
}

const guard = 16 // elements between outputs

// weightOf is the shape of the weight that a kernel writes, because it is not an
// activation; else nil.
func weightOf(c single) kernel.Shape {
	if k, ok := c.k.(kernel.ConvGradWeight); ok {
		return kernel.Shape{k.Out, c.in[0][1], k.Size, k.Size}
	}
	return nil
}

func typeOf(x kernel.Tensor) kernel.DType {
	switch {
	case x.I32 != nil:
		return kernel.Int32
	case x.U8 != nil:
		return kernel.Uint8
	}
	return kernel.Float32
}

// operands makes values that fit the kernel: statistics of the batch, outputs of the
// inputs, labels in range.
func operands(t testing.TB, c single) []kernel.Tensor {
	var xs []kernel.Tensor
	float := func(i int, add, times float64) kernel.Tensor {
		x := kernel.New(kernel.Float32, c.in[i]...)
		for j, u := range uniform(fmt.Sprintf("%s %d", c, i), len(x.F32)) {
			x.F32[j] = float32(add + float64(times*u))
		}
		return x
	}
	for i := range c.in {
		xs = append(xs, float(i, 0.25, 1))
	}
	switch k := c.k.(type) {
	case kernel.BatchNorm:
		xs[1] = float(1, 1, 0.5)
	case kernel.BatchNormGrad:
		xs[1] = float(1, 1, 0.5)
		in := []kernel.Tensor{xs[0], xs[1], kernel.New(kernel.Float32, c.in[1]...)}
		if k.Add {
			in = append(in, float(len(c.in)-1, 0, 0.5))
		}
		out := reference1(t, k.BatchNorm, in)
		xs[2], xs[3] = out[1], out[2]
		if k.ReLU {
			xs[4] = out[0]
		}
	case kernel.MaxPool, kernel.MaxPoolGrad:
		// Few different values, so that windows have ties. They are exact in bfloat16,
		// because rounding would make more ties.
		for i, v := range xs[0].F32 {
			xs[0].F32[i] = float32(math.Round(8 * float64(v)))
		}
	case kernel.BatchNormInfer:
		xs[1], xs[4] = float(1, 1, 0.5), float(4, 1, 0.75)
	case kernel.MovingAverage:
		n := len(xs) - 1
		for i := 1; i < n; i += 2 {
			xs[i] = float(i, 1, 0.5)
		}
		xs[n].F32[0], xs[n].F32[1] = rates.Learning, rates.Statistics
	case kernel.Optimizer:
		for i, s := range k.State() {
			xs[2+i] = float(2+i, 1, 0.5)
			if s.Single {
				xs[2+i].F32[0] = 3
			}
		}
		n := len(xs) - 1
		xs[n].F32[0], xs[n].F32[1] = rates.Learning, rates.Statistics
	case kernel.CrossEntropy, kernel.CrossEntropyGrad:
		xs[0] = float(0, 0, 4)
		xs[1] = kernel.New(kernel.Int32, c.in[1]...)
		for i, h := range Hashes(c.String(), len(xs[1].I32)) {
			xs[1].I32[i] = int32(h % uint32(c.in[0][1]))
		}
		xs[1].I32[len(xs[1].I32)/2] = -1
	case kernel.Dropout:
		xs[1] = kernel.New(kernel.Int32, c.in[1]...)
		for i, h := range Hashes(c.String(), len(xs[1].I32)) {
			xs[1].I32[i] = int32(h)
		}
	case kernel.Batch:
		xs[0] = kernel.Tensor{Shape: c.in[0], U8: bytesOf("images", c.in[0].Len())}
		xs[1] = kernel.New(kernel.Int32, c.in[1]...)
		for i, h := range Hashes("labels", len(xs[1].I32)) {
			xs[1].I32[i] = int32(h % 1000)
		}
		xs[2] = kernel.New(kernel.Int32, c.in[2]...)
		images := c.in[0]
		for i := range c.in[2][0] {
			h := Hashes(fmt.Sprint("row", i), 4)
			for j, n := range []int{images[0], images[2] + 2*k.Pad - k.H + 1, images[3] + 2*k.Pad - k.W + 1} {
				xs[2].I32[i*4+j] = int32(h[j] % uint32(n))
			}
			xs[2].I32[i*4+3] = int32(h[3])
		}
		xs[2].I32[4] = -1 // one slot is empty
		xs[3], xs[4] = float(3, 120, 20), float(4, 1./64, 1./128)
	}
	return xs
}

// reference1 runs a kernel's Ref on copies and returns its outputs.
func reference1(t testing.TB, k kernel.Kernel, in []kernel.Tensor) []kernel.Tensor {
	t.Helper()
	var shapes []kernel.Shape
	copies := make([]kernel.Tensor, len(in))
	for i, x := range in {
		shapes = append(shapes, x.Shape)
		copies[i] = x
		copies[i].F32 = append([]float32(nil), x.F32...)
	}
	outs, err := k.Shape(shapes)
	if err != nil {
		t.Fatal(err)
	}
	var out []kernel.Tensor
	switch k := k.(type) {
	case kernel.InPlace:
		for _, i := range k.Updated(len(copies)) {
			out = append(out, copies[i])
		}
	default:
		for i, s := range outs {
			dt := kernel.Float32
			if k, ok := k.(kernel.Types); ok {
				dt = k.Types()[i]
			}
			out = append(out, kernel.New(dt, s...))
		}
	}
	k.Ref(out, copies)
	return out
}

// run executes the program once in a new session and returns the outputs. It checks the
// guard bands and that inputs are unchanged.
func (x *tiny) run(t testing.TB, s *suite) ([]kernel.Tensor, error) {
	t.Helper()
	late(t)
	raw, err := s.dev.Open(device.Programs{Train: x.p}, device.Options{Precision: s.precision, Deterministic: true})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	h := &session{raw, t}
	for i, name := range x.names {
		switch o := x.operands[i]; {
		case name == "":
		case o.I32 != nil:
			h.write(name, o.I32)
		case o.U8 != nil:
			h.write(name, o.U8)
		default:
			h.write(name, o.F32)
		}
	}
	band := make([]float32, guard)
	for i := range band {
		band[i] = float32(-1000 - i)
	}
	guards := 0
	for ; ; guards++ {
		if _, ok := x.p.Lookup(fmt.Sprintf("guard%d", guards)); !ok {
			break
		}
		h.write(fmt.Sprintf("guard%d", guards), band)
	}
	metric := make([]device.Metric, 1)
	if err := h.Train(device.Launch{Rows: x.rows, Rates: []device.Rates{rates}}, metric); err != nil {
		return nil, err
	}
	for i := range guards {
		if j := differ(h.read(fmt.Sprintf("guard%d", i), guard), band); j >= 0 {
			t.Errorf("element %d of guard %d was overwritten", j, i)
		}
	}
	updated := map[string]bool{}
	var outs []kernel.Tensor
	for _, name := range x.outs {
		updated[name] = true
		id, _ := x.p.Lookup(name)
		b := &x.p.Buffers[id]
		o := kernel.New(b.Type, b.Shape...)
		if o.I32 != nil {
			if err := h.Read(name, o.I32); err != nil {
				t.Fatal(err)
			}
		} else {
			o.F32 = h.read(name, b.Shape.Len())
		}
		outs = append(outs, o)
	}
	for i, name := range x.names {
		if o := x.operands[i]; o.F32 != nil && name != "" && !updated[name] {
			if j := differ(h.read(name, len(o.F32)), o.F32); j >= 0 {
				t.Errorf("operand %d was changed at %d", i, j)
			}
		}
	}
	if _, ok := x.k.(kernel.CrossEntropy); ok {
		if metric[0].Loss != outs[0].F32[0] || float32(metric[0].Wrong) != outs[1].F32[0] {
			t.Errorf("metrics are %+v, their buffers hold %v and %v", metric[0], outs[0].F32[0], outs[1].F32[0])
		}
	}
	return outs, nil
}

// supported skips the test if the device does not support the kernel. Then Open must
// fail, too.
func (s *suite) supported(t testing.TB, x *tiny) {
	t.Helper()
	no := s.dev.Supports(x.k)
	if no == nil {
		return // if Open fails, run fails
	}
	h, err := s.dev.Open(device.Programs{Train: x.p}, device.Options{Precision: s.precision})
	if err == nil {
		h.Close()
		t.Fatalf("%v, but it is opened", no)
	}
	testskip.Skip(t, "%v", no)
}

// kernels runs every kernel alone, with operands in the Input arena and in work space.
func (s *suite) kernels(t *testing.T) {
	worst := map[string]float64{}
	for _, c := range singles(t) {
		var want []kernel.Tensor
		for _, work := range []bool{false, true} {
			x := newTiny(t, c, work)
			if work && len(x.p.Code) == 1 {
				continue // no activations
			}
			where := "input"
			if work {
				where = "work"
			}
			t.Run(fmt.Sprintf("%s in %s", c, where), func(t *testing.T) {
				s.supported(t, x)
				got, err := x.run(t, s)
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = reference1(t, c.k, x.operands)
				}
				for i := range want {
					for j := range want[i].I32 {
						if got[i].I32[j] != want[i].I32[j] {
							t.Fatalf("output %d[%d] is %d, want %d", i, j, got[i].I32[j], want[i].I32[j])
						}
					}
					b := bound(c.k, s.precision)
					if _, norm := c.k.(kernel.BatchNorm); norm && i > 0 && s.precision == device.FP32 {
						b = 64. / (1 << 24) // float32 sums of some thousand terms
					}
					diff, size := largest(got[i].F32, want[i].F32)
					if !(diff <= b*size) {
						t.Errorf("output %d: error %.2g of the largest element, bound %.2g", i, diff/size, b)
					}
					if size > 0 {
						name := reflect.TypeOf(c.k).Name()
						worst[name] = max(worst[name], diff/size)
					}
				}
			})
		}
	}
	t.Log("worst errors of the largest element: ", worst)
}

// nonfinite puts NaN and Inf into the middle of each operand in turn. Elements that are
// not finite in the reference must not be finite on the device, so that no error is
// hidden. (More may be not finite: Winograd's transforms spread NaN to neighbours.)
func (s *suite) nonfinite(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range singles(t) {
		kind := fmt.Sprintf("%T", c.k)
		if seen[kind] {
			continue
		}
		seen[kind] = true
		for i := range c.in {
			for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
				x := newTiny(t, c, true)
				if x.operands[i].F32 == nil || x.names[i] == "" {
					continue
				}
				x.operands[i].F32[len(x.operands[i].F32)/2] = v
				t.Run(fmt.Sprintf("%s with %v in operand %d", c, v, i), func(t *testing.T) {
					s.supported(t, x)
					want := reference1(t, c.k, x.operands)
					got, err := x.run(t, s)
					if _, ok := c.k.(kernel.CrossEntropy); ok {
						var nan *device.NonFiniteError
						if finite(want[0].F32[0]) != (err == nil) || err != nil && !errors.As(err, &nan) {
							t.Errorf("loss %v: error %v", want[0].F32[0], err)
						}
						return
					}
					var stopped *device.NonFiniteError
					if errors.As(err, &stopped) && !allFinite(want) {
						return // a device may check more than the loss
					}
					if err != nil {
						t.Fatal(err)
					}
					if _, ok := c.k.(kernel.MaxPool); ok { // no other output may be affected
						if j := differ(got[0].F32, want[0].F32); j >= 0 && !(got[0].F32[j] != got[0].F32[j] && want[0].F32[j] != want[0].F32[j]) {
							t.Fatalf("output %d is %v, want %v", j, got[0].F32[j], want[0].F32[j])
						}
					}
					for i := range want {
						for j, w := range want[i].F32 {
							if !finite(w) && finite(got[i].F32[j]) {
								t.Fatalf("output %d[%d] is %v, want %v", i, j, got[i].F32[j], w)
							}
						}
					}
				})
			}
		}
	}
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

func allFinite(xs []kernel.Tensor) bool {
	for _, x := range xs {
		for _, v := range x.F32 {
			if !finite(v) {
				return false
			}
		}
	}
	return true
}

// alien is a kernel that no device knows. It doubles its input.
type alien struct{}

func (alien) String() string                                  { return "alien" }
func (alien) Shape(in []kernel.Shape) ([]kernel.Shape, error) { return in, nil }
func (alien) Cost(in []kernel.Shape) (flops, bytes int64)     { return 0, 0 }
func (alien) Ref(out, in []kernel.Tensor) {
	for i, v := range in[0].F32 {
		out[0].F32[i] = 2 * v
	}
}

// unsupported: for what it cannot do a device returns an UnsupportedError, from Supports
// and from Open. Ref supports everything.
func (s *suite) unsupported(t *testing.T) {
	var no *device.UnsupportedError
	c := single{alien{}, []kernel.Shape{{4}}}
	x := newTiny(t, c, false)
	if err := s.dev.Supports(alien{}); err == nil {
		got, err := x.run(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if i := differ(got[0].F32, reference1(t, alien{}, x.operands)[0].F32); i >= 0 {
			t.Errorf("element %d of a kernel that is said to be supported is %v", i, got[0].F32[i])
		}
	} else {
		if !errors.As(err, &no) || no.Device != s.dev.Info().Name {
			t.Errorf("Supports: %v, want an UnsupportedError of %s", err, s.dev.Info().Name)
		}
		if h, err := s.dev.Open(device.Programs{Train: x.p}, device.Options{Precision: s.precision}); !errors.As(err, &no) {
			t.Errorf("Open: %v, want an UnsupportedError", err)
			if err == nil {
				h.Close()
			}
		}
	}
	n := newNet(t, "plain-8", 2, 0, 8, "")
	for _, o := range []device.Options{{Precision: "fp8"}, {Precision: "FP32"}} {
		if h, err := s.dev.Open(n.programs, o); !errors.As(err, &no) {
			t.Errorf("Open in precision %q: %v, want an UnsupportedError", o.Precision, err)
			if err == nil {
				h.Close()
			}
		}
	}
	for _, p := range n.programs.All() {
		for _, c := range p.Code {
			if err := s.dev.Supports(c.Kernel); err != nil && !errors.As(err, &no) {
				t.Errorf("Supports %s: %v, want an UnsupportedError", c.Kernel, err)
			}
		}
	}
}
