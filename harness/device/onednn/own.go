package onednn

import (
	"os"
	"strings"

	"github.com/ebitengine/purego"
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
	entryWinogradWeights32
	entryWinogradWeights16
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
	}{{o.avx2, "avx2 convolutions"}, {o.wide, "winograd convolutions"}, {o.fused, "fused batch norms"}} {
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
