// The learning rate: a function of the recipe, the step, and how far the parts of the
// schedule have come that wait for an error.

package train

import (
	"math"
	"strconv"

	"depthlab/experiments"
	"depthlab/harness/device"
)

// schedule is how far the parts of a schedule have come that wait for an error. It is
// part of a checkpoint.
type schedule struct {
	Warm    bool // a warm-up that waits for the running error is over
	Plateau plateau
}

// plateau is the state of a schedule that divides the rate where an error stands still.
type plateau struct {
	Lowest float64 // error, percent
	Since  int     // step of that, or of the latest drop of the rate; 0: no error yet
	Drops  int     // of the rate so far
}

// learningRate is the rate of a step, counted from 0.
func learningRate(run experiments.Run, at schedule, step int) float32 {
	s := run.Schedule
	if warming(s, at, step) {
		return float32(s.Warmup.Rate)
	}
	rate := run.Optimizer.Rate
	switch done := float64(step) / float64(s.Stop); s.Form { // experiments.Schedule has their sources
	case "cosine":
		rate *= (1 + math.Cos(math.Pi*done)) / 2
	case "linear":
		rate *= 1 - done
	}
	for _, drop := range s.At {
		if step >= drop {
			rate /= s.Divide
		}
	}
	if p := s.Plateau; p != nil {
		rate /= math.Pow(p.Divide, float64(at.Plateau.Drops))
	}
	return float32(rate)
}

// launchRates are the rates of n steps, from step on.
func launchRates(run experiments.Run, at schedule, step, n int) []device.Rates {
	rates := make([]device.Rates, n)
	for i := range rates {
		rates[i] = device.Rates{Learning: learningRate(run, at, step+i), Statistics: float32(run.BatchNorm.Momentum)}
	}
	return rates
}

func warming(s experiments.Schedule, at schedule, step int) bool {
	w := s.Warmup
	return w != nil && !at.Warm && (w.Steps == 0 || step < w.Steps)
}

// after is the schedule when an error, percent, is known after a step: of is
// "train_error" or "test_error". It ends a warm-up that waits for the running error, and
// drops the rate if the schedule watches that error and it stands still.
func (at schedule) after(run experiments.Run, of string, step int, percent float64) schedule {
	s := run.Schedule
	if w := s.Warmup; w != nil && w.Steps == 0 && of == "train_error" && percent < w.Until {
		at.Warm = true
	}
	switch p := s.Plateau; {
	case p == nil || p.Of != of || warming(s, at, step):
	case at.Plateau.Since == 0 || percent < at.Plateau.Lowest:
		at.Plateau.Lowest, at.Plateau.Since = percent, step
	case step-at.Plateau.Since >= p.Patience:
		at.Plateau.Since, at.Plateau.Drops = step, at.Plateau.Drops+1
	}
	return at
}

// exact is the float32 rate with the few digits it was given with.
func exact(rate float32) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(float64(rate), 'g', -1, 32), 64)
	return v
}
