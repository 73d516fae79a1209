// Layouts of activations and tensors in memory.

package cpu

import (
	"fmt"

	"depthlab/harness/device"
	"depthlab/nets/kernel"
)

// layout is the layout of activations, from the first convolution to the pool.
type layout struct {
	name  string // "nChw4c", "nChw8c", "nChw16c" or "nhwc"
	tag   int32
	block int    // channels of a block; 0 = all (nhwc)
	rule  string // why it was chosen
}

// EnvLayout is the environment variable that overrides the rule: "blocked", or "nhwc", which
// needs oneDNN. With it oneDNN, if found, is used in bfloat16 without AMX, too.
const EnvLayout = "DEPTHLAB_ONEDNN_LAYOUT"

// Settings are the environment variables that change how the device computes, and their
// values.
var Settings = map[string][]string{EnvLayout: {"blocked", "nhwc"}, EnvKernels: {"library"}}

// blockedLayouts are the layouts in blocks, by the channels of a block. oneDNN has none with
// 4.
var blockedLayouts = map[int]layout{
	4:  {name: "nChw4c", tag: tagNChw4c, block: 4},
	8:  {name: "nChw8c", tag: tagNChw8c, block: 8},
	16: {name: "nChw16c", tag: tagNChw16c, block: 16},
}

// activationType is the type in which activations are stored.
func activationType(p device.Precision) int32 {
	if p == device.BF16 {
		return bf16
	}
	return f32
}

// chooseLayout returns the wanted layout, or that of the rule: channels-last for bfloat16 with
// AMX, whose convolutions have no other; else blocks as wide as a vector, which are fastest.
// The rules are part of provenance (Info.Layout).
func chooseLayout(d *Device, p device.Precision, wanted string) (layout, error) {
	blocked := blockedLayouts[vectors(d, activationType(p)).lanes]
	nhwc := layout{name: "nhwc", tag: tagNHWC}
	unknown := d.lib != nil && blocked.tag == tagNChw4c // NEON's blocks, which oneDNN does not have
	switch wanted {
	case "blocked":
		if unknown {
			return layout{}, &device.UnsupportedError{Device: name, What: "blocks of 4 channels by oneDNN", Hint: "use the layout nhwc"}
		}
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
		if unknown {
			nhwc.rule = "oneDNN has no blocks of 4 channels: channels-last"
			return nhwc, nil
		}
		blocked.rule = fmt.Sprintf("%s and %s: blocked", d.isa, p)
		return blocked, nil
	}
	hint := `expected "blocked", "nhwc" or "" (the rule)`
	if d.lib == nil {
		hint = `expected "blocked" or "" (the rule); "nhwc" needs oneDNN, which computes in bf16 or with ` + EnvKernels + "=library"
	}
	return layout{}, &device.UnsupportedError{Device: name, What: fmt.Sprintf("layout %q", wanted), Hint: hint}
}

// fits reports whether an activation of shape s needs no padding in this layout. Others (the
// images with 3 channels in a blocked layout) stay in plain order (N, C, H, W).
func (l layout) fits(s kernel.Shape) bool {
	return len(s) == 4 && (l.block == 0 || s[1]%l.block == 0)
}

// desc is the layout of a tensor in memory. There is one object for each shape, type and
// layout, so pointers can be compared.
type desc struct {
	shape  kernel.Shape
	dtype  int32
	tag    int32
	size   int64   // bytes
	handle uintptr // oneDNN's memory descriptor; 0 without oneDNN
}

// strides returns the strides of a tensor that is plain or in blocks, in elements.
func (x *desc) strides() strides {
	for _, l := range blockedLayouts {
		if x.tag == l.tag {
			return stridesOf(x.shape, l.block, 1)
		}
	}
	return stridesOf(x.shape, 1, 1)
}

// describeLayout returns the descriptor of a shape in the layout of tag.
func describeLayout(d *Device, s kernel.Shape, dtype, tag int32) (*desc, error) {
	key := fmt.Sprint(s, dtype, tag)
	if x := d.descs[key]; x != nil {
		return x, nil
	}
	x := &desc{shape: s, dtype: dtype, tag: tag, size: 4 * int64(s.Len())}
	if dtype == bf16 {
		x.size /= 2
	}
	if d.lib != nil {
		if err := describe(d, x); err != nil {
			return nil, err
		}
	}
	d.descs[key] = x
	return x, nil
}

// plainDesc is the dense row-major float32 layout, as in the Program.
func plainDesc(d *Device, s kernel.Shape) (*desc, error) {
	return describeLayout(d, s, f32, tagPlain[len(s)])
}
