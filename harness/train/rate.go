package train

import (
	"math"
	"strconv"

	"depthlab/experiments"
)

// rate is the learning rate of a step, counted from 0.
func (t *Trainer) rate(step int) float32 {
	s := t.Run.Schedule
	if t.warming(step) {
		return float32(s.Warmup.Rate)
	}
	rate := rateAt(t.Run.Optimizer.Rate, s, step)
	if p := s.Plateau; p != nil {
		rate /= math.Pow(p.Divide, float64(t.still.Drops))
	}
	return float32(rate)
}

func (t *Trainer) warming(step int) bool {
	w := t.Run.Schedule.Warmup
	return w != nil && !t.warm && (w.Steps == 0 || step < w.Steps)
}

// rateAt is the rate of a step without any warm-up or plateau: experiments.Schedule
// has the forms and their sources.
func rateAt(rate float64, s experiments.Schedule, step int) float64 {
	switch done := float64(step) / float64(s.Stop); s.Form {
	case "cosine":
		return rate * (1 + math.Cos(math.Pi*done)) / 2
	case "linear":
		return rate * (1 - done)
	}
	for _, at := range s.At {
		if step >= at {
			rate /= s.Divide
		}
	}
	return rate
}

// exact is the float32 rate with the few digits it was given with.
func exact(rate float32) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(float64(rate), 'g', -1, 32), 64)
	return v
}

// plateau is how far a schedule that waits for one has come. It is part of a
// checkpoint.
type plateau struct {
	Lowest float64 // error, percent
	Since  int     // step of that, or of the latest drop of the rate; 0: no error yet
	Drops  int     // of the rate so far
}

// notice takes an error after the step at hand, and drops the rate from the
// next on when it is the one that the schedule watches and stands still.
func (t *Trainer) notice(of string, err float64) {
	p := t.Run.Schedule.Plateau
	switch {
	case p == nil || p.Of != of || t.warming(t.step):
	case t.still.Since == 0 || err < t.still.Lowest:
		t.still.Lowest, t.still.Since = err, t.step
	case t.step-t.still.Since >= p.Patience:
		t.still.Since, t.still.Drops = t.step, t.still.Drops+1
	}
}
