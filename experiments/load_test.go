// Tests of loading questions: complaints, damaged files, committed questions, fuzzing.

package experiments

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// good is a valid file; the cases below change one part of it.
const good = `question: Does it load?
pairs: {depths: [20, 32]}
batch: 128
optimizer: {rate: 0.1, momentum: 0.9}
schedule: {divide: 10, at: [320 steps, 480 steps], stop: 640 steps}
seeds: [0, 1]
profiles:
  big: {needs: [gpu, cifar10]}
  small:
    data: preview
    schedule: {stop: 500 steps}
`

func TestGood(t *testing.T) {
	if _, err := Parse("q.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
}

// TestComplaints changes the good file, and checks the complaints exactly as they are printed.
func TestComplaints(t *testing.T) {
	const like = "expected a time with its unit, such as 32000 steps or 82 epochs"
	cases := []struct {
		name, old, new string
		want           []string
	}{
		{"unknown key", "batch:", "bacth:", []string{"q.yaml:3: bacth: unknown key (did you mean batch?)"}},
		{"key of another mapping", "batch: 128", "rate: 0.1", []string{"q.yaml:3: rate: unknown key (did you mean optimizer.rate or schedule.warmup.rate?)"}},
		{"key of another program", "batch: 128", "weight_decay: 0.1", []string{"q.yaml:3: weight_decay: unknown key (did you mean optimizer.decay?)"}},
		{"unknown key below", "{rate: 0.1, m", "{rat: 0.1, m", []string{"q.yaml:4: optimizer.rat: unknown key (did you mean rate?)"}},
		{"unknown key in a profile", "data: preview", "dta: preview", []string{"q.yaml:10: profiles.small.dta: unknown key (did you mean data?)"}},
		{"question in a profile", "data: preview", "question: x", []string{"q.yaml:10: profiles.small.question: unknown key (question is allowed only at the top of the file)"}},
		{"duplicate key", "batch: 128", "batch: 128\nbatch: 64", []string{"q.yaml:4: batch: 64: the key is given a second time (it was first given in line 3)"}},
		{"duplicate key below", "momentum: 0.9", "rate: 0.9", []string{"q.yaml:4: optimizer.rate: 0.9: the key is given a second time (it was first given in line 4)"}},
		{"duplicate profile", "  small:", "  big:", []string{"q.yaml:9: profiles.big: {...}: the key is given a second time (it was first given in line 8)"}},
		{"question missing", "question: Does it load?\n", "", []string{"q.yaml:1: question: is missing (the question in one sentence, such as question: Do deeper plain nets train worse?)"}},
		{"question empty", "question: Does it load?", `question: ""`, []string{`q.yaml:1: question: "": expected a text, not an empty one`}},
		{"nothing after a key", "batch: 128", "batch:", []string{"q.yaml:3: batch: nothing: expected a value (leave the key out for the default)"}},
		{"no mapping", "optimizer: {rate: 0.1, momentum: 0.9}", "optimizer: sgd", []string{`q.yaml:4: optimizer: "sgd": expected a mapping of keys to values`}},
		{"no list", "seeds: [0, 1]", "seeds: 5", []string{"q.yaml:6: seeds: 5: expected a list (write 0..4 for 5 seeds, or [5] for the one seed 5)"}},
		{"one seed", "seeds: [0, 1]", "seeds: 0", []string{"q.yaml:6: seeds: 0: expected a list (write [0])"}},
		{"many seeds", "seeds: [0, 1]", "seeds: 100", []string{"q.yaml:6: seeds: 100: expected a list (write 0..99 for 100 seeds, or [100] for the one seed 100)"}},
		{"seeds as a range", "seeds: [0, 1]", "seeds: 0-4", []string{`q.yaml:6: seeds: "0-4": expected a list (write 0..4)`}},
		{"seeds as a range with words", "seeds: [0, 1]", "seeds: 1 to 3", []string{`q.yaml:6: seeds: "1 to 3": expected a list (write 1..3)`}},
		{"seeds as a long range", "seeds: [0, 1]", "seeds: 0-99", []string{`q.yaml:6: seeds: "0-99": expected a list (write 0..99)`}},
		{"seeds as a range in a list", "seeds: [0, 1]", "seeds: [0-2]", []string{`q.yaml:6: seeds[0]: "0-2": expected a whole number from 0 to 9007199254740992 (write a range without brackets: 0..2)`}},
		{"seeds as a range with brackets", "seeds: [0, 1]", "seeds: [0..4]", []string{`q.yaml:6: seeds[0]: "0..4": expected a whole number from 0 to 9007199254740992 (write a range without brackets: 0..4)`}},
		{"range downwards", "seeds: [0, 1]", "seeds: 4..0", []string{`q.yaml:6: seeds: "4..0": expected the smaller number first (write 0..4)`}},
		{"range that misses its end", "depths: [20, 32]", "depths: 20..54 by 12", []string{`q.yaml:2: pairs.depths: "20..54 by 12": 54 is not reached from 20 in steps of 12 (write 20..44 by 12)`}},
		{"range in steps of 0", "seeds: [0, 1]", "seeds: 0..4 by 0", []string{`q.yaml:6: seeds: "0..4 by 0": expected steps of at least 1`}},
		{"range of too many", "seeds: [0, 1]", "seeds: 0..1000", []string{`q.yaml:6: seeds: "0..1000": expected at most 1000 numbers`}},
		{"depths as a range of every number", "depths: [20, 32]", "depths: 20..32", []string{`q.yaml:2: pairs.depths: "20..32": depth 21 is neither 6n+2 nor an ImageNet net's (18, 34, 50, 101 and 152) (write 20..32 by 12)`}},
		{"range where there is none", "at: [320 steps, 480 steps]", "at: 10..20", []string{`q.yaml:5: schedule.at: "10..20": expected a list`}},
		{"seeds with commas", "seeds: [0, 1]", "seeds: 0, 1, 2", []string{`q.yaml:6: seeds: "0, 1, 2": expected a list (write [0, 1, 2])`}},
		{"seeds with blanks", "seeds: [0, 1]", "seeds: 0 1 2", []string{`q.yaml:6: seeds: "0 1 2": expected a list (write [0, 1, 2])`}},
		{"one depth", "depths: [20, 32]", "depths: 20", []string{"q.yaml:2: pairs.depths: 20: expected a list (write [20])"}},
		{"depths as a range", "depths: [20, 32]", "depths: 20-32", []string{`q.yaml:2: pairs.depths: "20-32": expected a list (write 20..32 by 12)`}},
		{"one drop", "[320 steps, 480 steps]", "320 steps", []string{`q.yaml:5: schedule.at: "320 steps": expected a list (write [320 steps])`}},
		{"one drop without a unit", "[320 steps, 480 steps]", "320", []string{"q.yaml:5: schedule.at: 320: expected a list"}},
		{"one figure", "batch: 128", "figures: training_curve", []string{`q.yaml:3: figures: "training_curve": expected a list`}},
		{"list for a number", "batch: 128", "batch: [128]", []string{"q.yaml:3: batch: a list of 1: expected a whole number from 1 to 65536"}},

		{"grid without a middle", "batch: 128", "landscape: {grid: 20}", []string{"q.yaml:3: landscape.grid: 20: expected an odd number, for a point in the middle (such as 21)"}},
		{"unknown option of a measurement", "batch: 128", "lesion: {draw: 3}", []string{"q.yaml:3: lesion.draw: unknown key (did you mean draws?)"}},
		{"option as a text", "batch: 128", "lesion: {draws: many}", []string{`q.yaml:3: lesion.draws: "many": expected a whole number from 1 to 1000`}},
		{"line without a length", "batch: 128", "gradient_correlation: {span: 0}", []string{"q.yaml:3: gradient_correlation.span: 0: expected a number above 0 to 100"}},
		{"more draws than a record holds", "batch: 128", "figures: [lesion]\nlesion: {most: 100, draws: 600}", []string{"q.yaml:4: lesion.draws: 600: 600 draws for each of 100 numbers of blocks are more than 50000"}},
		{"lesions of plain bottlenecks", "batch: 128", "figures: [lesion]\nnets: [plain-29/bottleneck]", []string{
			"q.yaml:3: figures: a list of 1: lesion deletes blocks, and plain-29/bottleneck has bottlenecks without shortcuts, which no identity can replace (leave the net or the figure out)"}},
		{"lines of a net that begins with a file", "batch: 128", "figures: [gradient_correlation]\ninit: a.safetensors", []string{
			"q.yaml:3: figures: a list of 1: gradient_correlation compares with random initial weights, and plain-20-seed0 begins with others (leave the figure out)"}},
		{"lines through photos", "batch: 128", "batch: 128\nfigures: [gradient_correlation]\ndata: imagenet", []string{
			"q.yaml:4: figures: a list of 1: gradient_correlation is for images in the device's memory, and photos are not (leave the figure out)",
			"q.yaml:10: profiles.big.needs: a list of 2: needs cifar10, but its data is imagenet (leave cifar10 out, or write data: cifar10)"}},
		{"bare number", "stop: 640 steps", "stop: 640", []string{"q.yaml:5: schedule.stop: 640: " + like + " (a bare number could be either: write 640 steps or 640 epochs)"}},
		{"misspelt unit", "stop: 640 steps", "stop: 640 stesp", []string{`q.yaml:5: schedule.stop: "640 stesp": ` + like + " (did you mean 640 steps?)"}},
		{"iterations", "stop: 640 steps", "stop: 640 iterations", []string{`q.yaml:5: schedule.stop: "640 iterations": ` + like + " (write 640 steps)"}},
		{"thousands", "stop: 640 steps", "stop: 64k", []string{`q.yaml:5: schedule.stop: "64k": ` + like + " (write 64000 steps)"}},
		{"unit of time", "stop: 640 steps", "stop: 3 hours", []string{`q.yaml:5: schedule.stop: "3 hours": ` + like}},
		{"negative time", "stop: 640 steps", "stop: -640 steps", []string{`q.yaml:5: schedule.stop: "-640 steps": ` + like}},
		{"half a step", "stop: 640 steps", "stop: 640.5 steps", []string{`q.yaml:5: schedule.stop: "640.5 steps": expected a whole number of steps (only epochs may be fractions)`}},
		{"no step left", "stop: 640 steps", "stop: 0.001 epochs, warmup: none", []string{`q.yaml:5: schedule.stop: "0.001 epochs": expected at least one step`}},
		{"too many steps", "stop: 640 steps", "stop: 99999999999 steps", []string{`q.yaml:5: schedule.stop: "99999999999 steps": expected at most 1000000000 steps`}},
		{"far too many steps", "stop: 640 steps", "stop: 1000000000000 steps", []string{`q.yaml:5: schedule.stop: "1000000000000 steps": expected at most 1000000000 steps`}},
		{"bare number of far too many", "stop: 640 steps", "stop: 1000000000000", []string{"q.yaml:5: schedule.stop: 1000000000000: " + like}},
		{"far too fine", "stop: 640 steps", "stop: 1.00000001 epochs", []string{`q.yaml:5: schedule.stop: "1.00000001 epochs": expected at most 12 digits before the point and 6 after it`}},
		{"half a bare number", "stop: 640 steps", "stop: 640.5", []string{"q.yaml:5: schedule.stop: 640.5: " + like + " (write 640.5 epochs)"}},
		{"bare zero", "stop: 640 steps", "stop: 0", []string{"q.yaml:5: schedule.stop: 0: " + like}},
		{"half a thousand", "stop: 640 steps", "stop: 1.5k", []string{`q.yaml:5: schedule.stop: "1.5k": ` + like + " (write 1500 steps)"}},
		{"too little of a thousand", "stop: 640 steps", "stop: 1.0005k", []string{`q.yaml:5: schedule.stop: "1.0005k": ` + like}},
		{"half an iteration", "stop: 640 steps", "stop: 640.5 iterations", []string{`q.yaml:5: schedule.stop: "640.5 iterations": ` + like}},
		{"half a misspelt step", "stop: 640 steps", "stop: 640.5 stesp", []string{`q.yaml:5: schedule.stop: "640.5 stesp": ` + like}},
		{"time in a list", "[320 steps, 480 steps]", "[320 steps, 480]", []string{"q.yaml:5: schedule.at[1]: 480: " + like + " (a bare number could be either: write 480 steps or 480 epochs)"}},
		{"unit on a count", "batch: 128", "batch: 128 steps", []string{`q.yaml:3: batch: "128 steps": expected a whole number from 1 to 65536 (without a unit: 128)`}},
		{"unit on too large a count", "batch: 128", "batch: 99999 steps", []string{`q.yaml:3: batch: "99999 steps": expected a whole number from 1 to 65536`}},
		{"unit on half a count", "batch: 128", "batch: 1.5 epochs", []string{`q.yaml:3: batch: "1.5 epochs": expected a whole number from 1 to 65536`}},
		{"percent over 100 without sign", "stop: 640 steps", "stop: 640 steps, warmup: {until: 120}", []string{"q.yaml:5: schedule.warmup.until: 120: expected a training error in percent between 0 and 100, such as 80 %"}},
		{"percent without sign", "stop: 640 steps", "stop: 640 steps, warmup: {until: 80}", []string{"q.yaml:5: schedule.warmup.until: 80: expected a training error in percent between 0 and 100, such as 80 % (write 80 %)"}},
		{"percent over 100", "stop: 640 steps", "stop: 640 steps, warmup: {until: 120 %}", []string{`q.yaml:5: schedule.warmup.until: "120 %": expected a training error in percent between 0 and 100, such as 80 %`}},

		{"drops not increasing", "[320 steps, 480 steps]", "[480 steps, 320 steps]", []string{"q.yaml:5: schedule.at[1]: \"320 steps\": drops the rate at 320 steps, not after the drop before it, at 480 steps (the times of schedule.at must increase)"}},
		{"drop twice", "[320 steps, 480 steps]", "[320 steps, 320 steps]", []string{"q.yaml:5: schedule.at[1]: \"320 steps\": drops the rate at 320 steps, not after the drop before it, at 320 steps (the times of schedule.at must increase)"}},
		{"variants of what is shared", "seeds: [0, 1]", "variants: [{name: few, seeds: [0]}]", []string{"q.yaml:6: variants[0].seeds: unknown key (seeds is the same for the whole question)"}},
		{"variant without a name", "seeds: [0, 1]", "variants: [{batch: 64}]", []string{"q.yaml:6: variants[0]: expected a name (such as {name: no warm-up, schedule: {warmup: none}})"}},
		{"variant's name", "seeds: [0, 1]", "variants: [{name: a/b}]", []string{`q.yaml:6: variants[0].name: "a/b": expected a name of 2 to 40 lower-case letters, digits, spaces, points and - (it becomes part of the names of files)`}},
		{"variants of one name", "seeds: [0, 1]", "variants: [{name: ab}, {name: ab, batch: 64}]", []string{`q.yaml:6: variants[1].name: "ab": is in this list twice`}},
		{"variants are a list", "seeds: [0, 1]", "variants: {name: ab}", []string{"q.yaml:6: variants: {...}: expected a list of at most 20 mappings (such as [{name: no warm-up, schedule: {warmup: none}}])"}},
		{"contradiction in a variant", "seeds: [0, 1]", "variants: [{name: ab, schedule: {stop: 400 steps}}]", []string{
			`q.yaml:6: variants[0].schedule.stop: "400 steps": drops the rate at 480 steps, but training stops at 400 steps (schedule.at must be before schedule.stop)`}},
		{"extension of a net that is not trained", "seeds: [0, 1]", "nets: [plain-44]\nvariants: [{name: ab, extend: plain-26}]", []string{`q.yaml:7: variants[0].extend: "plain-26": expected a net that the question trains (write it into nets)`}},
		{"extension by no net", "seeds: [0, 1]", "variants: [{name: ab, extend: plain-32}]", []string{`q.yaml:6: variants[0].extend: "plain-32": none of the nets extends it: resnet-32 does not extend plain-32 (plain nets of two-layer blocks extend one another)`}},
		{"extension of no net", "seeds: [0, 1]", "variants: [{name: ab, extend: plain-21}]", []string{`q.yaml:6: variants[0].extend: "plain-21": depth 21 is neither 6n+2 nor an ImageNet net's (18, 34, 50, 101 and 152) (the nearest are 20 and 26)`}},
		{"drops and a plateau", "at: [320 steps, 480 steps]", "at: [320 steps], plateau: {patience: 450 steps}", []string{"q.yaml:5: schedule: {...}: at and plateau contradict each other (write one of the two)"}},
		{"plateau without patience", "at: [320 steps, 480 steps]", "plateau: {divide: 5}", []string{"q.yaml:5: schedule.plateau: {...}: expected patience (such as {of: test_error, patience: 10 epochs, divide: 10})"}},
		{"plateau of nothing", "at: [320 steps, 480 steps]", "plateau: {of: test, patience: 400 steps}", []string{`q.yaml:5: schedule.plateau.of: "test": expected one of test_error, train_error`}},
		{"impatient", "at: [320 steps, 480 steps]", "plateau: {of: train_error, patience: 40 steps}", []string{`q.yaml:5: schedule.plateau.patience: "40 steps": a patience of 40 steps, but the error is computed only every 50 steps (patience must be at least as long as log)`}},
		{"too patient", "at: [320 steps, 480 steps]", "plateau: {patience: 640 steps}", []string{
			`q.yaml:5: schedule.plateau.patience: "640 steps": a patience of 640 steps, but training stops at 640 steps`,
			`q.yaml:11: profiles.small.schedule.stop: "500 steps": a patience of 640 steps, but training stops at 500 steps`}},
		{"drop after stop", "[320 steps, 480 steps]", "[320 steps, 640 steps]", []string{
			"q.yaml:5: schedule.at[1]: \"640 steps\": drops the rate at 640 steps, but training stops at 640 steps (schedule.at must be before schedule.stop)",
			"q.yaml:11: profiles.small.schedule.stop: \"500 steps\": drops the rate at 640 steps, but training stops at 500 steps (schedule.at must be before schedule.stop)"}},
		{"default drop after stop", "at: [320 steps, 480 steps], ", "", []string{
			"q.yaml:5: schedule.stop: \"640 steps\": drops the rate at 32000 steps, but training stops at 640 steps (schedule.at must be before schedule.stop)",
			"q.yaml:5: schedule.stop: \"640 steps\": drops the rate at 48000 steps, but training stops at 640 steps (schedule.at must be before schedule.stop)",
			"q.yaml:11: profiles.small.schedule.stop: \"500 steps\": drops the rate at 32000 steps, but training stops at 500 steps (schedule.at must be before schedule.stop)",
			"q.yaml:11: profiles.small.schedule.stop: \"500 steps\": drops the rate at 48000 steps, but training stops at 500 steps (schedule.at must be before schedule.stop)"}},
		{"until and for", "stop: 640 steps", "stop: 640 steps, warmup: {until: 80 %, for: 4 steps}", []string{"q.yaml:5: schedule.warmup: {...}: until and for contradict each other (write one of the two)"}},
		{"long warm-up", "stop: 640 steps", "stop: 640 steps, warmup: {for: 320 steps}", []string{"q.yaml:5: schedule.warmup.for: \"320 steps\": a warm-up of 320 steps, but the rate drops at 320 steps"}},
		{"hot warm-up", "stop: 640 steps", "stop: 640 steps, warmup: {rate: 0.5}", []string{"q.yaml:5: schedule.warmup.rate: 0.5: a warm-up at rate 0.5 is above optimizer.rate, 0.1"}},
		{"warm-up of a word", "stop: 640 steps", "stop: 640 steps, warmup: off", []string{"q.yaml:5: schedule.warmup: \"off\": expected a mapping such as {rate: 0.01, until: 80 %}, or none"}},
		{"batches of moving averages", "batch: 128", "batch_norm: {statistics: moving, batches: 30}", []string{"q.yaml:3: batch_norm: {...}: batches are of averaged statistics, and these are moving averages (leave batches out, or write statistics: averaged)"}},
		{"micro-batch", "batch: 128", "batch: 128\nmicro_batch: 48", []string{"q.yaml:4: micro_batch: 48: micro-batches of 48 images do not divide a batch of 128 (micro_batch must be a divisor of batch)"}},
		{"micro-batch less than a group", "batch: 128", "batch: 128\nmicro_batch: 32", []string{"q.yaml:4: micro_batch: 32: micro-batches of 32 images split groups of 64, which share the statistics of batch norm (micro_batch must be a multiple of batch_norm.group)"}},
		{"group", "batch: 128", "batch: 128\nbatch_norm: {group: 48}", []string{"q.yaml:4: batch_norm.group: 48: groups of 48 images do not divide a batch of 128 (batch_norm.group must be a divisor of batch, or 0 for the whole batch)"}},
		{"validation", "batch: 128", "batch: 128\nvalidation: 50000", []string{
			"q.yaml:4: validation: 50000: 50000 images held out leave nothing of the 50000 of cifar10 to train on (the paper held 5000 out)",
			"q.yaml:11: profiles.small.data: \"preview\": 50000 images held out leave nothing of the 20000 of preview to train on (the paper held 5000 out)"}},
		{"validation and train", "data: preview", "train: 1000\n    validation: 1000", []string{"q.yaml:11: profiles.small.validation: 1000: 1000 images held out, and only 1000 trained on"}},
		{"too many images", "data: preview", "train: 46000\n    validation: 5000", []string{"q.yaml:10: profiles.small.train: 46000: 46000 images to train on and 5000 to hold out are more than the 50000 of cifar10"}},
		{"batch above images", "data: preview", "train: 100", []string{"q.yaml:10: profiles.small.train: 100: a batch of 128 is more than the 100 training images (write a smaller batch, such as batch: 32)"}},
		{"pad", "data: preview", "data: preview\n    input: {pad: 9}", []string{"q.yaml:11: profiles.small.input.pad: 9: expected at most 8, half of the side of an image of preview"}},
		{"data not needed", "data: preview", "data: preview\n    needs: [cifar10]", []string{"q.yaml:11: profiles.small.needs: a list of 1: needs cifar10, but its data is preview (leave cifar10 out, or write data: cifar10)"}},

		{"depth", "[20, 32]", "[20, 33]", []string{"q.yaml:2: pairs.depths[1]: 33: depth 33 is neither 6n+2 nor an ImageNet net's (18, 34, 50, 101 and 152) (the nearest are 32 and 34)"}},
		{"depth zero", "[20, 32]", "[20, 0]", []string{"q.yaml:2: pairs.depths[1]: 0: expected a whole number from 1 to 12002"}},
		{"depth twice", "[20, 32]", "[20, 20]", []string{"q.yaml:2: pairs.depths[1]: 20: is in this list twice (the first is pairs.depths[0])"}},
		{"net", "batch: 128", "nets: [resent-20]", []string{`q.yaml:3: nets[0]: "resent-20": want plain-DEPTH or resnet-DEPTH, such as plain-20 or resnet-56/B (did you mean resnet-20?)`}},
		{"misspelt net of no depth", "batch: 128", "nets: [resent-21]", []string{`q.yaml:3: nets[0]: "resent-21": want plain-DEPTH or resnet-DEPTH, such as plain-20 or resnet-56/B`}},
		{"net's depth", "batch: 128", "nets: [resnet-54]", []string{`q.yaml:3: nets[0]: "resnet-54": depth 54 is neither 6n+2 nor an ImageNet net's (18, 34, 50, 101 and 152) (the nearest are 50 and 56)`}},
		{"bottlenecks' depth", "batch: 128", "nets: [resnet-35/bottleneck]", []string{`q.yaml:3: nets[0]: "resnet-35/bottleneck": depth 35 of bottlenecks is not 9n+2 (the nearest are 29 and 38)`}},
		{"stride of what is not there", "batch: 128", "nets: [resnet-18/v1.5]", []string{`q.yaml:3: nets[0]: "resnet-18/v1.5": v1.5 moves the stride of bottlenecks from the first 1x1 convolution to the 3x3, and a net of 18 layers has none`}},
		{"pool that is not there", "batch: 128", "nets: [resnet-18/torchvision]", []string{
			`q.yaml:3: nets[0]: "resnet-18/torchvision": pool-pad1 is about the max-pool, and on images of up to 48 pixels there is none`,
			`q.yaml:10: profiles.small.data: "preview": pool-pad1 is about the max-pool, and on images of up to 48 pixels there is none`}},
		{"net twice", "batch: 128", "nets: [resnet-8, resnet-8]", []string{`q.yaml:3: nets[1]: "resnet-8": is in this list twice (the first is nets[0])`}},
		{"net by two names", "batch: 128", "nets: [resnet-8, resnet-8/A]", []string{`q.yaml:3: nets[1]: "resnet-8/A": resnet-8 is trained already, by nets[0] (leave it out of one of them)`}},
		{"net of a pair", "batch: 128", "nets: [resnet-20]", []string{`q.yaml:3: nets[0]: "resnet-20": resnet-20 is trained already, by pairs.depths (leave it out of one of them)`}},
		{"no net", "pairs: {depths: [20, 32]}", "nets: []", []string{"q.yaml:2: nets: a list of 0: no net to train (write pairs: {depths: [20, 56]}, or nets: [resnet-20])"}},
		{"seed twice", "[0, 1]", "[1, 1]", []string{"q.yaml:6: seeds[1]: 1: is in this list twice (the first is seeds[0])"}},
		{"no seed", "[0, 1]", "[]", []string{"q.yaml:6: seeds: a list of 0: expected at least one seed (write seeds: [0])"}},
		{"negative seed", "[0, 1]", "[-1]", []string{"q.yaml:6: seeds[0]: -1: expected a whole number from 0 to 9007199254740992"}},

		{"negative rate", "rate: 0.1", "rate: -0.1", []string{"q.yaml:4: optimizer.rate: -0.1: expected a number above 0 to 1000"}},
		{"NaN", "rate: 0.1", "rate: .nan", []string{"q.yaml:4: optimizer.rate: .nan: expected a number above 0 to 1000"}},
		{"infinite", "rate: 0.1", "rate: .inf", []string{"q.yaml:4: optimizer.rate: .inf: expected a number above 0 to 1000"}},
		{"rate of 0 in float32", "rate: 0.1", "rate: 1e-50", []string{"q.yaml:4: optimizer.rate: 1e-50: is 0 in float32, in which nets are trained; expected a number above 0 to 1000 (the smallest is 1.4e-45)"}},
		{"rate of 0 after its drops", "rate: 0.1", "rate: 1e-44", []string{
			"q.yaml:4: optimizer.rate: 1e-44: the rate becomes 0 in float32 when it has been divided by 10 2 times"}},
		{"decay of 0 in float32", "momentum: 0.9", "decay: 1e-60", []string{"q.yaml:4: optimizer.decay: 1e-60: is 0 in float32, in which nets are trained; expected a number from 0 to 1 (the smallest is 1.4e-45)"}},
		{"variant of nothing", "seeds: [0, 1]", "variants: [{name: same, optimizer: {rate: 0.1}}, {name: ab, batch: 64}, {name: cd, batch: 64}]", []string{
			"q.yaml:6: variants[0]: trains every net as the question itself does, or a variant before it (change something, or leave it out)",
			"q.yaml:6: variants[2]: trains every net as the question itself does, or a variant before it (change something, or leave it out)"}},
		{"betas of momentum", "momentum: 0.9", "betas: [0.9, 0.999]", []string{"q.yaml:4: optimizer: {...}: betas and eps are only for adam and adamw (write form: adam, or leave them out)"}},
		{"momentum of adam", "momentum: 0.9", "momentum: 0.9, form: adam", []string{"q.yaml:4: optimizer: {...}: adam has no momentum (its averages are betas: [0.9, 0.999])"}},
		{"adam at the rate of SGD", "rate: 0.1, momentum: 0.9", "form: adamw", []string{"q.yaml:4: optimizer: {...}: adamw needs a rate of its own (write rate: 0.001 beside the form)"}},
		{"one beta", "momentum: 0.9", "form: adam, betas: [0.9]", []string{"q.yaml:4: optimizer: {...}: expected two betas (such as [0.9, 0.999])"}},
		{"beta of 1", "momentum: 0.9", "form: adam, betas: [0.9, 1]", []string{"q.yaml:4: optimizer.betas[1]: 1: expected a number from 0 to below 1"}},
		{"misspelt form", "momentum: 0.9", "form: adan, betas: [0.9, 0.99]", []string{`q.yaml:4: optimizer.form: "adan": expected one of caffe, pytorch, nesterov, adam, adamw (did you mean adam?)`}},
		{"another program's form", "momentum: 0.9", "method: adam", []string{"q.yaml:4: optimizer.method: unknown key (did you mean optimizer.form?)"}},
		{"momentum of 1", "momentum: 0.9", "momentum: 1", []string{"q.yaml:4: optimizer.momentum: 1: expected a number from 0 to below 1"}},
		{"word for a number", "rate: 0.1", "rate: high", []string{`q.yaml:4: optimizer.rate: "high": expected a number above 0 to 1000`}},
		{"zero batch", "batch: 128", "batch: 0", []string{"q.yaml:3: batch: 0: expected a whole number from 1 to 65536"}},
		{"half a batch", "batch: 128", "batch: 12.5", []string{"q.yaml:3: batch: 12.5: expected a whole number from 1 to 65536"}},
		{"no boolean", "batch: 128", "input: {flip: yes}", []string{`q.yaml:3: input.flip: "yes": expected true or false (write true)`}},

		{"data", "data: preview", "data: cifar-10", []string{`q.yaml:10: profiles.small.data: "cifar-10": expected one of cifar10, cifar100, imagenet, folder, preview, preview64 (did you mean cifar10?)`}},
		{"need", "[gpu, cifar10]", "[gpus, cifar10]", []string{`q.yaml:8: profiles.big.needs[0]: "gpus": expected one of gpu, cifar10, cifar100, imagenet, folder, cpu (did you mean gpu?)`}},
		{"figure", "batch: 128", "figures: [training_curve]", []string{`q.yaml:3: figures[0]: "training_curve": expected one of training_curves, error_by_depth, generalisation_gap, layer_responses, gradient_norms, final_error_vs_value, lesion, gradient_correlation, landscape_1d, landscape_2d (did you mean training_curves?)`}},
		{"photos' keys", "batch: 128", "input: {crop: 32}", []string{
			"q.yaml:3: input.crop: 32: is for photos, and the data is cifar10 (write data: imagenet, or leave it out)",
			"q.yaml:3: input.crop: 32: is for photos, and the data is preview (write data: imagenet, or leave it out)"}},
		{"padded photos", "data: preview", "data: imagenet\n    input: {pad: 4}", []string{"q.yaml:11: profiles.small.input.pad: 4: photos are not padded: a crop is smaller than the photo (leave it out)"}},
		{"crop over scale", "data: preview", "data: imagenet\n    input: {scale: [200, 300]}", []string{"q.yaml:11: profiles.small.input.scale: a list of 2: a crop of 224 is larger than a photo whose shorter side has 200 pixels (input.scale is [256, 480] for the paper's crop of 224)"}},
		{"scale of one", "data: preview", "data: imagenet\n    input: {scale: [256]}", []string{"q.yaml:11: profiles.small.input.scale: a list of 1: expected the least and the most pixels of the shorter side (such as [256, 480])"}},
		{"need of other data", "{needs: [gpu, cifar10]}", "{needs: [imagenet]}", []string{"q.yaml:8: profiles.big.needs: a list of 1: needs imagenet, but its data is cifar10 (leave imagenet out, or write data: imagenet)"}},
		{"precision", "batch: 128", "precision: fp16", []string{`q.yaml:3: precision: "fp16": expected one of auto, fp32, tf32, bf16`}},
		{"profile's name", "  big:", "  Big GPU:", []string{"q.yaml:8: profiles.Big GPU: expected a name of lower-case letters, digits, - and _ (it becomes the name of a folder)"}},
		{"profile of nothing", "{needs: [gpu, cifar10]}", "", []string{"q.yaml:8: profiles.big: nothing: expected a mapping of keys to values (a profile that changes nothing is written {needs: []})"}},

		{"alias", "[20, 32]}", "&a [20, 32]}\nnets: *a", []string{"q.yaml:2: pairs.depths: &a: " + noAliases + " (write the value out)", "q.yaml:3: nets: *a: " + noAliases + " (write the value out)"}},
		{"merge key", "momentum: 0.9", "<<: {momentum: 0.9}", []string{"q.yaml:4: optimizer.<<: " + noAliases + " (write the keys out)"}},
		{"tag", "batch: 128", "batch: !mine 128", []string{"q.yaml:3: batch: !mine: YAML tags are not allowed (leave the tag out)", "q.yaml:3: batch: 128: expected a whole number from 1 to 65536"}},
		{"two documents", "profiles:", "---\nprofiles:", []string{"q.yaml:7: expected one document, but a second one begins here (remove the line ---)"}},

		{"no-break space in a key", "batch: 128", "\u00a0batch: 128", []string{"q.yaml:3:  batch: unknown key (it has a no-break space (U+00A0): write a plain space in its place)"}},
		{"no-break space in a time", "stop: 640 steps", "stop: 640\u00a0steps", []string{`q.yaml:5: schedule.stop: "640 steps": ` + like + " (it has a no-break space (U+00A0): write a plain space in its place)"}},
		{"no-break space in a list", "[20, 32]", "[20,\u00a032]", []string{`q.yaml:2: pairs.depths[1]: " 32": expected a whole number from 1 to 12002 (it has a no-break space (U+00A0): write a plain space in its place)`}},
		{"no-break space and another mistake", "stop: 640 steps", "stop: 640\u00a0hours", []string{`q.yaml:5: schedule.stop: "640 hours": ` + like}},
		{"invisible character", "data: preview", "data: preview\u200b", []string{`q.yaml:10: profiles.small.data: "preview ": expected one of cifar10, cifar100, imagenet, folder, preview, preview64 (it has an invisible character (U+200B): write nothing in its place)`}},
		{"dash in a net", "batch: 128", "nets: [resnet\u201344]", []string{`q.yaml:3: nets[0]: "resnet–44": want plain-DEPTH or resnet-DEPTH, such as plain-20 or resnet-56/B (it has the character – (U+2013): write - in its place)`}},
		{"full-width digits", "batch: 128", "batch: \uff11\uff12\uff18", []string{`q.yaml:3: batch: "１２８": expected a whole number from 1 to 65536 (it has the character １ (U+FF11): write 1 in its place)`}},

		{"three at once", "batch: 128\noptimizer: {rate: 0.1", "bach: 128\noptimizer: {rate: -1", []string{
			"q.yaml:3: bach: unknown key (did you mean batch?)",
			"q.yaml:4: optimizer.rate: -1: expected a number above 0 to 1000"}},
		{"a contradiction beside a misspelling", "batch: 128\n", "bach: 128\nbatch_norm: {group: 48}\n", []string{
			"q.yaml:3: bach: unknown key (did you mean batch?)",
			"q.yaml:4: batch_norm.group: 48: groups of 48 images do not divide a batch of 128 (batch_norm.group must be a divisor of batch, or 0 for the whole batch)"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse("q.yaml", []byte(text))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if want := strings.Join(c.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestPlainTexts checks that texts may have any characters.
func TestPlainTexts(t *testing.T) {
	for _, title := range []string{"Vraiment\u00a0?", "Deeper – worse?", "深い"} {
		q, err := Parse("q.yaml", []byte(strings.Replace(good, "Does it load?", title, 1)))
		if err != nil || q.Text != title {
			t.Errorf("%q: %v", title, err)
		}
		// There is no hint about them if the error has another reason.
		_, err = Parse("q.yaml", []byte("question: "+title+" # "+title+"\nnets: [\n"))
		if err == nil || err.Error() != "q.yaml:2: is not valid YAML: did not find expected node content" {
			t.Errorf("%q: %v", title, err)
		}
	}
}

func TestWarmupFromNothing(t *testing.T) {
	_, err := Parse("q.yaml", []byte(`question: Warm?
nets: [resnet-8]
schedule: {warmup: none}
profiles:
  a: {schedule: {warmup: {rate: 0.01}}}
  b: {schedule: {warmup: {rate: 0.01, for: 5 steps}}}
`))
	const want = `q.yaml:5: profiles.a.schedule.warmup: {...}: expected rate, and until or for (such as {rate: 0.01, until: 80 %})`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestNoQuestion tests files that are not questions at all.
func TestNoQuestion(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"empty", "", "q.yaml: is empty"},
		{"comment", "# only a comment\n", "q.yaml: is empty"},
		{"null", "~\n", "q.yaml: is empty"},
		{"text", "hello\n", `q.yaml:1: "hello": expected a mapping`},
		{"list", "- 1\n", "q.yaml:1: a list of 1: expected a mapping"},
		{"broken", "question: [\n", "q.yaml:"},
		{"tab", "pairs:\n\tdepths: [20]\n", "is not valid YAML: found character that cannot start any token (indent with spaces"},
		{"no text", "question: \xff\xfe\n", "is not valid YAML"},
		{"Latin-1", "question: Fr\xfcher?\n", "(the file is not UTF-8: save it as that)"},
		{"UTF-16", "q\x00u\x00e\x00s\x00t\x00i\x00o\x00n\x00:\x00", "(the file is not UTF-8: save it as that)"},
		{"no-break space behind a key", "question: x\npairs:\u00a0{depths: [20]}\nbatch: 1\n", "(line 2: it has a no-break space (U+00A0): write a plain space in its place)"},
		{"large", strings.Repeat("# filling\n", 200000), "q.yaml: is larger than 128 KiB"},
		{"exploding", "a: &a [x, x]\nb: &b [*a, *a]\nquestion: *b\n", noAliases},
		{"unknown alias", "question: *b\n", "is not valid YAML: unknown anchor 'b' referenced"},
		{"deep", strings.Repeat("[", 200000), "q.yaml:"},
		{"wrong everywhere", "question: x\n" + strings.Repeat("a: 1\n", 3000), "and 900 more"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("q.yaml", []byte(c.text))
			var all *Complaints
			if !errors.As(err, &all) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent.yaml: cannot be read: no such file") {
		t.Error(err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "cannot be read: is a directory") {
		t.Error(err)
	}
}

// committed lists the questions of this folder.
func committed(t *testing.T) []string {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	return files
}

func TestCommitted(t *testing.T) {
	for _, file := range committed(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=schema.json\n") {
			t.Errorf("%s does not name its schema", file)
		}
		q, err := Load(file)
		if err != nil {
			t.Error(err)
			continue
		}
		var names []string
		for _, p := range q.Plans {
			names = append(names, p.Profile)
			if len(p.Runs) == 0 || p.Says == "" {
				t.Errorf("%s, %s: %d runs, says %q", file, p.Profile, len(p.Runs), p.Says)
			}
		}
		// Profiles after tiny, which runs everywhere, run only with --profile.
		want := []string{"cifar10", "cifar10-cpu", "preview", "tiny"}
		if strings.HasPrefix(file, "imagenet") {
			want = []string{"imagenet", "preview", "tiny"}
		}
		if len(names) < len(want) || !reflect.DeepEqual(names[:len(want)], want) {
			t.Errorf("%s has profiles %q, want %q first", file, names, want)
		}
		if _, missing, err := q.Choose(nil, "tiny"); err != nil || len(missing) > 0 {
			t.Errorf("%s: tiny does not run everywhere: %v, %v", file, missing, err)
		}
	}
}

// TestResolved reads the file of Resolved, and expects the same runs.
func TestResolved(t *testing.T) {
	for _, file := range committed(t) {
		q, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range q.Plans {
			text, err := q.Resolved(p.Profile)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(file, text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, p := range append(again.Plans, p) {
				p.spec.Vary = nil // its places in the file; p.Varied has what it says
			}
			if len(again.Plans) != 1 || !reflect.DeepEqual(again.Plans[0], p) {
				t.Errorf("%s, %s:\n%+v\nwas\n%+v\n%s", file, p.Profile, again.Plans[0], p, text)
			}
		}
	}
}

// TestResolvedRuns expects the same runs from the file of Resolved also where a default depends on
// values in which runs differ, or where a variant or a file has a 0 whose default is another number.
func TestResolvedRuns(t *testing.T) {
	const readme = "question: Same?\npairs: {depths: [20, 110]}\nnets: [resnet-20/B]\ndata: preview\ninput: {pad: 2}\nschedule: {divide: 10, at: [500 steps, 750 steps], stop: 1000 steps}\nseeds: 0..1\n"
	const epochs = "question: Same?\nnets: [plain-110]\ndata: preview\nschedule: {at: [1 epoch, 1.5 epochs], stop: 2 epochs}\nlog: 0.1 epochs\nsave: 0.5 epochs\nkeep: [last, every 1 epoch]\n"
	const still = "question: Same?\nnets: [plain-8]\ndata: preview\nschedule: {plateau: {patience: 2 epochs}, stop: 9 epochs, warmup: {for: 1 epoch, from_depth: 0}}\n"
	const photos = "question: Same?\nnets: [resnet-18]\ndata: imagenet\nschedule: {at: [], stop: 900 steps}\n"
	const own = "question: Same?\nnets: [resnet-8]\ndata: folder\nschedule: {at: [], stop: 9 epochs}\n"
	for _, text := range []string{
		readme + "vary: {optimizer.rate: [0.1, 0.03, 0.003]}\n",
		readme + "vary: {batch: [32, 64, 128]}\n",
		readme + "vary: {batch: [128, 100]}\nbatch: 100\n",
		readme + "vary: {batch: [128, 100], optimizer.rate: [0.1, 0.001], deterministic: [true, false]}\nbatch: 32\noptimizer: {rate: 0.001}\n",
		readme + "vary: {batch_norm.statistics: [averaged, moving]}\n",
		readme + "vary: {batch_norm.statistics: [averaged, moving]}\nbatch_norm: {statistics: moving}\n",
		readme + "vary: {batch_norm.batches: [20, 30]}\nbatch_norm: {statistics: moving}\n",
		readme + "vary: {schedule.form: [steps, cosine]}\n",
		readme + "vary: {schedule.warmup: [none], batch: [64, 96]}\n",
		readme + "vary: {schedule.warmup.rate: [0.02, 0.05]}\n",
		readme + "vary: {schedule.warmup.for: [9 steps, 20 steps]}\n",
		readme + "vary: {label_smoothing: [0, 0.1], micro_batch: [0, 64]}\nlabel_smoothing: 0.2\nmicro_batch: 128\n",
		epochs + "vary: {batch: [32, 64, 100]}\n",
		epochs + "vary: {batch: [32, 64, 100]}\nevaluate: 1 epoch\nbatch: 500\nbatch_norm: {group: 0}\n",
		epochs + "vary: {schedule.stop: [2 epochs, 3 epochs]}\nevaluate: 9 epochs\n",
		still + "vary: {batch: [32, 100]}\n",
		still + "vary: {schedule.plateau.patience: [2 epochs, 400 steps]}\n",
		photos + "vary: {optimizer.rate: [0.1, 0.003]}\ninput: {colour: 0}\n",
		photos + "vary: {batch: [256, 100]}\ninput: {crop: 64, scale: [72, 96]}\n",
		photos + "vary: {input.colour: [0.1, 0]}\n",
		own + "vary: {input.size: [32, 48]}\n",
		own + "vary: {input.size: [32, 48], batch: [64, 96]}\ninput: {size: 16}\n",

		readme + "variants: [{name: moving, batch_norm: {statistics: moving}}, {name: slow, optimizer: {rate: 0.001}}, {name: small, batch: 96}]\n",
		readme + "variants: [{name: hard, label_smoothing: 0}, {name: whole, micro_batch: 0}, {name: averaged, batch_norm: {statistics: averaged}}]\nlabel_smoothing: 0.1\nmicro_batch: 64\nbatch_norm: {statistics: moving}\n",
		epochs + "variants: [{name: small, batch: 32}, {name: cosine, schedule: {form: cosine}}]\n",
		still + "variants: [{name: drops, schedule: {at: [3 epochs]}}, {name: hot, schedule: {warmup: {until: 70 %}}}]\n",
		photos + "input: {colour: 0}\n",
		photos + "variants: [{name: grey, input: {colour: 0}}]\n",
		own + "variants: [{name: small, input: {size: 32}}]\n",
	} {
		r := counted(2000, 500)
		q, err := r.Parse("q.yaml", []byte(text))
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		resolved, err := q.Resolved("default")
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Parse("q.yaml", resolved)
		if err != nil {
			t.Errorf("%s\n%v\n%s", text, err, resolved)
			continue
		}
		p := again.Plans[0]
		if !reflect.DeepEqual(p.Runs, q.Plans[0].Runs) || !reflect.DeepEqual(p.Varied, q.Plans[0].Varied) {
			t.Errorf("%s\n%+v\nwas\n%+v\n%s", text, p.Runs, q.Plans[0].Runs, resolved)
		}
		if twice, err := again.Resolved("default"); err != nil || string(twice) != string(resolved) {
			t.Errorf("%v\n%s\nwas\n%s", err, twice, resolved)
		}
	}
}

// Files that are made to use up memory or time are rejected with little of both.
func TestBombs(t *testing.T) {
	lines := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	fill := func(s string) string { return strings.Repeat(s, maxFile/len(s)) }
	for name, text := range map[string]string{
		"nested lists":    fill("["),
		"nested mappings": fill("{a: "),
		"nested dashes":   fill("- "),
		"a long list":     "seeds: [" + fill("1,")[:maxFile-20] + "1]",
		"many lists":      "nets: [" + fill("[],")[:maxFile-21] + "[]]",
		"many keys":       lines("a%d: 1\n", 12000),
		"many profiles":   "profiles:\n" + lines("  a%d: {}\n", 8000),
		"laughs":          "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + lines("b%[1]d: &b%[1]d [*a0, *a0, *a0, *a0, *a0, *a0]\n", 2000),
		"laughs of laughs": "a0: &a0 x\n" + func() (s string) {
			for i := range 50 {
				s += fmt.Sprintf("a%[1]d: &a%[1]d [*a%[2]d, *a%[2]d, *a%[2]d]\n", i+1, i)
			}
			return s
		}(),
		"merges":        "a0: &a0 {x: 1}\n" + lines("b%d: {<<: *a0}\n", 5000),
		"a long number": "batch: " + fill("9")[:maxFile-10],
		"a long text":   "question: " + fill("x")[:maxFile-10] + "\nbatch: x",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			q, err := Parse("q.yaml", []byte(text))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("accepted: %d profiles", len(q.Plans))
			}
			if len(err.Error()) > 1<<16 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
				t.Errorf("took %d MiB", spent>>20)
			}
		})
	}
}

// The name of a file becomes the name of a folder, which must not be a parent folder.
func TestNameOfFile(t *testing.T) {
	for file, good := range map[string]bool{
		"q.yaml": true, "../q.yaml": true, "my question.yml": true,
		"...yaml": false, "..yaml": false, ".yaml": false, "a\\..\\b.yaml": false, "": false, "..": false,
	} {
		q, err := Parse(file, []byte("question: x\nnets: [resnet-8]\n"))
		if (err == nil) != good {
			t.Errorf("%q: %v, %v", file, q, err)
		}
	}
}

// FuzzLoad expects complaints or a question, never a panic.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(good))
	for _, seed := range []string{
		"", "a", "[", "? {a: b}\n: c", "question: *a", "<<: {a: 1}", "profiles: {a: {profiles: {}}}", "schedule: {warmup: {for: 1 epoch}}",
		"question: x\nnets: [resnet-8/B]\nschedule: {at: [1e9 steps], stop: 0 epochs, warmup: none}\nprofiles: {a: {schedule: {warmup: {rate: 1}}}}",
		"batch: !!binary AA==", "&a question: x", "!!float a: !!int b", "question: x\npairs: {depths: [8]}\nbatch: 100\nlog: 9 epochs\nvalidation: 49950",
		"question: x\nnets: [resnet-8]\nvariants: [{name: ab, schedule: {plateau: {patience: 1 epoch}}}]\nprofiles: {a: {variants: [{}, 1]}}",
		"question: x\nnets: [resnet-8]\nseeds: 0..3\nvary: {optimizer.rate: [0.1, 1e-3], schedule.at: [[1 epoch], []], input.flip: [true, false], schedule.warmup: [none]}",
		"question: x\nnets: [resnet-110]\nvary: {batch: [32, 100], batch_norm.statistics: [moving, averaged], optimizer.rate: [0.1, 0.001]}",
		"question: x\npairs: {depths: 8..20 by 6}\nkeep: [last, best, every 1 epoch]\nprofiles: {a: {like: b}, b: {like: c, batch: 64}, c: {schedule: {form: cosine}}, d: {like: d}}",
		"question: x\ncontinue: {run: [a, b], for: 1 step}\ninit: a.safetensors\nlabel_smoothing: 0.1",
	} {
		f.Add([]byte(seed))
	}
	for _, file := range []string{"plain_vs_res.yaml", "shortcuts.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := Parse("q.yaml", text)
		if (q == nil) == (err == nil) {
			t.Fatal(q, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a word")
			}
			return
		}
		for _, p := range q.Plans {
			for _, run := range p.Runs {
				s := run.Schedule
				if run.Batch < 1 || s.Stop < 1 || run.LogEvery < 1 || run.EvalEvery < 1 || run.SaveEvery < 1 || run.TrainImages() < run.Batch {
					t.Fatalf("%+v", run)
				}
				run.Paper()
			}
			text, err := q.Resolved(p.Profile)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("again.yaml", text)
			if err != nil || !reflect.DeepEqual(again.Plans[0].Runs, p.Runs) {
				t.Fatalf("%v\n%s", err, text)
			}
		}
	})
}
