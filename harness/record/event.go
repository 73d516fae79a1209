// Package record writes what happens in a run as JSON lines, as a progress bar and as a
// log, and reads it back. Figures and tables need nothing else.
package record

// Event is one line of a record. Kind says which fields are set:
//
//	"start"  the run begins: Start
//	"train"  Step, Rate, Loss, Error: means over the mini-batches since the last "train"; Error is the running error
//	"rate"   Step, Rate: the learning rate after Step steps is a new one: at 0, after a drop, after a warm-up; a rate that falls with every step is in "train" alone
//	"eval"   Step, Set ("test", "validation"), Error, Loss
//	"full"   Step, Set ("train"), Error, Loss: a full pass in eval mode at the end, and at step 0 of a run that begins as a trained net
//	"gradients"  Step, Layers: the Euclidean norm of each layer's gradient at that step, the classifier's last
//	"responses"  Step, Layers: the standard deviation of each layer's response after batch norm, at the end
//	"measured"  Step, Measured: what was computed of the trained weights, at the end or at any time later
//	"warn"   Step, Text; Of if a later event may end the warning
//	"over"   Step, Of, Text: the warnings with the same Of no longer hold
//	"stop"   Step, Text: the run ended early ("NaN ...") and is not finished
//	"end"    Step: the run is finished
//
// Step counts finished steps: it is 1 after the first one. Errors are the percentage of images
// with a wrong top-1 class. Two runs of the same question on the same machine write the
// same lines, except for the last five fields.
type Event struct {
	Kind  string   `json:"kind"`
	Step  int      `json:"step"`
	Set   string   `json:"set,omitempty"`
	Rate  float64  `json:"rate,omitempty"`
	Loss  *float64 `json:"loss,omitempty"`
	Error *float64 `json:"error,omitempty"`
	Text  string   `json:"text,omitempty"`
	Of    string   `json:"of,omitempty"` // subject of a warning: OfGuessing
	Start *Start   `json:"start,omitempty"`
	// One value for each layer with weights from the image to the classifier, in that
	// order. Projections of shortcuts are not among them.
	Layers []float64 `json:"layers,omitempty"`

	Measured *Measured `json:"measured,omitempty"`

	Time       string  `json:"time,omitempty"`         // UTC, when the event was written; "" in records of older versions
	Seconds    float64 `json:"seconds,omitempty"`      // training time since the run began, without pauses between sessions
	ImagesPerS float64 `json:"images_per_s,omitempty"` // speed of the training steps since the last "train"
	Waited     float64 `json:"waited,omitempty"`       // share of that time in which the device waited for photos to be decoded
	Beside     int     `json:"beside,omitempty"`       // other runs that shared the device then, and its speed
}

// OfGuessing is the Of of a warning that the net is no better than guessing.
const OfGuessing = "guessing"

// Start describes a run, with all that is needed to draw and tabulate it.
type Start struct {
	ID        string   `json:"id"`
	Net       string   `json:"net"`
	Variant   string   `json:"variant,omitempty"`   // variant of the recipe: "no warm-up"; "" for the question's own recipe
	Varied    []Value  `json:"varied,omitempty"`    // the keys that the question varies, and the run's values of them
	Extends   string   `json:"extends,omitempty"`   // ID of the trained run that it begins as, extended by identity layers: "plain-20-seed0"
	Continues string   `json:"continues,omitempty"` // run that it continues, whose curves the record includes: name of its folder
	From      int      `json:"from,omitempty"`      // steps of that run
	Depth     int      `json:"depth"`
	Residual  bool     `json:"residual"`
	Shortcut  string   `json:"shortcut,omitempty"` // "A", "B", "C"; "" for plain nets
	Seed      uint64   `json:"seed"`
	Params    int64    `json:"params"`
	Macs      int64    `json:"macs"`  // multiply-adds of the forward pass of one image
	Steps     int      `json:"steps"` // number of steps of the whole run
	Batch     int      `json:"batch"`
	Data      string   `json:"data"`               // "CIFAR-10", "CIFAR-10, JPEG copy", "preview set"
	DataSet   string   `json:"data_set,omitempty"` // name of the data set in questions: "cifar10"; "" in older records
	Precision string   `json:"precision"`
	Device    string   `json:"device"`
	Paper     bool     `json:"paper"`                     // recipe and data are the paper's
	Machine   []string `json:"machine_caveats,omitempty"` // the caveats that come from machine and data, not from the recipe
	Caveats   []string `json:"caveats"`                   // differences from the paper, printed with every figure and table: "schedule shortened to 1/8", "preview data", "CPU", "bf16"
}

// Measured is a measurement of the trained weights of a run. A run may have several of one
// name, with other options.
type Measured struct {
	Name    string               `json:"name"`    // key of its options in a question: "lesion"
	Options map[string]float64   `json:"options"` // all of them
	Device  string               `json:"device"`  // that computed it, in fp32
	Values  map[string][]float64 `json:"values"`  // as harness/measure describes them
}

// Value is the value of a key of the recipe in a run.
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
