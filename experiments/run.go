// Run and Recipe: what is trained, with every value resolved.

package experiments

// Run is one net to be trained with one seed, with every value resolved: times in steps, defaults
// filled in. Checkpoints and records contain its JSON, so that its form is stable. Hash covers all
// that determines the weights; the store finds the run by it.
type Run struct {
	ID      string `json:"id"`                // "resnet-20_B-seed0": its name within a question
	Net     string `json:"net"`               // "resnet-20/B"
	Variant string `json:"variant,omitempty"` // of the recipe: "no warm-up"; "" for the question's own
	Extend  string `json:"extend,omitempty"`  // begins as this trained net, extended by layers that compute the identity; "" for initial weights
	Seed    uint64 `json:"seed"`
	Recipe

	Continue string `json:"continue,omitempty"` // name of the folder in the store of the run that it continues; "" for none
	From     int    `json:"from,omitempty"`     // steps of that run; the steps of this one count from there
	Weights  string `json:"weights,omitempty"`  // SHA-256 of the initial weights, of that run or of the file Init; "" for neither
}

// Recipe says how a net is trained. Load fills in every field: zero values are not defaults.
type Recipe struct {
	Data       string    `json:"data"`       // name of a data set (experiments/dataset)
	Train      int       `json:"train"`      // number of training images, the first of a seeded shuffle if fewer than all; 0: all
	Validation int       `json:"validation"` // images held out of the training set, which replace the test set; 0: none
	Batch      int       `json:"batch"`
	Micro      int       `json:"micro_batch,omitempty"` // images of a micro-batch; 0: the whole batch, or what fits into memory
	Input      Input     `json:"input"`
	Init       string    `json:"init"` // "fan_in" or "fan_out" (He et al. 2015b, normal), or a file of weights
	BatchNorm  BatchNorm `json:"batch_norm"`
	Smoothing  float64   `json:"label_smoothing,omitempty"` // share of the target that is distributed over all classes (Szegedy et al. 2016, section 7); 0: none
	Optimizer  Optimizer `json:"optimizer"`
	Schedule   Schedule  `json:"schedule"`
	Precision  string    `json:"precision"`           // "fp32", "tf32", "bf16", or "auto": bf16 if the CPU or GPU supports it
	AnyOrder   bool      `json:"any_order,omitempty"` // a GPU may sum in any order, so that the last bits differ from run to run
	LogEvery   int       `json:"log_every"`           // steps over which a running training error is averaged
	EvalEvery  int       `json:"eval_every"`          // steps between tests
	SaveEvery  int       `json:"save_every"`          // steps between checkpoints; not part of the Hash
	Keep       Keep      `json:"keep,omitzero"`       // weights to keep in addition to the last ones; not part of the Hash
}

// Steps returns the number of steps of the run itself, without those of a run that it continues.
func (r Run) Steps() int { return r.Schedule.Stop - r.From }

// Keep says which weights are kept in addition to the last ones.
type Keep struct {
	Best  bool `json:"best,omitempty"`  // of the test with the lowest error
	Every int  `json:"every,omitempty"` // after each multiple of this number of steps; 0: none
}

// Input is what happens to an image before the net sees it.
type Input struct {
	Mean    string `json:"mean"`     // "pixel" (the paper's: one mean per place and channel), "channel", "none"
	Std     string `json:"std"`      // "none" (the paper's) or "channel": divide by each channel's deviation
	Pad     int    `json:"pad"`      // pixels on each side before the random crop back to size
	PadWith string `json:"pad_with"` // "mean" (zeros after normalisation) or "black" (zeros before)
	Flip    bool   `json:"flip"`     // left-right with probability 1/2

	Size int `json:"size,omitempty"` // of own images: pixels on a side to which all are resized; 0: crops are cut, as of photos

	// Of photos (paper section 3.4), else zero.
	Crop   int     `json:"crop,omitempty"`   // pixels on a side of a crop, the net's input
	Scale  []int   `json:"scale,omitempty"`  // least and most pixels of the shorter side of a training photo; tests use the least
	Colour float64 `json:"colour,omitempty"` // standard deviation of the shift along the principal axes of the colours, in parts of their variance; 0: none
}

// Side returns the pixels on a side of the net's input, for photos and own images; 0 for data sets
// of one size.
func (in Input) Side() int { return max(in.Crop, in.Size) }

// BatchNorm has the options of batch normalisation, paper section 3.4. The paper does not say what
// statistics tests use; its authors' released nets average them over training images after
// training (github.com/KaimingHe/deep-residual-networks, README).
type BatchNorm struct {
	Group      int     `json:"group"` // images that share statistics; 0: the whole batch
	Eps        float64 `json:"eps"`
	Momentum   float64 `json:"momentum"`          // share of the batch in the moving averages
	Statistics string  `json:"statistics"`        // of tests: "averaged" anew before each test, over Batches mini-batches, or the "moving" averages of training
	Batches    int     `json:"batches,omitempty"` // mini-batches; 0 with moving averages
}

// Schedule is the learning rate over time, in steps. Form is one of:
//
//   - "": divided by Divide at each step of At, or by Plateau: the paper's
//   - "cosine": rate (1 + cos(pi step/Stop)) / 2 (Loshchilov and Hutter 2017, without
//     restarts; torch.optim.lr_scheduler.CosineAnnealingLR with T_max = Stop)
//   - "linear": rate (1 - step/Stop) (Li et al. 2020, "Budgeted Training";
//     torch.optim.lr_scheduler.LinearLR from 1 to 0)
//
// step counts from 0, a warm-up's steps too.
type Schedule struct {
	Form    string   `json:"form,omitempty"`
	Divide  float64  `json:"divide"`
	At      []int    `json:"at"`
	Plateau *Plateau `json:"plateau,omitempty"` // nil for none; with one, At is empty
	Stop    int      `json:"stop"`
	Warmup  *Warmup  `json:"warmup,omitempty"` // nil for none
}

// Smooth reports whether the rate decreases with every step.
func (s Schedule) Smooth() bool { return s.Form != "" }

// Plateau divides the rate by Divide when the error Of has had no new lowest value for Patience
// steps, and again after another Patience steps (paper section 3.4).
type Plateau struct {
	Of       string  `json:"of"` // "test_error", of the tests; or "train_error", the running one of the mini-batches
	Patience int     `json:"patience"`
	Divide   float64 `json:"divide"`
}

// Warmup keeps the rate at Rate until the running training error (percent, over the last LogEvery
// steps) is below Until, or for Steps steps; exactly one of the two is set.
type Warmup struct {
	Rate  float64 `json:"rate"`
	Until float64 `json:"until_error,omitempty"`
	Steps int     `json:"steps,omitempty"`
}
