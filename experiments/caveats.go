// Caveats: how a run's recipe differs from the paper's.

package experiments

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"depthlab/experiments/dataset"
	"depthlab/nets"
)

// Paper reports whether the run is trained as the paper trained its nets, and returns the
// differences, in a few words each. Where the paper leaves a choice open (parameters that decay,
// values of the padding, initialisation, statistics at test time) no choice is a difference.
// Precision "auto" must be resolved first. Caveats of the machine (its device, a copy of the
// data) are added by the harness.
func (r Run) Paper() (paper bool, caveats []string) {
	want := paperSpec()
	say := func(differs bool, format string, args ...any) {
		if differs {
			caveats = append(caveats, fmt.Sprintf(format, args...))
		}
	}
	set, arch := dataset.Of(r.Data), archOf(r.Net)
	photos := cropped(r.Data, r.Input.Size)
	if photos {
		want.forPhotos()
	}
	say(set.Caveat != "", "%s", set.Caveat)
	say(r.Extend != "", "begun as a trained %s", r.Extend)
	say(IsFile(r.Init), "begun with trained weights")
	say(arch.ImageNet() && !photos, "nets for ImageNet on small images")
	say(!arch.ImageNet() && photos, "nets for small images on photos")
	caveats = append(caveats, blockCaveats(arch)...)
	say(arch.Bottleneck && !arch.ImageNet(), "bottlenecks in a CIFAR net")
	say(r.Train > 0 && r.Train < set.Train, "%s training images", thousands(r.TrainImages()))
	say(r.Validation > 0, "tested on %s held-out training images", thousands(r.Validation))
	say(r.Batch != want.Batch, "batch %d", r.Batch)
	say(r.Input.Mean != want.Input.Mean, "mean subtracted: %s", r.Input.Mean)
	say(r.Input.Std != want.Input.Std, "divided by the deviation")
	say(!photos && !set.Made() && r.Input.Pad != want.Input.Pad, "padded by %d", r.Input.Pad)
	say(r.Input.Flip != want.Input.Flip, "no flips")
	say(r.Input.Crop != want.Input.Crop, "crops of %d pixels", r.Input.Crop)
	say(!slices.Equal(r.Input.Scale, want.Input.Scale), "photos resized to %v", r.Input.Scale)
	say(r.Input.Colour != want.Input.Colour, "colours shifted by %g", r.Input.Colour)
	switch g := cmp.Or(r.BatchNorm.Group, r.Micro); g {
	case want.BatchNorm.Group:
	case 0:
		say(true, "batch norm over the whole batch")
	default:
		say(true, "batch norm over %d images", g)
	}
	say(r.Smoothing > 0, "label smoothing %g", r.Smoothing)
	if r.Continue != "" {
		say(true, "%s steps more at rate %g, after %s", thousands(r.Schedule.Stop-r.From), r.Optimizer.Rate, thousands(r.From))
		want.Optimizer.Rate = r.Optimizer.Rate
	}
	caveats = append(caveats, r.Optimizer.caveats(want.Optimizer)...)
	switch {
	case r.Continue != "":
	case photos:
		caveats = append(caveats, r.Schedule.photoCaveats()...)
	default:
		caveats = append(caveats, r.Schedule.caveats(arch.Depth)...)
	}
	say(r.Precision == "bf16" || r.Precision == "tf32", "%s", r.Precision)
	return len(caveats) == 0, caveats
}

// blockCaveats lists how the blocks of a net differ from those of the paper of 2015, and our
// choices where the paper of 2016, which describes them, says nothing.
func blockCaveats(a nets.Arch) (out []string) {
	order := map[nets.Order]string{
		nets.BNAfterAdd: "batch norm after the addition", nets.ReLUBeforeAdd: "rectifier before the addition",
		nets.ReLUPreact: "rectifiers alone before the convolutions", nets.Preact: "pre-activation",
	}[a.Order]
	if order != "" {
		out = append(out, order+" (He et al. 2016)")
	}
	if a.Shortcut == 'A' && (a.Order == nets.Preact || a.Order == nets.ReLUPreact) {
		out = append(out, "our choice: shortcut A pads what the first activation gives")
	}
	factors := a.Weights
	if factors.Dropout != 0 {
		out = append(out, "dropout on shortcuts (He et al. 2016)")
		factors.Dropout = 0
	}
	if factors != (nets.Weights{}) {
		out = append(out, "weighted shortcuts (He et al. 2016)")
	}
	if a.Weights.Gate != nets.NoGate {
		out = append(out, "our choice: no batch norm in gates")
	}
	return out
}

// photoCaveats lists how a schedule differs from the paper's for ImageNet: up to
// 60 * 10^4 steps, the rate divided by 10 on a plateau of the error.
func (s Schedule) photoCaveats() []string {
	out := s.length(600000)
	switch p := s.Plateau; {
	case s.Smooth():
		out = append(out, s.Form+" schedule")
	case p == nil:
		out = append(out, "drops of the rate at "+stepList(s.At))
	case p.Divide != 10:
		out = append(out, fmt.Sprintf("rate divided by %g", p.Divide))
	}
	if s.Warmup != nil {
		out = append(out, "warm-up")
	}
	return out
}

// length compares the length of a schedule with stop, the paper's; nil if they are equal.
func (s Schedule) length(stop int) []string {
	switch {
	case s.Stop == stop:
		return nil
	case s.Stop < stop && stop%s.Stop == 0:
		return []string{fmt.Sprintf("schedule shortened to 1/%d", stop/s.Stop)}
	case s.Stop < stop:
		return []string{fmt.Sprintf("schedule shortened to %s of %s steps", thousands(s.Stop), thousands(stop))}
	}
	return []string{fmt.Sprintf("schedule lengthened to %s steps", thousands(s.Stop))}
}

// caveats lists how a schedule differs from the paper's for CIFAR-10 and a net of the depth.
func (s Schedule) caveats(depth int) []string {
	const stop, first, second, deep = 64000, 32000, 48000, 110
	out := s.length(stop)
	switch p := s.Plateau; {
	case s.Smooth():
		out = append(out, s.Form+" schedule")
	case p != nil:
		out = append(out, fmt.Sprintf("rate divided by %g when the %s stands still", p.Divide, strings.ReplaceAll(p.Of, "_", " ")))
	case !slices.EqualFunc(s.At, []int{first, second}, func(at, paper int) bool { return at*stop == paper*s.Stop }):
		out = append(out, "drops of the rate at "+stepList(s.At))
	}
	if s.Divide != 10 && s.Plateau == nil && !s.Smooth() {
		out = append(out, fmt.Sprintf("rate divided by %g", s.Divide))
	}
	switch w := s.Warmup; {
	case w == nil && depth >= deep:
		out = append(out, "no warm-up")
	case w != nil && depth < deep:
		out = append(out, "warm-up")
	case w != nil && (w.Rate != 0.01 || (w.Until != 80 && w.Steps != 400)):
		out = append(out, "another warm-up")
	}
	return out
}

func stepList(at []int) string {
	if len(at) == 0 {
		return "no time"
	}
	var words []string
	for _, n := range at {
		words = append(words, thousands(n))
	}
	return strings.Join(words, ", ") + " steps"
}

// thousands writes 64000 as "64,000".
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
