// Sessions: programs that share their state on the devices.

package xla

import (
	"errors"
	"fmt"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/lower"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

type session struct {
	d        *Device
	o        device.Options
	info     device.Info
	programs device.Programs
	compiled []*compiledProgram
	memories map[string]*memory
	failed   error // nil while the session is usable
}

// compiledProgram is a program with its executable and state.
type compiledProgram struct {
	p      *program.Program
	module *lower.Module
	code   *executable
	state  []*memory
	rows   kernel.Tensor // (batch, 4): rows of the first replica in the last step, for Read
	rates  kernel.Tensor // (2): rates of the last step, for Read
}

// batch is the number of rows in a step, of all replicas together.
func (m *compiledProgram) batch() int { return m.module.Batch * m.module.Replicas }

// Open lowers and compiles the programs.
func (d *Device) Open(p device.Programs, o device.Options) (device.Session, error) {
	if len(p.All()) == 0 {
		return nil, errors.New("xla: no program to open")
	}
	s := &session{d: d, o: o, info: d.Info(), programs: p, memories: map[string]*memory{}}
	if s.o.Precision == "" {
		s.o.Precision = device.FP32
	}
	if s.o.Precision == device.TF32 && d.cpu() {
		return nil, &device.UnsupportedError{Device: name, What: "precision tf32 on a CPU", Hint: "tf32 needs an NVIDIA GPU: use fp32 or bf16"}
	}
	if n := p.Replicas(); n > len(d.client.Devices) {
		return nil, &device.UnsupportedError{Device: name, What: fmt.Sprintf("%d replicas on %d devices", n, len(d.client.Devices)), Hint: "each replica needs a device of its own"}
	}
	s.info.Precision, s.info.Replicas = string(s.o.Precision), p.Replicas()
	for _, q := range p.All() {
		module, err := lower.Lower(q, lower.Options{Precision: o.Precision, Steps: d.steps, Unrolled: d.unrolled, Sequential: d.cpu()})
		if err != nil {
			return nil, err
		}
		m := &compiledProgram{p: q, module: module, rows: kernel.New(kernel.Int32, module.Batch, 4), rates: kernel.New(kernel.Float32, 2)}
		if m.state, err = openMemories(s, q, module.State); err != nil {
			return nil, err
		}
		if m.code, err = d.compile(module, o); err != nil {
			return nil, fmt.Errorf("xla: program %s: %w", q.Name, explain(s, err))
		}
		s.compiled = append(s.compiled, m)
	}
	return s, nil
}

// openMemories returns the memories of a module. Programs share memories of the same name.
func openMemories(s *session, p *program.Program, list []lower.Memory) ([]*memory, error) {
	var all []*memory
	for _, m := range list {
		key := m.Name
		if !m.Arena.Packed() {
			key += m.Shape.String() // "input" of programs with different batches is not shared
		}
		x := s.memories[key]
		if x == nil {
			x = newMemory(p, m)
			s.memories[key] = x
		}
		if !x.Shape.Equal(m.Shape) {
			return nil, fmt.Errorf("xla: the %s arena has shape %v in one program and %v in another", m.Name, x.Shape, m.Shape)
		}
		all = append(all, x)
	}
	return all, nil
}

func (s *session) Info() device.Info { return s.info }

// Choices are the fingerprints of the executables. On a CPU there are none: nothing is
// chosen by timing.
func (s *session) Choices() []device.Choice {
	var all []device.Choice
	for _, m := range s.compiled {
		if !s.d.cpu() && m.code.fingerprint != "" {
			all = append(all, device.Choice{Key: m.p.Name, Value: m.code.fingerprint})
		}
	}
	return all
}

// Close frees the memories.
func (s *session) Close() error {
	var all []error
	for key, m := range s.memories {
		all = append(all, m.written())
		delete(s.memories, key)
	}
	s.failed = errors.New("xla: the session is closed")
	return errors.Join(all...)
}

// find returns the memory that holds the named buffer, and where in it.
func (s *session) find(name string) (*memory, view, error) {
	if s.failed != nil {
		return nil, view{}, s.failed
	}
	for _, m := range s.compiled {
		id, ok := m.p.Lookup(name)
		if !ok {
			continue
		}
		b := &m.p.Buffers[id]
		switch {
		case b.Arena == program.Work:
			return nil, view{}, fmt.Errorf("xla: buffer %s cannot be read or written: it is in the work arena, which is reused within a step", name)
		case id == m.p.Rows:
			return &memory{Memory: lower.Memory{Type: b.Type}, host: m.rows}, view{0, b.Shape}, nil
		case id == m.p.Rates:
			return &memory{Memory: lower.Memory{Type: b.Type}, host: m.rates}, view{0, b.Shape}, nil
		}
		where, at := lower.Memory{Name: name, Arena: b.Arena, Type: b.Type, Shape: b.Shape}, view{0, b.Shape}
		if b.Arena.Packed() {
			where.Name, where.Shape = b.Arena.String(), kernel.Shape{int(m.p.Bytes[b.Arena] / 4)}
			at.at = int(b.Offset / 4)
		}
		x, err := openMemories(s, m.p, []lower.Memory{where})
		if err != nil {
			return nil, view{}, err
		}
		return x[0], at, nil
	}
	return nil, view{}, fmt.Errorf("xla: no program of the session has a buffer %q", name)
}

// tensor returns a view of the copy on the host.
func (m *memory) tensor(v view) (kernel.Tensor, error) {
	t, err := m.onHost()
	n := v.shape.Len()
	switch {
	case err != nil:
		return t, err
	case t.F32 != nil:
		return kernel.Tensor{Shape: v.shape, F32: t.F32[v.at:][:n]}, nil
	}
	return t, nil // only float32 is packed
}

func (s *session) Write(name string, src any) error {
	m, v, err := s.find(name)
	if err != nil {
		return err
	}
	if n := s.compiled[0].p.Devices(); n > 1 && !m.Arena.Packed() && device.Len(src) == n*v.shape.Len() {
		return writeDivided(s, m, n, src)
	}
	if m.host.Shape == nil && v.shape.Equal(m.Shape) {
		m.host = kernel.New(m.Type, m.Shape...) // all of it is replaced: do not read it from the device first
	}
	t, err := m.tensor(v)
	if err != nil {
		return err
	}
	if err := device.Copy(name, t, src, true); err != nil {
		return err
	}
	return m.written()
}

func (s *session) Read(name string, dst any) error {
	m, v, err := s.find(name)
	if err != nil {
		return err
	}
	t, err := m.tensor(v)
	if err != nil {
		return err
	}
	return device.Copy(name, t, dst, false)
}

// lookup returns the compiled form of p. what is for the error if there is none: "train".
func (s *session) lookup(p *program.Program, what string) (*compiledProgram, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	for _, m := range s.compiled {
		if m.p == p && p != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("xla: the session has no program to %s", what)
}

func (s *session) Train(plan device.Launch, metrics []device.Metric) error {
	m, err := s.lookup(s.programs.Train, "train")
	if err != nil {
		return err
	}
	if len(metrics) != len(plan.Rates) {
		return fmt.Errorf("xla: %d metrics for %d steps, expected one for each step", len(metrics), len(plan.Rates))
	}
	return s.steps(m, plan, metrics)
}

func (s *session) Calibrate(plan device.Launch) error {
	m, err := s.lookup(s.programs.Calibrate, "calibrate")
	if err != nil {
		return err
	}
	if err := s.steps(m, plan, make([]device.Metric, len(plan.Rates))); err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	return nil
}

// steps runs a plan in launches. If a loss is not finite, the error is a *NonFiniteError
// with the layer that caused it.
func (s *session) steps(m *compiledProgram, plan device.Launch, metrics []device.Metric) error {
	batch := m.batch()
	if len(plan.Rows) != batch*len(plan.Rates) {
		return fmt.Errorf("xla: %d rows for %d steps of %d images, expected %d", len(plan.Rows), len(plan.Rates), batch, batch*len(plan.Rates))
	}
	if err := m.checkRows(plan.Rows); err != nil {
		return err
	}
	for at := 0; at < len(plan.Rates); {
		n := min(m.module.Steps, len(plan.Rates)-at)
		rows, rates := plan.Rows[at*batch:][:n*batch], plan.Rates[at:][:n]
		all, err := launchSteps(s, m, rows, rates)
		if err != nil {
			return s.fail(err)
		}
		first := all[0] // loss and errors are all-reduced: every replica has the same
		copy(metrics[at:], first.metrics)
		if good := first.good; good < n {
			return findNonFinite(s, m, rows[good*batch:][:batch], plan.First+at+good)
		}
		at += n
	}
	return nil
}

func (s *session) Eval(rows []device.Row) (device.Counts, error) {
	var c device.Counts
	m, err := s.lookup(s.programs.Eval, "evaluate")
	if err != nil {
		return c, err
	}
	batch := m.batch()
	if len(rows)%batch != 0 {
		return c, fmt.Errorf("xla: %d rows to evaluate, expected a multiple of the batch of %d", len(rows), batch)
	}
	if err := m.checkRows(rows); err != nil {
		return c, err
	}
	for len(rows) > 0 {
		n := min(m.module.Steps, len(rows)/batch)
		all, err := launchSteps(s, m, rows[:n*batch], make([]device.Rates, n))
		if err != nil {
			return c, s.fail(err)
		}
		for _, l := range all {
			n = min(n, l.good+1) // the loop stops after a loss that is not finite; in an evaluation that loss counts
		}
		for i := range n {
			for r, l := range all {
				images := filled(rows[i*batch+r*m.module.Batch:][:m.module.Batch])
				c.Images += images
				c.Wrong += l.metrics[i].Wrong
				c.Loss += float64(l.metrics[i].Loss) * float64(images)
			}
		}
		rows = rows[n*batch:]
	}
	return c, nil
}

// filled counts the rows that hold an image.
func filled(rows []device.Row) (images int) {
	for _, r := range rows {
		if r[0] >= 0 {
			images++
		}
	}
	return images
}

// checkRows returns an error if a row's image or crop is out of range.
func (m *compiledProgram) checkRows(rows []device.Row) error {
	var images kernel.Shape
	var top, left int32
	for _, c := range m.p.Code {
		if k, ok := c.Kernel.(kernel.Batch); ok {
			images = m.p.Buffers[m.p.Images].Shape
			top, left = int32(images[2]+2*k.Pad-k.H), int32(images[3]+2*k.Pad-k.W)
		}
	}
	if images == nil {
		return nil
	}
	for i, r := range rows {
		if r[0] < -1 || int(r[0]) >= images[0] {
			return fmt.Errorf("xla: row %d: image %d, expected -1 to %d", i, r[0], images[0]-1)
		}
		if r[1] < 0 || r[1] > top || r[2] < 0 || r[2] > left {
			return fmt.Errorf("xla: row %d: crop at (%d, %d), expected at most (%d, %d), which is within the padded image", i, r[1], r[2], top, left)
		}
	}
	return nil
}
