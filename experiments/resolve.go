// Resolving a Spec into a Recipe: times in steps, defaults, contradictions.

package experiments

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"depthlab/experiments/dataset"
)

// place returns the position of the first of the paths that has a value: first of those on the
// command line, then of those in the current profile, then of all. If all values are defaults, it
// is the beginning of the mapping that lacks them.
func (d *decoder) place(paths ...string) place {
	for _, near := range []func(path string) bool{
		onCommandLine,
		func(path string) bool { return strings.HasPrefix(path, d.prefix) },
		func(string) bool { return true },
	} {
		for _, path := range paths {
			if at, ok := d.from[path]; ok && near(at.path) {
				return at
			}
		}
	}
	return place{line: d.line, path: d.prefix + paths[0]}
}

// resolve converts a Spec to a Recipe, and adds complaints about contradictions. Times become steps,
// also in s. The warm-up is that of the deep nets.
func resolve(d *decoder, s *Spec) Recipe {
	resolvePhotos(d, s)
	resolveImages(d, s)
	if !d.written("batch_norm.group") && s.Batch%s.BatchNorm.Group != 0 {
		s.BatchNorm.Group = 0
	}
	r := Recipe{
		Data: s.Data, Train: s.Train, Validation: s.Validation, Batch: s.Batch, Micro: s.Micro,
		Input: Input(s.Input), Init: s.Init, BatchNorm: s.BatchNorm, Smoothing: s.Smoothing, Optimizer: s.Optimizer, Precision: s.Precision,
		AnyOrder: !s.Deterministic,
	}
	if g := s.BatchNorm.Group; g > 0 && s.Batch%g != 0 && d.sound("batch_norm.group", "batch") {
		d.add(d.place("batch_norm.group", "batch"), fmt.Sprintf("groups of %d images do not divide a batch of %d", g, s.Batch),
			"batch_norm.group must be a divisor of batch, or 0 for the whole batch")
	}
	if m := s.Micro; m > 0 && d.sound("micro_batch", "batch", "batch_norm.group") {
		switch g := s.BatchNorm.Group; {
		case s.Batch%m != 0:
			d.add(d.place("micro_batch", "batch"), fmt.Sprintf("micro-batches of %d images do not divide a batch of %d", m, s.Batch), "micro_batch must be a divisor of batch")
		case g > 0 && m%g != 0:
			d.add(d.place("micro_batch", "batch_norm.group"), fmt.Sprintf("micro-batches of %d images split groups of %d, which share the statistics of batch norm", m, g),
				"micro_batch must be a multiple of batch_norm.group")
		}
	}
	r.Schedule = resolveSchedule(d, s)
	r.LogEvery = resolveInterval(d, s, "log", &s.Log, r.Schedule.Stop)
	r.EvalEvery = resolveInterval(d, s, "evaluate", &s.Evaluate, r.Schedule.Stop)
	r.SaveEvery = resolveInterval(d, s, "save", &s.Save, r.Schedule.Stop)
	r.Keep = resolveKeep(d, s)
	if p := r.Schedule.Plateau; p != nil {
		path, every := "evaluate", r.EvalEvery
		if p.Of == "train_error" {
			path, every = "log", r.LogEvery
		}
		if p.Patience > 0 && p.Patience < every && d.sound(path) {
			d.add(d.place("schedule.plateau.patience", path), fmt.Sprintf("a patience of %d steps, but the error is computed only every %d steps", p.Patience, every), "patience must be at least as long as "+path)
		}
	}
	return r
}

// resolvePhotos fills in the paper's recipe for photos (sections 3.4 and 4.1) for keys that the file
// lacks, and adds complaints about keys that do not fit the data.
func resolvePhotos(d *decoder, s *Spec) {
	in := &s.Input
	if in.Size > 0 && !dataset.Of(s.Data).Own() && d.sound("data", "input.size") {
		d.add(d.place("input.size"), "is for own images, and the data is "+s.Data, "write data: folder, or leave it out")
		return
	}
	if !cropped(s.Data, in.Size) {
		why, hint := "is for photos, and the data is "+s.Data, "write data: imagenet, or leave it out"
		if in.Size > 0 {
			why, hint = "is for photos that crops are cut from, and input.size resizes all images to one size", "leave one of the two out"
		}
		for _, path := range []string{"input.crop", "input.scale", "input.colour"} {
			if d.written(path) && d.sound("data", path) {
				d.add(d.place(path), why, hint)
			}
		}
		in.Crop, in.Scale, in.Colour = 0, nil, 0
		return
	}
	if !d.written("schedule.warmup") {
		s.Schedule.Warmup = nil // the paper's is for deep nets on CIFAR-10
	}
	paper := paperSpec()
	paper.forPhotos()
	for path, set := range map[string]func(){
		"batch":            func() { s.Batch = paper.Batch },
		"batch_norm.group": func() { s.BatchNorm.Group = paper.BatchNorm.Group },
		"input.pad":        func() { in.Pad = paper.Input.Pad },
		"input.crop":       func() { in.Crop = paper.Input.Crop },
		"input.scale":      func() { in.Scale = paper.Input.Scale },
		"input.colour":     func() { in.Colour = paper.Input.Colour },
	} {
		if !d.written(path) {
			set()
		}
	}
	if !d.sound("input.pad", "input.crop", "input.scale") {
		return
	}
	switch {
	case in.Pad > 0:
		d.add(d.place("input.pad"), "photos are not padded: a crop is smaller than the photo", "leave it out")
	case len(in.Scale) != 2 || in.Scale[0] > in.Scale[1]:
		d.add(d.place("input.scale"), "expected the least and the most pixels of the shorter side", "such as [256, 480]")
	case in.Crop > in.Scale[0]:
		d.add(d.place("input.crop", "input.scale"), fmt.Sprintf("a crop of %d is larger than a photo whose shorter side has %d pixels", in.Crop, in.Scale[0]), "input.scale is [256, 480] for the paper's crop of 224")
	}
}

// resolveImages adds complaints about train, validation, batch and pad if they do not fit the data set.
func resolveImages(d *decoder, s *Spec) {
	if !d.sound("data", "train", "validation", "batch") {
		return
	}
	set := dataset.Of(s.Data)
	if set.Own() && !resolveOwn(d, s, &set) {
		return
	}
	switch images := trainImages(s.Data, s.Train, s.Validation); {
	case s.Validation >= set.Train:
		d.add(d.place("validation", "data"), fmt.Sprintf("%d images held out leave nothing of the %d of %s to train on", s.Validation, set.Train, s.Data), "the paper held 5000 out")
	case s.Train > 0 && s.Validation >= s.Train:
		d.add(d.place("validation", "train"), fmt.Sprintf("%d images held out, and only %d trained on", s.Validation, s.Train), "")
	case s.Train+s.Validation > set.Train:
		d.add(d.place("train", "validation", "data"), fmt.Sprintf("%d images to train on and %d to hold out are more than the %d of %s", s.Train, s.Validation, set.Train, s.Data), "")
	case s.Batch > images:
		d.add(d.place("batch", "train", "validation", "data"), fmt.Sprintf("a batch of %d is more than the %d training images", s.Batch, images), "write a smaller batch, such as batch: 32")
	}
	if size := cmp.Or(s.Input.Size, set.Size); !cropped(s.Data, s.Input.Size) && s.Input.Pad > size/2 && d.sound("input.pad") {
		d.add(d.place("input.pad", "data"), fmt.Sprintf("expected at most %d, half of the side of an image of %s", size/2, s.Data), "")
	}
}

// resolveOwn counts the user's own images, into set, and fills in train and validation if s lacks them:
// all images, and without a test set a tenth as many held out. It returns false after a complaint.
func resolveOwn(d *decoder, s *Spec, set *dataset.Set) bool {
	set.Train = s.Validation + cmp.Or(s.Train, uncounted)
	if d.count == nil {
		return true
	}
	train, test, known, err := d.count(s.Data)
	if err != nil {
		problem, hint := split(err.Error())
		d.add(d.place("data"), problem, hint)
		return false
	}
	if !known {
		return true
	}
	set.Train, set.Test = train, test
	if test == 0 && s.Validation == 0 {
		tenth := max(1, cmp.Or(s.Train, train)/10)
		if d.written("validation") {
			d.add(d.place("validation"), "there is no test set, so some images have to be held out", fmt.Sprintf("write validation: %d, or leave it out", tenth))
			return false
		}
		s.Validation = tenth
	}
	if s.Train == 0 {
		s.Train = max(0, train-s.Validation)
	}
	return true
}

// resolveSteps converts the time at path to steps, in t, too. It returns 0 after a complaint about the
// time or about a value that it depends on.
func resolveSteps(d *decoder, s *Spec, path string, t *Time) int {
	if !d.sound(path) {
		return 0
	}
	images := trainImages(s.Data, s.Train, s.Validation)
	if t.epochs && (images < 1 || !d.sound("data", "train", "validation", "batch")) {
		return 0 // there is a complaint already
	}
	n, err := t.Steps(images, s.Batch)
	if err != nil {
		d.add(d.place(path), err.Error(), "")
		d.bad[path] = true
		return 0
	}
	*t = Steps(n)
	return n
}

// resolveSchedule converts the schedule, and adds complaints about times that contradict each other.
func resolveSchedule(d *decoder, s *Spec) Schedule {
	out := Schedule{Divide: s.Schedule.Divide, At: []int{}}
	if s.Schedule.Form != "steps" {
		out.Form, out.Divide = s.Schedule.Form, 0
	}
	out.Stop = resolveSteps(d, s, "schedule.stop", &s.Schedule.Stop)
	if d.sound("schedule.at") {
		drops := append([]Time{}, s.Schedule.At...)
		for i := range drops {
			path := fmt.Sprintf("schedule.at[%d]", i)
			n := resolveSteps(d, s, path, &drops[i])
			switch {
			case n == 0:
			case i > 0 && out.At[i-1] > 0 && n <= out.At[i-1]:
				d.add(d.place(path, "schedule.at"), fmt.Sprintf("drops the rate at %d steps, not after the drop before it, at %d steps", n, out.At[i-1]), "the times of schedule.at must increase")
			case out.Stop > 0 && n >= out.Stop:
				d.add(d.place(path, "schedule.at", "schedule.stop"), fmt.Sprintf("drops the rate at %d steps, but training stops at %d steps", n, out.Stop), "schedule.at must be before schedule.stop")
			}
			out.At = append(out.At, n)
		}
		s.Schedule.At = drops
	}
	if s.Schedule.Plateau != nil {
		out.Plateau = resolvePlateau(d, s, out.Stop)
	}
	if last := s.Optimizer.Rate / math.Pow(s.Schedule.Divide, float64(len(out.At))); float32(last) == 0 && d.sound("optimizer.rate", "schedule.divide") {
		d.add(d.place("optimizer.rate", "schedule.divide"), fmt.Sprintf("the rate becomes 0 in float32 when it has been divided by %g %d times", s.Schedule.Divide, len(out.At)), "")
	}
	if w := s.Schedule.Warmup; w != nil && w.Rate > s.Optimizer.Rate && !d.written("schedule.warmup") {
		s.Schedule.Warmup = nil // the default warm-up is for higher rates
	}
	if s.Schedule.Warmup != nil {
		out.Warmup = resolveWarmup(d, s, out)
	}
	return out
}

// resolvePlateau converts the plateau of a schedule that stops at stop steps.
func resolvePlateau(d *decoder, s *Spec, stop int) *Plateau {
	const path = "schedule.plateau.patience"
	p := *s.Schedule.Plateau
	s.Schedule.Plateau = &p
	out := &Plateau{Of: p.Of, Patience: resolveSteps(d, s, path, &p.Patience), Divide: p.Divide}
	if stop > 0 && out.Patience >= stop {
		d.add(d.place(path, "schedule.stop"), fmt.Sprintf("a patience of %d steps, but training stops at %d steps", out.Patience, stop), "")
	}
	return out
}

// resolveWarmup converts the warm-up of a schedule whose other times are converted.
func resolveWarmup(d *decoder, s *Spec, schedule Schedule) *Warmup {
	const path = "schedule.warmup"
	w := *s.Schedule.Warmup
	s.Schedule.Warmup = &w
	out := &Warmup{Rate: w.Rate}
	if w.Until != nil {
		out.Until = float64(*w.Until)
	}
	if w.For != nil {
		t := *w.For
		w.For = &t
		s.Schedule.Warmup = &w
		out.Steps = resolveSteps(d, s, path+".for", &t)
		end, what, other := schedule.Stop, "training stops", "schedule.stop"
		if len(schedule.At) > 0 {
			end, what, other = schedule.At[0], "the rate drops", "schedule.at[0]"
		}
		if end > 0 && out.Steps >= end {
			d.add(d.place(path+".for", other), fmt.Sprintf("a warm-up of %d steps, but %s at %d steps", out.Steps, what, end), "")
		}
	}
	if w.Rate > s.Optimizer.Rate && d.sound(path+".rate", "optimizer.rate") {
		d.add(d.place(path+".rate", path, "optimizer.rate"), fmt.Sprintf("a warm-up at rate %g is above optimizer.rate, %g", w.Rate, s.Optimizer.Rate), "")
	}
	return out
}

// resolveInterval converts the time between two tests, log entries or checkpoints, limited to stop, the
// length of the schedule: each is also done at the end.
func resolveInterval(d *decoder, s *Spec, path string, t *Time, stop int) int {
	n := resolveSteps(d, s, path, t)
	if stop == 0 || n <= stop {
		return n
	}
	*t = Steps(stop)
	return stop
}

// adaptive lists the keys that have no value in the file or on the command line and whose defaults
// depend on other keys, in which the recipes of s may differ.
func adaptive(d *decoder, s *Spec) (paths []string) {
	if len(s.Vary) > 0 {
		paths = append(paths, "batch_norm.group", "schedule.warmup")
	}
	if len(s.Vary)+len(s.Variants) > 0 && dataset.Of(s.Data).Own() { // with input.size they are CIFAR's, without it ImageNet's
		paths = append(paths, "batch", "input.pad", "input.crop", "input.scale", "input.colour")
	}
	return slices.DeleteFunc(paths, d.written)
}

// written reports whether path has a value in the file or on the command line.
func (d *decoder) written(path string) bool {
	_, ok := d.from[path]
	return ok
}
