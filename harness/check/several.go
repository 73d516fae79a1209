// Checks of several devices, each alone and all together, and of copies during training.

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

// onlyOne is the hint of the checks that need several devices.
const onlyOne = "only one device was found or chosen"

// Each trains the run on the first device alone, then on each device at the same time. The
// bits must be equal on all devices for which the same algorithms were chosen.
func (c *Checked) Each(all []device.Device) (string, error) {
	if len(all) < 2 {
		return "", &device.UnsupportedError{Device: all[0].Info().Name, What: "a run on each of several devices", Hint: onlyOne}
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
		text += fmt.Sprintf(" on %d of them; for the others XLA chose other algorithms", compared)
	}
	return text, nil
}

// trained is the state of a net after some steps, and the algorithms that were chosen for
// its programs.
type trained struct {
	state   []state.Tensor
	choices []device.Choice
}

// timed trains the run on all devices at the same time, then measures further steps: images
// per second of all together.
func (c *Checked) timed(all []device.Device) (got []trained, speed float64, err error) {
	const steps = 12
	models := make([]*model.Model, len(all))
	each := func(f func(i int) error) error {
		var group sync.WaitGroup
		errs := make([]error, len(all))
		for i := range all {
			group.Go(func() { errs[i] = f(i) })
		}
		group.Wait()
		return errors.Join(errs...)
	}
	defer func() {
		err = errors.Join(err, each(func(i int) error {
			if models[i] == nil {
				return nil
			}
			return models[i].Close()
		}))
	}()
	got = make([]trained, len(all))
	err = each(func(i int) (err error) {
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

// Together trains the run on one device, in micro-batches, and on several that share each
// step (data parallel). The losses must agree within the bound of the check losses, and a run
// that is resumed in the middle must have the same bits.
func (c *Checked) Together(several device.Device) (string, error) {
	n := several.Info().Replicas
	if n < 2 {
		return "", &device.UnsupportedError{Device: c.Device.Info().Name, What: "a step shared by several devices", Hint: onlyOne}
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
	return fmt.Sprintf("%s, %s, batch %d on %d devices: %d losses differ from one device's by at most %.1e; the same bits when resumed; %.0f images/s, on one %.0f",
		c.Run.Net, c.Run.Precision, shared.Run.Batch, n, steps, worst, together, alone), err
}

// input copies the data set to the device while it trains, and trains again on the copy,
// which must give the same bits.
func (c *Checked) input() (_ string, err error) {
	m, err := model.Open(c.Run, c.Data, c.Device, "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	stager, ok := m.Session.(device.Stager)
	if !ok {
		return "", &device.UnsupportedError{Device: c.Device.Info().Name, What: "copying data to it while it computes"}
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
			return "", fmt.Errorf("step %d on data that was copied during training: %+v, expected %+v", i+1, got[i], want[i])
		}
	}
	return fmt.Sprintf("%.1f MiB were copied in %.3f s while 12 steps took %.3f s (without copying %.3f s); training on the copy gives the same bits",
		float64(len(images))/(1<<20), copying.Seconds(), meanwhile.Seconds(), alone.Seconds()), nil
}

// channelsLast converts (N, C, H, W) to (N, H, W, C). area is H x W.
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
