package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/device/xla"
)

// measuring is how long plan --measure takes at most.
const measuring = 10 * time.Second

func planQuestion(ctx context.Context, c *call) (err error) {
	flags := c.deviceFlags()
	c.dataOption()
	c.profileOption(firstMet)
	c.jsonOption()
	measure := c.Bool("measure", false, "train the nets for moments, 10 s in all, and keep for this machine what that took")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	if err := flags.check(c.machine()); err != nil {
		return err
	}
	q, missing, err := c.choose(files[0])
	if err != nil {
		return err
	}
	kept, err := q.calibration(ctx, c.machine(), flags, *measure)
	if err != nil {
		return err
	}
	src, err := data.Outline(q.plan.Runs[0].Data, q.plan.Runs[0].Input.Crop)
	if err != nil {
		return err
	}
	estimates, err := harness.Estimates(q.plan, src, kept)
	if err != nil {
		return err
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{
			"question": q.plan.Question, "profile": q.plan.Profile, "not": missing, "device": kept.Device, "data": src.Title, "runs": estimates,
		})
	}
	fmt.Printf("%s\nprofile %s, %s, device %s (%s), %s\n", q.plan.Question, q.plan.Profile, src.Title, kept.Device.Name, kept.Device.Hardware, q.plan.Runs[0].Precision)
	for _, line := range c.reasons(missing) {
		fmt.Println(line)
	}
	wide := 22
	for _, e := range estimates {
		wide = max(wide, len(e.ID))
	}
	fmt.Printf("\n%-*s %12s %14s %8s %9s %9s\n", wide, "run", "parameters", "multiply-adds", "steps", "memory", "time")
	var total float64
	var disk, passing, memory int64
	rough, unknown := false, false
	var cuts []string
	for _, e := range estimates {
		fmt.Printf("%-*s %12d %14d %8d %5d MiB %9s\n", wide, e.ID, e.Params, e.Macs, e.Steps, e.Memory>>20, about(e.Time))
		if e.Cut != "" && !slices.Contains(cuts, e.Cut) {
			cuts = append(cuts, e.Cut)
		}
		total += e.Time
		disk += e.Disk
		passing, memory = max(passing, e.Passes), max(memory, e.Memory)
		rough, unknown = rough || e.Rough, unknown || e.Time == 0
	}
	if unknown {
		total = 0
	}
	for _, text := range cuts {
		fmt.Println(text)
	}
	fmt.Printf("\n%d runs, %s in all, %d MiB of memory, %d MiB of disk in %s\n", len(estimates), about(total), memory>>20, (disk+passing)>>20+1, q.dir)
	switch {
	case unknown:
		fmt.Printf("How long it takes is not known, and its memory is rough: nothing was measured on this device; plan --measure does, in %v.\n", measuring)
	case rough:
		fmt.Printf("The estimate is rough: not measured with these data on this machine; plan --measure does, in %v.\n", measuring)
	}
	return nil
}

// calibration gives what nets were measured to take: now, or before. It settles
// the precision of the plan's runs.
func (q question) calibration(ctx context.Context, m harness.Machine, flags deviceFlags, measure bool) (c harness.Calibration, err error) {
	if !measure {
		if c = m.Calibration(*flags.name, version); c.Device.Name == "" {
			if c.Device, err = unopened(m, *flags.name); err != nil {
				return c, err
			}
		}
		if c.Device.Name != "" {
			q.resolve(c.Device, *flags.precision)
			return c, q.computable(c.Device)
		}
	}
	dev, err := flags.open(m)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	c = m.Calibration(dev.Info().Name, version)
	c.Device = dev.Info()
	q.resolve(c.Device, *flags.precision)
	if err := q.computable(c.Device); err != nil || !measure {
		return c, err
	}
	src, err := load(ctx, m, q.plan.Runs[0].Data, data.FolderOptions{Size: q.plan.Runs[0].Input.Crop})
	if err != nil {
		return c, err
	}
	if err := c.Measure(q.plan, src, dev, filepath.Join(m.Root, ".cache", "plan"), measuring-time.Second); err != nil {
		return c, err
	}
	return c, m.Keep(c, version)
}

// unopened is what is known of the device xla without opening it: to open a GPU
// takes seconds. It is nothing for the others.
func unopened(m harness.Machine, name string) (info device.Info, err error) {
	if name, err = m.Device(name); err != nil || name != "xla" {
		return info, err
	}
	_, err = m.XLA()
	gpu := xla.Driver() > 0
	return device.Info{Name: "xla", Hardware: "not opened", Bfloat16: gpu, GPU: gpu}, err
}

// about is a time that is estimated; 0 for not known.
func about(seconds float64) string {
	if seconds == 0 {
		return "?"
	}
	return duration(seconds)
}

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
