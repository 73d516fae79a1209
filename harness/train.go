package harness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/lock"
	"depthlab/harness/record"
)

// ErrInterrupted is returned by Train when its context ended: everything is
// saved, and the same run goes on from there.
var ErrInterrupted = errors.New("interrupted")

// trainer is one run under way.
type trainer struct {
	*model
	dir    string // of the plan's results
	proof  proof
	made   session     // this process, as it trains the run
	origin *provenance // runs/ID.json
	held   *lock.Lock
	rec    *record.Writer
	sink   record.Sink // rec, and what shows it
	show   func(step int, m record.Metric)
	step   int    // finished steps
	window window // since the last "train" event
	watch  watch
	warm   bool // the warm-up, if there is one, is over
	still  plateau
	clock  stopwatch
}

// train takes the run from wherever it stands to its end. This is the loop:
// what is measured lies between the two bars.
func (t *trainer) train(ctx context.Context) error {
	s := t.run.Schedule
	metrics := make([]device.Metric, t.launch)
	for t.step < s.Stop {
		n := t.untilEvent(t.launch)
		plan := device.Plan{First: t.step}
		for i := range n {
			plan.Rates = append(plan.Rates, device.Rates{Learning: t.rate(t.step + i), Statistics: float32(t.run.BatchNorm.Momentum)})
		}
		// ------------------------------------------------------ training
		var err error
		t.clock.start()
		if plan.Rows, err = t.rows(t.step, n); err == nil {
			err = t.session.Train(plan, metrics[:n])
		}
		t.clock.stop()
		// ---------------------------------------------------------------
		if err != nil {
			return t.fail(err)
		}
		before := t.rate(t.step + n - 1)
		t.step += n
		t.window.add(metrics[:n], t.run.Batch)
		t.show(t.step, t.window.metric(before))
		if t.step%t.run.LogEvery == 0 || t.step == s.Stop {
			if err := t.log(before); err != nil {
				return err
			}
		}
		if t.step%t.run.EvalEvery == 0 || t.step == s.Stop {
			if err := t.look(); err != nil {
				return err
			}
		}
		if rate := t.rate(t.step); rate != before && t.step < s.Stop {
			if err := t.sink.Event(record.Event{Kind: "rate", Step: t.step, Rate: exact(rate)}); err != nil {
				return err
			}
		}
		if t.step%t.run.SaveEvery == 0 || t.step == s.Stop || ctx.Err() != nil {
			if err := t.save(); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ErrInterrupted
		}
	}
	return t.finish(ctx)
}

// untilEvent is how many steps may go in one launch: none of the events of
// the loop, and no change of the rate, lies inside it.
func (t *trainer) untilEvent(launch int) int {
	s := t.run.Schedule
	n := min(launch, s.Stop-t.step)
	for _, every := range []int{t.run.LogEvery, t.run.EvalEvery, t.run.SaveEvery} {
		n = min(n, every-t.step%every)
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
func (t *trainer) log(rate float32) error {
	m := t.window.metric(rate)
	if w := t.run.Schedule.Warmup; w != nil && w.Steps == 0 && m.Error < w.Until {
		t.warm = true
	}
	t.notice("train_error", m.Error)
	e := record.Event{Kind: "train", Step: t.step, Rate: m.Rate, Loss: &m.Loss, Error: &m.Error,
		Seconds: t.clock.total.Seconds(), Waited: t.waited(), ImagesPerS: t.clock.lap(t.window.Steps * t.run.Batch)}
	steps := t.window.Steps
	t.window = window{}
	return errors.Join(t.sink.Event(e), t.watchError(m.Error, steps), t.watchPhotos())
}

// look records the gradients of the latest step and, but for the last one's,
// which finish makes, a test.
func (t *trainer) look() error {
	if err := t.watchGradients(); err != nil || t.step == t.run.Schedule.Stop {
		return err
	}
	return t.test()
}

// test records the error on the test set, with statistics of batch norm that are
// averaged for it unless the recipe has moving averages.
func (t *trainer) test() error {
	if t.run.BatchNorm.Batches > 0 {
		if err := t.average(t.run.BatchNorm.Batches); err != nil {
			return err
		}
	}
	return t.pass("eval", t.testSet, t.model.test)
}

func (t *trainer) pass(kind, set string, images []int32) error {
	c, err := t.evaluate(images)
	if err != nil {
		return fmt.Errorf("run %s: evaluation on the %s set at step %d: %w", t.run.ID, set, t.step, err)
	}
	loss, wrong := c.Loss/float64(c.Images), 100*float64(c.Wrong)/float64(c.Images)
	if kind == "eval" {
		t.notice("test_error", wrong)
	}
	return t.sink.Event(record.Event{Kind: kind, Step: t.step, Set: set, Loss: &loss, Error: &wrong, Seconds: t.clock.total.Seconds()})
}

// finish makes the final tests and keeps the weights.
func (t *trainer) finish(ctx context.Context) error {
	if err := t.test(); err != nil {
		return err
	}
	if ctx.Err() != nil { // the pass that follows may take minutes
		return ErrInterrupted
	}
	if err := t.pass("full", "train", t.model.train); err != nil {
		return err
	}
	responses, err := t.responses()
	if err != nil {
		return t.fail(err)
	}
	if err := t.sink.Event(record.Event{Kind: "responses", Step: t.step, Layers: responses}); err != nil {
		return err
	}
	return t.saveWeights()
}

// end makes the run a finished one, when all else of it is on disk.
func (t *trainer) end() error {
	if err := t.held.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.run.ID, err)
	}
	if err := t.sink.Event(record.Event{Kind: "end", Step: t.step, Seconds: t.clock.total.Seconds()}); err != nil {
		return err
	}
	if err := t.rec.Sync(); err != nil { // before the checkpoints go
		return err
	}
	return removeCheckpoints(t.dir, t.run.ID)
}

// fail records why a run cannot go on. Its last checkpoint stays.
func (t *trainer) fail(err error) error {
	var nan *device.NonFiniteError
	step := t.step
	if errors.As(err, &nan) {
		step = nan.Step
	}
	return errors.Join(fmt.Errorf("run %s: %w", t.run.ID, err),
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
