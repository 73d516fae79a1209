// Package train trains one run to its end: the loop, its learning rate, tests,
// checkpoints and record. It knows no question and no other run.
package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/lock"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/store"
)

// Trainer is one run under way.
type Trainer struct {
	*model.Model
	task     Task
	warnings []string          // to be recorded
	folder   store.Folder      // of the run
	made     store.Session     // this process, as it trains the run
	origin   *store.Provenance // run.json
	held     *lock.Lock
	rec      *record.Writer
	sink     record.Sink // rec, and what shows it
	show     func(step int, m record.Metric)
	step     int    // finished steps
	window   window // since the last "train" event
	watch    watch
	warm     bool // the warm-up, if there is one, is over
	still    plateau
	best     best
	clock    stopwatch
	before   float64 // seconds of training of the run that this one goes on from
}

// loop takes the run from wherever it stands to its end. This is the loop:
// what is measured lies between the two bars.
func (t *Trainer) loop(ctx context.Context) error {
	s := t.Run.Schedule
	metrics := make([]device.Metric, t.Launch)
	for t.step < s.Stop {
		n := t.untilEvent(t.Launch)
		plan := device.Plan{First: t.step}
		for i := range n {
			plan.Rates = append(plan.Rates, device.Rates{Learning: t.rate(t.step + i), Statistics: float32(t.Run.BatchNorm.Momentum)})
		}
		// ------------------------------------------------------ training
		var err error
		t.clock.start()
		if plan.Rows, err = t.Rows(t.step, n); err == nil {
			err = t.Session.Train(plan, metrics[:n])
		}
		t.clock.stop()
		// ---------------------------------------------------------------
		if err != nil {
			return t.fail(err)
		}
		before := t.rate(t.step + n - 1)
		t.step += n
		t.window.add(metrics[:n], t.Run.Batch)
		t.show(t.step, t.window.metric(before))
		if t.step%t.Run.LogEvery == 0 || t.step == s.Stop {
			if err := t.log(before); err != nil {
				return err
			}
		}
		if t.step%t.Run.EvalEvery == 0 || t.step == s.Stop {
			if err := t.look(); err != nil {
				return err
			}
		}
		if err := t.keepNow(); err != nil {
			return err
		}
		if rate := t.rate(t.step); rate != before && t.step < s.Stop && !s.Smooth() { // else "train" events have it
			if err := t.sink.Event(record.Event{Kind: "rate", Step: t.step, Rate: exact(rate)}); err != nil {
				return err
			}
		}
		if t.step%t.Run.SaveEvery == 0 || t.step == s.Stop || ctx.Err() != nil {
			if err := t.save(); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return harness.ErrInterrupted
		}
	}
	return t.finish(ctx)
}

// untilEvent is how many steps may go in one launch: none of the events of
// the loop, and no change of the rate, lies inside it.
func (t *Trainer) untilEvent(launch int) int {
	s := t.Run.Schedule
	n := min(launch, s.Stop-t.step)
	for _, every := range []int{t.Run.LogEvery, t.Run.EvalEvery, t.Run.SaveEvery, t.Run.Keep.Every} {
		if every > 0 {
			n = min(n, every-t.step%every)
		}
	}
	changes := s.At
	if s.Warmup != nil {
		changes = append(slices.Clone(changes), s.Warmup.Steps)
	}
	for _, at := range changes {
		if at > t.step {
			n = min(n, at-t.step)
		}
	}
	return n
}

// log records what the mini-batches showed since the last time, and ends a
// warm-up that waits for the running error.
func (t *Trainer) log(rate float32) error {
	m := t.window.metric(rate)
	if w := t.Run.Schedule.Warmup; w != nil && w.Steps == 0 && m.Error < w.Until {
		t.warm = true
	}
	t.notice("train_error", m.Error)
	e := record.Event{Kind: "train", Step: t.step, Rate: m.Rate, Loss: &m.Loss, Error: &m.Error,
		Seconds: t.seconds(), Waited: t.waited(), ImagesPerS: t.clock.lap(t.window.Steps * t.Run.Batch)}
	steps := t.window.Steps
	t.window = window{}
	return errors.Join(t.sink.Event(e), t.watchError(m.Error, steps), t.watchPhotos())
}

// look records the gradients of the latest step and, but for the last one's,
// which finish makes, a test.
func (t *Trainer) look() error {
	if err := t.watchGradients(); err != nil || t.step == t.Run.Schedule.Stop {
		return err
	}
	return t.test()
}

// test records the error on the test set, with statistics of batch norm that are
// averaged for it unless the recipe has moving averages.
func (t *Trainer) test() error {
	if t.Run.BatchNorm.Batches > 0 {
		if err := t.Average(t.Run.BatchNorm.Batches); err != nil {
			return err
		}
	}
	return t.pass("eval", t.TestSet, t.Model.Test)
}

func (t *Trainer) pass(kind, set string, images []int32) error {
	c, err := t.Evaluate(images)
	if err != nil {
		return fmt.Errorf("run %s: evaluation on the %s set at step %d: %w", t.Run.ID, set, t.step, err)
	}
	loss, wrong := c.Loss/float64(c.Images), 100*float64(c.Wrong)/float64(c.Images)
	if err := t.sink.Event(record.Event{Kind: kind, Step: t.step, Set: set, Loss: &loss, Error: &wrong, Seconds: t.seconds()}); err != nil || kind != "eval" {
		return err
	}
	t.notice("test_error", wrong)
	return t.tested(wrong)
}

// finish makes the final tests and keeps the weights.
func (t *Trainer) finish(ctx context.Context) error {
	if err := t.test(); err != nil {
		return err
	}
	if ctx.Err() != nil { // the pass that follows may take minutes
		return harness.ErrInterrupted
	}
	if err := t.pass("full", "train", t.Model.Train); err != nil {
		return err
	}
	responses, err := t.Responses()
	if err != nil {
		return t.fail(err)
	}
	if err := t.sink.Event(record.Event{Kind: "responses", Step: t.step, Layers: shortened(responses)}); err != nil {
		return err
	}
	return t.writeWeights(t.folder.Weights(), "")
}

// end makes the run a finished one, when all else of it is on disk.
func (t *Trainer) end() error {
	if err := t.held.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.Run.ID, err)
	}
	if err := t.sink.Event(record.Event{Kind: "end", Step: t.step, Seconds: t.seconds()}); err != nil {
		return err
	}
	if err := t.rec.Sync(); err != nil { // before the checkpoints go
		return err
	}
	return errors.Join(t.forgetWorse(), t.folder.Tidy())
}

// fail records why a run cannot go on. Its last checkpoint stays.
func (t *Trainer) fail(err error) error {
	var nan *device.NonFiniteError
	step := t.step
	if errors.As(err, &nan) {
		step = nan.Step
	}
	return errors.Join(fmt.Errorf("run %s: %w", t.Run.ID, err),
		t.sink.Event(record.Event{Kind: "stop", Step: step, Text: err.Error()}))
}

// window sums the mini-batches since the last "train" event. It is part of a
// checkpoint, so that a resumed record has the same means.
type window struct {
	Steps, Images int
	Loss          float64 // summed over steps
	Wrong         int
}

func (w *window) add(ms []device.Metric, batch int) {
	for _, m := range ms {
		w.Steps++
		w.Images += batch
		w.Loss += float64(m.Loss)
		w.Wrong += m.Wrong
	}
}

func (w *window) metric(rate float32) record.Metric {
	return record.Metric{Rate: exact(rate), Loss: w.Loss / float64(w.Steps), Error: 100 * float64(w.Wrong) / float64(w.Images)}
}

// perSecond is a speed to a tenth of an image; 0 where no time has passed.
func perSecond(images int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return math.Round(10*float64(images)/d.Seconds()) / 10
}
