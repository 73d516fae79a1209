// Package record writes down what happens in a run, as JSON lines, a progress
// bar and a log, and reads it back. Figures and tables need nothing else.
package record

// Event is one line of a record. Kind says which fields mean something:
//
//	"start"  the run begins: Run (the resolved recipe), Params, Macs, Images
//	"train"  Step, Rate, Loss, Error: means over the mini-batches since the last "train"; Error is the running error
//	"rate"   Step, Rate: after Step steps the rate is a new one: at 0, after a drop, after a warm-up
//	"eval"   Step, Set ("test", "validation"), Error, Loss
//	"full"   Step, Set ("train"), Error, Loss: a full pass in eval mode at the end, and at step 0 of a run that begins as a trained net
//	"gradients"  Step, Layers: the Euclidean norm of each layer's gradient at that step, the classifier's last
//	"responses"  Step, Layers: the standard deviation of each layer's response behind batch norm, at the end
//	"warn"   Step, Text; Of where it may be over later
//	"over"   Step, Of, Text: what the last "warn" of the same Of said is no longer so
//	"stop"   Step, Text: the run ended early ("NaN ..."), and is not finished
//	"end"    Step: the run is finished
//
// Step counts finished steps: 1 after the first. Errors are percent of images
// whose top-1 class is wrong. Two runs of the same question on the same
// machine write the same lines but for the last four fields.
type Event struct {
	Kind  string   `json:"kind"`
	Step  int      `json:"step"`
	Set   string   `json:"set,omitempty"`
	Rate  float64  `json:"rate,omitempty"`
	Loss  *float64 `json:"loss,omitempty"`
	Error *float64 `json:"error,omitempty"`
	Text  string   `json:"text,omitempty"`
	Of    string   `json:"of,omitempty"` // what a warning is about: OfGuessing
	Start *Start   `json:"start,omitempty"`
	// Of the layers with weights on the way from the image to the classifier,
	// in their order: no projections of shortcuts.
	Layers []float64 `json:"layers,omitempty"`

	Time       string  `json:"time,omitempty"`         // UTC, when it was written down; "" in records of older versions
	Seconds    float64 `json:"seconds,omitempty"`      // training time since the run began, pauses between sessions left out
	ImagesPerS float64 `json:"images_per_s,omitempty"` // of the training steps since the last "train"
	Waited     float64 `json:"waited,omitempty"`       // share of their time that the device waited for photos to be decoded
}

// OfGuessing is the Of of a warning that the net is no better than guessing.
const OfGuessing = "guessing"

// Start describes a run well enough to draw and tabulate it alone.
type Start struct {
	ID        string   `json:"id"`
	Net       string   `json:"net"`
	Variant   string   `json:"variant,omitempty"` // of the recipe: "no warm-up"; "" for the question's own
	Varied    []Value  `json:"varied,omitempty"`  // what the question varies, and the run's value of it, as the question has it
	Extends   string   `json:"extends,omitempty"` // the run that it begins as, extended by identity layers: "plain-20-seed0"
	Depth     int      `json:"depth"`
	Residual  bool     `json:"residual"`
	Shortcut  string   `json:"shortcut,omitempty"` // "A", "B", "C"; "" for plain nets
	Seed      uint64   `json:"seed"`
	Params    int64    `json:"params"`
	Macs      int64    `json:"macs"`  // multiply-adds of one image forward
	Steps     int      `json:"steps"` // at which it will stop
	Batch     int      `json:"batch"`
	Data      string   `json:"data"`               // "CIFAR-10", "CIFAR-10, JPEG copy", "preview set"
	DataSet   string   `json:"data_set,omitempty"` // what a question calls it: "cifar10"; "" in files of before
	Precision string   `json:"precision"`
	Device    string   `json:"device"`
	Paper     bool     `json:"paper"`                     // the recipe and the data are the paper's
	Machine   []string `json:"machine_caveats,omitempty"` // those of the caveats that are the machine's and the data's, not the recipe's
	Caveats   []string `json:"caveats"`                   // why not, to be printed with every figure and table: "schedule shortened to 1/8", "preview data", "CPU", "bf16"
}

// Value is what a key of the recipe has in a run.
type Value struct {
	Key   string `json:"key"`   // "optimizer.rate"
	Value string `json:"value"` // "0.03", "2000 steps"
}

// Label is the net's name with its variant: "resnet-110 (no warm-up)".
func (s Start) Label() string {
	if s.Variant == "" {
		return s.Net
	}
	return s.Net + " (" + s.Variant + ")"
}
