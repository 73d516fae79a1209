// Warnings of problems that do not end a run.

package train

import (
	"fmt"
	"math"
	"slices"

	"depthlab/harness/data"
	"depthlab/harness/model"
	"depthlab/harness/record"
)

// watch is the state of the warnings. Each warning is given once, and none ends a run: that a
// deep plain net learns nothing is a finding. It is part of a checkpoint, so that a resumed run
// has the warnings of an uninterrupted one.
type watch struct {
	Steps    int     // steps since the training error was last compared with guessing
	Wrong    float64 // errors of these steps in percent, summed
	Guesses  bool    // the warning of guessing was given, and is not over
	Vanished bool    // the warning of vanishing gradients was given

	Unreadable []string // photos that a warning has named
}

// guessingSteps is the least number of steps after which the error is compared with guessing:
// an epoch of a small data set is a few steps, in which no net learns. Tests set it lower.
var guessingSteps = 200

// vanished is the ratio of a layer's largest gradient to that of all layers below which the
// layer's gradient vanishes. With batch norm, layers differ by a few orders of magnitude.
const vanished = 1e-7

// guessing adds the error (percent) of some steps. It warns if the error of a whole epoch, and
// of at least guessingSteps steps, is no better than guessing. It compares the error, not the
// loss: a net that learns may have a high loss, and the loss of one that only becomes less
// certain decreases. If the net learns later, a second event ends the warning.
func (w *watch) guessing(percent float64, steps int, net *model.Model) []record.Event {
	batch := net.Run.Batch
	w.Steps += steps
	w.Wrong += percent * float64(steps)
	if w.Steps < guessingSteps || w.Steps*batch < len(net.Images.Train) {
		return nil
	}
	mean, n := w.Wrong/float64(w.Steps), w.Steps
	w.Steps, w.Wrong = 0, 0
	switch guess := guessError(net.Classes, n*batch); {
	case mean > guess && !w.Guesses:
		w.Guesses = true
		return []record.Event{{Kind: "warn", Of: record.OfGuessing,
			Text: fmt.Sprintf("the training error of the last %d steps, %.2f %%, is no better than guessing", n, mean)}}
	case mean <= guess && w.Guesses:
		w.Guesses = false
		return []record.Event{{Kind: "over", Of: record.OfGuessing,
			Text: fmt.Sprintf("the net learns now: the training error of the last %d steps is %.2f %%", n, mean)}}
	}
	return nil
}

// guessError is the error in percent above which a net is no better than guessing, measured on so
// many images. It is five standard deviations below the expected error of guessing, so that
// guessing hardly ever has a lower error by chance.
func guessError(classes, images int) float64 {
	right := 1 / float64(classes)
	return 100 * (1 - right - 5*math.Sqrt(right*(1-right)/float64(images)))
}

// vanishing returns a warning if the gradient of a layer vanishes. largest holds the largest
// absolute gradient of each parameter.
func (w *watch) vanishing(layers []string, largest map[string]float64) []record.Event {
	var all float64
	for _, g := range largest {
		all = max(all, g)
	}
	for _, name := range layers {
		if g := largest[name]; g < vanished*all && !w.Vanished {
			w.Vanished = true
			return []record.Event{warning("gradients vanish: the largest of %s is %.2g, of all layers %.2g", name, g, all)}
		}
	}
	return nil
}

// unreadable returns a warning for each new unreadable photo. f may be nil.
func (w *watch) unreadable(f *model.Feed) (events []record.Event) {
	if f == nil {
		return nil
	}
	for _, e := range f.Failures.All {
		if !slices.Contains(w.Unreadable, e.Name) {
			w.Unreadable = append(w.Unreadable, e.Name)
			events = append(events, warning("an unreadable photo is not used: %v", e))
		}
	}
	return events
}

// oneClass is a warning if all training images are of one class, else "".
func oneClass(src *data.Source, images []int32) string {
	first := src.Train.Labels[images[0]]
	for _, i := range images {
		if src.Train.Labels[i] != first {
			return ""
		}
	}
	return fmt.Sprintf("all %d training images are of class %d: expected at least two classes", len(images), first)
}

// slowData is a message if the device waited for photos for more than a tenth of the seconds that
// this process trained, else "". f may be nil.
func slowData(f *model.Feed, seconds float64) string {
	if f == nil || !(f.Waited.Seconds() > 0.1*seconds) {
		return ""
	}
	return fmt.Sprintf("the device waited %.0f %% of the time for photos: a faster disk, more CPU cores or libjpeg-turbo would help (the decoder is %s)", 100*f.Waited.Seconds()/seconds, f.Photos.Photos.Library)
}
