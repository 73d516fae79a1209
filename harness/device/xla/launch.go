package xla

import (
	"errors"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
)

// launch runs len(rates) steps, at most the module's, and gives how many were
// good: all, or those before the first whose loss is not finite. Metrics of
// the good ones and of that one are written.
func (s *session) launch(m *machine, rows []device.Row, rates []device.Rates, metrics []device.Metric) (good int, err error) {
	args, free, err := s.arguments(m.module, m.state, rows, rates)
	defer func() { err = errors.Join(err, free()) }()
	if err != nil {
		return 0, err
	}
	out, err := m.code.run(args)
	if err != nil {
		return 0, err
	}
	for i, x := range m.state[:m.module.Written] {
		if err := x.replace(out[i]); err != nil {
			return 0, err
		}
	}
	losses, wrong := make([]float32, m.module.Steps), make([]float32, m.module.Steps)
	count := make([]int32, 1)
	for i, dst := range [][]byte{rawOf(losses), rawOf(wrong), rawOf(count)} {
		b := out[m.module.Written+i]
		if err := errors.Join(b.Read(dst), b.Destroy()); err != nil {
			return 0, err
		}
	}
	for i := range metrics {
		metrics[i] = device.Metric{Loss: losses[i], Wrong: int(wrong[i])}
	}
	last := min(int(count[0]), len(rates)-1)
	copyRows(m.rows.I32, rows[last*m.module.Batch:][:m.module.Batch])
	m.rates.F32[0], m.rates.F32[1] = rates[last].Learning, rates[last].Statistics
	return int(count[0]), nil
}

// run executes and waits, while no program is being compiled for a GPU.
func (e *executable) run(args []*pjrt.Buffer) ([]*pjrt.Buffer, error) {
	timing.RLock()
	defer timing.RUnlock()
	out, done, err := e.Execute(args)
	if err != nil {
		return nil, err
	}
	return out, done.Await()
}

func copyRows(dst []int32, rows []device.Row) {
	for i, r := range rows {
		copy(dst[i*4:], r[:])
	}
}

// arguments puts state and plan on the device; free destroys the plan's part.
func (s *session) arguments(m *lower.Module, state []*memory, rows []device.Row, rates []device.Rates) (args []*pjrt.Buffer, free func() error, err error) {
	var plan []*pjrt.Buffer
	free = func() error {
		var all []error
		for _, b := range plan {
			all = append(all, b.Destroy())
		}
		return errors.Join(all...)
	}
	for _, x := range state {
		b, err := x.onDevice(s.d.client)
		if err != nil {
			return nil, free, err
		}
		args = append(args, b)
	}
	r, q := kernel.New(kernel.Int32, m.Steps, m.Batch, 4), kernel.New(kernel.Float32, m.Steps, 2)
	copyRows(r.I32, rows)
	for i, x := range rates {
		q.F32[2*i], q.F32[2*i+1] = x.Learning, x.Statistics
	}
	inputs := []kernel.Tensor{r, q}
	if m.Loop {
		inputs = append(inputs, kernel.Tensor{Shape: kernel.Shape{}, I32: []int32{int32(len(rates))}})
	}
	for _, t := range inputs {
		kind := pjrt.Int32
		if t.F32 != nil {
			kind = pjrt.Float32
		}
		b, err := s.d.client.Buffer(kind, dims(t.Shape), raw(t))
		if err != nil {
			return nil, free, err
		}
		plan, args = append(plan, b), append(args, b)
	}
	return args, free, nil
}

// nonFinite runs the forward part again and names the first layer whose
// parameters or outputs are not finite.
func (s *session) nonFinite(m *machine, rows []device.Row, step int) error {
	e := &device.NonFiniteError{Step: step, Layer: "loss", Instr: "cross entropy"}
	module, probes, err := lower.Diagnose(m.p, lower.Options{Precision: s.o.Precision, Sequential: s.d.cpu()})
	if err != nil {
		return err
	}
	code, err := s.d.compile(module.Text, device.Options{Deterministic: s.o.Deterministic})
	if err != nil {
		return err
	}
	state, err := s.state(m.p, module.State)
	if err != nil {
		return err
	}
	args, free, err := s.arguments(module, state, rows, make([]device.Rates, 1))
	if err == nil {
		fine := make([]byte, len(probes))
		if err = s.look(code, args, fine); err == nil {
			for i, ok := range fine {
				if ok == 0 {
					e.Layer, e.Instr = probes[i].Layer, probes[i].Instr
					break
				}
			}
		}
	}
	if err = errors.Join(err, free()); err != nil {
		return s.fail(err)
	}
	return e
}

// look executes a module with one output and reads it.
func (s *session) look(code *executable, args []*pjrt.Buffer, dst []byte) error {
	out, err := code.run(args)
	if err != nil {
		return err
	}
	return errors.Join(out[0].Read(dst), out[0].Destroy())
}
