// Package train trains one run to its end: the loop, the learning rate, tests, checkpoints and
// the record. It knows no questions and no other runs.
package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/state"
	"depthlab/nets/program"
)

// loop trains the run from its current step to the last. Only the code between the two bars
// counts as training time. The order matters: the learning rate depends on the errors that log
// and test return, and a checkpoint is saved after all events of its step were recorded. The
// exception is a test that a signal interrupts: then Untested is saved, and the process that
// resumes makes that test first.
func (t *Trainer) loop(ctx context.Context) error {
	run, stop := t.net.Run, t.net.Run.Schedule.Stop
	metrics := make([]device.Metric, t.net.Launch)
	for t.Step < stop {
		if !t.at.Untested {
			n := untilEvent(run, t.Step, t.net.Launch)
			rates := launchRates(run, t.at.schedule, t.Step, n)
			// -------------------------------------------------- training
			t.clock.start()
			err := t.net.Train(t.Step, rates, metrics[:n])
			t.clock.stop(t.net.Waited())
			// -----------------------------------------------------------
			if err != nil {
				return t.fail(err)
			}
			t.Step += n
			t.at.Rate = rates[n-1].Learning
			t.at.Window.add(metrics[:n], run.Batch)
			t.show(t.Step, t.at.Window.metric(t.at.Rate))
			if due(run.LogEvery, t.Step, stop) {
				percent, err := t.log()
				if err != nil {
					return err
				}
				t.at.schedule = t.at.schedule.after(run, "train_error", t.Step, percent)
			}
			if due(run.EvalEvery, t.Step, stop) {
				if err := t.recordGradients(); err != nil {
					return err
				}
				t.at.Untested = t.Step < stop // finish makes the last test
			}
		}
		if t.at.Untested {
			percent, err := t.test(ctx)
			if err == nil {
				t.at.schedule = t.at.schedule.after(run, "test_error", t.Step, percent)
				t.at.Untested = false
				t.at.Best, err = t.kept.best(t.at.Best, t.Step, percent)
			}
			if err != nil && !errors.Is(err, harness.ErrInterrupted) {
				return err
			}
		}
		if err := t.kept.every(ctx, t.Step); err != nil {
			return err
		}
		// A rate that changes with every step is recorded in "train" events only.
		if rate := learningRate(run, t.at.schedule, t.Step); rate != t.at.Rate && !t.at.Untested && t.Step < stop && !run.Schedule.Smooth() {
			if err := t.emit(record.Event{Kind: "rate", Rate: exact(rate)}); err != nil {
				return err
			}
		}
		interrupted := ctx.Err() != nil
		if due(run.SaveEvery, t.Step, stop) || interrupted {
			if err := t.save(); err != nil {
				return err
			}
		}
		if interrupted {
			return harness.ErrInterrupted
		}
	}
	return nil
}

// due reports whether something that happens every so many steps, and after the last one,
// happens after step.
func due(every, step, last int) bool { return step%every == 0 || step == last }

// untilEvent is the number of steps, at most launch, of the next launch. It ends at the next
// event of the loop, and at a change of the rate.
func untilEvent(run experiments.Run, step, launch int) int {
	s := run.Schedule
	n := min(launch, s.Stop-step)
	for _, every := range []int{run.LogEvery, run.EvalEvery, run.SaveEvery, run.Keep.Every} {
		if every > 0 {
			n = min(n, every-step%every)
		}
	}
	changes := s.At[:len(s.At):len(s.At)]
	if s.Warmup != nil {
		changes = append(changes, s.Warmup.Steps)
	}
	for _, at := range changes {
		if at > step {
			n = min(n, at-step)
		}
	}
	return n
}

// emit records events of the current step.
func (t *Trainer) emit(events ...record.Event) error {
	var errs []error
	for _, e := range events {
		e.Step = t.Step
		switch e.Kind {
		case "train", "eval", "full", "end":
			e.Seconds = t.at.Before + t.clock.total.Seconds()
		}
		errs = append(errs, t.sink.Event(e))
	}
	return errors.Join(errs...)
}

// warning is the event of a warning.
func warning(format string, args ...any) record.Event {
	return record.Event{Kind: "warn", Text: fmt.Sprintf(format, args...)}
}

// log records mean loss and error of the mini-batches since the last call, and returns the error
// in percent.
func (t *Trainer) log() (float64, error) {
	m, steps := t.at.Window.metric(t.at.Rate), t.at.Window.Steps
	e := record.Event{Kind: "train", Rate: m.Rate, Loss: &m.Loss, Error: &m.Error}
	e.ImagesPerS, e.Waited = t.clock.lap(steps * t.net.Run.Batch)
	if t.task.Beside != nil {
		e.Beside = t.task.Beside()
	}
	t.at.Window = running{}
	events := append([]record.Event{e}, t.at.Watch.guessing(m.Error, steps, t.net)...)
	return m.Error, t.emit(append(events, t.at.Watch.unreadable(t.net.Feed)...)...)
}

// recordGradients records the norms of the gradients of the latest step.
func (t *Trainer) recordGradients() error {
	events, err := gradients(t.net, t.Step, &t.at.Watch)
	if err != nil {
		return t.fail(err)
	}
	return t.emit(events...)
}

// test records and returns the error on the test set, in percent. It averages batch norm
// statistics first, unless the recipe has moving averages.
func (t *Trainer) test(ctx context.Context) (float64, error) {
	if n := t.net.Run.BatchNorm.Batches; n > 0 {
		if err := t.net.Average(ctx, n); err != nil {
			return 0, cutShort(ctx, t.net, err)
		}
	}
	e, err := classify(ctx, t.net, "eval", t.net.Images.TestSet, t.net.Images.Test)
	if err != nil {
		return 0, err
	}
	return *e.Error, t.emit(e)
}

// classify evaluates a set of images, and returns the event of this kind with loss and error.
func classify(ctx context.Context, net *model.Model, kind, set string, images []int32) (e record.Event, err error) {
	c, err := net.Evaluate(ctx, images)
	if err != nil {
		return e, cutShort(ctx, net, fmt.Errorf("evaluation on the %s set: %w", set, err))
	}
	loss, percent := c.Loss/float64(c.Images), 100*float64(c.Wrong)/float64(c.Images)
	return record.Event{Kind: kind, Set: set, Loss: &loss, Error: &percent}, nil
}

// cutShort is harness.ErrInterrupted if err is because ctx ended, else err with the name of the
// run.
func cutShort(ctx context.Context, net *model.Model, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return harness.ErrInterrupted
	}
	return fmt.Errorf("run %s: %w", net.Run.ID, err)
}

// finish makes the final tests and writes the weights. If ctx ends before, the next process
// repeats all of it.
func (t *Trainer) finish(ctx context.Context) error {
	percent, err := t.test(ctx)
	if err == nil {
		t.at.Best, err = t.kept.best(t.at.Best, t.Step, percent)
	}
	if err != nil {
		return err
	}
	full, err := classify(ctx, t.net, "full", "train", t.net.Images.Train)
	if err != nil {
		return err
	}
	if err := t.emit(full); err != nil {
		return err
	}
	tensors, err := t.net.Tensors(program.Param, program.Stat)
	if err != nil {
		return err
	}
	values, err := state.Values(tensors)
	if err != nil {
		return err
	}
	responses, err := Responses(t.net.Layers, values, t.net.Run.BatchNorm.Eps, t.Step)
	if err != nil {
		return t.fail(err)
	}
	if err := t.emit(responses); err != nil {
		return err
	}
	if err := t.task.Lock.Check(); err != nil {
		return fmt.Errorf("run %s: %w", t.net.Run.ID, err)
	}
	return saveWeights(t.task.Folder.Weights(), t.net, tensors, t.Step, "")
}

// fail returns the error with the name of the run, and records why the run cannot continue. A lost
// device is not recorded: the run resumes on another one. The last checkpoint is kept.
func (t *Trainer) fail(err error) error {
	step := t.Step
	named := fmt.Errorf("run %s: %w", t.net.Run.ID, err)
	var lost *device.LostError
	if errors.As(err, &lost) {
		return named
	}
	var nan *device.NonFiniteError
	if errors.As(err, &nan) {
		step = nan.Step
	}
	return errors.Join(named, t.sink.Event(record.Event{Kind: "stop", Step: step, Text: err.Error()}))
}

// running sums the metrics of the mini-batches since the last "train" event. It is part of a
// checkpoint, so that a resumed record has the same means.
type running struct {
	Steps, Images int
	Loss          float64 // summed over steps
	Wrong         int
}

func (r *running) add(ms []device.Metric, batch int) {
	for _, m := range ms {
		r.Steps++
		r.Images += batch
		r.Loss += float64(m.Loss)
		r.Wrong += m.Wrong
	}
}

func (r *running) metric(rate float32) record.Metric {
	return record.Metric{Rate: exact(rate), Loss: r.Loss / float64(r.Steps), Error: 100 * float64(r.Wrong) / float64(r.Images)}
}

// finite reports whether no value is NaN or infinite.
func finite[T float32 | float64](values ...T) bool {
	for _, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}
