// Warnings of what goes wrong without a sound.

package train

import (
	"fmt"
	"math"
	"slices"

	"depthlab/harness/data"
	"depthlab/harness/model"
	"depthlab/harness/record"
)

// watch is what was said already. Each thing is said once, and none of them ends a run:
// that a deep plain net learns nothing is a finding. It is part of a checkpoint, so that a
// resumed run warns as one that was not stopped.
type watch struct {
	Steps    int     // since the training error was last judged
	Wrong    float64 // error in percent, summed over them
	Guesses  bool    // said, and not that it is over
	Vanished bool    // said

	Unreadable []string // photos that were named
}

// A net gets at least so many steps before its error is judged: of a small data
// set an epoch is a few steps, in which none learns. Tests set it lower.
var guessingSteps = 200

// The largest gradient of a layer, as a share of that of all, below which
// nothing reaches the layer. Batch norm keeps layers within a few orders.
const vanished = 1e-7

// guessing takes the error of some steps, percent. It warns if that of a whole epoch, and
// of guessingSteps steps at least, is no better than guessing. The error is judged, not
// the loss: a net that learns may still have a high loss, and one that only becomes less
// sure has a lower one. If the net learns after all, that is said, too, and the warning
// stands no more.
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

// guessError is the error, percent, above which a net is no better than guessing among
// classes, judged by so many images: five standard deviations below what guessing gives,
// so that chance alone hardly ever goes under it.
func guessError(classes, images int) float64 {
	right := 1 / float64(classes)
	return 100 * (1 - right - 5*math.Sqrt(right*(1-right)/float64(images)))
}

// vanishing takes the largest gradient of each layer, and warns of a layer that none
// reaches.
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

// unreadable names the photos that turned out to be unreadable. The feed may be nil.
func (w *watch) unreadable(f *model.Feed) (events []record.Event) {
	if f == nil {
		return nil
	}
	for _, e := range f.Failures.All {
		if !slices.Contains(w.Unreadable, e.Name) {
			w.Unreadable = append(w.Unreadable, e.Name)
			events = append(events, warning("an unreadable photo is left out: %v", e))
		}
	}
	return events
}

// oneClass warns of training images that are all of one class; "" for others.
func oneClass(src *data.Source, images []int32) string {
	first := src.Train.Labels[images[0]]
	for _, i := range images {
		if src.Train.Labels[i] != first {
			return ""
		}
	}
	return fmt.Sprintf("all %d training images are of class %d: there is nothing to tell apart", len(images), first)
}

// slowData says if photos came slower than the device could take them, of the seconds
// that this process trained; "" if not. The feed may be nil.
func slowData(f *model.Feed, seconds float64) string {
	if f == nil || !(f.Waited.Seconds() > 0.1*seconds) {
		return ""
	}
	return fmt.Sprintf("the device waited %.0f %% of the time for photos: a faster disk, more CPU cores or libjpeg-turbo (%s decodes) would help", 100*f.Waited.Seconds()/seconds, f.Photos.Photos.Library)
}
