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
	machines []*machine
	memories map[string]*memory
	failed   error // what ended the session
}

// machine is a program with its executable and state.
type machine struct {
	p      *program.Program
	module *lower.Module
	code   *executable
	state  []*memory
	rows   kernel.Tensor // of the last step, for Read: the first replica's
	rates  kernel.Tensor
}

// batch is the number of rows of a step, of all replicas together.
func (m *machine) batch() int { return m.module.Batch * m.module.Replicas }

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
		return nil, &device.UnsupportedError{Device: name, What: "precision tf32 on a CPU", Hint: "it is for NVIDIA GPUs: use fp32, or bf16"}
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
		m := &machine{p: q, module: module, rows: kernel.New(kernel.Int32, module.Batch, 4), rates: kernel.New(kernel.Float32, 2)}
		if m.state, err = s.state(q, module.State); err != nil {
			return nil, err
		}
		if m.code, err = d.compile(module, o); err != nil {
			return nil, fmt.Errorf("xla: program %s: %w", q.Name, s.explain(err))
		}
		s.machines = append(s.machines, m)
	}
	return s, nil
}

// state gives the memories of a module, which programs share by name.
func (s *session) state(p *program.Program, list []lower.Memory) ([]*memory, error) {
	var all []*memory
	for _, m := range list {
		key := m.Name
		if !m.Arena.Packed() {
			key += m.Shape.String() // "input" of another batch is another
		}
		x := s.memories[key]
		if x == nil {
			x = newMemory(p, m)
			s.memories[key] = x
		}
		if !x.Shape.Equal(m.Shape) {
			return nil, fmt.Errorf("xla: programs disagree on the %s arena", m.Name)
		}
		all = append(all, x)
	}
	return all, nil
}

func (s *session) Info() device.Info { return s.info }

// Choices are the fingerprints of what the programs were compiled to. On a CPU
// nothing is chosen by timing.
func (s *session) Choices() []device.Choice {
	var all []device.Choice
	for _, m := range s.machines {
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

// find gives the memory that holds a buffer, and where in it.
func (s *session) find(name string) (*memory, view, error) {
	if s.failed != nil {
		return nil, view{}, s.failed
	}
	for _, m := range s.machines {
		id, ok := m.p.Lookup(name)
		if !ok {
			continue
		}
		b := &m.p.Buffers[id]
		switch {
		case b.Arena == program.Work:
			return nil, view{}, fmt.Errorf("xla: buffer %s is work space, its content does not outlive the step", name)
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
		x, err := s.state(m.p, []lower.Memory{where})
		if err != nil {
			return nil, view{}, err
		}
		return x[0], at, nil
	}
	return nil, view{}, fmt.Errorf("xla: no buffer is called %s", name)
}

// tensor gives a view of the host's copy.
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
	if n := s.machines[0].p.Devices(); n > 1 && !m.Arena.Packed() && device.Len(src) == n*v.shape.Len() {
		return s.divided(m, n, src)
	}
	if m.host.Shape == nil && v.shape.Equal(m.Shape) {
		m.host = kernel.New(m.Type, m.Shape...) // what is replaced whole need not be fetched
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

func (s *session) machine(p *program.Program, what string) (*machine, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	for _, m := range s.machines {
		if m.p == p && p != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("xla: the session has no program to %s", what)
}

func (s *session) Train(plan device.Launch, metrics []device.Metric) error {
	m, err := s.machine(s.programs.Train, "train")
	if err != nil {
		return err
	}
	if len(metrics) != len(plan.Rates) {
		return fmt.Errorf("xla: %d metrics for %d steps", len(metrics), len(plan.Rates))
	}
	return s.steps(m, plan, metrics)
}

func (s *session) Calibrate(plan device.Launch) error {
	m, err := s.machine(s.programs.Calibrate, "calibrate")
	if err != nil {
		return err
	}
	if err := s.steps(m, plan, make([]device.Metric, len(plan.Rates))); err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	return nil
}

// steps runs a plan in launches, and says where a loss that is not finite came
// from.
func (s *session) steps(m *machine, plan device.Launch, metrics []device.Metric) error {
	batch := m.batch()
	if len(plan.Rows) != batch*len(plan.Rates) {
		return fmt.Errorf("xla: a plan of %d rows for %d steps of %d images", len(plan.Rows), len(plan.Rates), batch)
	}
	if err := m.checkRows(plan.Rows); err != nil {
		return err
	}
	for at := 0; at < len(plan.Rates); {
		n := min(m.module.Steps, len(plan.Rates)-at)
		rows, rates := plan.Rows[at*batch:][:n*batch], plan.Rates[at:][:n]
		all, err := s.launch(m, rows, rates)
		if err != nil {
			return s.fail(err)
		}
		first := all[0] // as all have, since they add up
		copy(metrics[at:], first.metrics)
		if good := first.good; good < n {
			return s.nonFinite(m, rows[good*batch:][:batch], plan.First+at+good)
		}
		at += n
	}
	return nil
}

func (s *session) Eval(rows []device.Row) (device.Counts, error) {
	var c device.Counts
	m, err := s.machine(s.programs.Eval, "evaluate")
	if err != nil {
		return c, err
	}
	batch := m.batch()
	if len(rows)%batch != 0 {
		return c, fmt.Errorf("xla: %d rows to evaluate are no multiple of the batch of %d", len(rows), batch)
	}
	if err := m.checkRows(rows); err != nil {
		return c, err
	}
	for len(rows) > 0 {
		n := min(m.module.Steps, len(rows)/batch)
		all, err := s.launch(m, rows[:n*batch], make([]device.Rates, n))
		if err != nil {
			return c, s.fail(err)
		}
		for _, l := range all {
			n = min(n, l.good+1) // a loss that is not finite is a result here; after it the loop stops
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

// checkRows holds rows against the data set and the padding.
func (m *machine) checkRows(rows []device.Row) error {
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
			return fmt.Errorf("xla: row %d asks for image %d of %d", i, r[0], images[0])
		}
		if r[1] < 0 || r[1] > top || r[2] < 0 || r[2] > left {
			return fmt.Errorf("xla: row %d crops at (%d, %d), which is outside the padded image", i, r[1], r[2])
		}
	}
	return nil
}
