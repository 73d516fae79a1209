// One launch: its arguments, its results, and the search for the first value that is not
// finite.

package xla

import (
	"bytes"
	"errors"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
)

// launched is the result of a launch on one replica: the number of good steps, which
// ends before the first step whose loss is not finite, and the metrics of these steps and
// of that one.
type launched struct {
	good    int
	metrics []device.Metric
}

// launchSteps runs len(rates) steps, at most m.module.Steps, and returns the result of each
// replica.
func launchSteps(s *session, m *compiledProgram, rows []device.Row, rates []device.Rates) (all []launched, err error) {
	args, free, err := launchArguments(s, m.module, m.state, rows, rates)
	defer func() { err = errors.Join(err, free()) }()
	if err != nil {
		return nil, err
	}
	out, err := m.code.run(args)
	if err != nil {
		return nil, err
	}
	for i, x := range m.state[:m.module.Written] {
		var dev []*pjrt.Buffer
		for _, list := range out {
			dev = append(dev, list[i])
		}
		if err := x.replace(dev); err != nil {
			return nil, err
		}
	}
	for _, list := range out {
		l, err := take(m.module, list[m.module.Written:], len(rates))
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	last := min(all[0].good, len(rates)-1)
	copyRows(m.rows.I32, rows[last*m.batch():][:m.module.Batch])
	m.rates.F32[0], m.rates.F32[1] = rates[last].Learning, rates[last].Statistics
	return all, nil
}

// take reads losses, wrong answers and the number of good steps, and frees their buffers.
func take(m *lower.Module, out []*pjrt.Buffer, steps int) (launched, error) {
	losses, wrong, count := make([]float32, m.Steps), make([]float32, m.Steps), make([]int32, 1)
	for i, dst := range [][]byte{rawOf(losses), rawOf(wrong), rawOf(count)} {
		if err := errors.Join(out[i].Read(dst), out[i].Destroy()); err != nil {
			return launched{}, err
		}
	}
	l := launched{good: int(count[0])}
	for i := range steps {
		l.metrics = append(l.metrics, device.Metric{Loss: losses[i], Wrong: int(wrong[i])})
	}
	return l, nil
}

// run executes, and waits for the end. It does not run while a program is compiled for a
// GPU.
func (e *executable) run(args [][]*pjrt.Buffer) ([][]*pjrt.Buffer, error) {
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

// launchArguments copies state, rows and rates to the device of each replica. free destroys the
// buffers of rows and rates; call it also after an error.
func launchArguments(s *session, m *lower.Module, state []*memory, rows []device.Row, rates []device.Rates) (args [][]*pjrt.Buffer, free func() error, err error) {
	var plan []*pjrt.Buffer
	free = func() error { return destroy(plan) }
	args = make([][]*pjrt.Buffer, m.Replicas)
	for _, x := range state {
		dev, err := x.onDevices(s.d.client, m.Replicas)
		if err != nil {
			return nil, free, err
		}
		for r, b := range dev {
			args[r] = append(args[r], b)
		}
	}
	for r := range args {
		for _, t := range planOf(m, r, rows, rates) {
			kind := pjrt.Int32
			if t.F32 != nil {
				kind = pjrt.Float32
			}
			b, err := s.d.client.Buffer(r, kind, dims(t.Shape), raw(t))
			if err != nil {
				return nil, free, err
			}
			plan, args[r] = append(plan, b), append(args[r], b)
		}
	}
	return args, free, nil
}

// planOf returns the inputs of a launch for one replica: its rows (steps, batch, 4), the
// rates (steps, 2) and, for a loop, the number of steps.
func planOf(m *lower.Module, replica int, rows []device.Row, rates []device.Rates) []kernel.Tensor {
	r, q := kernel.New(kernel.Int32, m.Steps, m.Batch, 4), kernel.New(kernel.Float32, m.Steps, 2)
	for step, x := range rates {
		copyRows(r.I32[step*m.Batch*4:], rows[(step*m.Replicas+replica)*m.Batch:][:m.Batch])
		q.F32[2*step], q.F32[2*step+1] = x.Learning, x.Statistics
	}
	plan := []kernel.Tensor{r, q}
	if m.Loop {
		plan = append(plan, kernel.Tensor{Shape: kernel.Shape{}, I32: []int32{int32(len(rates))}})
	}
	return plan
}

// findNonFinite runs the forward part of a step again, and returns a *NonFiniteError with the
// first layer whose parameters or outputs are not finite.
func findNonFinite(s *session, m *compiledProgram, rows []device.Row, step int) error {
	e := &device.NonFiniteError{Step: step, Layer: "loss", Instr: "cross entropy"}
	module, probes, err := lower.Diagnose(m.p, lower.Options{Precision: s.o.Precision, Sequential: s.d.cpu()})
	if err != nil {
		return err
	}
	code, err := s.d.compile(module, device.Options{Deterministic: s.o.Deterministic})
	if err != nil {
		return err
	}
	state, err := openMemories(s, m.p, module.State)
	if err != nil {
		return err
	}
	args, free, err := launchArguments(s, module, state, rows, make([]device.Rates, 1))
	if err == nil {
		var flags [][]byte
		flags, err = look(code, args, len(probes))
		if i := firstFault(flags); i >= 0 {
			e.Layer, e.Instr = probes[i].Layer, probes[i].Instr
		}
	}
	if err = errors.Join(err, free()); err != nil {
		return s.fail(err)
	}
	return e
}

// look executes a module with one output of n bytes, and returns each replica's output.
func look(code *executable, args [][]*pjrt.Buffer, n int) ([][]byte, error) {
	out, err := code.run(args)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, list := range out {
		dst := make([]byte, n)
		if err := errors.Join(list[0].Read(dst), list[0].Destroy()); err != nil {
			return nil, err
		}
		all = append(all, dst)
	}
	return all, nil
}

// firstFault is the lowest index at which a replica has 0, -1 if there is none.
func firstFault(flags [][]byte) int {
	first := -1
	for _, list := range flags {
		if i := bytes.IndexByte(list, 0); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}
