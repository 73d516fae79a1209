package xla

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/hlo"
	"depthlab/harness/device/xla/lower"
	"depthlab/harness/device/xla/pjrt"
	"depthlab/nets/kernel"
	"depthlab/nets/program"
)

func TestScratch(t *testing.T) {
	path, _ := filepath.Abs(libDir + "/pjrt/cuda13/jax_plugins/xla_cuda13/xla_cuda_plugin.so")
	pjrt.Quiet()
	plugin, err := pjrt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := targets.ReadFile("targets/h100.txtpb")
	options := pjrt.CompileOptions{}
	for _, o := range strings.Fields(os.Getenv("OPTS")) {
		k, v, _ := strings.Cut(o, "=")
		switch v {
		case "true", "false":
			options[k] = v == "true"
		default:
			options[k] = v
		}
	}
	for _, net := range strings.Split(os.Getenv("NETS"), ",") {
		p := training(t, net, 128)
		if os.Getenv("NOMA") != "" {
			var code []program.Instr
			for _, c := range p.Code {
				if _, ok := c.Kernel.(kernel.MovingAverage); !ok {
					code = append(code, c)
				}
			}
			p.Code = code
		}
		m, err := lower.Lower(p, lower.Options{Precision: device.Precision(os.Getenv("PREC"))})
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(os.Getenv("OUT")+".mlir", []byte(m.Text), 0o666)
		c, err := plugin.CompileFor(string(config), m.Text, options)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := c.Optimized()
		mem, _ := c.Memory()
		os.WriteFile(os.Getenv("OUT")+".pb", raw, 0o666)
		ks, err := hlo.Kernels(raw)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		n := map[string]int{}
		var bytes int64
		for _, k := range ks {
			fmt.Fprintf(&b, "%-24s %-40s %10d %s\n", k.Kind, k.Name, k.Bytes, k.Place)
			n[k.Kind]++
			bytes += k.Bytes
		}
		os.WriteFile(os.Getenv("OUT")+".txt", []byte(b.String()), 0o666)
		fmt.Println(net, os.Getenv("OUT"), len(ks), n, "bytes", bytes>>20, "MiB temps", mem.Temporaries>>20, "MiB")
	}
}
