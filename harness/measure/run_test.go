// Tests of measurements on devices and in sweeps.

package measure_test

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness"
	"depthlab/harness/data"
	"depthlab/harness/data/datatest"
	"depthlab/harness/device"
	"depthlab/harness/device/ref"
	"depthlab/harness/measure"
	"depthlab/harness/model"
	"depthlab/harness/record"
	"depthlab/harness/sweep"
	"depthlab/harness/sweep/sweeptest"
	"depthlab/nets"
)

// opened opens a net of sweeptest.Small's recipe, with weights and statistics that depend only on
// their names.
func opened(t *testing.T, net string, src *data.Source, dev device.Device) *model.Model {
	t.Helper()
	q, err := experiments.Parse("test.yaml", []byte(strings.Replace(sweeptest.Small, "pairs: {depths: [8]}", "nets: ["+net+"]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.OpenTests(q.Plans[0].Runs[0], src, dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	arch, _ := nets.ParseArch(net)
	params, norms, err := arch.Leaves(model.Geometry(src))
	if err != nil {
		t.Fatal(err)
	}
	w := model.Writer{Session: m.Session}
	some := func(name string, n int, mean, deviation float64) {
		h := fnv.New64a()
		h.Write([]byte(name))
		random := rand.New(rand.NewPCG(h.Sum64(), 0))
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(mean + deviation*(2*random.Float64()-1))
		}
		w.Write(name, v)
	}
	for _, p := range params {
		switch p.Kind {
		case nets.Scale:
			some(p.Name, p.Node.Shape().TotalSize(), 1, 0.5)
		case nets.Shift, nets.Bias:
			some(p.Name, p.Node.Shape().TotalSize(), 0.2, 0.5)
		}
	}
	for _, n := range norms {
		some(n.Name+".running_mean", n.Channels, 0, 1)
		some(n.Name+".running_var", n.Channels, 2, 1)
	}
	if w.Err != nil {
		t.Fatal(w.Err)
	}
	return m
}

// near reports whether two lists of logits are equal up to rounding.
func near(got, want []float64) bool {
	if len(got) != len(want) || len(got) == 0 {
		return false
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-3*(1+math.Abs(want[i])) {
			return false
		}
	}
	return true
}

// On every device a net of two blocks a stage, without the second ones, computes the same as the
// net of one block a stage; nets with other blocks are tried on ref.
func TestDeletedBlocks(t *testing.T) {
	src := datatest.Noise()
	for name, dev := range sweeptest.Devices(t) {
		pairs := [][2]string{{"resnet-14", "resnet-8"}, {"resnet-14/preact", "resnet-8/preact"}, {"plain-14", "plain-8"}}
		if name == "ref" {
			for _, v := range []string{"/B", "/relu-before-add", "/relu-preact"} {
				pairs = append(pairs, [2]string{"resnet-14" + v, "resnet-8" + v})
			}
			pairs = append(pairs, [2]string{"resnet-20/bottleneck", "resnet-11/bottleneck"})
		}
		for _, pair := range pairs {
			shallow, err := measure.Logits(opened(t, pair[1], src, dev), src, 8, 0)
			if err != nil {
				t.Fatal(err)
			}
			deep := opened(t, pair[0], src, dev)
			whole, err := measure.Logits(deep, src, 8, 0)
			if err != nil {
				t.Fatal(err)
			}
			if near(whole, shallow) {
				t.Errorf("%s, %s: the second blocks make no difference", name, pair[0])
			}
			deleteSecond(t, pair[0], deep, src)
			got, err := measure.Logits(deep, src, 8, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !near(got, shallow) {
				t.Errorf("%s: %s without the second blocks has logits\n%.4g\n%s\n%.4g", name, pair[0], got[:5], pair[1], shallow[:5])
			}
		}
	}
}

// deleteSecond deletes the second block of each stage.
func deleteSecond(t *testing.T, net string, m *model.Model, src *data.Source) {
	t.Helper()
	arch, err := nets.ParseArch(net)
	if err != nil {
		t.Fatal(err)
	}
	g := model.Geometry(src)
	g.Eps = float32(m.Run.BatchNorm.Eps)
	blocks, err := arch.BlockList(g)
	if err != nil {
		t.Fatal(err)
	}
	w := model.Writer{Session: m.Session}
	for _, b := range blocks {
		if !b.First {
			for parameter, v := range b.Without {
				w.Write(parameter, v)
			}
		}
	}
	if w.Err != nil {
		t.Fatal(w.Err)
	}
}

// The weights of a deleted branch make no difference. (A net with scaled, gated or normalised
// shortcuts still has these in a deleted block, so it does not equal a shallower net.)
func TestDeletedBranch(t *testing.T) {
	src := datatest.Noise()
	for _, net := range []string{"resnet-14", "resnet-14/preact", "resnet-14/bn-after-add", "resnet-14/relu-before-add", "resnet-14/relu-preact", "resnet-14/scale=0.5/branch-scale=0.5", "resnet-14/gate=exclusive", "resnet-14/gate=shortcut"} {
		m := opened(t, net, src, ref.New())
		logits := func() []float64 {
			t.Helper()
			all, err := measure.Logits(m, src, 8, 0)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		change := func(value float32) {
			t.Helper()
			v := make([]float32, 16*16*9)
			for i := range v {
				v[i] = value * float32(i%7-3)
			}
			if err := m.Session.Write("layer1.1.conv1.weight", v); err != nil {
				t.Fatal(err)
			}
		}
		change(1)
		whole := logits()
		change(-1)
		if near(logits(), whole) {
			t.Errorf("%s: the branch makes no difference before it is deleted", net)
		}
		deleteSecond(t, net, m, src)
		without := logits()
		change(1)
		if !slices.Equal(logits(), without) {
			t.Errorf("%s: a deleted branch makes a difference", net)
		}
		if near(without, whole) {
			t.Errorf("%s: deleting blocks makes no difference", net)
		}
	}
}

// The images at t on the line are brighter by t.
func TestLineMoves(t *testing.T) {
	src, brighter := datatest.Noise(), datatest.Noise()
	for _, set := range []*data.Set{&src.Test, &brighter.Test} {
		for i := range set.Images {
			set.Images[i] = min(set.Images[i], 250)
		}
	}
	for i := range brighter.Test.Images {
		brighter.Test.Images[i] += 5
	}
	for name, dev := range sweeptest.Devices(t) {
		want, err := measure.Logits(opened(t, "resnet-8", brighter, dev), brighter, 8, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := measure.Logits(opened(t, "resnet-8", src, dev), src, 8, 5)
		if err != nil {
			t.Fatal(err)
		}
		if !near(got, want) {
			t.Errorf("%s: %.4g, want %.4g", name, got[:5], want[:5])
		}
	}
}

// small is sweeptest.Small with all measurements.
func small(t *testing.T, dir string, replace ...string) *sweep.Sweep {
	t.Helper()
	text := strings.NewReplacer(replace...).Replace(sweeptest.Small + `
figures: [lesion, gradient_correlation, landscape_1d]
lesion: {most: 2, draws: 2}
gradient_correlation: {width: 8, inputs: 6, draws: 2, points: 5, images: 3}
landscape: {grid: 3, images: 8}
`)
	s := sweeptest.New(t, text, dir, ref.New(), "")
	s.Data = datatest.Noise()
	return s
}

func run(t *testing.T, s *sweep.Sweep) {
	t.Helper()
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A run is measured once, after its training; without a change of the net the errors are those of
// its tests. With other options it is measured again.
func TestMeasured(t *testing.T) {
	dir := t.TempDir()
	s := small(t, dir)
	run(t, s)
	want := sweeptest.Outcome(t, dir)
	for _, id := range []string{"plain-8-seed0", "resnet-8-seed0"} {
		folder := sweeptest.At(dir, id)
		rec, err := record.Read(folder.Record())
		if err != nil || !rec.Finished() {
			t.Fatal(rec, err)
		}
		options := s.Plan.Measurements.Options()
		lesion, landscape, line := rec.Measured("lesion", options["lesion"]), rec.Measured("landscape", options["landscape"]), rec.Measured("gradient_correlation", options["gradient_correlation"])
		if lesion == nil || landscape == nil || line == nil {
			t.Fatalf("%s: not everything is measured: %v %v %v", id, lesion, landscape, line)
		}
		if test, _ := rec.FinalTest(); lesion.Values["whole"][0] != test {
			t.Errorf("%s: %g %% with all blocks, and its test has %g %%", id, lesion.Values["whole"][0], test)
		}
		if n := len(lesion.Values["error"]); (n == 3) != strings.HasPrefix(id, "resnet") {
			t.Errorf("%s: %d single blocks", id, n)
		}
		if len(landscape.Values["loss"]) != 9 || len(landscape.Values["at"]) != 3 {
			t.Errorf("%s: a landscape of %d points", id, len(landscape.Values["loss"]))
		}
		for _, x := range [][]float64{line.Values["scalar"], line.Values["scalar_norm"]} {
			if len(x) != 8 {
				t.Errorf("%s: scalar nets of %d layers", id, len(x))
			}
		}
		if len(line.Values["start"]) != 2 || len(line.Values["trained"]) != 2 || len(line.Values["lag"]) != 2 {
			t.Errorf("%s: correlations %v at %v", id, line.Values["start"], line.Values["lag"])
		}
		if _, err := os.Stat(folder.Measuring()); err == nil {
			t.Errorf("%s: %s is left", id, folder.Measuring())
		}
		if len(measure.Lacking(rec, s.Plan)) > 0 {
			t.Errorf("%s lacks %v", id, measure.Lacking(rec, s.Plan))
		}
	}
	run(t, small(t, dir))
	for key, v := range sweeptest.Outcome(t, dir) {
		if strings.HasPrefix(key, "record") && v != want[key] {
			t.Errorf("%s was measured again", key)
		}
	}
	other := small(t, dir, "grid: 3", "grid: 5")
	run(t, other)
	rec, err := record.Read(sweeptest.At(dir, "plain-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	for _, plan := range []*experiments.Plan{s.Plan, other.Plan} {
		if m := rec.Measured("landscape", plan.Measurements.Options()["landscape"]); m == nil || len(m.Values["loss"]) != plan.Landscape.Grid*plan.Landscape.Grid {
			t.Errorf("grid %d: %v", plan.Landscape.Grid, m)
		}
	}
}

// The centre of the landscape is the trained net.
func TestLandscapeMiddle(t *testing.T) {
	dir := t.TempDir()
	s := small(t, dir, "images: 8}", "images: 0}") // all of the training set
	run(t, s)
	rec, err := record.Read(sweeptest.At(dir, "resnet-8-seed0").Record())
	if err != nil {
		t.Fatal(err)
	}
	full, _ := rec.FullTrain()
	if got := rec.Measured("landscape", nil).Values["error"][4]; math.Abs(got-full) > 1e-9 {
		t.Errorf("error %g %% in the middle, and %g %% on the training set", got, full)
	}
}

// A measurement that is interrupted anywhere resumes, and has the same record.
func TestInterruptedMeasurement(t *testing.T) {
	trained := t.TempDir()
	plain := small(t, trained)
	plain.Plan.Figures = nil
	run(t, plain)
	whole := t.TempDir()
	copyRuns(t, trained, whole)
	run(t, small(t, whole))
	want := sweeptest.Outcome(t, whole)
	dir := t.TempDir()
	copyRuns(t, trained, dir)
	sessions := 0
	for n := 4; ; n += 7 {
		err := small(t, dir).Run(sweeptest.StopAfter(n))
		if err == nil {
			break
		}
		if !errors.Is(err, harness.ErrInterrupted) {
			t.Fatal(err)
		}
		sessions++
	}
	if sessions < 3 {
		t.Errorf("%d interruptions", sessions)
	}
	for key, v := range sweeptest.Outcome(t, dir) {
		if strings.HasPrefix(key, "record") && v != want[key] {
			t.Errorf("%s is\n%s\nwant\n%s", key, v, want[key])
		}
	}
}

func copyRuns(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
