// Package device is the seam between a Program and what computes it: ref
// (plain Go), onednn (CPU), xla (GPUs).
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
	Name      string `json:"name"`                // "ref", "onednn", "xla"
	Hardware  string `json:"hardware"`            // the CPU or GPU: "AMD EPYC 7B13, avx2"
	Threads   int    `json:"threads,omitempty"`   // of a CPU that compute; 0 where the library does not say
	Library   string `json:"library,omitempty"`   // "oneDNN 3.2.0"; "" for ref
	Kernels   string `json:"kernels,omitempty"`   // the revision of this program's own kernels, which changes with their sums; "" where none compute
	Platform  string `json:"platform,omitempty"`  // of a PJRT plugin: "cpu", "cuda"
	Driver    string `json:"driver,omitempty"`    // version of the GPU's
	Precision string `json:"precision,omitempty"` // the precision in use, set by a Session
	Layout    string `json:"layout,omitempty"`    // the activation layout in use and the rule that chose it, and kernels that round in their own way
	Bfloat16  bool   `json:"bfloat16"`            // whether bf16 is native here, and so worth choosing
	GPU       bool   `json:"gpu,omitempty"`       // or another device that is no CPU
	Replicas  int    `json:"replicas,omitempty"`  // devices that compute each step together, set by a Session; 0 for one
	Launch    int    `json:"-"`                   // steps that one Train call should hold: 1 on a CPU
}

// Summary is the info in a few words: "onednn, oneDNN 3.2.0, AMD EPYC, avx2, 2 threads".
func (i Info) Summary() string {
	words := []string{i.Name, i.Library, i.Hardware}
	if i.Threads > 0 {
		words = append(words, fmt.Sprintf("%d threads", i.Threads))
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), ", ")
}

// Device computes Programs.
type Device interface {
	Info() Info
	// Supports returns nil or an *UnsupportedError.
	Supports(k kernel.Kernel) error
	// Open prepares programs that share parameters, statistics and the
	// resident data set. Buffers start zeroed.
	Open(p Programs, o Options) (Session, error)
	Close() error
}

// Programs belong to one net: they have the same Param and Stat arenas, the
// same resident data set and as many replicas. Train and Calibrate may be nil.
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

// Replicas is on how many devices the programs are computed together; 0 for one.
func (p Programs) Replicas() int {
	for _, q := range p.All() {
		return q.Replicas
	}
	return 0
}

// Precision is how activations and convolution operands are held. Parameters,
// momenta, batch-norm statistics and the loss are float32 in each.
type Precision string

const (
	FP32 Precision = "fp32"
	TF32 Precision = "tf32" // float32, whose products in convolutions keep 10 bits of the mantissa (NVIDIA's)
	BF16 Precision = "bf16"
)

// Options of a session.
type Options struct {
	Precision     Precision // "" means FP32
	Deterministic bool
	Layout        string // onednn: "blocked", "nhwc"; "" follows the rule
	Profile       bool   // onednn: take the time of each instruction
	Folder        string // xla: where a run keeps its compiled programs, and takes them from; "" for nowhere
}

// Choice is a program, by name, and a fingerprint of the algorithms that the
// device chose for it by timing; saved in checkpoints. Where all are the same,
// so are the bits.
type Choice struct{ Key, Value string }

// Row selects and augments one image of the resident data set: its index, the
// top and left of the crop in the padded image, and 1 to flip it left-right.
// Index -1 leaves the slot empty: its label is -1 and it counts nowhere.
type Row = [4]int32

// Rates are what the host sets anew for each step: the learning rate, and the
// share of the batch in the running statistics of batch norm (0.1 in PyTorch's
// habit; 1/k at the k-th batch of a true average).
type Rates struct{ Learning, Statistics float32 }

// Plan is a number of steps: batch rows and one pair of rates for each.
type Plan struct {
	Rows  []Row // len(Rates) x batch, step after step; the first of a step are the first replica's
	Rates []Rates
	// First is the number of the first step, counted from 0; for errors only.
	First int
}

// Metric is what one step of training measured on its own mini-batch.
type Metric struct {
	Loss  float32 // mean cross-entropy
	Wrong int     // images whose top-1 class is not the label
}

// Counts is what an evaluation measured.
type Counts struct {
	Images, Wrong int
	Loss          float64 // summed over images
}

// Session holds the state of one run on a device. Its methods are called from
// one goroutine. After an error other than *NonFiniteError it can only be
// closed. Where several replicas compute a net, what is written goes to all, and
// what is read comes from the first: after a step all have the same, their own
// part of the batch aside ("rows", "input", "label", "logits").
type Session interface {
	Info() Info
	// Write copies src into the buffer of that name, in logical form
	// ((N,C,H,W), float32): []float32, []int32 or []uint8 by the buffer's
	// type, of exactly its length. Buffers of one name in several programs
	// are one buffer when they are in the Param, Stat or Input arena.
	Write(name string, src any) error
	// Read copies the buffer of that name (of the training program first)
	// into dst. Work buffers can not be read.
	Read(name string, dst any) error
	// Train runs len(p.Rates) steps and writes what each measured to m, of
	// the same length. A step whose loss is not finite ends it with a
	// *NonFiniteError, parameters and momenta as they were before that step.
	Train(p Plan, m []Metric) error
	// Eval classifies rows with running statistics.
	Eval(rows []Row) (Counts, error)
	// Calibrate runs batches forward with their own statistics and averages
	// these into the running ones at the plan's Statistics rates.
	Calibrate(p Plan) error
	// Choices is empty where nothing is chosen by timing.
	Choices() []Choice
	Close() error
}

// UnsupportedError says that a device cannot do something it was asked for,
// as opposed to having failed at it.
type UnsupportedError struct{ Device, What, Hint string }

func (e *UnsupportedError) Error() string {
	s := fmt.Sprintf("%s: %s is not supported", e.Device, e.What)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// LostError says that a device computes no more: it was taken away, or broke. A
// new one may be opened; nothing of the old one can be read.
type LostError struct{ Err error }

func (e *LostError) Error() string {
	return fmt.Sprintf("the device was lost: %v; what the last checkpoint holds is safe", e.Err)
}
func (e *LostError) Unwrap() error { return e.Err }

// NonFiniteError says that a step produced NaN or Inf, and where it did first.
type NonFiniteError struct {
	Step  int    // counted from 0
	Layer string // "layer1.0.conv1"
	Instr string // "conv 3x3 s1 p1 ->16", or "parameter" when it came in with the weights
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("step %d: NaN or Inf first in layer %s (%s); a lower rate or a warm-up usually helps", e.Step+1, e.Layer, e.Instr)
}
