// Tests of explain.

package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"depthlab/harness/device/xla"
	"depthlab/harness/testskip"
)

// explain --for --json prints one line of JSON about the compiled net.
func TestExplainJSON(t *testing.T) {
	libs, err := filepath.Abs("../../../.lib")
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := xla.FindCUDA("", libs)
	if err != nil {
		testskip.Skip(t, "no XLA compiler for GPUs in .lib/pjrt/cuda13; ./run.sh test --all fetches it (245 MB)")
	}
	cmd, out, said := lab(t.TempDir(), "explain", "--net", "resnet-8", "--for", "h100", "--precision", "bf16", "--json", "--plugin", plugin)
	if err := cmd.Run(); err != nil {
		t.Fatal(err, said)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]any{
		"net": "resnet-8", "precision": "bf16", "target": "h100", "conv_layers": 7., "cudnn_calls": 20., // the image needs no gradient
		"kernels_per_step": nil, "kernels_per_conv_layer": nil, "temporaries_bytes": nil, "compile_seconds": nil,
	} {
		value, there := got[name]
		if n, number := value.(float64); !there || want != nil && value != want || want == nil && (!number || n <= 0) {
			t.Errorf("%s: %v, want %v", name, value, want)
		}
	}
}
