package onednn

import (
	"os"
	"strings"

	"github.com/ebitengine/purego"

	"depthlab/nets/kernel"
)

// Kernels of our own, in assembly, where the library's are slow. They run on
// libgomp's team, like oneDNN's, and take a task: a struct in memory outside
// the Go heap, whose layout the assembly knows.

// The entries of the assembly.
const (
	entryConvForward = iota
	entryConvGradWeight
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

// own says which of these kernels a program uses.
type own struct{ avx2, wide, fused bool }

// String names them for provenance: they round in another order than the
// library's.
func (o own) String() string {
	var names []string
	for _, k := range []struct {
		used bool
		name string
	}{{o.avx2, "avx2 convolutions"}, {o.wide, "winograd 4x4 convolutions"}, {o.fused, "fused batch norms"}} {
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
	avx512 := d.runs("avx512f", "avx512bw", "avx512vl", "avx512dq") && (dtype == f32 || d.runs("avx512_bf16"))
	return own{
		avx2:  dtype == f32 && l.block == 8 && d.runs("avx2", "fma"),
		wide:  avx512 && l.block == 16,
		fused: avx512 && l.block != 8,
	}
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

// onTeam gives a function that runs entry with the task on every thread of the
// team, and waits for them.
func (d *Device) onTeam(entry int, task region) func() {
	args := []uintptr{entries[entry], uintptr(task.at(0)), 0, 0} // 0: as many threads as set, no flags
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
