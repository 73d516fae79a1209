// Forecasts by XLA's compiler for GPUs that are not present.

package xla

import (
	"errors"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/testskip"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

// cifar is the configuration of a net on CIFAR-10, imagenet that on ImageNet.
func cifar(batch int) compile.Config {
	return compile.Config{
		Config: nets.Config{Batch: batch, Channels: 3, Size: 32, Classes: 10, Eps: 1e-5},
		Images: 50000, Pad: 4, Optimizer: kernel.SGD{Momentum: 0.9, Decay: 1e-4, Form: kernel.Caffe},
	}
}

func imagenet(batch int) compile.Config {
	c := cifar(batch)
	c.Size, c.Classes, c.Images, c.Pad = 224, 1000, 4*batch, 0 // a ring of batches
	return c
}

func compiled(t testing.TB, net string, m nets.Mode, c compile.Config) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, m, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func training(t testing.TB, net string, batch int) *program.Program {
	t.Helper()
	return compiled(t, net, nets.Train, cifar(batch))
}

func forecast(t testing.TB, p *program.Program, target string, precision device.Precision) *Forecast {
	t.Helper()
	path, err := FindCUDA("", libDir)
	var no *device.UnsupportedError
	if errors.As(err, &no) {
		testskip.Skip(t, "no XLA compiler for GPUs in .lib/pjrt/cuda13; ./run.sh test --all fetches it (245 MB)")
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewForecast(path, target, p, precision, Assumed{Launch: 3e-6})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s for %s: %d kernels, %.2f a convolution layer, %d MiB of temporaries, %d MiB moved, compiled in %.1f s",
		p.Name, precision, target, f.Kernels, f.PerLayer, f.Temporaries>>20, f.Bytes>>20, f.CompileSeconds)
	for _, k := range f.Kinds {
		t.Logf("    %-20s %4d", k.Kind, k.Kernels)
	}
	if f.CuDNN != f.Convolutions {
		t.Errorf("%s: %d of %d convolutions are cuDNN calls", p.Name, f.CuDNN, f.Convolutions)
	}
	return f
}

// Numbers of kernels of the nets, compiled for an H100. A larger count costs time on every
// GPU: find out why before raising it here.
func TestForecast(t *testing.T) {
	t.Setenv(EnvPlugin, "") // it may name the CPU plugin
	for _, c := range []struct {
		net              string
		layers, kernels  int
		temporariesBelow int64 // MiB
		all              bool  // only with --all
	}{
		{net: "resnet-1202", layers: 1201, kernels: 20644, temporariesBelow: 6000, all: true},
		{net: "plain-20", layers: 19, kernels: 204, temporariesBelow: 600, all: true},
		{net: "resnet-20", layers: 19, kernels: 204, temporariesBelow: 600},
		{net: "plain-56", layers: 55, kernels: 542, temporariesBelow: 600, all: true},
		{net: "resnet-56", layers: 55, kernels: 542, temporariesBelow: 600, all: true},
		{net: "plain-110", layers: 109, kernels: 1048, temporariesBelow: 600, all: true},
		{net: "resnet-110", layers: 109, kernels: 1048, temporariesBelow: 600, all: true},
	} {
		if c.all && !testskip.Everything() {
			continue
		}
		f := forecast(t, training(t, c.net, 128), "h100", device.BF16)
		if f.ConvLayers != c.layers || f.Convolutions != 3*c.layers-1 {
			t.Errorf("%s: %d layers and %d convolutions, want %d and %d", c.net, f.ConvLayers, f.Convolutions, c.layers, 3*c.layers-1)
		}
		if f.Kernels > c.kernels {
			t.Errorf("%s: %d kernels a step, were %d", c.net, f.Kernels, c.kernels)
		}
		if f.PerLayer > 15 && c.net != "resnet-1202" {
			t.Errorf("%s: %.1f kernels a convolution layer, at most 15 are allowed", c.net, f.PerLayer)
		}
		if f.Temporaries>>20 >= c.temporariesBelow {
			t.Errorf("%s: %d MiB of temporaries, want less than %d", c.net, f.Temporaries>>20, c.temporariesBelow)
		}
	}
}

// ResNet-152 as in the paper, on 8 GPUs of 32 images each: one all-reduce in a step, of
// all gradients. It takes a small part of the step, so overlapping parts of it with the
// backward pass could not save much.
func TestForecastReplicas(t *testing.T) {
	t.Setenv(EnvPlugin, "")
	for _, c := range []struct {
		net               string
		replicas, kernels int
		share             float64 // of the bound
		all               bool    // only with --all
	}{
		{net: "resnet-8", replicas: 8, kernels: 89, share: 0.02},
		{net: "resnet-152", replicas: 8, kernels: 1630, share: 0.08, all: true},
	} {
		if c.all && !testskip.Everything() {
			continue
		}
		cfg := cifar(128)
		if c.net == "resnet-152" {
			cfg = imagenet(256)
		}
		cfg.Group, cfg.Replicas = cfg.Batch/c.replicas, c.replicas
		p := compiled(t, c.net, nets.Train, cfg)
		f := forecast(t, p, "h100", device.BF16)
		if len(f.AllReduces) != 1 {
			t.Fatalf("%s: %d all-reduces a step, want 1", c.net, len(f.AllReduces))
		}
		sum := f.AllReduces[0]
		t.Logf("%s: one all-reduce of %d bytes, at least %.3f of %.3f ms", c.net, sum.Bytes, 1e3*sum.Seconds, 1e3*f.Bound)
		if want := p.Bytes[program.Grad] + p.Bytes[program.Stat] + 2*4; sum.Bytes != want {
			t.Errorf("%s: an all-reduce of %d bytes, want gradients, statistics, loss and errors: %d", c.net, sum.Bytes, want)
		}
		if f.Batch != cfg.Batch || f.Replicas != c.replicas || f.Link != 450e9 {
			t.Errorf("%s: %d images on %d GPUs with links of %g", c.net, f.Batch, f.Replicas, f.Link)
		}
		if f.Kernels > c.kernels {
			t.Errorf("%s: %d kernels a step, were %d", c.net, f.Kernels, c.kernels)
		}
		if !(sum.Seconds < c.share*f.Bound) {
			t.Errorf("%s: the all-reduce takes %.2g of the bound, was below %g", c.net, sum.Seconds/f.Bound, c.share)
		}
	}
}

func TestForecastErrors(t *testing.T) {
	if _, err := NewForecast("nowhere.so", "h1000", training(t, "plain-8", 4), device.BF16, Assumed{}); err == nil {
		t.Error("no error for an unknown GPU")
	}
	if _, err := NewForecast("nowhere.so", "h100", training(t, "plain-8", 4), device.BF16, Assumed{}); err == nil {
		t.Error("no error for a missing plugin")
	}
}
