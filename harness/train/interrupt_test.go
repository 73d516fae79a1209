// Tests of signals before and during a test.

package train_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/device"
	"depthlab/harness/state"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
)

// signalled is a device that calls step before each training step and pass at the end of each
// pass of a test, with the number of finished steps.
type signalled struct {
	device.Device
	step, pass func(step int) error
}

type signalledSession struct {
	device.Session
	signalled
	steps int
}

func (d signalled) Open(p device.Programs, o device.Options) (device.Session, error) {
	s, err := d.Device.Open(p, o)
	return &signalledSession{Session: s, signalled: d}, err
}

func (s *signalledSession) Train(p device.Launch, m []device.Metric) error {
	s.steps = p.First + len(p.Rates)
	return errors.Join(s.step(s.steps), s.Session.Train(p, m))
}

func (s *signalledSession) Eval(rows []device.Row) (device.Counts, error) {
	c, err := s.Session.Eval(rows)
	return c, errors.Join(err, s.pass(s.steps))
}

func (s *signalledSession) Calibrate(p device.Launch) error {
	return errors.Join(s.Session.Calibrate(p), s.pass(s.steps))
}

// A signal at a step with a test, or during that test, saves a checkpoint of that step at once.
// The process that resumes makes the test first, once, even if it fails afterwards. The run ends
// with the bits of an uninterrupted one, although the error of the test may change the learning
// rate.
func TestInterruptedTest(t *testing.T) {
	const at = 4 // a step with a test, and without a scheduled checkpoint
	begin := func(dir string, dev device.Device) *sweep.Sweep {
		s := sweeptest.NewSmall(t, dir)
		s.Plan.Runs, s.Device = s.Plan.Runs[:1], dev
		r := &s.Plan.Runs[0]
		r.Optimizer.Rate, r.Schedule.Stop, r.Schedule.At, r.Schedule.Warmup = 1e-6, 9, nil, nil
		r.Schedule.Plateau = &experiments.Plateau{Of: "test_error", Patience: 1, Divide: 4}
		r.LogEvery, r.EvalEvery, r.SaveEvery = 1, 2, 3
		return s
	}
	whole := t.TempDir()
	if err := begin(whole, sweeptest.Fast()).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := sweeptest.Outcome(t, whole)
	nothing := func(int) error { return nil }
	for name, passes := range map[string]int{"before the test": 0, "in its first pass": 1, "in its second pass": 2} {
		dir := t.TempDir()
		ctx, end := context.WithCancel(context.Background())
		made := 0 // passes of the test
		err := begin(dir, signalled{sweeptest.Fast(), func(step int) error {
			if step == at && passes == 0 {
				end()
			}
			return nil
		}, func(step int) error {
			if step == at {
				if made++; made == passes {
					end()
				}
			}
			return nil
		}}).Run(ctx)
		if !errors.Is(err, harness.ErrInterrupted) {
			t.Fatalf("%s: %v", name, err)
		}
		if made != passes {
			t.Errorf("%s: %d passes were made, want %d", name, made, passes)
		}
		folder := sweeptest.At(dir, "plain-8-seed0")
		if c, _, err := state.Latest(folder.Checkpoints(), folder.Name()); err != nil || c == nil || c.Step != at {
			t.Fatalf("%s: the checkpoint is %+v, %v; want step %d", name, c, err, at)
		}
		// The next process makes the test, and fails in the next step.
		lost := errors.New("lost")
		if err := begin(dir, signalled{sweeptest.Fast(), func(step int) error {
			if step == at+1 {
				return lost
			}
			return nil
		}, nothing}).Run(context.Background()); !errors.Is(err, lost) {
			t.Fatalf("%s: %v", name, err)
		}
		if err := begin(dir, sweeptest.Fast()).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := sweeptest.Outcome(t, dir); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: ends differently from an uninterrupted run:\n%s\nwant\n%s", name, got["record plain-8-seed0"], want["record plain-8-seed0"])
		}
	}
}
