// What several devices must show, each alone and all together.

package check

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"depthlab/harness/device"
	"depthlab/harness/model"
	"depthlab/harness/state"
)

// Each trains the run on the first device alone, then on all at the same time: every one
// must get the same bits, if the same algorithms were chosen for it.
func (c *Checked) Each(all []device.Device) (string, error) {
	if len(all) < 2 {
		return "", &device.UnsupportedError{Device: all[0].Info().Name, What: "a run on each device, as there is one", Hint: "--devices chooses several"}
	}
	first, alone, err := c.timed(all[:1])
	if err != nil {
		return "", err
	}
	others, together, err := c.timed(all)
	if err != nil {
		return "", err
	}
	compared := 0
	for i, x := range others {
		if !slices.Equal(x.choices, first[0].choices) {
			continue
		}
		if err := sameBits(x.state, first[0].state); err != nil {
			return "", fmt.Errorf("device %d of %d: %w", i, len(all), err)
		}
		compared++
	}
	text := fmt.Sprintf("%s, %s, on %d devices at the same time: %.0f images/s, on one %.0f; the same bits", c.Run.Net, c.Run.Precision, len(all), together, alone)
	if compared < len(all) {
		text += fmt.Sprintf(" on %d of them: for the others XLA chose other algorithms", compared)
	}
	return text, nil
}

// trained is what a net is after some steps, and what was chosen for its programs.
type trained struct {
	state   []state.Tensor
	choices []device.Choice
}

// timed trains the run on all devices at the same time, and then times further steps: in
// images per second, of all together.
func (c *Checked) timed(all []device.Device) ([]trained, float64, error) {
	const steps = 12
	got, models, errs := make([]trained, len(all)), make([]*model.Model, len(all)), make([]error, len(all))
	each := func(f func(i int) error) error {
		var group sync.WaitGroup
		for i := range all {
			group.Go(func() { errs[i] = errors.Join(errs[i], f(i)) })
		}
		group.Wait()
		return errors.Join(errs...)
	}
	defer each(func(i int) error {
		if models[i] != nil {
			return models[i].Close()
		}
		return nil
	})
	err := each(func(i int) (err error) {
		if models[i], err = model.Open(c.Run, c.Data, all[i], ""); err != nil {
			return err
		}
		if _, err = models[i].Steps(0, steps, steps, rates); err != nil {
			return err
		}
		got[i].choices = models[i].Session.Choices()
		got[i].state, err = whole(models[i])
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	const launches = 4
	start := time.Now()
	err = each(func(i int) error {
		_, err := models[i].Steps(steps, launches*models[i].Launch, models[i].Launch, device.Rates{})
		return err
	})
	images := len(all) * launches * models[0].Launch * c.Run.Batch
	return got, float64(images) / time.Since(start).Seconds(), err
}

// Together trains the run on one device, cut into micro-batches, and on several that share
// each step: the losses must agree as those of ref do (see losses), and a run that is
// resumed in the middle must be the same, bit for bit.
func (c *Checked) Together(several device.Device) (string, error) {
	n := several.Info().Replicas
	if n < 2 {
		return "", &device.UnsupportedError{Device: c.Device.Info().Name, What: "steps that several devices share, as there is one", Hint: "--devices chooses several"}
	}
	const steps, bound = 12, 1e-3
	shared := *c
	shared.Device = several
	shared.Run.Batch = max(1, c.Run.Batch/n) * n
	shared.Run.BatchNorm.Group = shared.Run.Batch / n
	one := shared
	one.Device, one.Run.Micro = c.Device, shared.Run.BatchNorm.Group
	want, err := one.first(one.Device, steps)
	if err != nil {
		return "", err
	}
	got, err := shared.first(several, steps)
	if err != nil {
		return "", err
	}
	worst := 0.0
	for i := range want {
		e := math.Abs(float64(got[i].Loss-want[i].Loss)) / float64(want[i].Loss)
		if !(e <= bound) {
			return "", fmt.Errorf("step %d: loss %v, on one device %v", i+1, got[i].Loss, want[i].Loss)
		}
		worst = max(worst, e)
	}
	if _, err := shared.resume(); err != nil {
		return "", fmt.Errorf("resumed: %w", err)
	}
	one.Run.Micro = 0
	_, alone, err := one.timed([]device.Device{one.Device})
	if err != nil {
		return "", err
	}
	_, together, err := shared.timed([]device.Device{several})
	return fmt.Sprintf("%s, %s, batch %d on %d devices: %d losses are at most %.1e away from one device's; the same bits when resumed; %.0f images/s, on one %.0f",
		c.Run.Net, c.Run.Precision, shared.Run.Batch, n, steps, worst, together, alone), err
}

// input copies the data set to the device while it computes, and trains on it: the same
// bits, whoever brought it there.
func (c *Checked) input() (_ string, err error) {
	m, err := model.Open(c.Run, c.Data, c.Device, "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	stager, ok := m.Session.(device.Stager)
	if !ok {
		return "", &device.UnsupportedError{Device: c.Device.Info().Name, What: "a copy to it while it computes"}
	}
	images, labels := slices.Concat(c.Data.Train.Images, c.Data.Test.Images), slices.Concat(c.Data.Train.Labels, c.Data.Test.Labels)
	if stager.ChannelsLast() {
		images = channelsLast(images, c.Data.Train.Channels, c.Data.Train.Area())
	}
	before, err := whole(m)
	if err != nil {
		return "", err
	}
	train := func() ([]device.Metric, time.Duration, error) {
		if err := m.Load(before); err != nil {
			return nil, 0, err
		}
		start := time.Now()
		metrics, err := m.Steps(0, 12, m.Launch, rates)
		return metrics, time.Since(start), err
	}
	want, alone, err := train()
	if err != nil {
		return "", err
	}
	var batch device.Staged
	var copying time.Duration
	done := make(chan error)
	go func() {
		start := time.Now()
		var err error
		batch, err = stager.Stage(images, labels)
		copying = time.Since(start)
		done <- err
	}()
	_, meanwhile, err := train()
	if err := errors.Join(<-done, err); err != nil {
		return "", err
	}
	if err := stager.Use(batch); err != nil {
		return "", err
	}
	got, _, err := train()
	if err != nil {
		return "", err
	}
	for i := range want {
		if got[i] != want[i] {
			return "", fmt.Errorf("step %d on what was copied meanwhile: %+v, before %+v", i+1, got[i], want[i])
		}
	}
	return fmt.Sprintf("%.1f MiB were copied in %.3f s while 12 steps took %.3f s, without that %.3f s; they train to the same bits",
		float64(len(images))/(1<<20), copying.Seconds(), meanwhile.Seconds(), alone.Seconds()), nil
}

// channelsLast makes (N, H, W, C) of (N, C, H, W).
func channelsLast(images []uint8, channels, area int) []uint8 {
	out := make([]uint8, len(images))
	for at := 0; at < len(images); at += channels * area {
		for c := range channels {
			for i := range area {
				out[at+i*channels+c] = images[at+c*area+i]
			}
		}
	}
	return out
}
