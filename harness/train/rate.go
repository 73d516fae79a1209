// The learning rate: a function of the recipe, the step, and the state of the parts of the
// schedule that depend on an error.

package train

import (
	"math"
	"strconv"

	"depthlab/experiments"
	"depthlab/harness/device"
)

// schedule is the state of the parts of a schedule that depend on an error. It is part of a
// checkpoint.
type schedule struct {
	Warm    bool // the warm-up until a running error is over
	Plateau plateau
}

// plateau is the state of a schedule that divides the rate when an error no longer decreases.
type plateau struct {
	Lowest float64 // lowest error so far, percent
	Since  int     // step of Lowest, or of the latest drop of the rate; 0: no error yet
	Drops  int     // number of drops of the rate so far
}

// learningRate is the rate of a step, counted from 0.
func learningRate(run experiments.Run, at schedule, step int) float32 {
	s := run.Schedule
	if warming(s, at, step) {
		return float32(s.Warmup.Rate)
	}
	rate := run.Optimizer.Rate
	switch done := float64(step) / float64(s.Stop); s.Form { // sources: see experiments.Schedule
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

// launchRates returns the rates of n steps, from step on.
func launchRates(run experiments.Run, at schedule, step, n int) []device.Rates {
	rates := make([]device.Rates, n)
	for i := range rates {
		rates[i] = device.Rates{Learning: learningRate(run, at, step+i), Statistics: float32(run.BatchNorm.Momentum)}
	}
	return rates
}

// warming reports whether a step is in the warm-up.
func warming(s experiments.Schedule, at schedule, step int) bool {
	w := s.Warmup
	return w != nil && !at.Warm && (w.Steps == 0 || step < w.Steps)
}

// after is the state of the schedule after an error (percent) of a step is known. of is
// "train_error" or "test_error". A training error may end the warm-up. If the schedule depends
// on this error, and it has not decreased for Patience steps, the rate drops.
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

// exact is the rate as the shortest decimal number that is the same float32: 0.1, not
// 0.10000000149.
func exact(rate float32) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(float64(rate), 'g', -1, 32), 64)
	return v
}
