// The table of keys: description and bounds of each, for loading and for the schema.

package experiments

import (
	"slices"
	"strings"

	"depthlab/experiments/dataset"
)

// key describes a key of question files: the text that editors show, and the bounds of its value.
// Loading and the JSON Schema both use it.
type key struct {
	says    string
	oneOf   []string          // for words
	old     map[string]string // words of older versions, and their current names
	min     float64           // for numbers: from min (or above it) up to max
	above   bool              // min itself is not allowed
	max     float64
	below   bool                                      // max itself is not allowed
	longest int                                       // for texts: characters
	unique  bool                                      // for lists: no element twice
	orFile  bool                                      // for words: or the name of a file of weights
	ranged  bool                                      // for lists of whole numbers: may be written as a range
	check   func(value string) (problem, hint string) // for more than that; on each element of a list
}

// Figures lists the figures that a question may ask for.
var Figures = []string{
	"training_curves", "error_by_depth", "generalisation_gap", "layer_responses", "gradient_norms", "final_error_vs_value",
	"lesion", "gradient_correlation", "landscape_1d", "landscape_2d",
}

// Needs lists what a profile may need of a machine.
var Needs = slices.Concat([]string{"gpu"}, dataset.InFiles(), []string{"cpu"})

// sets describes the data sets, for the schema.
func sets() string {
	var all []string
	for _, s := range dataset.All {
		if s.Says != "" {
			s.Name += ", " + s.Says
		}
		all = append(all, s.Name)
	}
	return strings.Join(all, "; ") + "."
}

var keys = map[string]key{
	"question": {longest: 300, says: "The question, in one sentence. It becomes the title of figures and tables."},
	"profiles": {says: "Versions of the question for different machines, best first. The first whose needs are met is run. Each may override any key of the file."},

	"pairs":        {says: "Nets that are trained both plain and residual."},
	"pairs.depths": {unique: true, ranged: true, min: 1, max: maxDepth, check: checkDepth, says: "Layers of each pair: 6n+2, so 8, 14, 20, 32, 44, 56, 110, ..., or those of the ImageNet nets: 18, 34, 50, 101, 152. A list, or a range such as 20..56 by 12."},
	"nets":         {unique: true, longest: 80, check: checkNet, says: "Nets by name, in addition to the pairs: plain-20, resnet-110, and with variants after slashes: resnet-20/B (the shortcut), resnet-164/bottleneck, resnet-20/single, resnet-50/v1.5."},

	"variants":      {says: "Other recipes, each with a name: every net is trained with each of them, in addition to the file's own. Such as [{name: no warm-up, schedule: {warmup: none}}]."},
	"vary":          {says: "Keys of the recipe, each with a list of values, such as {optimizer.rate: [0.1, 0.03, 0.01]}: every net is trained with each value, or of several keys with every combination. The figure final_error_vs_value shows the errors. Not together with variants."},
	"continue":      {says: "More steps of finished runs, with their nets, seeds, data and recipe, at a constant rate: {run: RUN, for: 16000 steps, rate: 0.001}. Instead of nets and recipe."},
	"continue.run":  {unique: true, longest: 200, says: "The run to continue, by the name that ./run.sh runs lists, or a list of several."},
	"continue.for":  {says: "The time to train in addition."},
	"continue.rate": {min: 0, above: true, max: 1000, says: "The learning rate of the new steps. Default: the last rate of the run."},
	"extend":        {longest: 80, check: checkNet, says: "Begin as this net, trained by the question's own recipe with the same seed, followed by layers that compute the identity. For each deeper plain net of the question."},
	"name":          {longest: 40, check: checkVariant, says: "The name of a variant in figures and tables."},

	"data":       {oneOf: dataset.Names(), says: sets()},
	"train":      {min: 0, max: 1e9, says: "Number of training images, chosen with a fixed seed, the same for all runs; 0: all."},
	"validation": {min: 0, max: 1e9, says: "Training images to hold out, on which nets are tested instead of the test set; 0: none. The paper found its schedule with 5000."},
	"batch":      {min: 1, max: 65536, says: "Images in a mini-batch."},

	"micro_batch": {min: 0, max: 65536, says: "Images of a micro-batch, whose gradients are added up over the batch; a divisor of batch that splits no group of batch norm. With batch_norm.group 0 each has statistics of its own. 0: the whole batch, or what fits into memory."},

	"input":          {says: "Preprocessing and augmentation of images."},
	"input.mean":     {oneOf: []string{"pixel", "channel", "none"}, says: "The mean to subtract: one for each pixel and channel (the paper's), or one for each channel."},
	"input.std":      {oneOf: []string{"none", "channel"}, says: "Divide by nothing (the paper's), or by the standard deviation of each channel."},
	"input.pad":      {min: 0, max: 16, says: "Pixels of padding on each side, before a random crop of the original size. The paper's: 4."},
	"input.pad_with": {oneOf: []string{"mean", "black"}, says: "Pad with the mean (zeros after it was subtracted) or with black (zeros before)."},
	"input.flip":     {says: "Mirror half of the images left to right."},
	"input.size":     {min: 8, max: 1024, says: "Own images (data: folder): pixels on a side. The shorter side of an image of another size is resized to it, and the centre is cropped. All are kept in memory, and padded and cropped like CIFAR's. Default: they are photos, of which crops are cut, as of ImageNet's."},
	"input.crop":     {min: 8, max: 4096, says: "Photos: pixels on a side of the random crop, in tests of the centre crop. The paper's: 224."},
	"input.scale":    {min: 8, max: 8192, says: "Photos: least and most pixels of the shorter side, to which a photo is resized, at random; in tests the least. The paper's: [256, 480]."},
	"input.colour":   {min: 0, max: 10, says: "Photos: standard deviation of a random shift along the principal axes of the colours (Krizhevsky et al. 2012); 0: none. The paper's: 0.1."},
	"init":           {oneOf: []string{"fan_in", "fan_out"}, orFile: true, longest: 400, says: "The fan by which the initial weights of a layer are scaled (He et al. 2015b), or a file of trained weights to begin with: FILE.safetensors, ours or PyTorch's, its path relative to the current folder. If the number of classes differs from the file's, the last layer has random initial weights."},

	"batch_norm":            {says: "Batch normalisation."},
	"batch_norm.group":      {min: 0, max: 65536, says: "Images that share their statistics; a divisor of batch, or 0 for the whole batch (for each micro-batch, if micro_batch divides it). The paper's: 64, on each of two GPUs. Default: 64, of photos 32; or 0 if that does not divide batch."},
	"batch_norm.eps":        {min: 0, above: true, max: 1, says: "Added to the variance."},
	"batch_norm.momentum":   {min: 0, above: true, max: 1, says: "Weight of the newest batch in the moving averages."},
	"batch_norm.statistics": {oneOf: []string{"averaged", "moving"}, says: "The statistics of tests. averaged: before each test, the mean over some mini-batches of training images with the weights of that step, by forward passes only. moving: the moving averages of training, which cost nothing but lag behind the weights: at a rate of 0.1 they raise test errors by several points."},
	"batch_norm.batches":    {min: 1, max: 10000, says: "Mini-batches over which averaged statistics are averaged, at most an epoch. Each costs a forward pass, about a third of a training step, at every test. In a profile, a variant or on the command line it also means averaged, if the statistics before were moving."},

	"label_smoothing": {min: 0, max: 1, below: true, says: "Share of the target that is distributed over all classes, in the training loss (Szegedy et al. 2016); the loss of tests has none. Such as 0.1. The paper's: 0."},

	"optimizer":          {says: "Gradient descent with momentum, or Adam."},
	"optimizer.rate":     {min: 0, above: true, max: 1000, says: "The learning rate at the start. The paper's: 0.1."},
	"optimizer.momentum": {min: 0, max: 1, below: true, says: "Share of the last update that the next one keeps. The paper's: 0.9."},
	"optimizer.form":     {oneOf: []string{"caffe", "pytorch", "nesterov", "adam", "adamw"}, says: "caffe: v = m v + rate g, w = w - v. pytorch: v = m v + g, w = w - rate v; they differ after the rate changes. nesterov: w = w - rate (g + m v). adam, adamw: instead of momentum, moving averages of the gradient and of its square, as in PyTorch; set their rate, too, such as 0.001."},
	"optimizer.betas":    {min: 0, max: 1, below: true, says: "Of adam and adamw: decay rates of the averages of the gradient and of its square. Their papers': [0.9, 0.999]."},
	"optimizer.eps":      {min: 0, above: true, max: 1, says: "Of adam and adamw: added to the square root of the average square. Their papers': 1e-8."},
	"optimizer.decay":    {min: 0, max: 1, says: "Weight decay (L2, added to the gradient; of adamw, decoupled: times the rate, subtracted from the weights). The paper's: 1e-4."},
	"optimizer.decays":   {oneOf: []string{"all", "weights"}, says: "Which parameters decay: all, or only the weights of convolutions and of the last layer."},

	"schedule":                   {says: "The learning rate over time. Times are written with their unit: 32000 steps, 82 epochs."},
	"schedule.form":              {oneOf: []string{"steps", "cosine", "linear"}, says: "How the rate decreases. steps: divided at given times, the paper's. cosine: along half a cosine, to 0 at the end (Loshchilov and Hutter 2017); linear: along a line to 0 (Li et al. 2020). Both as in PyTorch, after every step, instead of divide, at and plateau."},
	"schedule.divide":            {min: 1, above: true, max: 1e6, says: "What the rate is divided by at each time of at. The paper's: 10."},
	"schedule.at":                {says: "When the rate is divided. The paper's: 32000 steps and 48000 steps."},
	"schedule.plateau":           {says: "Divide the rate on each plateau of an error, as the paper did on ImageNet, instead of at given times: {of: test_error, patience: 10 epochs, divide: 10}."},
	"schedule.plateau.of":        {oneOf: []string{"test_error", "train_error"}, says: "The error to watch: of each test (on held-out images, if there are any), or the running one of the mini-batches."},
	"schedule.plateau.patience":  {says: "The rate is divided when the error has had no new lowest value for this time, and again after another such time."},
	"schedule.plateau.divide":    {min: 1, above: true, max: 1e6, says: "What the rate is divided by. The paper's: 10."},
	"schedule.stop":              {says: "When training stops. The paper's: 64000 steps."},
	"schedule.warmup":            {says: "A lower rate at the start of deep nets, or none. The paper's: rate 0.01 until the training error is under 80 %, for 110 layers."},
	"schedule.warmup.rate":       {min: 0, above: true, max: 1000, says: "The rate of the warm-up."},
	"schedule.warmup.until":      {says: "The warm-up ends when the running training error is below this. Give this or for."},
	"schedule.warmup.for":        {says: "The warm-up ends after this time. Give this or until."},
	"schedule.warmup.from_depth": {min: 0, max: maxDepth, says: "Nets with fewer layers have no warm-up. 0: every net has it."},

	"precision":     {oneOf: []string{"auto", "fp32", "tf32", "bf16"}, says: "Number format of activations and of the operands of convolutions; auto is bf16 if the machine supports it, tf32 is for NVIDIA GPUs. Weights and sums are always float32."},
	"deterministic": {says: "Whether the same run on the same machine, repeated or resumed, ends with the same bits. With false a GPU may sum in any order, which can be faster: then the last bits of all results differ from run to run."},
	"log":           {says: "Time over which a point of the training curve is averaged."},
	"evaluate":      {says: "Time between two tests."},
	"keep":          {unique: true, longest: 40, check: checkKeep, says: "Weights to keep of each run: last, best (of the test with the lowest error; without validation images that error is biased, because the test set has chosen the weights), and such as every 8000 steps. Default: last."},
	"save":          {says: "Time between two checkpoints: a killed run loses at most this."},
	"seeds":         {unique: true, ranged: true, min: 0, max: 1 << 53, says: "Every net is trained once with each seed. With several seeds, figures show the spread. A list, or a range such as 0..4."},
	"figures":       {unique: true, oneOf: Figures, says: "The figures to draw: errors over iterations (the paper's Figures 4 and 6) and over depth, test error minus training error, the responses of layers (Figure 7) and the norms of their gradients, final errors over the values of vary; and the measurements of trained nets: lesion, gradient_correlation, landscape_1d and landscape_2d, with the options of lesion, gradient_correlation and landscape."},

	"lesion":        {says: "The test error of trained nets without some of their blocks (Veit et al. 2016), without further training; batch norm's statistics stay the same. A residual block loses its branch and keeps its shortcut; a plain block of two layers becomes the identity."},
	"lesion.images": {min: 0, max: 1e6, says: "Images of the test set; 0 for all."},
	"lesion.most":   {min: 0, max: 1000, says: "Largest number of blocks that are deleted at the same time, limited to those of the net. They are drawn at random, without the first block of each stage."},
	"lesion.draws":  {min: 1, max: 1000, says: "Random draws for each number of blocks."},
	"lesion.seed":   {min: 0, max: 1 << 31, says: "Seed of the draws."},

	"gradient_correlation":        {says: "Correlation of gradients at neighbouring inputs (Balduzzi et al. 2017): in that paper's scalar nets with initial weights, plain and residual ones of the depths of the question's nets; and in the question's own nets, before and after training, along lines through images (not in that paper)."},
	"gradient_correlation.width":  {min: 2, max: 10000, says: "Units of each layer of the scalar nets. That paper's: 200."},
	"gradient_correlation.inputs": {min: 2, max: 10000, says: "Inputs of the scalar nets, on a regular grid from -2 to 2. That paper's: 256."},
	"gradient_correlation.draws":  {min: 1, max: 10000, says: "Scalar nets, with different weights, over which the correlation is averaged."},
	"gradient_correlation.points": {min: 4, max: 10001, says: "Points of the line through an image, at which the net is evaluated."},
	"gradient_correlation.span":   {min: 0, above: true, max: 100, says: "Length of the line on each side of the image, in standard deviations of a pixel."},
	"gradient_correlation.images": {min: 1, max: 65536, says: "Images of the test set, each with a line, all in the same direction."},
	"gradient_correlation.seed":   {min: 0, max: 1 << 31, says: "Seed of the scalar nets and of the line's direction."},

	"landscape":        {says: "The loss around the weights of trained nets, in two random directions, filter-normalised (Li et al. 2018): in each filter a direction has the filter's norm, in batch norm and biases it is 0. With the trained statistics of batch norm, in fp32."},
	"landscape.grid":   {min: 3, max: 201, check: checkGrid, says: "Points of the grid on a side, an odd number. That paper's: 51."},
	"landscape.span":   {min: 0, above: true, max: 10, says: "Length of the grid on each side of the trained net, in norms of the direction. That paper's: 1."},
	"landscape.images": {min: 0, max: 1e7, says: "Training images, without augmentation, chosen with a fixed seed; 0: all, as in that paper."},
	"landscape.seed":   {min: 0, max: 1 << 31, says: "Seed of the two directions. That paper's: 123."},

	"like":    {longest: 40, says: "Another profile of this file: this profile has its values, except for the keys that it gives itself."},
	"says":    {longest: 300, says: "One line that is printed when this profile is chosen."},
	"needs":   {unique: true, oneOf: Needs, old: map[string]string{"onednn": "cpu"}, says: "What the machine must have: a GPU, the files of a data set, a CPU with fast kernels (AVX2 with FMA, or 64-bit ARM)."},
	"caveats": {unique: true, longest: 200, says: "Why the results are not the paper's, printed with each figure and table, in addition to the differences that the program finds itself."},
}

// noIdentity lists the keys that do not change the weights of a run: they select the runs, when
// they are tested, logged and saved, and the figures. All other keys are part of a run's identity:
// with another value it is another run (Run.Hash).
var noIdentity = []string{"question", "profiles", "pairs", "nets", "variants", "name", "vary", "seeds", "log", "evaluate", "save", "keep", "figures", "lesion", "gradient_correlation", "landscape", "like", "says", "needs", "caveats"}

// identity returns the sentence of the schema on whether the key at path is part of a run's
// identity; "" for a key inside another one.
func identity(path string) string {
	if path == "" || strings.Contains(path, ".") {
		return ""
	}
	if path == "log" || path == "evaluate" {
		return " (Not part of a run's identity, unless its learning rate depends on an error that is computed at these times.)"
	}
	if slices.Contains(noIdentity, path) {
		return " (Not part of a run's identity: after a change no finished run is trained again.)"
	}
	return " (Part of a run's identity: another value is another run.)"
}

// belongs maps names of keys in other programs to ours.
var belongs = map[string]string{
	"lr": "optimizer.rate", "learning_rate": "optimizer.rate", "weight_decay": "optimizer.decay", "wd": "optimizer.decay",
	"nesterov": "optimizer.form", "adam": "optimizer.form", "adamw": "optimizer.form", "method": "optimizer.form", "sgd": "optimizer", "batch_size": "batch", "microbatch": "micro_batch", "batchsize": "batch", "dataset": "data",
	"epochs": "schedule.stop", "steps": "schedule.stop", "iterations": "schedule.stop", "milestones": "schedule.at",
	"gamma": "schedule.divide", "scheduler": "schedule.form", "lr_schedule": "schedule.form", "cosine": "schedule.form", "warm_up": "schedule.warmup", "bn": "batch_norm", "seed": "seeds", "net": "nets",
	"smoothing": "label_smoothing", "model": "nets", "models": "nets", "depth": "pairs.depths", "padding": "input.pad",
	"title": "question", "eval": "evaluate", "checkpoint": "save", "dtype": "precision",
}

// misplaced returns the hint for a name that is not a key of the mapping at path: the key that was
// probably meant, or the keys of the mapping.
func misplaced(name, path string, siblings []string) string {
	if hint := didYouMean(name, siblings); hint != "" {
		return hint
	}
	plain := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	target := belongs[plain]
	if target == "" {
		var ends []string
		for full := range keys {
			if strings.HasSuffix(full, "."+plain) && !strings.HasPrefix(full, "continue.") || full == plain {
				ends = append(ends, full)
			}
		}
		slices.Sort(ends)
		target = strings.Join(ends, " or ")
	}
	if target == "" || target == path {
		return "expected one of " + strings.Join(siblings, ", ")
	}
	return "did you mean " + target + "?"
}
