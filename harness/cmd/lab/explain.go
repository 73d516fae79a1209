// The command explain: the layers of a net, its training Program, and a forecast for a GPU.

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"depthlab/harness/device"
	"depthlab/harness/device/xla"
	"depthlab/harness/device/xla/lower"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

func explain(_ context.Context, c *call) error {
	net := c.String("net", "", "the net, such as resnet-20 or resnet-56/B")
	batch := c.Int("batch", 128, "images a step")
	micro := c.Int("micro-batch", 0, "images of a micro-batch, a divisor of the batch; 0: the whole batch")
	replicas := c.Int("replicas", 1, "GPUs that share the batch; each has batch norm statistics of its own images")
	size := c.Int("size", 32, "pixels on a side of an image; 224 for ImageNet")
	classes := c.Int("classes", 10, "1000 for ImageNet")
	stablehlo := c.Bool("stablehlo", false, "print one step as StableHLO; a GPU runs it in a loop of up to 100 steps")
	target := c.String("for", "", "compile for a GPU, which this machine need not have, and count kernels and bytes: h100, a100 or b200")
	precision := c.String("precision", "", "fp32, tf32 or bf16 (with --for: bf16 by default)")
	launch := c.Float64("launch", 3, "with --for: the least time of a kernel, in microseconds")
	bandwidth := c.Float64("bandwidth", 0, "with --for: memory bandwidth in GB/s (default: the data sheet's)")
	link := c.Float64("link", 0, "with --for and --replicas: bandwidth between GPUs in one direction, in GB/s (default: NVLink's)")
	c.pluginOption()
	c.jsonOption()
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	a, err := arch(*net)
	if err != nil {
		return err
	}
	if *batch < 1 || *batch > 1<<16 {
		return usage("--batch %d: expected 1 to 65536", *batch)
	}
	if *replicas < 1 || *batch%*replicas != 0 {
		return usage("--replicas %d: expected a divisor of the batch of %d", *replicas, *batch)
	}
	if share := *batch / *replicas; *micro < 0 || *micro > 0 && share%*micro != 0 {
		return usage("--micro-batch %d: expected a divisor of the %d images of a step on one device, or 0", *micro, share)
	}
	if *size < 1 || *size > 1<<12 {
		return usage("--size %d: expected 1 to 4096", *size)
	}
	if *classes < 1 || *classes > 1<<16 {
		return usage("--classes %d: expected 1 to 65536", *classes)
	}
	if err := a.CheckSize(*size); err != nil {
		return usage("--net %s --size %d: %w", a, *size, err)
	}
	if *launch < 0 || *bandwidth < 0 || *link < 0 {
		return usage("--launch %g --bandwidth %g --link %g: expected numbers above 0", *launch, *bandwidth, *link)
	}
	switch *precision {
	case "", "fp32", "tf32", "bf16":
	default:
		return usage("--precision %q: expected fp32, tf32 or bf16", *precision)
	}
	switch {
	case *target != "":
		err = c.refuse("--for counts a GPU's kernels, and prints no program; leave one of the two out", "stablehlo")
	case *stablehlo:
		err = c.refuse("only --for reads it", "plugin", "launch", "bandwidth", "link", "json")
	default:
		err = c.refuse("only --for reads it", "plugin", "launch", "bandwidth", "link", "json", "precision")
	}
	if err != nil {
		return err
	}
	cfg := compile.Config{
		Config: nets.Config{Batch: *batch, Channels: 3, Size: *size, Classes: *classes, Eps: 1e-5},
		Images: 60000, Pad: 4, MicroBatch: *micro, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4},
	}
	if *replicas > 1 {
		cfg.Replicas, cfg.Group = *replicas, cmp.Or(*micro, *batch / *replicas)
	}
	p, err := compile.Compile(a, nets.Train, cfg)
	if err != nil {
		return err
	}
	switch {
	case *target != "":
		m := c.machine()
		path, err := m.CUDA()
		if err != nil {
			return err
		}
		if *precision == "" {
			*precision = string(device.BF16)
		}
		if err := divert(m); err != nil {
			return err
		}
		f, err := xla.NewForecast(path, *target, p, device.Precision(*precision), xla.Assumed{Launch: *launch * 1e-6, Bandwidth: *bandwidth * 1e9, Link: *link * 1e9})
		if err != nil {
			return err
		}
		if c.json {
			return json.NewEncoder(os.Stdout).Encode(f)
		}
		forecast(f)
		return nil
	case *stablehlo:
		m, err := lower.Lower(p, lower.Options{Precision: device.Precision(*precision)})
		if err != nil {
			return err
		}
		_, err = os.Stdout.WriteString(m.Text)
		return err
	}
	return dump(a, cfg, p)
}

func dump(a nets.Arch, cfg compile.Config, p *program.Program) error {
	params, macs, err := nets.Count(a, cfg.Config)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d parameters, %d multiply-adds an image\n\n", a, params, macs)
	return p.Dump(os.Stdout)
}

func forecast(f *xla.Forecast) {
	target := f.Target
	if f.Replicas > 1 {
		target = fmt.Sprintf("%d x %s, %d images each,", f.Replicas, f.Target, f.Batch/f.Replicas)
	}
	fmt.Printf("%s %s, batch %d, compiled for %s in %.1f s (no GPU was used)\n\n", f.Net, f.Precision, f.Batch, target, f.CompileSeconds)
	fmt.Printf("%-22s %9s %11s %9s %11s\n", "kernels of a step", "count", "per layer", "MiB", "at least ms")
	for _, k := range f.Kinds {
		if k.Kernels > 0 {
			fmt.Printf("%-22s %9d %11.1f %9.0f %11.3f\n", k.Kind, k.Kernels, k.PerLayer, float64(k.Bytes)/(1<<20), 1e3*k.Seconds)
		}
	}
	fmt.Printf("%-22s %9d %11.1f %9.0f %11.3f\n\n", "in all", f.Kernels, f.PerLayer, float64(f.Bytes)/(1<<20), 1e3*f.Bound)
	fmt.Printf("%d of %d convolutions and their gradients are cuDNN calls; %d MiB of temporaries.\n", f.CuDNN, f.Convolutions, f.Temporaries>>20)
	for _, r := range f.AllReduces {
		fmt.Printf("All-reduce of %.2f MiB (gradients, running statistics, loss, errors): at least %.3f ms, %.1f %% of the bound, over links of %.0f GB/s.\n",
			float64(r.Bytes)/(1<<20), 1e3*r.Seconds, 100*r.Seconds/f.Bound, f.Link/1e9)
	}
	fmt.Printf("At least: each kernel takes the longer of %g us and its bytes at %.0f GB/s; caches are not modelled.\n", 1e6*f.Launch, f.Bandwidth/1e9)
}
