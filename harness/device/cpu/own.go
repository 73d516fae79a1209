// Our own kernels. A kernel takes a task: a struct in memory outside the Go heap that is
// declared in C and in Go; the Go compiler checks that both are equal (kernels_amd64.go).
// Every thread of the team calls the kernel with the same task and its own number.
//
// The kernels are written in C, in kernels/. kernels/generate.py compiles them to Go assembly,
// so that building needs no C compiler.

package cpu

import (
	"cmp"
	"os"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"depthlab/harness/ckernel"
	"depthlab/nets/kernel"
)

// EnvKernels is the environment variable that turns our own kernels off if it is "library":
// oneDNN computes everything.
const EnvKernels = "DEPTHLAB_ONEDNN_KERNELS"

// libraryAlone reports whether EnvKernels is "library".
func libraryAlone() bool { return os.Getenv(EnvKernels) == "library" }

// kernels are the addresses of the functions for one vector width and one type of
// activations; 0 if there is none.
type kernels struct {
	winograd, winogradWeights, winogradGradWeight, winogradGradSum uintptr
	direct, directGradWeight, pairGradWeight                       uintptr
	normStatistics, normApply, normGradSums, normGradApply         uintptr
	maxPool, maxPoolGrad, avgPool, avgPoolGrad                     uintptr
	sumRows, sgd, peak, entry                                      uintptr
}

// own is the kernels that a program uses.
type own struct {
	kernels         // for activations
	floats  kernels // for what is float32 in every precision: weights, linear layers
	lanes   int     // floats of a vector = channels of a block
	number  int     // bytes of an activation
	pairs   int64   // numbers that convolutions multiply together: 2 bfloat16, or 1 float32
}

// ownKernels returns the kernels for a layout and a type of activations. oneDNN leaves Winograd's
// convolutions, batch norms, and weight gradients of stride 2 to ours, which are faster. In
// channels-last, for AMX, it computes convolutions and input gradients itself, but its weight
// gradients take twice as long as ours.
func ownKernels(d *Device, l layout, dtype int32) own {
	k := vectors(d, dtype)
	switch {
	case d.lib == nil:
		return k
	case libraryAlone() || d.lib.parallel == 0:
		return own{number: k.number}
	}
	k.direct, k.maxPool, k.sumRows, k.floats.direct = 0, 0, 0, 0
	if l.block != k.lanes { // only batch norm and this weight gradient support channels-last
		k.winograd, k.pairGradWeight = 0, 0
	}
	return k
}

// pixel is the bytes of a pixel of a block in float32, stored those of an activation.
func (o own) pixel() int64  { return int64(4 * o.lanes) }
func (o own) stored() int64 { return int64(o.number * o.lanes) }

// transformWeights is the kernel that transforms Winograd's weights: to pairs of bfloat16, or to
// float32.
func (o own) transformWeights() uintptr { return cmp.Or(o.winogradWeights, o.floats.winogradWeights) }

// tileRows is the number of rows of a matrix product that a kernel keeps in registers: PIXELS
// in kernels/direct.c.
func (o own) tileRows() int {
	if o.lanes == 16 {
		return 8
	}
	return 6
}

// String names the kernels for provenance, because they round differently from others.
func (o own) String() string {
	winograd, what, direct := o.winograd, "winograd 4x4 convolutions", "direct convolutions"
	if winograd == 0 {
		winograd, what = o.winogradGradWeight, "winograd 4x4 weight gradients"
	}
	if o.pairs == 2 {
		what, direct = what+" of bfloat16", direct+" of bfloat16"
	}
	var names []string
	for _, k := range []struct {
		used uintptr
		name string
	}{{o.direct, direct}, {winograd, what}, {o.normApply, "fused batch norms"}} {
		if k.used != 0 {
			names = append(names, k.name)
		}
	}
	if names == nil {
		return "the library's kernels"
	}
	return strings.Join(names, ", ")
}

// onTeam returns a function that calls fn with the task on every thread, and waits for them
// (fork and join). With oneDNN it uses oneDNN's team, because two teams would compete for the
// cores.
func (d *Device) onTeam(fn uintptr, task region) func() {
	head := (*shared)(task.at(0))
	if d.lib != nil {
		e := &entryTask{kernel: fn, task: uintptr(task.at(0))}
		args := []uintptr{vectors(d, f32).entry, uintptr(unsafe.Pointer(e)), 0, 0} // 0, 0: the default number of threads, no flags
		return func() {
			head.divide(d.shares)
			e.threads = 0
			purego.SyscallN(d.lib.parallel, args...)
		}
	}
	job := func(member int) { ckernel.Call(fn, task.at(0), member) }
	return func() {
		size := d.team.size()
		head.divide(d.shares[:size])
		d.team.run(size, job)
	}
}

// entryTask is the task of entry (kernels/flat.c), with which oneDNN's threads begin.
type entryTask struct {
	threads      int64 // that have begun
	kernel, task uintptr
}

// launch appends a call of kernel fn with a copy of *t. set fills in its addresses, once
// memory has them.
func launch[T any](c *compiler, fn uintptr, what string, t *T, set func()) error {
	m, err := c.keep(int64(unsafe.Sizeof(*t)))
	if err != nil {
		return err
	}
	c.host(func() func() {
		set()
		task, run := (*T)(m.at(0)), c.d.onTeam(fn, m)
		return func() {
			*task = *t
			run()
		}
	})
	c.ops[len(c.ops)-1].what = what
	return nil
}

// activation returns operand i in the layout of activations. get is c.in or c.out.
func activation(c *compiler, i int, shape func(int) kernel.Shape, get func(int, *desc) (mem, error)) (mem, error) {
	d, err := c.act(shape(i))
	if err != nil {
		return mem{}, err
	}
	return get(i, d)
}

// inAndOut returns input i and output j in the layout of activations.
func inAndOut(c *compiler, i, j int) (from, to mem, err error) {
	if from, err = activation(c, i, c.inShape, c.in); err != nil {
		return
	}
	to, err = activation(c, j, c.outShape, c.out)
	return
}

// twoIn returns inputs i and j in the layout of activations.
func twoIn(c *compiler, i, j int) (a, b mem, err error) {
	if a, err = activation(c, i, c.inShape, c.in); err != nil {
		return
	}
	b, err = activation(c, j, c.inShape, c.in)
	return
}
