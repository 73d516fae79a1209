package harness

import (
	"fmt"
	"math"

	"depthlab/harness/data"
	"depthlab/harness/record"
)

// watch looks for what goes wrong without a sound. It only warns, each thing
// once: that a deep plain net learns nothing is a finding. It is part of a
// checkpoint, so that a resumed run warns as one that was not stopped.
type watch struct {
	Steps    int     // of the epoch under way
	Loss     float64 // summed over them
	Flat     bool    // said
	Vanished bool    // said

	Unreadable []string // photos that were named
}

const (
	// A loss of so much of that of guessing is no better than guessing.
	flat = 0.98
	// The largest gradient of a layer, as a share of that of all, below which
	// nothing reaches the layer. Batch norm keeps layers within a few orders.
	vanished = 1e-7
)

func (t *trainer) warn(format string, args ...any) error {
	return t.sink.Event(record.Event{Kind: "warn", Step: t.step, Text: fmt.Sprintf(format, args...)})
}

// watchLoss takes the mean loss of some steps and warns of an epoch at chance.
func (t *trainer) watchLoss(loss float64, steps int) error {
	w := &t.watch
	w.Steps += steps
	w.Loss += loss * float64(steps)
	if w.Steps*t.run.Batch < len(t.model.train) {
		return nil
	}
	mean, chance := w.Loss/float64(w.Steps), math.Log(float64(t.classes))
	w.Steps, w.Loss = 0, 0
	if w.Flat || mean < flat*chance {
		return nil
	}
	w.Flat = true
	return t.warn("the loss of a whole epoch, %.4f, is no better than guessing, %.4f", mean, chance)
}

// oneClass warns of training images that are all of one class; "" for others.
func (m *model) oneClass(src *data.Source) string {
	first := src.Train.Labels[m.train[0]]
	for _, i := range m.train {
		if src.Train.Labels[i] != first {
			return ""
		}
	}
	return fmt.Sprintf("all %d training images are of class %d: there is nothing to tell apart", len(m.train), first)
}
