// Spec: what a question file may contain, with the paper's recipe as the default.

package experiments

import (
	"encoding/json"

	"depthlab/experiments/dataset"
)

// Spec is the part of a question file that says which nets are trained, and how. Keys that a file
// lacks have the values of the paper or its authors (paperSpec). The names of the keys are the
// JSON names of the fields; keys.go has their bounds.
type Spec struct {
	Pairs    Pairs    `json:"pairs"`
	Nets     []string `json:"nets"`
	Variants variants `json:"variants,omitempty"`
	Vary     vary     `json:"vary,omitempty"`

	Continue *ContinueSpec `json:"continue,omitempty"` // in place of nets, seeds and recipe

	Data       string `json:"data"`
	Train      int    `json:"train"`
	Validation int    `json:"validation"`
	Training
	Seeds   []uint64 `json:"seeds"`
	Figures []string `json:"figures"`
	Measurements
}

// Training has the keys in which the runs of a question may differ, apart from net and seed.
type Training struct {
	Batch         int          `json:"batch"`
	Micro         int          `json:"micro_batch"`
	Input         InputSpec    `json:"input"`
	Init          string       `json:"init"`
	BatchNorm     BatchNorm    `json:"batch_norm"`
	Smoothing     float64      `json:"label_smoothing"`
	Optimizer     Optimizer    `json:"optimizer"`
	Schedule      ScheduleSpec `json:"schedule"`
	Precision     string       `json:"precision"`
	Deterministic bool         `json:"deterministic"`
	Log           Time         `json:"log"`
	Evaluate      Time         `json:"evaluate"`
	Save          Time         `json:"save"`
	Keep          []string     `json:"keep,omitempty"` // nil: the last weights
}

// Pairs are plain and residual nets of the same depths.
type Pairs struct {
	Depths []int `json:"depths"`
}

// InputSpec is an Input in the form of the file.
type InputSpec Input

// MarshalJSON writes the colour of photos also if it is 0, which is not their default.
func (in InputSpec) MarshalJSON() ([]byte, error) {
	if len(in.Scale) == 0 {
		return json.Marshal(Input(in))
	}
	return json.Marshal(struct {
		Input
		Colour float64 `json:"colour"`
	}{Input(in), in.Colour})
}

// ScheduleSpec is the learning rate over time: with the form "steps" it is divided by Divide at
// each time of At, or by Plateau. Training ends at Stop.
type ScheduleSpec struct {
	Form    string       `json:"form"`
	Divide  float64      `json:"divide"`
	At      []Time       `json:"at"`
	Plateau *PlateauSpec `json:"plateau,omitempty"` // instead of At; nil for none
	Stop    Time         `json:"stop"`
	Warmup  *WarmupSpec  `json:"warmup"` // nil for "none"
}

// PlateauSpec divides the rate whenever an error has had no new lowest value for Patience.
type PlateauSpec struct {
	Of       string  `json:"of"`
	Patience Time    `json:"patience"`
	Divide   float64 `json:"divide"`
}

// WarmupSpec is a lower rate at the start of deep nets. Exactly one of Until
// and For is set.
type WarmupSpec struct {
	Rate      float64  `json:"rate"`
	Until     *Percent `json:"until,omitempty"`
	For       *Time    `json:"for,omitempty"`
	FromDepth int      `json:"from_depth"`
}

// MarshalJSON writes a schedule in the form of the file, where no warm-up is the word none.
func (s ScheduleSpec) MarshalJSON() ([]byte, error) {
	type plain ScheduleSpec
	if s.Warmup != nil {
		return json.Marshal(plain(s))
	}
	return json.Marshal(struct {
		plain
		Warmup string `json:"warmup"`
	}{plain(s), "none"})
}

// profileSpec has the keys of a profile: its own, and those of a Spec.
type profileSpec struct {
	Like    string   `json:"like"` // lineage reads it first
	Says    string   `json:"says"`
	Needs   []string `json:"needs"`
	Caveats []string `json:"caveats"`
	Spec
}

// fileSpec has the keys of a file.
type fileSpec struct {
	Question string `json:"question"`
	Spec
	Profiles profiles `json:"profiles"`
}

// paperSpec returns the paper's recipe for CIFAR-10 (section 4.2). Where the paper says nothing,
// the values are the authors' (Caffe's momentum and decay, 64 images on each of two GPUs) or
// common ones. It has no nets.
func paperSpec() Spec {
	return Spec{
		Data:     "cifar10",
		Training: paperTraining(),
		Pairs:    Pairs{Depths: []int{}},
		Nets:     []string{},
		Seeds:    []uint64{0},
		Figures:  []string{"training_curves", "error_by_depth"},

		Measurements: measurements(),
	}
}

func paperTraining() Training {
	until := Percent(80)
	return Training{
		Batch:     128,
		Input:     InputSpec{Mean: "pixel", Std: "none", Pad: 4, PadWith: "mean", Flip: true},
		Init:      "fan_in",
		BatchNorm: BatchNorm{Group: 64, Eps: 1e-5, Momentum: 0.1, Statistics: "averaged", Batches: 60},
		Optimizer: Optimizer{Rate: 0.1, Momentum: 0.9, Form: "caffe", Decay: 1e-4, Decays: "all"},
		Schedule: ScheduleSpec{
			Form:   "steps",
			Divide: 10,
			At:     []Time{Steps(32000), Steps(48000)},
			Stop:   Steps(64000),
			Warmup: &WarmupSpec{Rate: 0.01, Until: &until, FromDepth: 110},
		},
		Precision:     "auto",
		Deterministic: true,
		Log:           Steps(50),
		Evaluate:      Epochs(1),
		Save:          Steps(1000),
	}
}

// forPhotos changes the paper's recipe for CIFAR-10 to that for ImageNet (sections 3.4 and 4.1),
// except the schedule. The authors had its 256 images on eight GPUs.
func (s *Spec) forPhotos() {
	s.Batch, s.BatchNorm.Group = 256, 32
	s.Input.Pad, s.Input.Crop, s.Input.Scale, s.Input.Colour = 0, 224, []int{256, 480}, 0.1
}

// TrainImages returns the number of images that a recipe trains on; 0 for an unknown data set.
func (r Recipe) TrainImages() int { return trainImages(r.Data, r.Train, r.Validation) }

func trainImages(data string, train, validation int) int {
	if train > 0 {
		return train
	}
	if dataset.Of(data).Own() {
		return uncounted
	}
	return max(0, dataset.Of(data).Train-validation)
}

// uncounted is the assumed number of own images on a machine that does not have them, so that a
// question about them can be read there.
const uncounted = 10000

// cropped reports whether the net's input is crops of photos, as for ImageNet. Own images may be
// resized to one size instead (input.size), and are then handled like CIFAR's.
func cropped(data string, size int) bool { return dataset.Of(data).Photos && size == 0 }
