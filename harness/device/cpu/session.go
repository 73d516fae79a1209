// Sessions: a net on the device.

package cpu

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"unsafe"

	"github.com/ebitengine/purego"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Session is one net on the device.
type Session struct {
	d         *Device
	info      device.Info
	programs  []*program.Program // train first
	train     *code
	eval      *code
	calibrate *code
	arenas    [program.NumArenas]region // packed arenas, and Work
	named     map[string]*block         // Input and Metric buffers by name
	inputs    region                    // what holds them
	more      []region                  // of guarded blocks
	failed    error
}

// Open prepares programs. Nothing of a step is decided, made or allocated
// later than here.
func (d *Device) Open(p device.Programs, o device.Options) (device.Session, error) {
	if o.Precision == "" {
		o.Precision = device.FP32
	}
	dtype := int32(f32)
	switch o.Precision {
	case device.FP32:
	case device.BF16:
		dtype = bf16
		if !d.Info().Bfloat16 {
			return nil, &device.UnsupportedError{Device: name, What: "bf16 on this CPU (" + d.uses() + ")",
				Hint: "choose fp32, or auto: bf16 needs avx512_bf16 or amx_bf16, and the library oneDNN"}
		}
	default:
		return nil, &device.UnsupportedError{Device: name, What: fmt.Sprintf("precision %q", o.Precision), Hint: "fp32 and bf16 are"}
	}
	l, err := d.chooseLayout(o.Precision, cmp.Or(o.Layout, os.Getenv(EnvLayout)))
	if err != nil {
		return nil, err
	}
	if len(p.All()) == 0 {
		return nil, fmt.Errorf("cpu: no program to open")
	}
	if n := p.Replicas(); n > 1 {
		return nil, &device.UnsupportedError{Device: name, What: fmt.Sprintf("a program of %d replicas", n), Hint: "cpu is one device"}
	}
	if d.team == nil && d.thread == nil {
		return nil, fmt.Errorf("cpu: the device is closed")
	}
	s := &Session{d: d, programs: p.All(), named: map[string]*block{}, info: d.Info()}
	s.info.Precision, s.info.Layout = string(o.Precision), fmt.Sprintf("%s (%s), %s", l.name, l.rule, d.own(l, dtype))
	if err := d.try(func() error { return s.open(p, l, dtype, o.Profile) }); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Session) open(p device.Programs, l layout, dtype int32, profile bool) error {
	for _, q := range s.programs {
		if err := q.Check(); err != nil {
			return fmt.Errorf("cpu: %w", err)
		}
	}
	if err := s.persistent(); err != nil {
		return err
	}
	var plans []workPlan
	for _, x := range []struct {
		p *program.Program
		c **code
	}{{p.Train, &s.train}, {p.Eval, &s.eval}, {p.Calibrate, &s.calibrate}} {
		if x.p == nil {
			continue
		}
		c, work, err := translate(s.d, l, dtype, x.p, func(id program.BufID) *block { return s.block(&x.p.Buffers[id]) })
		if err != nil {
			return err
		}
		*x.c = c
		if profile {
			c.startProfile()
		}
		plans = append(plans, place(work))
	}
	if err := s.placeWork(plans); err != nil {
		return err
	}
	for _, c := range s.codes() {
		if err := c.link(s.d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) codes() []*code {
	var all []*code
	for _, c := range []*code{s.train, s.eval, s.calibrate} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// workPlan is where the blocks of a program lie in the Work arena.
type workPlan struct {
	blocks  []*block
	offsets []int64
	total   int64
}

// stagger keeps apart what would otherwise begin at equal places of the caches
// and memory banks: activations have powers of two of bytes. In bfloat16 it
// makes forward convolutions a fifth faster.
const stagger = 97<<10 + 64

func place(work []*block) workPlan {
	var size []int64
	var first, last []int
	for _, b := range work {
		n := b.size
		if n >= stagger {
			n += stagger
		}
		size, first, last = append(size, n), append(first, b.first), append(last, b.last)
	}
	offsets, total := program.Place(size, first, last, program.Align)
	return workPlan{work, offsets, total}
}

// placeWork gives the blocks of programs addresses. The programs never run at once, so
// they share one piece of memory; with guards each block has one of its own.
func (s *Session) placeWork(plans []workPlan) error {
	var most int64
	for _, w := range plans {
		most = max(most, w.total)
	}
	work, err := allocate(most)
	if err != nil {
		return err
	}
	s.arenas[program.Work] = work
	for _, w := range plans {
		for i, b := range w.blocks {
			if b.ptr = work.at(w.offsets[i]); guarded != noGuards {
				if b.ptr, err = s.alone(b.size); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// alone is memory of its own until the session ends.
func (s *Session) alone(n int64) (unsafe.Pointer, error) {
	m, err := allocate(max(n, 1))
	s.more = append(s.more, m)
	return m.at(0), err
}

// persistent allocates all that outlives a step: packed arenas as the programs
// lay them out, and one block for each name in Input and Metric, where the
// programs' batches may differ.
func (s *Session) persistent() error {
	var size [program.NumArenas]int64
	var order []*block
	for _, p := range s.programs {
		for a := range size {
			size[a] = max(size[a], p.Bytes[a])
		}
		for i := range p.Buffers {
			b := &p.Buffers[i]
			if b.Arena != program.Input && b.Arena != program.Metric {
				continue
			}
			at := s.named[b.Name]
			if at == nil {
				at = &block{}
				s.named[b.Name] = at
				order = append(order, at)
			}
			at.size = max(at.size, b.Bytes())
		}
	}
	var err error
	for a := range program.NumArenas {
		if !a.Packed() {
			continue
		}
		if s.arenas[a], err = allocate(size[a]); err != nil {
			return err
		}
	}
	var total int64
	aligned := func(n int64) int64 { return (n + program.Align - 1) / program.Align * program.Align }
	for _, b := range order {
		total += aligned(b.size)
	}
	if s.inputs, err = allocate(total); err != nil {
		return err
	}
	total = 0
	for _, b := range order {
		if b.ptr = s.inputs.at(total); guarded != noGuards {
			if b.ptr, err = s.alone(b.size); err != nil {
				return err
			}
		}
		total += aligned(b.size)
	}
	return nil
}

// block gives the memory of a buffer that outlives the step, nil for others.
func (s *Session) block(b *program.Buffer) *block {
	switch b.Arena {
	case program.Work:
		return nil
	case program.Input, program.Metric:
		return s.named[b.Name]
	}
	return &block{size: b.Bytes(), ptr: s.arenas[b.Arena].at(b.Offset)}
}

// Info names the device, its precision and layout.
func (s *Session) Info() device.Info { return s.info }

// Choices is empty: nothing is chosen by timing.
func (s *Session) Choices() []device.Choice { return nil }

// Write copies src into the buffer of that name.
func (s *Session) Write(name string, src any) error {
	x, err := s.find(name)
	if err != nil {
		return err
	}
	return device.Copy(name, x, src, true)
}

// Read copies the buffer of that name into dst.
func (s *Session) Read(name string, dst any) error {
	x, err := s.find(name)
	if err != nil {
		return err
	}
	return device.Copy(name, x, dst, false)
}

func (s *Session) find(name string) (kernel.Tensor, error) {
	for _, p := range s.programs {
		if id, ok := p.Lookup(name); ok {
			b := &p.Buffers[id]
			at := s.block(b)
			if at == nil {
				return kernel.Tensor{}, fmt.Errorf("cpu: %s is a work buffer, which can not be read or written", name)
			}
			return at.tensor(b.Type, b.Shape), nil
		}
	}
	return kernel.Tensor{}, fmt.Errorf("cpu: no buffer is called %s", name)
}

// Close releases memory. The device stays open.
func (s *Session) Close() error {
	return s.d.try(func() error {
		var first error
		keep := func(err error) {
			if first == nil {
				first = err
			}
		}
		for _, c := range s.codes() {
			keep(c.free(s.d))
		}
		for a := range s.arenas {
			keep(s.arenas[a].free())
			s.arenas[a] = nil
		}
		keep(s.inputs.free())
		for _, m := range s.more {
			keep(m.free())
		}
		s.more = nil
		s.inputs, s.train, s.eval, s.calibrate = nil, nil, nil, nil
		s.named, s.programs = nil, nil
		if s.failed == nil {
			s.failed = fmt.Errorf("cpu: the session is closed")
		}
		return first
	})
}

// guarded runs f on oneDNN's thread. A failure, other than numbers that are
// not finite, leaves the session closed to further work.
func (s *Session) guarded(f func() error) (err error) {
	if s.failed != nil {
		return s.failed
	}
	err = s.d.try(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("cpu: %v", r)
			}
		}()
		return f()
	})
	if _, ok := err.(*device.NonFiniteError); err != nil && !ok {
		s.failed = fmt.Errorf("cpu: the session has failed before: %w", err)
	}
	return err
}

// Train runs len(p.Rates) steps.
func (s *Session) Train(p device.Launch, m []device.Metric) error {
	if s.train == nil {
		return fmt.Errorf("cpu: no training program is open")
	}
	if len(m) != len(p.Rates) {
		return fmt.Errorf("cpu: %d metrics for %d steps", len(m), len(p.Rates))
	}
	return s.guarded(func() error {
		return s.steps(s.train, p, func(i int) error {
			c := s.train
			if err := s.run(c, 0, c.backward); err != nil {
				return err
			}
			if !c.finite() {
				return s.blame(c, p.First+i)
			}
			m[i] = device.Metric{Loss: c.metric(c.prog.Loss), Wrong: int(c.metric(c.prog.Wrong))}
			return s.run(c, c.backward, len(c.ops))
		})
	})
}

// Calibrate runs the calibration program once for each pair of rates.
func (s *Session) Calibrate(p device.Launch) error {
	if s.calibrate == nil {
		return fmt.Errorf("cpu: no calibration program is open")
	}
	return s.guarded(func() error {
		return s.steps(s.calibrate, p, func(i int) error {
			c := s.calibrate
			if err := s.run(c, 0, c.backward); err != nil {
				return err
			}
			if !c.finite() {
				return s.blame(c, p.First+i)
			}
			return s.run(c, c.backward, len(c.ops))
		})
	})
}

// steps writes the plan of each step and calls f.
func (s *Session) steps(c *code, p device.Launch, f func(i int) error) error {
	rows, batch := c.planRows()
	if len(p.Rows) != batch*len(p.Rates) {
		return fmt.Errorf("cpu: plan of %d rows for %d steps of %d", len(p.Rows), len(p.Rates), batch)
	}
	if err := c.validate(p.Rows); err != nil {
		return err
	}
	var rates []float32
	if id := c.prog.Rates; id != program.None {
		rates = slice[float32](c.blocks[id], 0, 2)
	}
	for i, r := range p.Rates {
		copy(rows, p.Rows[i*batch:][:batch])
		if rates != nil {
			rates[0], rates[1] = r.Learning, r.Statistics
		}
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// Eval classifies rows, a batch at a time; the last may have empty slots.
func (s *Session) Eval(rows []device.Row) (device.Counts, error) {
	var n device.Counts
	if s.eval == nil {
		return n, fmt.Errorf("cpu: no evaluation program is open")
	}
	err := s.guarded(func() error {
		slots, batch := s.eval.planRows()
		if err := s.eval.validate(rows); err != nil {
			return err
		}
		for len(rows) > 0 {
			used := copy(slots, rows)
			rows = rows[used:]
			for i := used; i < batch; i++ {
				slots[i] = device.Row{-1}
			}
			if err := s.run(s.eval, 0, len(s.eval.ops)); err != nil {
				return err
			}
			images := 0
			for _, r := range slots {
				if r[0] >= 0 {
					images++
				}
			}
			n.Images += images
			n.Wrong += int(s.eval.metric(s.eval.prog.Wrong))
			n.Loss += float64(s.eval.metric(s.eval.prog.Loss)) * float64(images)
		}
		return nil
	})
	return n, err
}

// planRows are the rows of a program's batch, and how many. A program without
// a batch of its own (a test's) takes none.
func (c *code) planRows() ([]device.Row, int) {
	id := c.prog.Rows
	if id == program.None {
		return nil, 0
	}
	n := c.prog.Buffers[id].Shape[0]
	return slice[device.Row](c.blocks[id], 0, n), n
}

// validate checks rows against the data set and the padding, since a row that
// is out of range would read beyond them.
func (c *code) validate(rows []device.Row) error {
	for i := range c.prog.Code {
		k, ok := c.prog.Code[i].Kernel.(kernel.Batch)
		if !ok {
			continue
		}
		images := c.prog.Buffers[c.prog.Images].Shape
		top, left := int32(images[2]+2*k.Pad-k.H), int32(images[3]+2*k.Pad-k.W)
		for j, r := range rows {
			if r[0] < -1 || int(r[0]) >= images[0] {
				return fmt.Errorf("cpu: row %d of the plan names image %d of %d", j, r[0], images[0])
			}
			if r[0] >= 0 && (r[1] < 0 || r[1] > top || r[2] < 0 || r[2] > left) {
				return fmt.Errorf("cpu: row %d of the plan crops at (%d,%d), beyond (%d,%d)", j, r[1], r[2], top, left)
			}
		}
	}
	return nil
}

// metric reads a number that the program has measured, 0 where it does not.
func (c *code) metric(id program.BufID) float32 {
	if id == program.None {
		return 0
	}
	return *(*float32)(c.blocks[id].ptr)
}

// run executes ops from up to to.
func (s *Session) run(c *code, from, to int) error {
	if c.profile != nil {
		return s.runTimed(c, from, to)
	}
	for i := from; i < to; i++ {
		if err := s.exec(c, &c.ops[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) exec(c *code, o *op) error {
	if o.fn != nil {
		o.fn()
		return nil
	}
	r, _, _ := purego.SyscallN(s.d.lib.execute, o.exec...)
	if r := status(r); r != 0 {
		return c.fault(o.instr, check(r, o.prim.impl))
	}
	return nil
}

// finite reports whether the forward phase stayed finite.
func (c *code) finite() bool {
	v := float64(c.metric(c.prog.Loss))
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}

// blame repeats a step up to its loss, instruction by instruction, to name the
// first one of the forward phase that is not finite. It changes no state: the
// statistics that outlive a step are moved in its Update phase.
func (s *Session) blame(c *code, step int) error {
	checked := -1
	for i := 0; i < c.backward; i++ {
		o := &c.ops[i]
		if o.instr != checked {
			checked = o.instr
			if instr := &c.prog.Code[o.instr]; !c.finiteAll(instr.In, program.Param) {
				return &device.NonFiniteError{Step: step, Layer: instr.Layer, Instr: "parameter"}
			}
		}
		if err := s.exec(c, o); err != nil {
			return err
		}
		if i+1 < c.backward && c.ops[i+1].instr == o.instr {
			continue
		}
		if instr := &c.prog.Code[o.instr]; instr.Phase <= program.Forward && !c.finiteAll(instr.Out, program.NumArenas) {
			return &device.NonFiniteError{Step: step, Layer: instr.Layer, Instr: instr.Kernel.String()}
		}
	}
	return &device.NonFiniteError{Step: step, Layer: "loss", Instr: "not repeated"}
}

// finiteAll checks the float buffers among ids, those of one arena unless it
// is NumArenas.
func (c *code) finiteAll(ids []program.BufID, only program.Arena) bool {
	for _, id := range ids {
		home := c.home[id]
		if home == nil || only != program.NumArenas && c.prog.Buffers[id].Arena != only {
			continue
		}
		size := 4
		if home.size == 2*int64(c.prog.Buffers[id].Shape.Len()) {
			size = 2
		}
		if !allFinite(slice[byte](c.blocks[id], 0, int(home.size)), size) {
			return false
		}
	}
	return true
}

// allFinite looks for an exponent of all ones, NaN or Inf, in elements of size
// bytes: eight bytes at a time, where one more carries into the sign's place.
func allFinite(data []byte, size int) bool {
	exponent, one := uint64(0x7f80_7f80_7f80_7f80), uint64(0x0080_0080_0080_0080)
	if size == 4 {
		exponent, one = 0x7f80_0000_7f80_0000, 0x0080_0000_0080_0000
	}
	whole := len(data) &^ 7
	for _, v := range view[uint64](data[:whole]) {
		if (v&exponent+one)&(exponent+one) != 0 {
			return false
		}
	}
	return whole == len(data) || allFinite(append(make([]byte, 0, 8), data[whole:]...)[:8], size)
}
