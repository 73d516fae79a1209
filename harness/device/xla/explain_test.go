package xla

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/nets"
	"depthlab/nets/compile"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

func training(t testing.TB, net string, batch int) *program.Program {
	t.Helper()
	a, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile.Compile(a, nets.Train, compile.Config{
		Config: nets.Config{Batch: batch, Channels: 3, Size: 32, Classes: 10, Eps: 1e-5},
		Images: 50000, Pad: 4, Momentum: 0.9, Decay: 1e-4, Form: kernel.Caffe,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProbe(t *testing.T) {
	path, _ := filepath.Abs(libDir + "/pjrt/cuda13/jax_plugins/xla_cuda13/xla_cuda_plugin.so")
	for _, net := range strings.Split(os.Getenv("NETS"), ",") {
		f, err := Foretell(path, "h100", training(t, net, 128), device.Precision(os.Getenv("PREC")), 3e-6, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", *f)
	}
}
