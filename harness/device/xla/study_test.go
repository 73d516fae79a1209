//go:build nightly

// The nightly forecasts of all programs of the study.

package xla

import (
	"fmt"
	"testing"

	"depthlab/harness/device"
	"depthlab/nets"
	"depthlab/nets/compile"
)

// Every program of the study, and the largest of ImageNet: every convolution is a cuDNN
// call, and the temporaries fit in the GPU's memory. For three GPUs in two precisions it
// takes an hour: -timeout 0.
func TestForecastStudy(t *testing.T) {
	t.Setenv(EnvPlugin, "")
	try := func(net string, m nets.Mode, c compile.Config, target string, p device.Precision) {
		t.Run(fmt.Sprintf("%s/%s/%s/%s", target, p, net, m), func(t *testing.T) {
			f := forecast(t, compiled(t, net, m, c), target, p)
			config, err := targets.ReadFile("targets/" + target + ".txtpb")
			if memory := sheet(string(config), "device_memory_size"); err != nil || float64(f.Temporaries) > memory {
				t.Errorf("%d MiB of temporaries, %.0f MiB of memory (%v)", f.Temporaries>>20, memory/(1<<20), err)
			}
		})
	}
	try("resnet-50", nets.Train, imagenet(256), "h100", device.BF16)
	try("resnet-152", nets.Train, imagenet(64), "h100", device.BF16)
	for _, target := range []string{"h100", "a100", "b200"} {
		for _, p := range []device.Precision{device.BF16, device.FP32} {
			for _, net := range []string{"plain-20", "plain-32", "plain-44", "plain-56", "resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110"} {
				try(net, nets.Eval, cifar(125), target, p)
				try(net, nets.Train, cifar(128), target, p)
			}
		}
	}
}
