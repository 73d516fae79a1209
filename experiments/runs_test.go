// Tests of times, profiles, runs, variants, caveats and hashes.

package experiments

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTimes(t *testing.T) {
	cases := []struct {
		text          string
		images, batch int
		want          int
	}{
		{"32000 steps", 50000, 128, 32000},
		{"1 step", 50000, 128, 1},
		{"1 epoch", 50000, 128, 391},     // 390.625
		{"1 epochs", 45000, 128, 352},    // 351.5625
		{"82 epochs", 50000, 128, 32031}, // 32031.25
		{"1 epoch", 20000, 128, 156},     // 156.25
		{"0.5 epochs", 50000, 128, 195},  // 195.3125
		{"1.5 epochs", 50, 25, 3},
		{"0.5 epochs", 50, 10, 3}, // 2.5, a half goes up
		{"163.84 epochs", 50000, 128, 64000},
		{"8epochs", 100, 100, 8},
	}
	for _, c := range cases {
		when, problem, _ := parseTime(c.text)
		got, err := when.Steps(c.images, c.batch)
		if problem != "" || err != nil || got != c.want {
			t.Errorf("%s of %d in batches of %d: %d steps, want %d (%s %v)", c.text, c.images, c.batch, got, c.want, problem, err)
		}
	}
	if _, err := (Time{}).Steps(1, 1); err == nil {
		t.Error("a zero Time is converted")
	}
}

func load(t *testing.T, file string) *Question {
	t.Helper()
	q, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func choose(t *testing.T, q *Question, name string) *Plan {
	t.Helper()
	p, _, err := q.Choose(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChoose(t *testing.T) {
	q := load(t, "plain_vs_res.yaml")
	const (
		noGPU   = "cifar10: needs a GPU, none can be used"
		noData  = "cifar10: needs the files of CIFAR-10, none were found"
		cpuLib  = "cifar10-cpu: needs a CPU with AVX2 and FMA, or a 64-bit ARM CPU, and this one is neither"
		cpuData = "cifar10-cpu: needs the files of CIFAR-10, none were found"
		preLib  = "preview: needs a CPU with AVX2 and FMA, or a 64-bit ARM CPU, and this one is neither"
	)
	cases := []struct {
		have    string
		want    string
		reasons []string
	}{
		{"gpu cifar10 cpu", "cifar10", nil},
		{"cifar10 cpu", "cifar10-cpu", []string{noGPU}},
		{"cpu", "preview", []string{noGPU, noData, cpuData}},
		{"cifar10", "tiny", []string{noGPU, cpuLib, preLib}},
		{"", "tiny", []string{noGPU, noData, cpuLib, cpuData, preLib}},
	}
	for _, c := range cases {
		have := map[string]bool{}
		for _, need := range strings.Fields(c.have) {
			have[need] = true
		}
		plan, missing, err := q.Choose(have, "")
		if err != nil || plan.Profile != c.want || !reflect.DeepEqual(sentences(missing), c.reasons) {
			t.Errorf("with %q: %v, %q, %v", c.have, plan.Profile, missing, err)
		}
	}
	plan, missing, err := q.Choose(map[string]bool{"cifar10": true}, "cifar10")
	if err != nil || plan.Profile != "cifar10" || !reflect.DeepEqual(sentences(missing), []string{noGPU}) {
		t.Error(plan, missing, err)
	}
	_, _, err = q.Choose(nil, "previw")
	if err == nil || err.Error() != `plain_vs_res.yaml has no profile "previw"; it has cifar10, cifar10-cpu, preview, tiny, cifar10-cpu-full, cifar100, cifar100-cpu, preview-seeds (did you mean preview?)` {
		t.Error(err)
	}
	bare, err := Parse("bare.yaml", []byte("question: Bare?\nnets: [resnet-20]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := bare.Choose(nil, ""); err == nil || err.Error() != "bare.yaml: no profile can run on this machine: default: needs the files of CIFAR-10, none were found" {
		t.Error(err)
	}
}

func sentences(missing []Missing) (all []string) {
	for _, m := range missing {
		all = append(all, m.String())
	}
	return all
}

func ids(p *Plan) string {
	var all []string
	for _, run := range p.Runs {
		all = append(all, run.ID)
	}
	return strings.Join(all, " ")
}

// Photos have the paper's recipe for ImageNet.
func TestPhotos(t *testing.T) {
	const text = "question: Photos?\nnets: [resnet-34]\ndata: imagenet\nschedule: {plateau: {of: test_error, patience: 10 epochs}, stop: 600000 steps}\n"
	q, err := Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := q.Plans[0]
	run := p.Runs[0]
	in := run.Input
	if run.Batch != 256 || run.BatchNorm.Group != 32 || in.Pad != 0 || in.Crop != 224 || !slices.Equal(in.Scale, []int{256, 480}) || in.Colour != 0.1 || run.EvalEvery != 5005 {
		t.Errorf("%+v", run)
	}
	if paper, why := run.Paper(); !paper || !slices.Contains(p.Needs, "imagenet") {
		t.Errorf("not the paper's: %q; needs %q", why, p.Needs)
	}
	if q, err = Parse("p.yaml", []byte(text+"train: 252\nbatch: 32\ninput: {crop: 64, scale: [72, 96], colour: 0}\n")); err != nil {
		t.Fatal(err)
	}
	_, why := q.Plans[0].Runs[0].Paper()
	if got := strings.Join(why, "; "); got != "252 training images; batch 32; crops of 64 pixels; photos resized to [72 96]; colours shifted by 0" {
		t.Errorf("caveats %q", got)
	}
	for change, want := range map[string]string{"input: {mean: none}\n": "mean subtracted: none", "input: {mean: channel}\n": "mean subtracted: channel", "label_smoothing: 0\n": ""} {
		if q, err = Parse("p.yaml", []byte(strings.Replace(text, "resnet-34", "resnet-152", 1)+change)); err != nil {
			t.Fatal(err)
		}
		run := q.Plans[0].Runs[0]
		if _, why := run.Paper(); strings.Join(why, "; ") != want || run.Schedule.Warmup != nil {
			t.Errorf("%q: caveats %q, want %q; warm-up %v", change, why, want, run.Schedule.Warmup)
		}
	}
}

func TestRuns(t *testing.T) {
	q := load(t, "plain_vs_res.yaml")
	want := "plain-20-seed0 resnet-20-seed0 plain-32-seed0 resnet-32-seed0 plain-44-seed0 resnet-44-seed0 plain-56-seed0 resnet-56-seed0 resnet-110-seed0"
	paper := choose(t, q, "cifar10")
	if got := ids(paper); got != want {
		t.Error(got)
	}
	for _, run := range paper.Runs {
		if deep := run.Net == "resnet-110"; (run.Schedule.Warmup != nil) != deep {
			t.Errorf("%s: warm-up %v", run.ID, run.Schedule.Warmup)
		}
		if paper, why := run.Paper(); !paper {
			t.Errorf("%s is not the paper's: %q", run.ID, why)
		}
		if run.EvalEvery != 391 {
			t.Errorf("%s is tested every %d steps", run.ID, run.EvalEvery)
		}
	}
	if got := ids(choose(t, load(t, "shortcuts.yaml"), "tiny")); got != "plain-8-seed0 resnet-8-seed0 resnet-8_B-seed0 resnet-8_C-seed0" {
		t.Error(got)
	}
	seeds, err := Parse("s.yaml", []byte("question: Seeds?\npairs: {depths: [8]}\nnets: [resnet-8/split]\nseeds: [3, 1]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(seeds.Plans[0]); got != "plain-8-seed3 resnet-8-seed3 resnet-8_split-seed3 plain-8-seed1 resnet-8-seed1 resnet-8_split-seed1" {
		t.Error(got)
	}
}

// TestRunOfAnyNet checks that Plan.Run returns the plan's run for its own nets, and its recipe for
// others.
func TestRunOfAnyNet(t *testing.T) {
	plan := choose(t, load(t, "plain_vs_res.yaml"), "cifar10")
	for _, want := range plan.Runs {
		if got, err := plan.Run(want.Net, want.Seed); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	if run, err := plan.Run("plain-110", 7); err != nil || run.ID != "plain-110-seed7" || run.Schedule.Warmup == nil {
		t.Errorf("%+v, %v", run, err)
	}
	if _, err := plan.Run("plain-21", 0); err == nil {
		t.Error("a net of 21 layers")
	}
}

func TestProfileOverridesDeeply(t *testing.T) {
	q, err := Parse("q.yaml", []byte(`question: Deep?
nets: [resnet-8, resnet-110]
optimizer: {rate: 0.2, momentum: 0.8}
schedule: {at: [10 steps, 20 steps], stop: 30 steps, warmup: {for: 5 steps}}
profiles:
  a: {optimizer: {rate: .05}, schedule: {at: [7 steps], warmup: {until: 70 %}}, batch: 100}
  b: {schedule: {warmup: none}}
  c: {batch: 64, nets: [plain-8]}
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := q.Plans[0].Runs, q.Plans[1].Runs, q.Plans[2].Runs
	if o := a[0].Optimizer; o.Rate != .05 || o.Momentum != .8 || o.Decay != 1e-4 {
		t.Errorf("%+v", o)
	}
	if s := a[1].Schedule; !reflect.DeepEqual(s.At, []int{7}) || s.Stop != 30 || *s.Warmup != (Warmup{Rate: .01, Until: 70}) {
		t.Errorf("%+v %+v", s, s.Warmup)
	}
	if a[0].BatchNorm.Group != 0 || b[0].BatchNorm.Group != 64 || c[0].BatchNorm.Group != 64 {
		t.Error("64 does not divide 100, but it does 128 and 64")
	}
	if b[1].Schedule.Warmup != nil || b[1].Optimizer.Rate != .2 || !reflect.DeepEqual(b[1].Schedule.At, []int{10, 20}) {
		t.Errorf("%+v", b[1])
	}
	if len(c) != 1 || c[0].Net != "plain-8" {
		t.Errorf("%+v", c)
	}
	if a[0].EvalEvery != 30 || a[0].SaveEvery != 30 {
		t.Errorf("intervals that nobody wrote, %d and %d, outlast the schedule of 30 steps", a[0].EvalEvery, a[0].SaveEvery)
	}
}

// A shorter schedule needs no other change: intervals are limited to its length.
func TestIntervalsEndWithTheSchedule(t *testing.T) {
	q, err := Parse("q.yaml", []byte(`question: Quick?
nets: [resnet-8]
log: 50 steps
evaluate: 400 steps
save: 100 steps
schedule: {at: [], stop: 20 steps}
profiles:
  quick: {}
  whole: {schedule: {stop: 900 steps}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][3]int{{20, 20, 20}, {50, 400, 100}} {
		if r := q.Plans[i].Runs[0]; [3]int{r.LogEvery, r.EvalEvery, r.SaveEvery} != want {
			t.Errorf("%s: log, evaluate and save every %d, %d and %d steps, want %v", q.Plans[i].Profile, r.LogEvery, r.EvalEvery, r.SaveEvery, want)
		}
	}
}

// TestDropsReplaceEachOther checks that only the newer of at and plateau remains, also in the file
// that Resolved writes.
func TestDropsReplaceEachOther(t *testing.T) {
	q, err := Parse("q.yaml", []byte(`question: When?
nets: [resnet-8]
data: preview
schedule: {at: [100 steps], stop: 9000 steps}
profiles:
  still: {schedule: {plateau: {patience: 10 epochs, divide: 5}}}
  times: {schedule: {at: [7 steps]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := q.Resolved("still")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("q.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, p := range []*Plan{q.Plans[0], again.Plans[0]} {
		if s := p.Runs[0].Schedule; len(s.At) != 0 || s.Plateau == nil || *s.Plateau != (Plateau{"test_error", 1563, 5}) {
			t.Errorf("%+v, %+v", s, s.Plateau)
		}
	}
	if s := q.Plans[1].Runs[0].Schedule; s.Plateau != nil || !reflect.DeepEqual(s.At, []int{7}) {
		t.Errorf("%+v", s)
	}
	if _, why := q.Plans[0].Runs[0].Paper(); !strings.Contains(strings.Join(why, "; "), "rate divided by 5 when the test error stands still") {
		t.Errorf("%q", why)
	}
}

// TestStatisticsReplaceEachOther checks that the newer of batches and moving averages remains.
func TestStatisticsReplaceEachOther(t *testing.T) {
	const text = `question: Which?
nets: [plain-8]
batch_norm: {batches: 30}
variants: [{name: other, batch: 64, batch_norm: X}]
profiles:
  a: {}
  moving: {batch_norm: {statistics: moving}}
  back: {like: moving, batch_norm: {statistics: averaged}}
  fewer: {like: moving, batch_norm: {batches: 20}}
  group: {like: moving, batch_norm: {group: 0}}
`
	moving, averaged := "{statistics: moving}", "{statistics: averaged}"
	for _, c := range []struct {
		variant, profile string
		set              []string
		want             string // statistics and batches of the question's run and of the variant's
	}{
		{moving, "a", nil, "averaged 30 moving 0"},
		{averaged, "moving", nil, "moving 0 averaged 60"},
		{"{batches: 10}", "moving", nil, "moving 0 averaged 10"},
		{moving, "back", nil, "averaged 60 moving 0"},
		{moving, "fewer", nil, "averaged 20 moving 0"},
		{averaged, "group", nil, "moving 0 averaged 60"},
		{averaged, "a", []string{"batch_norm.statistics=moving"}, "moving 0 averaged 60"},
		{averaged, "fewer", []string{"batch_norm.statistics=moving"}, "moving 0 averaged 60"},
		{moving, "moving", []string{"batch_norm.batches=40"}, "averaged 40 moving 0"},
		{moving, "moving", []string{"batch_norm.batches=40", "batch_norm.statistics=averaged"}, "averaged 40 moving 0"},
	} {
		q, p, err := changed(t, strings.Replace(text, "X", c.variant, 1), c.profile, Changes{Set: c.set})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		a, b := p.Runs[0].BatchNorm, p.Runs[1].BatchNorm
		if got := fmt.Sprint(a.Statistics, " ", a.Batches, " ", b.Statistics, " ", b.Batches); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
		resolved, err := q.Resolved(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		if again := parse(t, string(resolved)).Plans[0]; !reflect.DeepEqual(again.Runs, p.Runs) {
			t.Errorf("%+v:\n%s", c, resolved)
		}
	}
	top := parse(t, "question: Which?\nnets: [plain-8]\nbatch_norm: {statistics: moving}\nprofiles: {a: {batch_norm: {batches: 20}}}\n")
	if got := top.Overridden(top.Plans[0]); !strings.Contains(got, "batch_norm.statistics: moving (here averaged)") {
		t.Errorf("said %q", got)
	}
	// The committed preview has batches.
	q, err := load(t, "plain_vs_res.yaml").Change(Changes{Set: []string{"batch_norm.statistics=moving"}})
	if err != nil {
		t.Fatal(err)
	}
	if run := choose(t, q, "preview").Runs[0]; run.BatchNorm.Statistics != "moving" || run.BatchNorm.Batches != 0 {
		t.Errorf("%+v", run.BatchNorm)
	}
}

// TestVariants checks that every net is trained with the file's own recipe, under the same ID as
// without variants, and with each variant's changes of the profile.
func TestVariants(t *testing.T) {
	const text = `question: Which?
nets: [resnet-8, plain-110]
data: preview
seeds: [0, 1]
schedule: {at: [100 steps], stop: 900 steps}
variants:
  - {name: no warm-up, schedule: {warmup: none}}
  - {name: b.2, batch: 64, schedule: {stop: 2 epochs}}
profiles:
  own: {}
  short: {schedule: {stop: 300 steps}}
  none: {variants: []}
`
	q, err := Parse("q.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := "resnet-8-seed0 plain-110-seed0 resnet-8-no_warm-up-seed0 plain-110-no_warm-up-seed0 resnet-8-b.2-seed0 plain-110-b.2-seed0"
	want += " " + strings.ReplaceAll(want, "seed0", "seed1")
	for i, want := range []string{want, want, "resnet-8-seed0 plain-110-seed0 resnet-8-seed1 plain-110-seed1"} {
		if got := ids(q.Plans[i]); got != want {
			t.Errorf("%s: %s, want %s", q.Plans[i].Profile, got, want)
		}
	}
	runs := q.Plans[1].Runs
	if base, bare := runs[1].Schedule, runs[3].Schedule; base.Warmup == nil || bare.Warmup != nil || base.Stop != 300 || bare.Stop != 300 {
		t.Errorf("%+v, %+v", base, bare)
	}
	if r := runs[4]; r.Variant != "b.2" || r.Batch != 64 || r.Schedule.Stop != 625 || r.BatchNorm.Group != 64 {
		t.Errorf("%+v", r)
	}
	resolved, err := q.Resolved("short")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("q.yaml", resolved)
	if err != nil || !reflect.DeepEqual(again.Plans[0], q.Plans[1]) {
		t.Errorf("%v: %+v\nwas\n%+v\n%s", err, again, q.Plans[1], resolved)
	}
	for i, run := range q.Plans[2].Runs {
		if with := q.Plans[0].Runs[i/2*6+i%2]; run.Hash() != with.Hash() {
			t.Errorf("%s is another run for the variants beside it", run.ID)
		}
	}
}

// TestExtendRuns checks that the deeper plain nets are extended, each after the net that it begins
// as.
func TestExtendRuns(t *testing.T) {
	q, err := Parse("q.yaml", []byte(`question: Which?
pairs: {depths: [8, 14]}
nets: [plain-20, plain-18]
data: preview
seeds: [0, 1]
variants: [{name: constructed, extend: plain-8, optimizer: {rate: 0.01}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	const want = "plain-8-seed0 resnet-8-seed0 plain-14-seed0 resnet-14-seed0 plain-20-seed0 plain-18-seed0 plain-14-constructed-seed0 plain-20-constructed-seed0"
	if got := ids(q.Plans[0]); got != want+" "+strings.ReplaceAll(want, "seed0", "seed1") {
		t.Error(got)
	}
	run := q.Plans[0].Runs[15]
	if run.Source() != "plain-8-seed1" || run.Optimizer.Rate != 0.01 || q.Plans[0].Runs[8].Source() != "" {
		t.Errorf("%+v", run)
	}
}

func TestCaveats(t *testing.T) {
	q := load(t, "plain_vs_res.yaml")
	cases := []struct {
		profile string
		want    string
	}{
		{"cifar10", ""},
		{"cifar10-cpu", "schedule shortened to 1/8"},
		{"tiny", "preview data; 1,000 training images; batch 32; batch norm over the whole batch; schedule shortened to 60 of 64,000 steps"},
	}
	for _, c := range cases {
		_, why := choose(t, q, c.profile).Runs[0].Paper()
		if got := strings.Join(why, "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.profile, got, c.want)
		}
	}
	run := choose(t, q, "cifar10").Runs[8]
	run.Precision = "bf16"
	run.Schedule.Warmup = nil
	run.Schedule.At = nil
	run.Validation = 5000
	if _, why := run.Paper(); strings.Join(why, "; ") != "tested on 5,000 held-out training images; drops of the rate at no time; no warm-up; bf16" {
		t.Errorf("%q", why)
	}
}

// TestBlockCaveats checks what is said of blocks that the paper of 2015 does not have.
func TestBlockCaveats(t *testing.T) {
	for net, want := range map[string]string{
		"resnet-8":                                     "",
		"resnet-8/preact":                              "pre-activation (He et al. 2016); our choice: shortcut A pads what the first activation gives",
		"resnet-8/scale=0.5":                           "weighted shortcuts (He et al. 2016)",
		"resnet-8/gate=shortcut":                       "weighted shortcuts (He et al. 2016); our choice: no batch norm in gates",
		"resnet-8/shortcut-dropout=0.5":                "dropout on shortcuts (He et al. 2016)",
		"resnet-8/shortcut-dropout=0.5/branch-scale=2": "dropout on shortcuts (He et al. 2016); weighted shortcuts (He et al. 2016)",
	} {
		if got := strings.Join(blockCaveats(archOf(net)), "; "); got != want {
			t.Errorf("%s: %q, want %q", net, got, want)
		}
	}
}

// TestHash checks that the hash of a run stays the same: runs in the store are found by it.
func TestHash(t *testing.T) {
	run := choose(t, load(t, "plain_vs_res.yaml"), "cifar10").Runs[0]
	const want = "b5a52c2880c48c84bf325fa3120181f3d39ba8242d759d9aeb6aeb861ddb692a"
	if got := run.Hash(); got != want {
		t.Errorf("the hash of %s has become %s: checkpoints of before will not be resumed", run.ID, got)
	}
	other := run
	other.Seed++
	if other.Hash() == run.Hash() {
		t.Error("two seeds have one hash")
	}
	other = run
	if other.SaveEvery, other.LogEvery, other.EvalEvery, other.ID, other.Variant = 7, 7, 7, "other", "other"; other.Hash() != run.Hash() {
		t.Error("a value that changes no weight is part of the hash")
	}
	other.Schedule.Plateau = &Plateau{Of: "test_error", Patience: 10, Divide: 10}
	waits := other.Hash()
	if other.EvalEvery++; other.Hash() == waits {
		t.Error("the rate depends on test errors, but their interval is not part of the hash")
	}
	other.Schedule.Plateau, other.Schedule.Warmup = nil, &Warmup{Rate: 0.01, Until: 80}
	waits = other.Hash()
	if other.LogEvery++; other.Hash() == waits {
		t.Error("the warm-up depends on running errors, but their interval is not part of the hash")
	}
	other = run
	if other.AnyOrder = true; other.Hash() == run.Hash() {
		t.Error("with and without determinism there is one hash")
	}
}

func TestDeterministic(t *testing.T) {
	for text, want := range map[string]bool{"": false, "deterministic: true": false, "deterministic: false": true} {
		q, err := Parse("q.yaml", []byte("question: Any order?\nnets: [plain-8]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Plans[0].Runs[0].AnyOrder; got != want {
			t.Errorf("%q: any order %v", text, got)
		}
	}
}

// A run without micro_batch has the same hash as in versions without that key; a run with it is
// another one, also when it is resolved.
func TestMicroBatch(t *testing.T) {
	const text = "question: Small?\nnets: [plain-8]\nbatch: 64\nbatch_norm: {group: 16}\n"
	parse := func(text string) *Question {
		q, err := Parse("q.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	whole := parse(text).Plans[0]
	for _, c := range []struct {
		more string
		want int
	}{{"micro_batch: 0\n", 0}, {"micro_batch: 32\n", 32}, {"micro_batch: 64\n", 64}} {
		q := parse(text + c.more)
		run := q.Plans[0].Runs[0]
		if run.Micro != c.want || (run.Hash() == whole.Runs[0].Hash()) != (c.want == 0) {
			t.Errorf("%q: micro-batches of %d, hash %s", c.more, run.Micro, run.Hash())
		}
		resolved, err := q.Resolved("default")
		if err != nil {
			t.Fatal(err)
		}
		if again := parse(string(resolved)).Plans[0].Runs[0]; again.Hash() != run.Hash() {
			t.Errorf("%q is resolved to\n%s", c.more, resolved)
		}
	}
	// With group 0 each micro-batch has its own statistics.
	if run := parse("question: Small?\nnets: [plain-8]\nbatch: 64\nbatch_norm: {group: 0}\nmicro_batch: 16\n").Plans[0].Runs[0]; run.Micro != 16 || run.BatchNorm.Group != 0 {
		t.Errorf("%+v", run.Recipe)
	} else if _, why := run.Paper(); !slices.Contains(why, "batch norm over 16 images") {
		t.Errorf("caveats %q", why)
	}
}

// Words of older versions are accepted, with a message about their current names.
func TestOldNeeds(t *testing.T) {
	q, err := Parse("q.yaml", []byte("question: Old?\npairs: {depths: [20]}\nprofiles: {a: {needs: [onednn, cifar10]}, b: {needs: [onednn]}, c: {needs: [cpu]}}\ndata: cifar10\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{"cpu", "cifar10"}, {"cpu", "cifar10"}, {"cpu", "cifar10"}} {
		if !slices.Equal(q.Plans[i].Needs, want) {
			t.Errorf("profile %s needs %q, want %q", q.Plans[i].Profile, q.Plans[i].Needs, want)
		}
	}
	if want := []string{"q.yaml: onednn is now called cpu"}; !slices.Equal(q.Old, want) {
		t.Errorf("said %q, want %q", q.Old, want)
	}
}

// Runs are alike if they differ in ID and seed alone.
func TestAlike(t *testing.T) {
	a := Run{ID: "plain-20-seed0", Net: "plain-20", Recipe: Recipe{Batch: 128}}
	seed, batch, net := a, a, a
	seed.ID, seed.Seed = "plain-20-seed1", 1
	batch.Batch, net.Net = 64, "resnet-20"
	for _, c := range []struct {
		run  Run
		want bool
	}{{a, true}, {seed, true}, {batch, false}, {net, false}} {
		if got := c.run.Alike() == a.Alike(); got != c.want {
			t.Errorf("%+v: alike %v, want %v", c.run, got, c.want)
		}
	}
}
