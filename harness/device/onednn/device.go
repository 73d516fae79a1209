// Package onednn computes Programs on a CPU through oneDNN, whose C library is
// opened at run time. Activations keep one layout, float32 or bfloat16, from
// the first convolution to the pool; parameters, momenta, statistics and the
// loss are float32 in plain order. What is not worth a primitive is plain Go.
//
// Reference: the oneDNN developer guide, version 3.2, and oneapi/dnnl/dnnl.h.
package onednn

import (
	"runtime"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

const name = "onednn"

// Device is oneDNN on all CPUs, or on the first few.
type Device struct {
	lib     *library
	cpu     cpu
	threads int
	thread  *thread
	engine  uintptr
	stream  uintptr
	descs   map[string]*desc // by tag
	queried []*desc          // layouts that primitives chose
	prims   map[any]*prim
}

// Open opens the library at path (see Find) for a number of threads, 0 for one
// a CPU.
func Open(path string, threads int) (device.Device, error) {
	c := cpu{device.CPU()}
	if runtime.GOARCH != "amd64" || !c.Flags["sse4_1"] {
		return nil, &device.UnsupportedError{Device: name, What: "this CPU", Hint: "x86-64 with SSE 4.1 is needed; the device ref runs anywhere"}
	}
	d := &Device{cpu: c, thread: startThread(), descs: map[string]*desc{}, prims: map[any]*prim{}}
	if err := d.thread.try(func() error { return d.start(path, threads) }); err != nil {
		d.thread.stop()
		return nil, err
	}
	return d, nil
}

func (d *Device) start(path string, threads int) (err error) {
	if d.lib, err = openLibrary(path); err != nil {
		return err
	}
	if threads > 0 {
		d.lib.setThreads(int32(threads))
	}
	d.threads = int(d.lib.maxThreads())
	if err := check(d.lib.engineCreate(&d.engine, engineCPU, 0), "engine create"); err != nil {
		return err
	}
	return check(d.lib.streamCreate(&d.stream, d.engine, streamInOrder), "stream create")
}

// Info describes the machine; a session adds precision and layout.
func (d *Device) Info() device.Info {
	return device.Info{
		Name:     name,
		Hardware: d.cpu.Model + ", " + d.cpu.isa(),
		Threads:  d.threads,
		Library:  d.lib.version,
		Kernels:  Revision,
		Bfloat16: d.cpu.bfloat16(),
		Launch:   1,
	}
}

// Supports knows every kernel of the vocabulary as of today, and optimizers to come:
// their definition computes them.
func (d *Device) Supports(k kernel.Kernel) error {
	switch k.(type) {
	case kernel.Conv, kernel.ConvGradInput, kernel.ConvGradWeight,
		kernel.BatchNorm, kernel.BatchNormGrad, kernel.BatchNormInfer, kernel.MovingAverage,
		kernel.Pad, kernel.PadGrad, kernel.Add, kernel.MaxPool, kernel.MaxPoolGrad, kernel.AvgPool, kernel.AvgPoolGrad,
		kernel.Linear, kernel.LinearGradInput, kernel.LinearGradWeight, kernel.LinearGradBias,
		kernel.CrossEntropy, kernel.CrossEntropyGrad, kernel.Batch, kernel.Optimizer, kernel.Accumulate:
		return nil
	}
	return &device.UnsupportedError{Device: name, What: "the operation " + k.String(), Hint: "the device ref computes every operation"}
}

// Close releases the library's objects. Sessions must be closed before.
func (d *Device) Close() error {
	if d.thread == nil {
		return nil
	}
	err := d.thread.try(func() error {
		var first error
		keep := func(s status, what string) {
			if err := check(s, what); err != nil && first == nil {
				first = err
			}
		}
		for _, p := range d.prims {
			keep(d.lib.primDestroy(p.handle), "primitive destroy")
			keep(d.lib.pdDestroy(p.pd), "primitive descriptor destroy")
		}
		for _, x := range d.descs {
			keep(d.lib.descDestroy(x.handle), "memory descriptor destroy")
		}
		for _, x := range d.queried {
			keep(d.lib.descDestroy(x.handle), "memory descriptor destroy")
		}
		keep(d.lib.streamDestroy(d.stream), "stream destroy")
		keep(d.lib.engineDestroy(d.engine), "engine destroy")
		return first
	})
	d.thread.stop()
	d.thread = nil
	return err
}
