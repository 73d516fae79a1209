// Package cpu computes Programs on a CPU with kernels of its own and, in bfloat16 on CPUs with
// AMX, with those of the library oneDNN. Activations keep one layout, in
// float32 or bfloat16, from the first convolution to the pool. Parameters, optimizer state,
// statistics and the loss are float32 in plain order. Instructions that take little time are
// computed by their definitions in Go.
//
// Reference: the oneDNN developer guide, version 3.2, and oneapi/dnnl/dnnl.h.
package cpu

import (
	"cmp"
	"os"
	"runtime"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

const name = "cpu"

// Device is the CPUs of the machine, or some of them.
type Device struct {
	cpu     processor
	isa     string // the instruction set whose kernels are used
	threads int
	halves  *Device          // the device that computes bfloat16 with oneDNN; nil if there is none, or if it is this device
	team    *team            // runs kernels; nil with oneDNN, whose own team runs them
	shares  []share          // of the kernel that runs, for each thread
	lib     *library         // nil without oneDNN
	thread  *thread          // calls oneDNN; nil without it
	engine  uintptr          // oneDNN's
	stream  uintptr          // oneDNN's
	descs   map[string]*desc // by shape, type and tag
	queried []*desc          // layouts that primitives chose
	prims   map[any]*prim
}

// Open opens the device with a number of threads, 0 for one on each CPU. library is the path
// of oneDNN (see Find), "" for none. oneDNN is used beside our kernels for bfloat16 with AMX, or
// for everything if EnvKernels is "library".
func Open(library string, threads int) (device.Device, error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	isa, _ := instructions()
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	d := &Device{cpu: processor{device.CPU()}, isa: isa, threads: threads, shares: make([]share, threads), descs: map[string]*desc{}}
	if library == "" && libraryAlone() {
		return nil, &device.UnsupportedError{Device: name, What: EnvKernels + "=library without the library oneDNN",
			Hint: "set " + EnvLibrary + " to the path of a " + soname}
	}
	if libraryAlone() {
		if err := d.openLibrary(library); err != nil {
			return nil, err
		}
		return d, nil
	}
	if library != "" && hasBfloat16(d) {
		halves := *d
		halves.descs, halves.shares = map[string]*desc{}, make([]share, threads)
		if err := halves.openLibrary(library); err != nil {
			return nil, err
		}
		d.halves = &halves
	}
	d.team = newTeam(threads)
	return d, nil
}

// openLibrary opens oneDNN, on a thread of its own.
func (d *Device) openLibrary(path string) error {
	d.thread = startThread()
	if err := d.thread.try(func() error { return d.start(path) }); err != nil {
		d.thread.stop()
		return &LibraryError{err}
	}
	return nil
}

// LibraryError says that a library cannot be opened or used.
type LibraryError struct{ Err error }

func (e *LibraryError) Error() string { return e.Err.Error() }
func (e *LibraryError) Unwrap() error { return e.Err }

// Check returns an error if the library cannot be used. It opens it.
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

// try runs f, on the thread that calls oneDNN if it is open.
func (d *Device) try(f func() error) error {
	if d.lib == nil {
		return f()
	}
	return d.thread.try(f)
}

// each returns a function that calls f(0) ... f(n-1) on the team. With oneDNN it calls them
// on one thread, because idle workers of oneDNN's team spin and may occupy the cores.
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

// helps reports whether oneDNN computes bfloat16 beside our kernels: with AMX, for which there are
// no kernels here, or if a layout is asked for. Without AMX it is hardly faster.
func (d *Device) helps(layout string) bool {
	return d.halves != nil && (d.cpu.amx() || cmp.Or(layout, os.Getenv(EnvLayout)) != "")
}

// Info describes the machine; a session adds precision and layout, and has no library if none
// computes.
func (d *Device) Info() device.Info {
	if d.helps("") {
		return infoOf(d.halves)
	}
	return infoOf(d)
}

// mostJobs is how many nets are trained at the same time if there are enough threads. Threads
// that compute different nets do not wait for each other: two nets on two threads train 1.1
// (ResNet-20) to 1.4 times (nets of the preview) as fast as one after the other. More nets need
// more memory, and each of them takes longer. With AMX it is one net: sessions with oneDNN take turns.
const mostJobs = 4

func infoOf(d *Device) device.Info {
	i := device.Info{
		Name:     name,
		Hardware: d.cpu.Model + ", " + widest(d),
		Threads:  d.threads,
		Kernels:  Revision,
		Launch:   1,
	}
	i.Bfloat16 = hasBfloat16(d)
	if d.lib != nil {
		i.Library = d.lib.version
	} else {
		i.Jobs = min(mostJobs, d.threads)
	}
	return i
}

// hasBfloat16 reports whether the device uses the CPU's instructions for bfloat16. On other CPUs
// with AVX-512 oneDNN emulates it, slower than float32.
func hasBfloat16(d *Device) bool { return d.isa == avx512 && d.cpu.Flags["avx512_bf16"] }

// Instructions is the instruction set whose kernels are used: "avx512", "avx2", "neon".
func (d *Device) Instructions() string { return d.isa }

// widest is the widest instruction set in use.
func widest(d *Device) string {
	switch {
	case d.isa != avx512:
		return d.isa
	case d.lib != nil && d.cpu.amx():
		return "amx"
	case hasBfloat16(d):
		return "avx512_bf16"
	}
	return avx512
}

// Remark says which kernels are used, for doctor.
func (d *Device) Remark() string {
	switch {
	case d.lib != nil && libraryAlone():
		return "all kernels are oneDNN's, because " + EnvKernels + "=library; our own are up to twice as fast"
	case d.helps(""):
		return "our own kernels for avx512; in bf16 oneDNN's, too"
	case d.halves != nil:
		return "our own kernels for avx512; oneDNN is not used, because without AMX it is hardly faster"
	}
	return "our own kernels for " + d.isa + "; no library is needed"
}

// Supports returns an *UnsupportedError for a kernel that is not in its list. All optimizers
// are supported: their definitions compute them.
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
		kernel.ReLU, kernel.ReLUGrad, kernel.Scale, kernel.Gate, kernel.GateGrad, kernel.Dropout:
		return nil
	}
	return &device.UnsupportedError{Device: name, What: "the operation " + k.String(), Hint: "the device ref computes every operation"}
}

// Close ends the team and releases oneDNN's objects. Close all sessions before it.
func (d *Device) Close() error {
	if d.team != nil {
		d.team.stop()
		d.team = nil
	}
	if d.halves != nil {
		return d.halves.Close()
	}
	if d.thread == nil {
		return nil
	}
	err := d.thread.try(d.release)
	d.thread.stop()
	d.thread = nil
	return err
}

// release destroys oneDNN's objects, and returns the first error.
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
