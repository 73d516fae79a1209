package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"depthlab/harness/bench"
	"depthlab/harness/device"
)

func benchNets(_ context.Context, c *call) (err error) {
	flags := c.deviceFlags()
	list := c.String("net", "resnet-20,resnet-56", "nets to time, with commas between")
	batch := c.Int("batch", 128, "images a step")
	torch := c.String("against-torch", "", "a Python with PyTorch, to be timed in turn with us")
	rounds := c.Int("rounds", 7, "of ours and theirs in turn; medians are printed")
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	if *batch < 1 || *rounds < 1 {
		return usage("--batch %d --rounds %d: expected 1 or more", *batch, *rounds)
	}
	for _, net := range strings.Split(*list, ",") {
		if _, err := arch(net); err != nil {
			return err
		}
	}
	dev, err := flags.open(c.machine())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	info := dev.Info()
	say("%s %s on %s; batch %d, images of 32x32", info.Name, info.Library, info.Hardware, *batch)
	precisions := []device.Precision{device.FP32, device.BF16}
	if p := *flags.precision; p == "fp32" || p == "tf32" || p == "bf16" {
		precisions = []device.Precision{device.Precision(p)}
	}
	if !info.Bfloat16 && len(precisions) == 2 {
		say("bf16 is left out: this CPU does not compute in it natively")
		precisions = precisions[:1]
	}
	if !*c.json {
		fmt.Printf("%-14s %-5s %-7s %10s %9s %15s %7s %9s\n", "net", "prec", "device", "images/s", "ms/step", "torch images/s", "ratio", "start, s")
	}
	for _, net := range strings.Split(*list, ",") {
		for _, p := range precisions {
			r, err := bench.Step(dev, bench.Options{
				Net: net, Precision: p, Batch: *batch, Rounds: *rounds, Round: 3 * time.Second,
				Torch: *torch, Threads: runtime.GOMAXPROCS(0),
			})
			if err != nil {
				return fmt.Errorf("bench %s %s: %w", net, p, err)
			}
			if *c.json {
				if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
					return err
				}
				continue
			}
			fmt.Printf("%-14s %-5s %-7s %10.0f %9.1f %15.0f %7.2f %9.2f\n", r.Net, r.Precision, r.Device, r.ImagesPerS, r.MsPerStep, r.TorchImages, r.Ratio, r.StartToStep)
			if r.Peak != nil {
				fmt.Printf("    %-34s             %8.1f GFLOP/s %7.1f GB/s\n", "the library's best here", r.Peak.GFlops, r.Peak.GBytes)
			}
			for _, part := range r.Parts {
				fmt.Printf("    %-34s %8.2f ms %8.1f GFLOP/s %7.1f GB/s\n", part.Kind, part.Ms, part.GFlops, part.GBytes)
			}
		}
	}
	return nil
}
