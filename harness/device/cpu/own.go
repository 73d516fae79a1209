// Kernels of our own. A kernel takes a task: a struct in memory outside the Go heap,
// whose layout it knows; the compiler compares the two (kernels_amd64.go). Every
// thread of the team calls it with the same task.
//
// Those for AVX2 and NEON are compiled from C, in kernels/, to assembly by
// kernels/generate.py, so that building needs no C compiler.

package cpu

import (
	"os"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"

	"depthlab/nets/kernel"
)

// EnvKernels set to "library" leaves everything to oneDNN.
const EnvKernels = "DEPTHLAB_ONEDNN_KERNELS"

// libraryAlone reports whether it is so set.
func libraryAlone() bool { return os.Getenv(EnvKernels) == "library" }

// kernels are the functions for one width of vectors and one type of activations,
// by address; 0 for none.
type kernels struct {
	winograd, winogradWeights, winogradGradWeight, winogradGradSum uintptr
	direct, directGradWeight                                       uintptr
	normStatistics, normApply, normGradSums, normGradApply         uintptr
	maxPool, maxPoolGrad, avgPool, avgPoolGrad                     uintptr
	sumRows, sgd, peak                                             uintptr
	wideGradWeight                                                 uintptr // gradients by weight, of stride 2
}

// own says which of these kernels a program uses.
type own struct {
	kernels
	lanes int  // of a vector: channels of a block
	byC   bool // compiled from C, which has a kernel for everything
}

// own gives the kernels for a layout and a type of activations.
func (d *Device) own(l layout, dtype int32) own {
	switch {
	case libraryAlone():
		return own{}
	case d.lib != nil && d.lib.parallel != 0 && (dtype == f32 || d.cpu.Flags["avx512_bf16"]):
		k := own{kernels: kernels512(dtype), lanes: 16}
		if l.block != 16 { // batch norms alone take any
			k.winograd, k.winogradGradWeight, k.wideGradWeight = 0, 0, 0
		}
		return k
	case d.lib != nil:
		return own{}
	}
	return own{vectors, lanes, true}
}

// pixel is the bytes of a pixel of a block, in float32.
func (o own) pixel() int64 { return int64(4 * o.lanes) }

// tap is the bytes of a tap of the weights, of a block of inputs and 16 outputs.
func (o own) tap() int64 { return o.pixel() * channels }

// tileRows is how many rows of a product of matrices a kernel keeps in registers.
func (o own) tileRows() int {
	if o.lanes == 16 {
		return 16
	}
	return 6
}

// String names them for provenance: they round in another order than others.
func (o own) String() string {
	var names []string
	for _, k := range []struct {
		used uintptr
		name string
	}{{o.direct, "direct convolutions"}, {o.winograd, "winograd 4x4 convolutions"}, {o.normApply, "fused batch norms"}} {
		if k.used != 0 {
			names = append(names, k.name)
		}
	}
	if names == nil {
		return "the library's kernels"
	}
	return strings.Join(names, ", ")
}

// onTeam gives a function that runs the one at address fn with the task on every
// thread, and waits for them. Where oneDNN computes, too, it is its team that does,
// since two teams would fight for the cores.
func (d *Device) onTeam(fn uintptr, task region) func() {
	if d.lib != nil {
		args := []uintptr{fn, uintptr(task.at(0)), 0, 0} // 0: as many threads as set, no flags
		return func() { purego.SyscallN(d.lib.parallel, args...) }
	}
	job := func() { call(fn, task.at(0)) }
	return func() { d.team.run(job) }
}

// launch appends a call of the kernel at address fn with a task. set fills in
// addresses, when memory has been placed.
func launch[T any](c *compiler, fn uintptr, what string, t *T, set func()) error {
	m, err := c.keep(int64(unsafe.Sizeof(*t)))
	if err != nil {
		return err
	}
	c.host(func() func() {
		set()
		task, run := (*T)(m.at(0)), c.d.onTeam(fn, m)
		return func() {
			*task = *t // counters begin anew
			run()
		}
	})
	c.ops[len(c.ops)-1].what = what
	return nil
}

// activation gives operand i in the layout of activations.
func (c *compiler) activation(i int, shape func(int) kernel.Shape, get func(int, *desc) (mem, error)) (mem, error) {
	d, err := c.act(shape(i))
	if err != nil {
		return mem{}, err
	}
	return get(i, d)
}

// inAndOut gives input i and output j in the layout of activations.
func (c *compiler) inAndOut(i, j int) (from, to mem, err error) {
	if from, err = c.activation(i, c.inShape, c.in); err != nil {
		return
	}
	to, err = c.activation(j, c.outShape, c.out)
	return
}

// twoIn gives inputs i and j in the layout of activations.
func (c *compiler) twoIn(i, j int) (a, b mem, err error) {
	if a, err = c.activation(i, c.inShape, c.in); err != nil {
		return
	}
	b, err = c.activation(j, c.inShape, c.in)
	return
}
