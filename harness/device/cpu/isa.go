// Instruction sets: those that the CPU has, and the one whose kernels are used.

package cpu

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"

	"depthlab/harness/device"
)

// EnvCPU is the environment variable with the instruction set to use instead of the best.
const EnvCPU = "DEPTHLAB_CPU"

// The instruction sets for which there are kernels; plain means that there are none.
const (
	avx512 = "avx512"
	avx2   = "avx2"
	neon   = "neon"
	plain  = "ref"
)

// here lists the instruction sets of this CPU, best first.
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

// instructions returns the instruction set to use: that of EnvCPU, or the best.
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

// Missing returns an error if there are no kernels for this CPU, or for the instruction set
// that EnvCPU names.
func Missing() error {
	isa, err := instructions()
	if err == nil && isa == plain {
		err = &device.UnsupportedError{Device: name, What: "this CPU, " + device.CPU().Model + ",",
			Hint: "it needs x86-64 with AVX2 and FMA, or 64-bit ARM; the device ref runs on any CPU"}
		if os.Getenv(EnvCPU) != "" {
			err = fmt.Errorf("cpu: %s=%s turns the kernels off; unset it, or use the device ref", EnvCPU, plain)
		}
	}
	return err
}

// processor is the CPU, with the features that matter to oneDNN.
type processor struct{ device.Processor }

func (c processor) amx() bool { return c.Flags["amx_bf16"] && c.Flags["amx_tile"] }
