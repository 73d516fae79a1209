// Tests of programs: Check finds every kind of fault, placement by liveness is valid and
// near the lower bound, the hash covers everything.

package program_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

func compiled(t testing.TB, net string, m nets.Mode, batch, size int, change ...func(*compile.Config)) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	c := compile.Config{
		Config: nets.Config{Batch: batch, Channels: 3, Size: size, Classes: 10, Eps: 1e-5},
		Images: 10, Pad: 1, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	}
	for _, f := range change {
		f(&c)
	}
	p, err := compile.Compile(a, m, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// clone copies the parts that the tests below change.
func clone(p *program.Program) *program.Program {
	q := *p
	q.Buffers = append([]program.Buffer(nil), p.Buffers...)
	q.Code = append([]program.Instr(nil), p.Code...)
	for i := range q.Code {
		q.Code[i].In = append([]program.BufID(nil), p.Code[i].In...)
		q.Code[i].Out = append([]program.BufID(nil), p.Code[i].Out...)
	}
	return &q
}

// drop removes instruction i and adjusts the liveness of the buffers.
func drop(p *program.Program, i int) {
	p.Code = append(p.Code[:i], p.Code[i+1:]...)
	for j := range p.Buffers {
		b := &p.Buffers[j]
		if b.Arena != program.Work {
			b.Last = len(p.Code)
			continue
		}
		if b.First > i {
			b.First--
		}
		if b.Last > i {
			b.Last--
		}
	}
}

// Check refuses a faulty program and names the instruction and the reason.
func TestCheckRefuses(t *testing.T) {
	p := compiled(t, "resnet-8", nets.Train, 2, 8)
	// at finds the first instruction whose kernel's name starts with name.
	at := func(name string) int {
		for i, c := range p.Code {
			if strings.HasPrefix(c.Kernel.String(), name) {
				return i
			}
		}
		t.Fatal("no instruction " + name)
		return -1
	}
	conv, norm, sum, sgd := at("conv"), at("batchnorm"), at("add"), at("sgd")
	grad := at("cross entropy grad")
	id := func(name string) program.BufID {
		b, ok := p.Lookup(name)
		if !ok {
			t.Fatal("no buffer " + name)
		}
		return b
	}
	for _, c := range []struct {
		fault, want string
		do          func(p *program.Program)
	}{
		{"two buffers of one name", "two buffers are called", func(p *program.Program) { p.Buffers[1].Name = p.Buffers[0].Name }},
		{"an arena that is none", "in no arena", func(p *program.Program) { p.Buffers[0].Arena = program.NumArenas }},
		{"a negative offset", "outside the input arena", func(p *program.Program) { p.Buffers[0].Offset = -64 }},
		{"an arena too small", "outside the work arena", func(p *program.Program) { p.Bytes[program.Work] -= 64 }},
		{"a parameter that dies", "outlives the step", func(p *program.Program) { p.Buffers[id("conv1.weight")].Last = 3 }},
		{"an input out of line", "not a multiple", func(p *program.Program) { p.Buffers[id("loss")].Offset++ }},
		{"work out of line", "not a multiple", func(p *program.Program) {
			p.Buffers[p.Code[conv].Out[0]].Offset += 4
			p.Bytes[program.Work] += 4
		}},
		{"inputs on one another", "share bytes", func(p *program.Program) { p.Buffers[id("rates")].Offset = p.Buffers[id("rows")].Offset }},
		{"metrics on one another", "share bytes", func(p *program.Program) { p.Buffers[id("wrong")].Offset = p.Buffers[id("loss")].Offset }},
		{"a view across its neighbour", "share bytes", func(p *program.Program) { p.Buffers[id("bn1.weight")].Offset -= 4 }},
		{"work on live work", "share bytes while both are alive", func(p *program.Program) {
			p.Buffers[p.Code[norm].Out[0]].Offset = p.Buffers[p.Code[conv].Out[0]].Offset
		}},
		{"phases swapped", "phase forward after backward", func(p *program.Program) { p.Code[conv].Phase = program.Backward }},
		{"an update too early", "after update", func(p *program.Program) { p.Code[conv].Phase = program.Update }},
		{"reading no buffer", "reads buffer", func(p *program.Program) { p.Code[conv].In[0] = program.BufID(len(p.Buffers)) }},
		{"reading a negative buffer", "reads buffer -1", func(p *program.Program) { p.Code[conv].In[0] = -1 }},
		{"writing no buffer", "writes buffer", func(p *program.Program) { p.Code[conv].Out[0] = -1 }},
		{"read before write", "before it is written", func(p *program.Program) { p.Code[norm].In[0] = p.Code[norm].Out[0] }},
		{"instructions swapped", "before it is written", func(p *program.Program) { p.Code[conv], p.Code[norm] = p.Code[norm], p.Code[conv] }},
		{"an instruction missing", "before it is written", func(p *program.Program) { drop(p, sum) }},
		{"reading after death", "outside its life", func(p *program.Program) { p.Buffers[p.Code[conv].Out[0]].Last = conv }},
		{"life before birth", "whose life begins at", func(p *program.Program) { p.Buffers[p.Code[conv].Out[0]].First-- }},
		{"written twice", "twice", func(p *program.Program) { p.Code[sum].Out[0] = p.Code[sum].In[0] }},
		{"an operand missing", "inputs, want", func(p *program.Program) { p.Code[norm].In = p.Code[norm].In[:2] }},
		{"operands swapped", "want rank 4", func(p *program.Program) { c := &p.Code[norm]; c.In[0], c.In[1] = c.In[1], c.In[0] }},
		{"another kernel", "weight has shape", func(p *program.Program) { p.Code[conv].Kernel = kernel.Conv{Size: 1, Stride: 1, Out: 16} }},
		{"an output missing", "the kernel has 3", func(p *program.Program) { p.Code[norm].Out = p.Code[norm].Out[:2] }},
		{"another shape", "the kernel writes f32(2,16,8,8)", func(p *program.Program) { p.Buffers[p.Code[conv].Out[0]].Shape = kernel.Shape{2, 16, 64} }},
		{"another type", "the kernel writes", func(p *program.Program) { p.Buffers[p.Code[conv].Out[0]].Type = kernel.Int32 }},
		{"labels of floats", "the kernel writes i32", func(p *program.Program) {
			p.Buffers[id("label")].Type, p.Label = kernel.Float32, program.None
		}},
		{"a gradient never written", "grad.conv1.weight", func(p *program.Program) {
			for i := range p.Code {
				if p.Code[i].Out[0] == id("grad.conv1.weight") {
					drop(p, i)
					break
				}
			}
		}},
		{"rows that are rates", "the role rows is for rates, f32(2) in the input arena, want i32(0,4)", func(p *program.Program) { p.Rows = p.Rates }},
		{"a loss that is an input", "the role loss is for rates", func(p *program.Program) { p.Loss = p.Rates }},
		{"images that are nowhere", "the role images is for buffer 100000", func(p *program.Program) { p.Images = 100000 }},
		{"parameters that are one parameter", "want a span", func(p *program.Program) { p.Params = id("bn1.weight") }},
		{"gradients that are parameters", "the role grads is for params", func(p *program.Program) { p.Grads = p.Params }},
		{"a span that is none", "share bytes", func(p *program.Program) { p.Buffers[id("stats")].Span = false }},
		{"an update of something else", "is to update operand 2 in place, momenta", func(p *program.Program) { p.Code[sgd].Out[1] = id("params") }},
		{"updating in place what does not", "in place", func(p *program.Program) {
			in := id("input")
			p.Code[conv] = program.Instr{Kernel: kernel.Add{}, Out: []program.BufID{in}, In: []program.BufID{in, in}, Phase: program.Forward}
		}},
		{"a parameter of another shape", "do not fit", func(p *program.Program) { p.Code[sgd].In[1] = id("grads[weights]") }},
		{"a gradient from nothing", "2 rows", func(p *program.Program) {
			p.Code[grad].In[1] = id("rates")
			p.Buffers[id("rates")].Shape, p.Rates = kernel.Shape{3}, program.None
		}},
	} {
		q := clone(p)
		c.do(q)
		err := q.Check()
		if err == nil {
			t.Errorf("%s: accepted", c.fault)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q, want %q in it", c.fault, err, c.want)
		}
	}
	if err := p.Check(); err != nil {
		t.Errorf("the program itself: %v", err)
	}
}

// Replicas must update by the sum of their gradients.
func TestCheckOfReplicas(t *testing.T) {
	a, err := nets.ParseArch("plain-8")
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, nets.Train, compile.Config{
		Config: nets.Config{Batch: 4, Channels: 3, Size: 8, Classes: 10, Group: 2, Eps: 1e-5},
		Images: 10, Replicas: 2, Optimizer: kernel.SGD{},
	})
	if err != nil {
		t.Fatal(err)
	}
	reduce := len(p.Code) - 2
	for want, change := range map[string]func(p *program.Program){
		"a program of 3 replicas":                       func(p *program.Program) { p.Replicas = 3 },
		"a program of 1 replicas":                       func(p *program.Program) { p.Replicas = 0 },
		"by the gradients of one of 2 replicas":         func(p *program.Program) { drop(p, reduce) },
		"sgd m0 d0 caffe, layer sgd): updates by the g": func(p *program.Program) { c := &p.Code[reduce]; c.In, c.Out = c.In[1:], c.Out[1:] },
	} {
		q := clone(p)
		change(q)
		if err := q.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// lowerBound is the largest number of bytes that are live at the same time.
func lowerBound(sizes []int64, first, last []int) (most int64) {
	for at := range len(sizes) * 2 {
		var alive int64
		for i := range sizes {
			if first[i] <= at && at <= last[i] {
				alive += sizes[i]
			}
		}
		most = max(most, alive)
	}
	return most
}

// Place on random blocks: aligned, no two live blocks overlap, and little more memory
// than the lower bound.
func TestPlace(t *testing.T) {
	const align = 64
	var sum, bound float64
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		n := 1 + r.IntN(60)
		sizes, first, last := make([]int64, n), make([]int, n), make([]int, n)
		for i := range n {
			sizes[i] = int64(r.IntN(1 << (4 + r.IntN(12))))
			first[i] = r.IntN(2 * n)
			last[i] = min(2*n-1, first[i]+r.IntN(8))
		}
		offsets, total := program.Place(sizes, first, last, align)
		for i := range n {
			if offsets[i]%align != 0 || offsets[i] < 0 || offsets[i]+sizes[i] > total {
				t.Fatalf("seed %d: block %d of %d bytes at %d of %d", seed, i, sizes[i], offsets[i], total)
			}
			for j := range i {
				together := first[i] <= last[j] && first[j] <= last[i]
				if together && offsets[i] < offsets[j]+sizes[j] && offsets[j] < offsets[i]+sizes[i] {
					t.Fatalf("seed %d: blocks %d and %d overlap", seed, i, j)
				}
			}
		}
		again, _ := program.Place(sizes, first, last, align)
		for i := range n {
			if again[i] != offsets[i] {
				t.Fatalf("seed %d: block %d moved from run to run", seed, i)
			}
		}
		sum += float64(total)
		bound += float64(lowerBound(sizes, first, last))
	}
	if sum > 1.15*bound {
		t.Errorf("%.3f times the lower bound in the mean", sum/bound)
	}
	if _, total := program.Place(nil, nil, nil, align); total != 0 {
		t.Errorf("nothing takes %d bytes", total)
	}
}

// Nets are easier to place than random blocks: nearly all activations are live when the
// backward pass begins, and die one after another.
func TestPlaceOfNets(t *testing.T) {
	for _, net := range []string{"plain-20", "resnet-20", "resnet-56/B"} {
		p := compiled(t, net, nets.Train, 8, 32)
		alive := make([]int64, len(p.Code))
		for _, b := range p.Buffers {
			if b.Arena == program.Work {
				for at := b.First; at <= b.Last; at++ {
					alive[at] += (b.Bytes() + program.Align - 1) / program.Align * program.Align
				}
			}
		}
		var most int64
		for _, n := range alive {
			most = max(most, n)
		}
		if got := float64(p.Bytes[program.Work]) / float64(most); got > 1.05 {
			t.Errorf("%s: work arena is %.3f times the lower bound", net, got)
		}
	}
}

// The hash covers all that the program does.
func TestHash(t *testing.T) {
	p := compiled(t, "resnet-8", nets.Train, 2, 8)
	if p.Hash() != compiled(t, "resnet-8", nets.Train, 2, 8).Hash() {
		t.Error("differs between two compilations")
	}
	// Checkpoints hold this hash: when it changes, old checkpoints are set aside.
	const was = "373f8de00f9af11bffbe4c1408c74a9a5b8a77deb198f3c940405a1a774664ed"
	if p.Hash() != was {
		t.Errorf("the hash has become %s: checkpoints of before will not be resumed", p.Hash())
	}
	seen := map[string]string{p.Hash(): "the program"}
	for name, change := range map[string]func(p *program.Program){
		"decay":  func(p *program.Program) { p.Code[len(p.Code)-1].Kernel = kernel.SGD{Momentum: 0.9} },
		"shape":  func(p *program.Program) { p.Buffers[0].Shape = kernel.Shape{9, 3, 8, 8} },
		"role":   func(p *program.Program) { p.Loss, p.Wrong = p.Wrong, p.Loss },
		"order":  func(p *program.Program) { p.Code[3], p.Code[4] = p.Code[4], p.Code[3] },
		"offset": func(p *program.Program) { p.Buffers[3].Offset += 64 },
		"eps": func(p *program.Program) {
			k := p.Code[2].Kernel.(kernel.BatchNorm)
			k.Eps = 1e-3
			p.Code[2].Kernel = k
		},
	} {
		q := clone(p)
		change(q)
		if other, ok := seen[q.Hash()]; ok {
			t.Errorf("%s: the hash is that of %s", name, other)
		}
		seen[q.Hash()] = name
	}
}

// Every field of every kernel is part of the hash, even if String leaves it out. It is
// also part of the identity of an instruction: kernels are compared by ==.
func TestHashOfKernels(t *testing.T) {
	seen := map[reflect.Type]bool{}
	shared := func(c *compile.Config) {
		c.Group, c.MicroBatch, c.Replicas, c.Optimizer = 2, 2, 2, kernel.Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	}
	for _, p := range []*program.Program{
		compiled(t, "resnet-8", nets.Train, 2, 8), compiled(t, "resnet-8/split", nets.Eval, 2, 8), compiled(t, "resnet-18", nets.Train, 1, 64),
		compiled(t, "resnet-8/gate=exclusive", nets.Train, 2, 8), compiled(t, "resnet-8/scale=0.5", nets.Train, 2, 8),
		compiled(t, "resnet-8/shortcut-dropout=0.5", nets.Train, 2, 8), compiled(t, "resnet-8/preact", nets.Train, 8, 8, shared),
	} {
		was := p.Hash()
		for i := range p.Code {
			k := p.Code[i].Kernel
			typ := reflect.TypeOf(k)
			if seen[typ] {
				continue
			}
			seen[typ] = true
			if !typ.Comparable() {
				t.Errorf("%s cannot be compared", typ)
			}
			for _, path := range numbers(typ) {
				other := reflect.New(typ).Elem()
				other.Set(reflect.ValueOf(k))
				switch f := other.FieldByIndex(path); f.Kind() {
				case reflect.Bool:
					f.SetBool(!f.Bool())
				case reflect.Int:
					f.SetInt(f.Int() + 1)
				case reflect.Uint8:
					f.SetUint(f.Uint() + 1)
				case reflect.Float32, reflect.Float64:
					f.SetFloat(f.Float() + 1)
				default:
					t.Fatalf("%s has a field of type %s", typ, f.Type())
				}
				q := clone(p)
				q.Code[i].Kernel = other.Interface().(kernel.Kernel)
				if q.Hash() == was {
					t.Errorf("%s: field %v is no part of the hash", typ, path)
				}
			}
		}
	}
	if len(seen) < 31 {
		t.Errorf("only %d kernels seen", len(seen))
	}
}

// numbers lists the fields of a struct as index paths, with embedded structs replaced by
// their fields.
func numbers(t reflect.Type) (paths [][]int) {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			paths = append(paths, f.Index)
		}
	}
	return paths
}

func TestViews(t *testing.T) {
	p := compiled(t, "resnet-8/B", nets.Train, 2, 8)
	for _, a := range []program.Arena{program.Param, program.Grad, program.Optimizer, program.Stat} {
		var bytes int64
		for _, id := range p.Views(a) {
			bytes += p.Buffers[id].Bytes()
		}
		if bytes != p.Bytes[a] {
			t.Errorf("views of the %s arena hold %d bytes of %d", a, bytes, p.Bytes[a])
		}
	}
	if _, ok := p.Lookup("params"); !ok {
		t.Error("no buffer params")
	}
	// Every role of a training step is set, to the buffer of its name.
	for name, id := range map[string]program.BufID{
		"images": p.Images, "labels": p.Labels, "mean": p.Mean, "scale": p.Scale, "fill": p.Fill, "rows": p.Rows, "rates": p.Rates,
		"input": p.Input, "label": p.Label, "loss": p.Loss, "wrong": p.Wrong, "params": p.Params, "grads": p.Grads,
	} {
		if id < 0 || p.Buffers[id].Name != name {
			t.Errorf("%s are buffer %d", name, id)
		}
	}
	if p.Logits != program.None {
		t.Errorf("training has logits for the host")
	}
	if id, ok := p.Lookup("nonsense"); ok || id != -1 {
		t.Error("found nonsense")
	}
	var b strings.Builder
	p.Dump(&b)
	if lines := strings.Count(b.String(), "\n"); lines != 1+int(program.NumArenas)+len(p.Buffers)+len(p.Code) {
		t.Error(fmt.Sprint("a dump of ", lines, " lines"))
	}
}
