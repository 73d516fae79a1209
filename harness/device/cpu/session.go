// Sessions: programs that share their state, and their execution.

package cpu

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"sync"

	"github.com/ebitengine/purego"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Session is the state of one net on the device, and its programs.
type Session struct {
	d         *Device
	info      device.Info
	programs  []*program.Program // train first
	train     *code
	eval      *code
	calibrate *code
	arenas    [program.NumArenas]region // packed arenas, and Work
	named     map[string]*block         // buffers of Input and Metric by name
	inputs    region                    // memory of named
	more      []region                  // memory of blocks with guard pages
	failed    error                     // nil while the session is usable
}

// Open translates programs and allocates all memory. A step allocates nothing.
func (d *Device) Open(p device.Programs, o device.Options) (device.Session, error) {
	if o.Precision == "" {
		o.Precision = device.FP32
	}
	switch o.Precision {
	case device.FP32:
	case device.BF16:
		if d.helps(o.Layout) {
			return d.halves.Open(p, o)
		}
		if d.lib != nil && !hasBfloat16(d) {
			return nil, &device.UnsupportedError{Device: name, What: "bf16 by oneDNN on this CPU (" + widest(d) + ")",
				Hint: "oneDNN needs avx512_bf16 for it; our own kernels do not, so unset " + EnvKernels}
		}
	default:
		return nil, &device.UnsupportedError{Device: name, What: fmt.Sprintf("precision %q", o.Precision), Hint: "use fp32 or bf16"}
	}
	dtype := activationType(o.Precision)
	l, err := chooseLayout(d, o.Precision, cmp.Or(o.Layout, os.Getenv(EnvLayout)))
	if err != nil {
		return nil, err
	}
	if len(p.All()) == 0 {
		return nil, fmt.Errorf("cpu: no program to open")
	}
	if n := p.Replicas(); n > 1 {
		return nil, &device.UnsupportedError{Device: name, What: fmt.Sprintf("a program of %d replicas", n), Hint: "cpu is a single device"}
	}
	if d.team == nil && d.thread == nil {
		return nil, fmt.Errorf("cpu: the device is closed")
	}
	s := &Session{d: d, programs: p.All(), named: map[string]*block{}, info: infoOf(d)}
	s.info.Precision, s.info.Layout = string(o.Precision), fmt.Sprintf("%s (%s), %s", l.name, l.rule, ownKernels(d, l, dtype))
	if err := d.try(func() error { return openPrograms(s, p, l, dtype, o.Profile) }); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func openPrograms(s *Session, p device.Programs, l layout, dtype int32, profile bool) error {
	for _, q := range s.programs {
		if err := q.Check(); err != nil {
			return fmt.Errorf("cpu: %w", err)
		}
	}
	if err := allocatePersistent(s); err != nil {
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
		c, work, err := translate(s.d, l, dtype, x.p, func(id program.BufID) *block { return persistentBlock(s, &x.p.Buffers[id]) })
		if err != nil {
			return err
		}
		*x.c = c
		if profile {
			c.startProfile()
		}
		plans = append(plans, place(work))
	}
	if err := placeWork(s, plans); err != nil {
		return err
	}
	for _, c := range codes(s) {
		if err := c.link(s.d); err != nil {
			return err
		}
	}
	return nil
}

func codes(s *Session) []*code {
	var all []*code
	for _, c := range []*code{s.train, s.eval, s.calibrate} {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
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
			at := persistentBlock(s, b)
			if at == nil {
				return kernel.Tensor{}, fmt.Errorf("cpu: buffer %s cannot be read or written: it is in the work arena, which is reused within a step", name)
			}
			return at.tensor(b.Type, b.Shape), nil
		}
	}
	return kernel.Tensor{}, fmt.Errorf("cpu: no program of the session has a buffer %q", name)
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
		for _, c := range codes(s) {
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

// turn is held by a session that computes with oneDNN: the teams of several would compete for the
// CPUs.
var turn sync.Mutex

// guarded runs f where try does, and turns a panic into an error. After an error other than
// *NonFiniteError the session cannot be used.
func (s *Session) guarded(f func() error) (err error) {
	if s.failed != nil {
		return s.failed
	}
	if s.d.lib != nil {
		turn.Lock()
		defer turn.Unlock()
	}
	computing.Add(1)
	defer computing.Add(-1)
	err = s.d.try(func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("cpu: %v", r)
			}
		}()
		return f()
	})
	if _, ok := err.(*device.NonFiniteError); err != nil && !ok {
		s.failed = fmt.Errorf("cpu: the session failed earlier: %w", err)
	}
	return err
}

// Train runs len(p.Rates) steps.
func (s *Session) Train(p device.Launch, m []device.Metric) error {
	if s.train == nil {
		return fmt.Errorf("cpu: the session has no program to train")
	}
	if len(m) != len(p.Rates) {
		return fmt.Errorf("cpu: %d metrics for %d steps, expected one for each step", len(m), len(p.Rates))
	}
	return s.guarded(func() error {
		return runSteps(s, s.train, p, func(i int) error {
			c := s.train
			if err := s.run(c, 0, c.backward); err != nil {
				return err
			}
			if !c.finite() {
				return blame(s, c, p.First+i)
			}
			m[i] = device.Metric{Loss: c.metric(c.prog.Loss), Wrong: int(c.metric(c.prog.Wrong))}
			return s.run(c, c.backward, len(c.ops))
		})
	})
}

// Calibrate runs the calibration program once for each pair of rates.
func (s *Session) Calibrate(p device.Launch) error {
	if s.calibrate == nil {
		return fmt.Errorf("cpu: the session has no program to calibrate")
	}
	return s.guarded(func() error {
		return runSteps(s, s.calibrate, p, func(i int) error {
			c := s.calibrate
			if err := s.run(c, 0, c.backward); err != nil {
				return err
			}
			if !c.finite() {
				return blame(s, c, p.First+i)
			}
			return s.run(c, c.backward, len(c.ops))
		})
	})
}

// runSteps writes rows and rates of each step, and calls f.
func runSteps(s *Session, c *code, p device.Launch, f func(i int) error) error {
	rows, batch := c.planRows()
	if len(p.Rows) != batch*len(p.Rates) {
		return fmt.Errorf("cpu: %d rows for %d steps of %d images, expected %d", len(p.Rows), len(p.Rates), batch, batch*len(p.Rates))
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

// Eval classifies the images of rows, batch by batch. The last batch may have empty slots.
func (s *Session) Eval(rows []device.Row) (device.Counts, error) {
	var n device.Counts
	if s.eval == nil {
		return n, fmt.Errorf("cpu: the session has no program to evaluate")
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

// planRows returns the rows of a program's batch, and their number; none for a program
// without a batch, as in tests.
func (c *code) planRows() ([]device.Row, int) {
	id := c.prog.Rows
	if id == program.None {
		return nil, 0
	}
	n := c.prog.Buffers[id].Shape[0]
	return slice[device.Row](c.blocks[id], 0, n), n
}

// validate returns an error if a row's image or crop is out of range: the kernel would read
// outside of the data set.
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
				return fmt.Errorf("cpu: row %d: image %d, expected -1 to %d", j, r[0], images[0]-1)
			}
			if r[0] >= 0 && (r[1] < 0 || r[1] > top || r[2] < 0 || r[2] > left) {
				return fmt.Errorf("cpu: row %d: crop at (%d, %d), expected at most (%d, %d), which is within the padded image", j, r[1], r[2], top, left)
			}
		}
	}
	return nil
}

// metric returns the value of a metric, 0 if the program does not measure it.
func (c *code) metric(id program.BufID) float32 {
	if id == program.None {
		return 0
	}
	return *(*float32)(c.blocks[id].ptr)
}

// run executes ops [from, to).
func (s *Session) run(c *code, from, to int) error {
	if c.profile != nil {
		return runTimed(s, c, from, to)
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

// finite reports whether the loss is finite.
func (c *code) finite() bool {
	v := float64(c.metric(c.prog.Loss))
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}

// blame repeats the forward phase of a step, instruction by instruction, and returns a
// *NonFiniteError with the first layer whose parameters or outputs are not finite. It changes
// no state: parameters and running statistics change in the Update phase only.
func blame(s *Session, c *code, step int) error {
	checked := -1
	for i := 0; i < c.backward; i++ {
		o := &c.ops[i]
		if o.instr != checked {
			checked = o.instr
			instr := &c.prog.Code[o.instr]
			for _, id := range instr.In {
				if !c.finiteAll([]program.BufID{id}, program.Param) {
					return &device.NonFiniteError{Step: step, Layer: instr.Layer, Instr: "parameter " + c.prog.Buffers[id].Name}
				}
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

// finiteAll reports whether the float buffers among ids are finite. It checks those of one
// arena, or all if only is NumArenas.
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

// allFinite reports whether no element has an exponent of all ones (NaN or Inf). Elements have
// size bytes. It checks eight bytes at a time: adding one to such an exponent carries into the
// sign bit.
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
