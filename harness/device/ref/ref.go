// Package ref computes Programs with the kernels' own reference implementations: plain
// Go, parallel over images. All other devices are compared with it. It is also the last
// resort, on a CPU for which the device cpu has no kernels. It computes any number of
// replicas, one after the other.
package ref

import (
	"fmt"
	"math"
	"runtime"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

type ref struct{ replicas int }

// New returns the device.
func New() device.Device { return ref{} }

// Together returns a device of this many replicas, which share each step. With 0 or 1 it is New.
func Together(replicas int) device.Device {
	if replicas < 2 {
		return New()
	}
	return ref{replicas}
}

func (r ref) Info() device.Info {
	return device.Info{
		Name:     "ref",
		Hardware: device.CPU().Model,
		Threads:  runtime.GOMAXPROCS(0),
		Kernels:  kernel.Revision,
		Layout:   "nchw",
		Replicas: r.replicas,
		Launch:   1,
	}
}

func (ref) Supports(kernel.Kernel) error { return nil }
func (ref) Close() error                 { return nil }

func (r ref) Open(p device.Programs, o device.Options) (device.Session, error) {
	if o.Precision != "" && o.Precision != device.FP32 {
		return nil, &device.UnsupportedError{Device: "ref", What: "precision " + string(o.Precision), Hint: "it is the float32 oracle: use fp32, or auto"}
	}
	if len(p.All()) == 0 {
		return nil, fmt.Errorf("ref: no program to open")
	}
	s := &session{info: r.Info(), programs: p}
	s.info.Precision, s.info.Replicas = string(device.FP32), p.Replicas()
	shared := make([]map[string]kernel.Tensor, max(1, p.Replicas())) // the buffers of each replica that programs share, by name or arena
	for i := range shared {
		shared[i] = map[string]kernel.Tensor{}
	}
	for _, q := range p.All() {
		m := &machine{p: q}
		for _, memory := range shared {
			values, err := load(q, memory)
			if err != nil {
				return nil, err
			}
			m.replicas = append(m.replicas, values)
		}
		s.machines = append(s.machines, m)
	}
	return s, nil
}

// machine is a program and its buffers.
type machine struct {
	p        *program.Program
	replicas [][]kernel.Tensor // of each replica, the content of the buffers
}

// load allocates the buffers of p on one replica. Each packed arena is one array, which
// all programs share. Input buffers of equal name and shape are shared, too.
func load(p *program.Program, shared map[string]kernel.Tensor) ([]kernel.Tensor, error) {
	values := make([]kernel.Tensor, len(p.Buffers))
	work := make([]float32, p.Bytes[program.Work]/4)
	for i := range p.Buffers {
		b := &p.Buffers[i]
		switch b.Arena {
		case program.Work:
			if b.Type != kernel.Float32 {
				return nil, fmt.Errorf("ref: work buffer %s is %s, want f32", b.Name, b.Type)
			}
			values[i] = kernel.Tensor{Shape: b.Shape, F32: work[b.Offset/4:][:b.Shape.Len()]}
		case program.Input:
			key := b.Name + b.Shape.String()
			if _, ok := shared[key]; !ok {
				shared[key] = kernel.New(b.Type, b.Shape...)
			}
			values[i] = shared[key]
		default:
			key := b.Arena.String()
			if _, ok := shared[key]; !ok {
				shared[key] = kernel.New(kernel.Float32, int(p.Bytes[b.Arena]/4))
			}
			if all := shared[key].F32; int64(len(all))*4 < p.Bytes[b.Arena] {
				return nil, fmt.Errorf("ref: programs disagree on the %s arena", b.Arena)
			} else {
				values[i] = kernel.Tensor{Shape: b.Shape, F32: all[b.Offset/4:][:b.Shape.Len()]}
			}
		}
	}
	return values, nil
}

// run executes instructions from to to-1, each on all replicas, and calls after following
// each of them. after may be nil. If it returns false, run stops.
func (m *machine) run(from, to int, after func(c *program.Instr, in, out []kernel.Tensor) bool) {
	for i := from; i < to; i++ {
		c := &m.p.Code[i]
		var all operands
		for _, values := range m.replicas {
			var x operands
			for _, id := range c.In {
				x.in = append(x.in, values[id])
			}
			for _, id := range c.Out {
				x.out = append(x.out, values[id])
			}
			if _, ok := c.Kernel.(kernel.AllReduce); ok {
				all.in, all.out = append(all.in, x.in...), append(all.out, x.out...)
				continue
			}
			c.Kernel.Ref(x.out, x.in)
			if after != nil && !after(c, x.in, x.out) {
				return
			}
		}
		if all.in != nil {
			c.Kernel.Ref(all.out, all.in)
		}
	}
}

type operands struct{ in, out []kernel.Tensor }

// firstNonFinite runs the forward pass of the step again, and names the first layer with
// parameters or outputs that are not finite.
func (m *machine) firstNonFinite(step int) error {
	e := &device.NonFiniteError{Step: step, Layer: "loss", Instr: "cross entropy"}
	m.run(0, m.p.ForwardEnd(), func(c *program.Instr, in, out []kernel.Tensor) bool {
		for j, id := range c.In {
			if b := &m.p.Buffers[id]; b.Arena == program.Param && !finite(in[j].F32) {
				e.Layer, e.Instr = c.Layer, "parameter "+b.Name
				return false
			}
		}
		for _, t := range out {
			if c.Phase > program.Forward {
				break // backward pass of an earlier micro-batch: the loss does not depend on it
			}
			if !finite(t.F32) {
				e.Layer, e.Instr = c.Layer, c.Kernel.String()
				return false
			}
		}
		return true
	})
	return e
}

func finite(x []float32) bool {
	for _, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}
