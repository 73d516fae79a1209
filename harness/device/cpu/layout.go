// How activations and tensors lie in memory.

package cpu

import (
	"fmt"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

// layout is how activations lie in memory, from the first convolution to the
// pool.
type layout struct {
	name  string // "nChw8c", "nChw16c" or "nhwc"
	tag   int32
	block int // channels that lie together; 0 = all (nhwc)
	rule  string
}

// EnvLayout, "blocked" or "nhwc" (oneDNN's alone), is taken in place of the rule.
const EnvLayout = "DEPTHLAB_ONEDNN_LAYOUT"

// Settings are the variables of the environment that change how the device
// computes, and the values that each may have.
var Settings = map[string][]string{EnvLayout: {"blocked", "nhwc"}, EnvKernels: {"library"}}

// blockedLayouts are those in blocks of so many channels. oneDNN does not know the
// one with 4.
var blockedLayouts = map[int]layout{
	4:  {name: "nChw4c", tag: tagNChw4c, block: 4},
	8:  {name: "nChw8c", tag: tagNChw8c, block: 8},
	16: {name: "nChw16c", tag: tagNChw16c, block: 16},
}

// chooseLayout is the rule: AMX's bfloat16 convolutions exist channels-last
// only; everything else is fastest in channel blocks as wide as a vector.
func (d *Device) chooseLayout(p device.Precision, wanted string) (layout, error) {
	width := lanes
	if d.lib != nil && d.isa == avx512 {
		width = 16
	}
	blocked := blockedLayouts[width]
	nhwc := layout{name: "nhwc", tag: tagNHWC}
	switch wanted {
	case "blocked":
		blocked.rule = "asked for"
		return blocked, nil
	case "nhwc":
		if d.lib == nil {
			break
		}
		nhwc.rule = "asked for"
		return nhwc, nil
	case "":
		if d.lib != nil && d.cpu.amx() && p == device.BF16 {
			nhwc.rule = "amx and bf16: channels-last"
			return nhwc, nil
		}
		blocked.rule = fmt.Sprintf("%s and %s: blocked", d.isa, p)
		return blocked, nil
	}
	hint := `"blocked", "nhwc" and "" (by rule) are`
	if d.lib == nil {
		hint = `"blocked" and "" (by rule) are; "nhwc" is for the library oneDNN`
	}
	return layout{}, &device.UnsupportedError{Device: name, What: fmt.Sprintf("layout %q", wanted), Hint: hint}
}

// fits reports whether s is an activation that this layout holds without
// padding. What does not fit (the 3-channel image in a blocked layout, which
// the first convolution reads as it is) stays in plain (N,C,H,W) order.
func (l layout) fits(s kernel.Shape) bool {
	return len(s) == 4 && (l.block == 0 || s[1]%l.block == 0)
}

// desc describes how a tensor lies in memory. There is one object for each shape,
// type and layout, so pointers compare.
type desc struct {
	shape  kernel.Shape
	dtype  int32
	tag    int32
	size   int64   // bytes
	handle uintptr // oneDNN's memory descriptor, where the library is there
}

// strides are those of a desc that is plain or in blocks.
func (x *desc) strides() strides {
	for _, l := range blockedLayouts {
		if x.tag == l.tag {
			return stridesOf(x.shape, l.block, 4)
		}
	}
	return stridesOf(x.shape, 1, 4)
}

// desc gives the descriptor of a shape under a layout tag.
func (d *Device) desc(s kernel.Shape, dtype, tag int32) (*desc, error) {
	key := fmt.Sprint(s, dtype, tag)
	if x := d.descs[key]; x != nil {
		return x, nil
	}
	x := &desc{shape: s, dtype: dtype, tag: tag, size: 4 * int64(s.Len())}
	if d.lib != nil {
		if err := d.describe(x); err != nil {
			return nil, err
		}
	}
	d.descs[key] = x
	return x, nil
}

// plain is the dense row-major float32 form, the one that a Program sees.
func (d *Device) plain(s kernel.Shape) (*desc, error) { return d.desc(s, f32, tagPlain[len(s)]) }
