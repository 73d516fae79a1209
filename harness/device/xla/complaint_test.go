// Tests that errors of XLA's compiler name layer and kernel.

package xla

import (
	"errors"
	"os"
	"strings"
	"testing"

	"depthlab/harness/device"
	"depthlab/harness/device/xla/lower"
)

// Each case breaks the StableHLO text in a way in which the lowering could be wrong. The
// error is one line that names the kernel, the layer and the file with the text.
func TestCompileError(t *testing.T) {
	d := open(t, 0)
	t.Setenv("TMPDIR", t.TempDir())
	m, err := lower.Lower(training(t, "resnet-8", 4), lower.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, layer, kernel, old, wrong, want string }{
		{"no operation", "layer2.0.bn1", "batchnorm +relu", "stablehlo.rsqrt", "stablehlo.rqsrt", "rqsrt"},
		{"no attribute", "layer2.0.conv1", "conv 3x3 s2 p1 ->32", "window = {", "wndow = {", "'window'"},
		{"a wrong shape", "layer2.0.conv1", "conv 3x3 s2 p1 ->32", "stride = [2, 2]", "stride = [1, 1]", "inferred shape"},
		{"a wrong type", "layer3.0.conv2", "conv 3x3 s1 p1 ->64 grad weight", ": (tensor<", ": (tensor<7x", "different type"},
		{"in an operation of several lines", "layer1.0.bn2", "batchnorm +add +relu", "stablehlo.return", "stablehlo.retrun", "retrun"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := breakIn(m.Text, c.layer+"/"+c.kernel, c.old)
			if at < 0 {
				t.Fatalf("the text has no %s there", c.old)
			}
			bad := m.Text[:at] + c.wrong + m.Text[at+len(c.old):]
			_, err := d.compile(&lower.Module{Text: bad, Replicas: 1}, device.Options{})
			var e *compileError
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			for _, want := range []string{c.kernel + " of layer " + c.layer + ": ", c.want, e.file} {
				if s := err.Error(); !strings.Contains(s, want) || strings.Contains(s, "\n") {
					t.Errorf("the error is\n%s\nwant one line with %q", s, want)
				}
			}
			if kept, err := os.ReadFile(e.file); err != nil || string(kept) != bad {
				t.Errorf("the text was not kept: %v", err)
			}
		})
	}
}

// breakIn is the index in text of what, inside an operation at place; -1 if there is
// none.
func breakIn(text, place, what string) int {
	for at := 0; at < len(text); {
		i := strings.Index(text[at:], what)
		if i < 0 {
			return -1
		}
		at += i
		if m := inText.FindStringSubmatch(text[at:]); m != nil && m[1] == place {
			return at
		}
		at++
	}
	return -1
}

func TestComplaint(t *testing.T) {
	long := "INTERNAL: " + strings.Repeat("x", 1000)
	for _, c := range []struct{ message, place, reason string }{
		{"RESOURCE_EXHAUSTED: no memory\nallocations:", "", "RESOURCE_EXHAUSTED: no memory"},
		{"no config for: \n%f = f32[] fusion(), metadata={op_name=\"fc/linear grad weight\"}", "fc/linear grad weight", "no config for: "},
		{"-:99:1: error: beyond the text", "", "beyond the text"},
		{long, "", long[:300] + " ..."},
	} {
		if place, reason := complaint("one line\n", c.message); place != c.place || reason != c.reason {
			t.Errorf("%.40q: place %q, reason %q", c.message, place, reason)
		}
	}
}
