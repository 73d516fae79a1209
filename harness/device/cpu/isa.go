// What instructions the CPU has, and which of them are used.

package cpu

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"depthlab/harness/device"
)

// EnvCPU limits the device to the instructions of an older CPU.
const EnvCPU = "DEPTHLAB_CPU"

// The sets of instructions that there are kernels for, and plain Go.
const (
	avx512 = "avx512"
	avx2   = "avx2"
	neon   = "neon"
	plain  = "ref"
)

// here lists the sets of instructions that this CPU has, the best first.
func here() []string {
	var all []string
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512DQ {
		all = append(all, avx512)
	}
	if x.HasAVX2 && x.HasFMA {
		all = append(all, avx2)
	}
	if cpu.ARM64.HasASIMD {
		all = append(all, neon)
	}
	return append(all, plain)
}

// instructions gives the set to use: the best, or the one that is asked for.
func instructions() (string, error) {
	all, wanted := here(), os.Getenv(EnvCPU)
	if wanted == "" {
		return all[0], nil
	}
	if !slices.Contains(all, wanted) {
		return "", &device.UnsupportedError{Device: name, What: fmt.Sprintf("%s on this CPU, %s,", wanted, device.CPU().Model),
			Hint: "it has " + strings.Join(all, ", ")}
	}
	return wanted, nil
}

// Missing says why there are no kernels for this CPU, or for what EnvCPU says; nil if
// there are.
func Missing() error {
	isa, err := instructions()
	if err == nil && isa == plain {
		err = &device.UnsupportedError{Device: name, What: "this CPU, " + device.CPU().Model + ",",
			Hint: "AVX2 with FMA on x86-64, or an ARM of 64 bits is needed; the device ref runs anywhere"}
		if os.Getenv(EnvCPU) != "" {
			err = fmt.Errorf("%s=%s asks for it", EnvCPU, plain)
		}
	}
	return err
}

// processor is the CPU, asked for what oneDNN does with it.
type processor struct{ device.Processor }

func (c processor) amx() bool { return c.Flags["amx_bf16"] && c.Flags["amx_tile"] }

// bfloat16 reports whether the CPU multiplies bfloat16 natively. oneDNN
// emulates it on AVX-512 without that, slower than float32.
func (c processor) bfloat16() bool { return c.Flags["avx512_bf16"] || c.amx() }
