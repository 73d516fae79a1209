package onednn

import (
	"os"
	"strings"

	"github.com/ebitengine/purego"

	"depthlab/nets/kernel"
)

// Kernels of our own, in assembly and in C, where the library's are slow. They run
// on libgomp's team, like oneDNN's, and take a task: a struct in memory outside the
// Go heap, whose layout they know.
//
// Those in C, in kernels/, are compiled to assembly by kernels/generate.py, so that
// building needs no C compiler.

// The entries of the assembly that is written by hand.
const (
	entryConvForward = iota
	entryRectify32
	entryRectify16
	entryWideGradWeight32
	entryWideGradWeight16
	entryWinograd32
	entryWinograd16
	entryWinogradWeights
	entryWinogradGradWeight32
	entryWinogradGradWeight16
	entryWinogradGradSum
	entryNormStatistics32
	entryNormStatistics16
	entryNormApply32
	entryNormApply16
	entryNormGradSums32
	entryNormGradSums16
	entryNormGradApply32
	entryNormGradApply16
	numEntries
)

// EnvKernels set to "library" leaves convolutions and batch norms to oneDNN.
const EnvKernels = "DEPTHLAB_ONEDNN_KERNELS"

// kernels are the functions for one width of vectors and one type of activations,
// by address.
type kernels struct {
	winograd, winogradWeights, winogradGradWeight, winogradGradSum uintptr
	normStatistics, normApply, normGradSums, normGradApply         uintptr
}

// avx512Kernels are those of winograd_amd64.s and fused_amd64.s.
func avx512Kernels(dtype int32) kernels {
	twin := 0
	if dtype == bf16 {
		twin = 1
	}
	return kernels{
		entries[entryWinograd32+twin], entries[entryWinogradWeights], entries[entryWinogradGradWeight32+twin], entries[entryWinogradGradSum],
		entries[entryNormStatistics32+twin], entries[entryNormApply32+twin], entries[entryNormGradSums32+twin], entries[entryNormGradApply32+twin],
	}
}

// own says which of these kernels a program uses.
type own struct {
	direct   bool // convolutions, of stride 2 above all, forward
	winograd bool // convolutions of stride 1
	strided  bool // gradients by weight, of stride 2
	fused    bool // batch norms
	lanes    int  // of a vector: channels of a block
	kernels  kernels
}

// pixel is the bytes of a pixel of a block, in float32.
func (o own) pixel() int64 { return int64(4 * o.lanes) }

// tap is the bytes of a tap of the weights, of a block of inputs and one of
// outputs.
func (o own) tap() int64 { return int64(o.lanes) * o.pixel() }

// weights is the layout of weights in blocks of inputs and outputs, the outputs
// innermost.
func (o own) weights() int32 {
	if o.lanes == 8 {
		return tagOIhw8i8o
	}
	return tagOIhw16i16o
}

// weightsTurned is weights with the inputs innermost.
func (o own) weightsTurned() int32 {
	if o.lanes == 8 {
		return tagOIhw8o8i
	}
	return tagOIhw16o16i
}

// String names them for provenance: they round in another order than the
// library's.
func (o own) String() string {
	var names []string
	for _, k := range []struct {
		used bool
		name string
	}{{o.direct, "avx2 convolutions"}, {o.winograd, "winograd 4x4 convolutions"}, {o.fused, "fused batch norms"}} {
		if k.used {
			names = append(names, k.name)
		}
	}
	if names == nil {
		return "the library's kernels"
	}
	return strings.Join(names, ", ")
}

func (d *Device) own(l layout, dtype int32) own {
	if os.Getenv(EnvKernels) == "library" {
		return own{}
	}
	switch {
	case d.runs("avx512f", "avx512bw", "avx512vl", "avx512dq") && (dtype == f32 || d.runs("avx512_bf16")):
		return own{winograd: l.block == 16, strided: l.block == 16, fused: l.block != 8, lanes: 16, kernels: avx512Kernels(dtype)}
	case dtype == f32 && d.runs("avx2", "fma"):
		return own{direct: l.block == 8, winograd: l.block == 8, fused: l.block != 16, lanes: 8, kernels: avx2Kernels}
	}
	return own{}
}

// runs reports whether assembly that needs these features of the CPU can run.
func (d *Device) runs(features ...string) bool {
	if entries[0] == 0 || d.lib.parallel == 0 {
		return false
	}
	for _, f := range features {
		if !d.cpu.Flags[f] {
			return false
		}
	}
	return true
}

// onTeam gives a function that runs the one at address fn with the task on every
// thread of the team, and waits for them.
func (d *Device) onTeam(fn uintptr, task region) func() {
	args := []uintptr{fn, uintptr(task.at(0)), 0, 0} // 0: as many threads as set, no flags
	return func() { purego.SyscallN(d.lib.parallel, args...) }
}

// productOperands gives input i, the weight, input j, in float32 under tag, and
// output 0.
func (c *compiler) productOperands(i, j int, tag int32) (x, w, y mem, err error) {
	if x, err = c.activation(i, c.inShape, c.in); err != nil {
		return
	}
	wd, err := c.d.desc(c.inShape(j), f32, tag)
	if err != nil {
		return
	}
	if w, err = c.in(j, wd); err != nil {
		return
	}
	y, err = c.activation(0, c.outShape, c.out)
	return
}

// gradOperands gives x, input 0, dy, input 1, and the weight's gradient, output
// 0, in float32 under tag.
func (c *compiler) gradOperands(tag int32) (x, dy, dw mem, err error) {
	if x, err = c.activation(0, c.inShape, c.in); err != nil {
		return
	}
	if dy, err = c.activation(1, c.inShape, c.in); err != nil {
		return
	}
	dwd, err := c.d.desc(c.outShape(0), f32, tag)
	if err != nil {
		return
	}
	dw, err = c.out(0, dwd)
	return
}

// activation gives operand i in the layout of activations.
func (c *compiler) activation(i int, shape func(int) kernel.Shape, get func(int, *desc) (mem, error)) (mem, error) {
	d, err := c.act(shape(i))
	if err != nil {
		return mem{}, err
	}
	return get(i, d)
}

// addChunks gives a function that sums the chunks of sums, in their order.
func addChunks(sums *block, to mem, chunks int) func() {
	n := int(to.desc.size / 4)
	all, out := slice[float32](sums, 0, n*chunks), slice[float32](to.block, to.offset, n)
	return func() {
		copy(out, all)
		for i := 1; i < chunks; i++ {
			for j, v := range all[i*n:][:n] {
				out[j] += v
			}
		}
	}
}

// passBytes of x and dy pass through the cache for each set of sums.
const passBytes = 128 << 10
