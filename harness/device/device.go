// Package device is the interface between a Program and the devices that compute it:
// ref (plain Go), cpu, xla (GPUs).
package device

import (
	"fmt"
	"slices"
	"strings"

	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// Info describes a device for provenance and for lab doctor.
type Info struct {
	Name      string `json:"name"`                // "ref", "cpu", "xla"
	Hardware  string `json:"hardware"`            // model of the CPU or GPU: "AMD EPYC 7B13, avx2"
	Threads   int    `json:"threads,omitempty"`   // CPU threads that compute; 0 if the library does not say
	Library   string `json:"library,omitempty"`   // "oneDNN 3.2.0"; "" where none computes
	Kernels   string `json:"kernels,omitempty"`   // revision of this program's own kernels, raised when their sums change; "" if none are used
	Platform  string `json:"platform,omitempty"`  // platform of a PJRT plugin: "cpu", "cuda"
	Driver    string `json:"driver,omitempty"`    // version of the GPU driver
	Precision string `json:"precision,omitempty"` // precision in use; set by Session.Info
	Layout    string `json:"layout,omitempty"`    // activation layout, the rule that chose it, and kernels that round differently
	Bfloat16  bool   `json:"bfloat16"`            // whether the hardware has instructions for bf16: auto chooses it
	GPU       bool   `json:"gpu,omitempty"`       // true for any device that is not a CPU
	Replicas  int    `json:"replicas,omitempty"`  // number of devices that share each step (data parallel); 0 for one
	Launch    int    `json:"-"`                   // steps per Train call that keep the device busy: 1 on a CPU
	Jobs      int    `json:"-"`                   // on a CPU, nets to train at the same time for the highest speed; 0 for one
}

// Summary is the info in a few words: "cpu, oneDNN 3.2.0, AMD EPYC, avx512, 2 threads".
func (i Info) Summary() string {
	words := []string{i.Name, i.Library, i.Hardware}
	if i.Threads > 0 {
		words = append(words, fmt.Sprintf("%d threads", i.Threads))
	}
	if i.Replicas > 1 {
		words = append(words, fmt.Sprintf("%d replicas", i.Replicas))
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), ", ")
}

// Device computes Programs.
type Device interface {
	Info() Info
	// Supports returns an *UnsupportedError if the device has no implementation of k.
	Supports(k kernel.Kernel) error
	// Open compiles programs that share parameters, statistics and the resident data
	// set. All buffers start as zeros.
	Open(p Programs, o Options) (Session, error)
	Close() error
}

// Limited is a Device with a memory of its own.
type Limited interface {
	// Memory is what this process may use of it and what it uses, in bytes; a limit of 0
	// means that it is unknown.
	Memory() (limit, used int64)
}

// Programs are the programs of one net. They share the Param and Stat arenas and the
// resident data set, and have the same number of replicas. Train and Calibrate may be
// nil.
type Programs struct{ Train, Eval, Calibrate *program.Program }

// All lists the programs that are not nil.
func (p Programs) All() []*program.Program {
	var all []*program.Program
	for _, q := range []*program.Program{p.Train, p.Eval, p.Calibrate} {
		if q != nil {
			all = append(all, q)
		}
	}
	return all
}

// Replicas is the number of devices that run the programs together; 0 for one.
func (p Programs) Replicas() int {
	for _, q := range p.All() {
		return q.Replicas
	}
	return 0
}

// Precision is the number format of activations and of the operands of convolutions.
// Parameters, optimizer state, batch norm's statistics and the loss are always float32.
type Precision string

const (
	FP32 Precision = "fp32"
	TF32 Precision = "tf32" // NVIDIA's TensorFloat-32: float32 storage, convolution operands rounded to 10 bits of mantissa
	BF16 Precision = "bf16"
)

// Options of a session.
type Options struct {
	Precision     Precision // "" means FP32
	Deterministic bool
	Layout        string // cpu: "blocked", "nhwc"; "" follows the rule
	Profile       bool   // cpu: time each instruction
	Folder        string // xla: where a run's compiled programs are kept and looked for; "" to keep none
}

// Choice is a fingerprint (Value) of the algorithms that the device chose by timing for
// a program (Key). Checkpoints hold it: equal choices give equal bits.
type Choice struct{ Key, Value string }

// Row selects and augments one image of the resident data set: its index, the
// top and left of the crop in the padded image, and random bits. The lowest bit is 1 to
// flip the image left-right; from all of them dropout makes the image's masks.
// Index -1 marks an empty slot: its label is -1 and it adds to no sum.
type Row = [4]int32

// Rates are the values that the host sets for each step: the learning rate, and the
// weight of the batch in batch norm's running statistics (PyTorch's momentum, 0.1 by
// default; 1/k for the k-th batch gives a true average).
type Rates struct{ Learning, Statistics float32 }

// Launch is the steps of one call: batch rows and one pair of rates for each step.
type Launch struct {
	Rows  []Row // len(Rates) x batch, step after step; of each step the first rows are replica 0's
	Rates []Rates
	// First is the number of the first step, counted from 0; for errors only.
	First int
}

// Metric is the result of one training step on its own mini-batch.
type Metric struct {
	Loss  float32 // mean cross-entropy
	Wrong int     // images with a wrong top-1 class
}

// Counts is the result of an evaluation.
type Counts struct {
	Images, Wrong int
	Loss          float64 // summed over images
}

// Session holds the state of one run on a device. It is not safe for concurrent use.
// After an error other than *NonFiniteError only Close may be called.
//
// If several replicas run a net, Write writes to all of them, and Read reads from the
// first. A slice that is as long as the buffers of all replicas together is divided among
// them. After a step they hold the same values, except for their own part of the batch
// ("rows", "input", "label", "logits").
type Session interface {
	Info() Info
	// Write copies src into the named buffer. src is a []float32, []int32 or []uint8,
	// as the buffer's type says, in logical order (N, C, H, W) and of exactly its
	// length. Programs share buffers of the same name in the Param, Stat and Input
	// arenas.
	Write(name string, src any) error
	// Read copies the named buffer into dst. It looks in the training program first.
	// Work buffers cannot be read.
	Read(name string, dst any) error
	// Train runs len(l.Rates) steps and writes the result of each to m, which has the
	// same length. If a step's loss is not finite, Train stops with a *NonFiniteError
	// and leaves parameters and optimizer state as they were before that step.
	Train(l Launch, m []Metric) error
	// Eval classifies rows with batch norm's running statistics.
	Eval(rows []Row) (Counts, error)
	// Calibrate runs batches forward with batch statistics and averages these into the
	// running statistics, weighted by the Statistics rates.
	Calibrate(l Launch) error
	// Choices lists what the device chose by timing; empty if nothing.
	Choices() []Choice
	Close() error
}

// Profiled is a Session that takes the time of each instruction, if it was opened with
// Options.Profile.
type Profiled interface {
	// Profile lists the instructions in program order; it is empty if the session was
	// opened without.
	Profile() []Timing
}

// Timing is the time of one instruction since the session was opened.
type Timing struct {
	Program, Layer, Kernel, Phase string
	Impl                          []string // what computes it: oneDNN's implementations, our own kernels ("own:winograd"), "go"
	Calls                         int
	Seconds                       float64
	Flops, Bytes                  int64 // of one call, as the kernel counts
}

// UnsupportedError says that a device has no way to do what was asked, as opposed to
// having failed at it.
type UnsupportedError struct{ Device, What, Hint string }

func (e *UnsupportedError) Error() string {
	s := fmt.Sprintf("%s: %s is not supported", e.Device, e.What)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// LostError says that a device stopped working: it was taken away, or broke. A new one
// may be opened; nothing can be read from the old one.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return fmt.Sprintf("the device was lost: %v; what the last checkpoint holds is safe", e.Err)
}
func (e *LostError) Unwrap() error { return e.Err }

// NonFiniteError says that a step produced NaN or Inf, and in which layer first.
type NonFiniteError struct {
	Step  int    // counted from 0
	Layer string // "layer1.0.conv1"
	Instr string // "conv 3x3 s1 p1 ->16", or "parameter conv1.weight" if it came in with the weights
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("step %d: NaN or Inf first in layer %s (%s); a lower rate or a warm-up usually helps", e.Step+1, e.Layer, e.Instr)
}
