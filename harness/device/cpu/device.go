// Package cpu computes Programs on a CPU by kernels of its own, and by those of
// the library oneDNN where it is faster and there. Activations keep one layout,
// float32 or bfloat16, from the first convolution to the pool; parameters, momenta,
// statistics and the loss are float32 in plain order. What is not worth a kernel is
// plain Go.
//
// Reference: the oneDNN developer guide, version 3.2, and oneapi/dnnl/dnnl.h.
package cpu

import (
	"runtime"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

const name = "cpu"

// Device is all CPUs, or the first few.
type Device struct {
	cpu     processor
	isa     string // which kernels
	threads int
	team    *team    // nil where oneDNN's computes
	lib     *library // nil for none
	thread  *thread
	engine  uintptr
	stream  uintptr
	descs   map[string]*desc // by tag
	queried []*desc          // layouts that primitives chose
	prims   map[any]*prim
}

// Open opens the device for a number of threads, 0 for one a CPU. library is the path
// of oneDNN (see Find), "" for none. It is used with AVX-512, or where EnvKernels
// says so; the kernels for older CPUs are faster than it.
func Open(library string, threads int) (device.Device, error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	isa, _ := instructions()
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := &Device{cpu: processor{device.CPU()}, isa: isa, threads: threads, descs: map[string]*desc{}}
	if library == "" && libraryAlone() {
		return nil, &device.UnsupportedError{Device: name, What: EnvKernels + "=library without the library oneDNN",
			Hint: "set " + EnvLibrary + " to the path of a " + soname}
	}
	if library == "" || isa != avx512 && !libraryAlone() {
		d.team = newTeam(threads)
		return d, nil
	}
	d.thread = startThread()
	if err := d.thread.try(func() error { return d.start(library) }); err != nil {
		d.thread.stop()
		return nil, &LibraryError{err}
	}
	return d, nil
}

// LibraryError says that a library does not open, or is none that can be used.
type LibraryError struct{ Err error }

func (e *LibraryError) Error() string { return e.Err.Error() }
func (e *LibraryError) Unwrap() error { return e.Err }

// Check opens a library, and says why it cannot be used.
func Check(library string) error {
	_, err := openLibrary(library)
	return err
}

// start opens the library.
func (d *Device) start(path string) (err error) {
	d.prims = map[any]*prim{}
	if d.lib, err = openLibrary(path); err != nil {
		return err
	}
	d.lib.setThreads(int32(d.threads))
	if err := check(d.lib.engineCreate(&d.engine, engineCPU, 0), "engine create"); err != nil {
		return err
	}
	return check(d.lib.streamCreate(&d.stream, d.engine, streamInOrder), "stream create")
}

// try runs f where all calls are made: on oneDNN's thread, if it is there.
func (d *Device) try(f func() error) error {
	if d.lib == nil {
		return f()
	}
	return d.thread.try(f)
}

// each gives a function that calls f(0) ... f(n-1), each on any thread. Where oneDNN's
// team computes its idle workers may still hold the cores: one thread does.
func (d *Device) each(n int, f func(i int)) func() {
	if d.team != nil {
		return d.team.each(n, f)
	}
	return func() {
		for i := range n {
			f(i)
		}
	}
}

// Info describes the machine; a session adds precision and layout.
func (d *Device) Info() device.Info {
	i := device.Info{
		Name:     name,
		Hardware: d.cpu.Model + ", " + d.uses(),
		Threads:  d.threads,
		Kernels:  Revision,
		Launch:   1,
	}
	if d.lib != nil {
		i.Library, i.Bfloat16 = d.lib.version, d.isa == avx512 && d.cpu.bfloat16()
	}
	return i
}

// Instructions is the set of instructions that the device keeps to.
func (d *Device) Instructions() string { return d.isa }

// uses is the widest set of instructions in use. Without oneDNN the kernels for AVX2
// run on CPUs with AVX-512, too.
func (d *Device) uses() string {
	switch {
	case d.isa != avx512:
		return d.isa
	case d.lib == nil:
		return avx2
	case d.cpu.amx():
		return "amx"
	case d.cpu.Flags["avx512_bf16"]:
		return "avx512_bf16"
	}
	return avx512
}

// Remark says which kernels compute, and what it costs.
func (d *Device) Remark() string {
	switch {
	case d.lib != nil && libraryAlone():
		return "oneDNN computes, as " + EnvKernels + "=library says; kernels of our own are up to twice as fast"
	case d.lib != nil:
		return "kernels of our own, in assembly for AVX-512, and oneDNN's for what else there is"
	case d.isa == avx512:
		return "kernels in C for AVX2: without oneDNN no bf16, and a tenth to a half slower than with it; ./run.sh fetches it where python3 has pip"
	}
	return "kernels in C for " + d.isa + "; no library is needed"
}

// Supports knows every kernel of the vocabulary as of today, and optimizers to come:
// their definition computes them.
func (d *Device) Supports(k kernel.Kernel) error {
	switch k := k.(type) {
	case kernel.AllReduce:
		if k.Replicas == 1 {
			return nil
		}
	case kernel.Conv, kernel.ConvGradInput, kernel.ConvGradWeight,
		kernel.BatchNorm, kernel.BatchNormGrad, kernel.BatchNormInfer, kernel.MovingAverage,
		kernel.Pad, kernel.PadGrad, kernel.Add, kernel.MaxPool, kernel.MaxPoolGrad, kernel.AvgPool, kernel.AvgPoolGrad,
		kernel.Linear, kernel.LinearGradInput, kernel.LinearGradWeight, kernel.LinearGradBias,
		kernel.CrossEntropy, kernel.CrossEntropyGrad, kernel.Batch, kernel.Optimizer, kernel.Accumulate,
		kernel.ReLU, kernel.ReLUGrad, kernel.Scale, kernel.Gate, kernel.GateGrad:
		return nil
	}
	return &device.UnsupportedError{Device: name, What: "the operation " + k.String(), Hint: "the device ref computes every operation"}
}

// Close ends the team and releases the library's objects. Sessions must be closed
// before.
func (d *Device) Close() error {
	if d.team != nil {
		d.team.stop()
		d.team = nil
	}
	if d.thread == nil {
		return nil
	}
	err := d.thread.try(d.release)
	d.thread.stop()
	d.thread = nil
	return err
}

// release gives back the library's objects.
func (d *Device) release() error {
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
}
