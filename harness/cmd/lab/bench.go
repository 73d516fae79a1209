// The command bench: the speed of training steps, and of the photo loader.

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"depthlab/harness/bench"
	"depthlab/harness/data"
	"depthlab/harness/device"
	"depthlab/nets"
)

const benchHelp = `Measures whole training steps on random images in the device's memory, of 32x32
pixels for CIFAR nets and 224x224 for ImageNet nets: choosing and augmenting the
batch, forward, backward, update, loss and error. Ours and the others are timed in
turn in one run, each after a warm-up; medians over the rounds are printed.
Start and compilation are not included.

  torch     PyTorch eager: channels_last; autocast for bf16. The ratio is our speed over its speed.
  compiled  the same with torch.compile(mode="max-autotune"), on a GPU with CUDA graphs
  jax       a JAX step; on a GPU all steps of a round are one jitted loop
  us/layer  microseconds of a step per convolutional layer
  jobs      images/s of all nets together when so many are trained at a time

On a CPU the kinds of instructions follow, each with its share of the measured peak:
multiply-adds on registers for arithmetic, the sum of rows larger than every cache for
memory. The operations of a convolution are counted by its definition, of which Winograd
needs a quarter. Where ours is limited to AVX2 (DEPTHLAB_CPU=avx2, or a CPU without
AVX-512), the others are limited to it, too.

With --accuracy: the gradient of one training step in fp32, or in bf16 with
--precision bf16 (the paper's recipe on CIFAR-10, seed 0, initial weights, first
batch of 128) against the same step in float64 by PyTorch: the norm of the
difference over the norm, of all parameters together; beside it PyTorch's with
mkldnn and without (native), in float32 or by autocast to bfloat16. Every device
of this machine that computes in the precision is measured, unless --device names
one. The command fails if our error is more than 3 times the larger one of
PyTorch's.
`

const timedNets = "resnet-20,resnet-56"

func benchNets(ctx context.Context, c *call) (err error) {
	flags := addDeviceFlags(c)
	c.dataOption()
	c.jsonOption()
	list := c.String("net", "", "nets, separated by commas (default "+timedNets+", for --accuracy "+accuracyNets+")")
	batch := c.Int("batch", 0, "images a step; 0: 128, and 32 for ImageNet nets")
	torch := c.String("against-torch", "", "a Python with PyTorch, to be timed in turn with us")
	compiled := c.Bool("compiled", false, "time compiled PyTorch, too, which takes minutes to compile; on a GPU it is always timed")
	jax := c.String("against-jax", "", "a Python with JAX, to be timed in turn with us")
	jobs := c.Int("jobs", 1, "nets to train at a time, for one more measurement (cpu, xla)")
	rounds := c.Int("rounds", 7, "rounds, in each of which ours and the others are timed; medians are printed")
	accuracy := c.Bool("accuracy", false, "measure the gradient's rounding error instead of speed: --data names CIFAR-10's folder, --against-torch a Python with PyTorch and numpy")
	loader := c.Bool("loader", false, "time the photo loader instead, which decodes photos and cuts training crops; --data names ImageNet's folder, --against-torch a Python with torchvision, too")
	c.about(benchHelp)
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	if *batch < 0 || *rounds < 1 || *jobs < 1 {
		return usage("--batch %d --rounds %d --jobs %d: expected numbers above 0", *batch, *rounds, *jobs)
	}
	if err := errors.Join(executable("against-torch", *torch), executable("against-jax", *jax)); err != nil {
		return err
	}
	switch {
	case *loader:
		err = c.refuse("--loader times the photo loader, and no net", "accuracy", "device", "plugin", "precision", "threads", "net", "batch", "compiled", "against-jax", "jobs")
	case *accuracy:
		err = c.refuse("--accuracy measures one step of 128 images", "batch", "rounds", "jobs", "compiled", "against-jax")
	default:
		err = c.refuse("only --loader and --accuracy read data; nets are timed on random images", "data")
	}
	if err != nil {
		return err
	}
	if *loader {
		return benchLoader(ctx, c, *rounds, *torch)
	}
	if *list == "" {
		*list = timedNets
		if *accuracy {
			*list = accuracyNets
		}
	}
	var all []nets.Arch
	for _, net := range strings.Split(*list, ",") {
		a, err := arch(net)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	if *accuracy {
		return benchAccuracy(ctx, c, flags, all, *torch)
	}
	devices, err := flags.openAll(c.machine(), *jobs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(devices)) }()
	info := devices[0].Info()
	say("%s", info.Summary())
	precisions := []device.Precision{device.FP32, device.BF16}
	if info.GPU {
		precisions = []device.Precision{device.TF32, device.BF16}
	}
	if *flags.precision != "" {
		precisions = []device.Precision{flags.settle(info)}
	}
	if !info.Bfloat16 && len(precisions) == 2 {
		say("bf16 is not timed, because this CPU has no instructions for it; --precision bf16 times it")
		precisions = precisions[:1]
	}
	if !c.json {
		fmt.Println(benchHeader)
	}
	for _, net := range all {
		n := *batch
		if n == 0 {
			n = bench.Batch(net)
		}
		for _, p := range precisions {
			r, err := bench.Step(ctx, devices[0], bench.Options{
				Net: net.String(), Precision: p, Batch: n, Rounds: *rounds, Round: 3 * time.Second,
				Torch: *torch, Compiled: *compiled || info.GPU, JAX: *jax, Threads: runtime.GOMAXPROCS(0), More: devices[1:],
			})
			if err := cmp.Or(err, ctx.Err()); err != nil {
				return fmt.Errorf("bench %s %s: %w", net, p, err)
			}
			if c.json {
				if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
					return err
				}
				continue
			}
			printResult(os.Stdout, r)
		}
	}
	return nil
}

// executable returns a usageError if the path that an option names is not a program's; "" is
// no path, and no error.
func executable(option, path string) error {
	if path == "" {
		return nil
	}
	if _, err := exec.LookPath(path); err != nil {
		return usage("--%s %s: %w; expected a Python", option, path, err)
	}
	return nil
}

var benchHeader = fmt.Sprintf("%-14s %-5s %-7s %5s %10s %9s %9s %10s %10s %10s %7s %9s",
	"net", "prec", "device", "batch", "images/s", "ms/step", "us/layer", "torch", "compiled", "jax", "ratio", "start, s")

func printResult(w io.Writer, r bench.Result) {
	speed := func(x float64) string {
		if x == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", x)
	}
	fmt.Fprintf(w, "%-14s %-5s %-7s %5d %10.0f %9.2f %9.1f %10s %10s %10s %7.2f %9.2f\n", r.Net, r.Precision, r.Device, r.Batch, r.ImagesPerS, r.MsPerStep, r.UsPerLayer,
		speed(r.TorchImages), speed(r.TorchCompiled), speed(r.JAXImages), r.Ratio, r.StartToStep)
	if r.Jobs > 1 {
		fmt.Fprintf(w, "    %d at a time: %.0f images/s, %.2f of one alone\n", r.Jobs, r.JobsImages, r.JobsImages/r.ImagesPerS)
	}
	if r.RatioBest > 0 {
		fmt.Fprintf(w, "    %.2f of the fastest of compiled PyTorch and JAX\n", r.RatioBest)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(w, "    skipped %s: %s\n", name, r.Skipped[name])
	}
	if r.Peak == nil {
		return
	}
	if r.Limits != nil {
		fmt.Fprintf(w, "    the others limited by %s\n", strings.Join(r.Limits, " "))
	}
	fmt.Fprintf(w, "    %-34s             %8.1f GFLOP/s      %7.1f GB/s\n", "peak, measured", r.Peak.GFlops, r.Peak.GBytes)
	for _, part := range r.Parts {
		fmt.Fprintf(w, "    %-34s %8.2f ms %8.1f GFLOP/s %3.0f %% %6.1f GB/s %3.0f %%\n", part.Kind, part.Ms,
			part.GFlops, 100*part.GFlops/r.Peak.GFlops, part.GBytes, 100*part.GBytes/r.Peak.GBytes)
	}
}

func benchLoader(ctx context.Context, c *call, rounds int, torch string) error {
	src, err := load(ctx, c.machine(), "imagenet", data.FolderOptions{Size: 224})
	if err != nil {
		return err
	}
	r, err := bench.Loader(ctx, src, 2000, rounds, torch)
	if err != nil {
		return fmt.Errorf("bench --loader: %w", err)
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	fmt.Printf("photos/s, crops of 224 from a shorter side of 256 to 480, %d threads: %.0f (%s)\n", r.Threads, r.Photos, r.Decoder)
	if r.Torch != "" {
		fmt.Printf("torchvision %s, %d processes: %.0f by Pillow, %.0f by decode_jpeg and tensors; ratio to the faster %.2f\n",
			r.Torch, r.Threads, r.TorchBy["pil"], r.TorchBy["tensor"], r.RatioBest)
	}
	return nil
}
