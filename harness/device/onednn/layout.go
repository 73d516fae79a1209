package onednn

import (
	"fmt"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

// cpu is the processor, asked for what the layout depends on.
type cpu struct{ device.Processor }

func (c cpu) amx() bool { return c.Flags["amx_bf16"] && c.Flags["amx_tile"] }

// bfloat16 reports whether the CPU multiplies bfloat16 natively. oneDNN
// emulates it on AVX-512 without that, slower than float32.
func (c cpu) bfloat16() bool { return c.Flags["avx512_bf16"] || c.amx() }

func (c cpu) avx512() bool {
	return c.Flags["avx512f"] && c.Flags["avx512bw"] && c.Flags["avx512vl"] && c.Flags["avx512dq"]
}

// isa is the widest instruction set that oneDNN will use here.
func (c cpu) isa() string {
	switch {
	case c.amx():
		return "amx"
	case c.Flags["avx512_bf16"]:
		return "avx512_bf16"
	case c.avx512():
		return "avx512"
	case c.Flags["avx2"]:
		return "avx2"
	}
	return "sse"
}

// layout is how activations lie in memory, from the first convolution to the
// pool.
type layout struct {
	name  string // "nChw8c", "nChw16c" or "nhwc"
	tag   int32
	block int // channels that lie together; 0 = all (nhwc)
	rule  string
}

// EnvLayout, "blocked" or "nhwc", is taken in place of the rule.
const EnvLayout = "DEPTHLAB_ONEDNN_LAYOUT"

// Settings are the variables of the environment that change how the device
// computes, and the values that each may have.
var Settings = map[string][]string{EnvLayout: {"blocked", "nhwc"}, EnvKernels: {"library"}}

// chooseLayout is the rule: AMX's bfloat16 convolutions exist channels-last
// only; everything else is fastest in channel blocks as wide as a vector.
func chooseLayout(c cpu, p device.Precision, wanted string) (layout, error) {
	blocked := layout{name: "nChw8c", tag: tagNChw8c, block: 8}
	if c.avx512() {
		blocked = layout{name: "nChw16c", tag: tagNChw16c, block: 16}
	}
	nhwc := layout{name: "nhwc", tag: tagNHWC}
	switch wanted {
	case "blocked":
		blocked.rule = "asked for"
		return blocked, nil
	case "nhwc":
		nhwc.rule = "asked for"
		return nhwc, nil
	case "":
		if c.amx() && p == device.BF16 {
			nhwc.rule = "amx and bf16: channels-last"
			return nhwc, nil
		}
		blocked.rule = fmt.Sprintf("%s and %s: blocked", c.isa(), p)
		return blocked, nil
	}
	return layout{}, &device.UnsupportedError{Device: name, What: fmt.Sprintf("layout %q", wanted), Hint: `"blocked", "nhwc" and "" (by rule) are`}
}

// fits reports whether s is an activation that this layout holds without
// padding. What does not fit (the 3-channel image in a blocked layout, which
// the first convolution reads as it is) stays in plain (N,C,H,W) order.
func (l layout) fits(s kernel.Shape) bool {
	return len(s) == 4 && (l.block == 0 || s[1]%l.block == 0)
}
