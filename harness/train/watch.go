package train

import (
	"fmt"
	"math"

	"depthlab/harness/record"
)

// watch looks for what goes wrong without a sound. It only warns, each thing
// once: that a deep plain net learns nothing is a finding. It is part of a
// checkpoint, so that a resumed run warns as one that was not stopped.
type watch struct {
	Steps    int     // since the training error was last looked at
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

func (t *Trainer) warn(format string, args ...any) error {
	return t.sink.Event(record.Event{Kind: "warn", Step: t.step, Text: fmt.Sprintf(format, args...)})
}

// watchError takes the error of some steps, percent. It warns when that of a
// whole epoch, and of guessingSteps steps at least, is no better than guessing.
// The error is judged, not the loss: a net that learns may still have a high
// loss, and one that only becomes less sure has a lower one. When the net learns
// after all, that is said, too, and the warning stands no more.
func (t *Trainer) watchError(percent float64, steps int) error {
	w := &t.watch
	w.Steps += steps
	w.Wrong += percent * float64(steps)
	if w.Steps < guessingSteps || w.Steps*t.Run.Batch < len(t.Model.Train) {
		return nil
	}
	mean, images, n := w.Wrong/float64(w.Steps), w.Steps*t.Run.Batch, w.Steps
	w.Steps, w.Wrong = 0, 0
	switch guess := guessing(t.Classes, images); {
	case mean > guess && !w.Guesses:
		w.Guesses = true
		return t.sink.Event(record.Event{Kind: "warn", Step: t.step, Of: record.OfGuessing,
			Text: fmt.Sprintf("the training error of the last %d steps, %.2f %%, is no better than guessing", n, mean)})
	case mean <= guess && w.Guesses:
		w.Guesses = false
		return t.sink.Event(record.Event{Kind: "over", Step: t.step, Of: record.OfGuessing,
			Text: fmt.Sprintf("the net learns now: the training error of the last %d steps is %.2f %%", n, mean)})
	}
	return nil
}

// guessing is the error, percent, above which a net is no better than guessing
// among classes, judged by so many images: five standard deviations below what
// guessing gives, so that chance alone hardly ever goes under it.
func guessing(classes, images int) float64 {
	right := 1 / float64(classes)
	return 100 * (1 - right - 5*math.Sqrt(right*(1-right)/float64(images)))
}
