// bench --accuracy: the rounding error of gradients, against float64.

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"depthlab/experiments"
	"depthlab/harness/bench"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/harness/machine"
	"depthlab/nets"
)

const accuracyNets = "plain-20,resnet-20,resnet-56"

// benchAccuracy prints the relative error of each net's gradient against float64. The error is
// of the nets where one of our devices exceeds the limit.
func benchAccuracy(ctx context.Context, c *call, flags deviceFlags, archs []nets.Arch, torch string) (err error) {
	if torch == "" {
		return usage("--accuracy: --against-torch is missing; expected a Python with PyTorch, which computes the gradient in float64")
	}
	precision := device.Precision(cmp.Or(*flags.precision, string(device.FP32)))
	if precision != device.FP32 && precision != device.BF16 {
		return usage("--accuracy --precision %s: only fp32 and bf16 are measured", precision)
	}
	m := c.machine()
	devices, err := accuracyDevices(m, flags, precision)
	defer func() { err = errors.Join(err, closeAll(devices)) }()
	if err != nil {
		return err
	}
	src, err := load(ctx, m, "cifar10", data.FolderOptions{})
	if err != nil {
		return err
	}
	if !c.json {
		fmt.Printf("%-14s %-22s %9s %9s\n", "net", "computed by", "error", "limit")
	}
	var failed []error
	for _, net := range archs {
		q, err := experiments.Parse("accuracy", fmt.Appendf(nil, checkQuestion, net, "cifar10"))
		if err != nil {
			return err
		}
		run := q.Plans[0].Runs[0]
		run.Precision = string(precision)
		r, err := bench.Accuracy(ctx, run, src, devices, torch)
		if err != nil {
			return fmt.Errorf("accuracy of %s: %w", net, err)
		}
		failed = append(failed, r.Inaccurate())
		if c.json {
			if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
				return err
			}
			continue
		}
		printAccuracy(r)
	}
	return errors.Join(failed...)
}

func printAccuracy(r bench.AccuracyResult) {
	for _, route := range bench.Routes {
		fmt.Printf("%-14s %-22s %9.1e\n", r.Net, "PyTorch "+route, r.Route[route])
	}
	for _, d := range r.Ours {
		fmt.Printf("%-14s %-22s %9.1e %9.1e\n", r.Net, d.Device, d.Error, r.Limit())
	}
}

// accuracyDevices opens the device of the flags; for auto all of this machine that compute in the
// precision. What was named for one of them, such as a plugin, must be usable.
func accuracyDevices(m machine.Machine, flags deviceFlags, p device.Precision) ([]device.Device, error) {
	if *flags.name != "auto" {
		dev, err := flags.open(m, nil)
		if err != nil {
			return nil, err
		}
		return []device.Device{dev}, nil
	}
	if err := m.UseThreads(*flags.threads); err != nil {
		return nil, err
	}
	var all []device.Device
	for _, k := range machine.Devices {
		if k.Prints {
			if err := divert(m); err != nil {
				return all, err
			}
		}
		dev, _, err := m.Open(k.Name)
		if machine.Promised(err) {
			return all, err
		}
		if err != nil {
			say("device %s is not measured: %v", k.Name, err)
			continue
		}
		if !slices.Contains(machine.Precisions(dev.Info()), p) {
			say("device %s is not measured: it does not compute in %s", k.Name, p)
			if err := dev.Close(); err != nil {
				return all, err
			}
			continue
		}
		all = append(all, dev)
	}
	if len(all) == 0 {
		return nil, usage("--accuracy --precision %s: no device of this machine computes in it", p)
	}
	return all, nil
}
