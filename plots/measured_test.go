// Tests of what is drawn of measurements of trained nets.

package plots

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/record"
	"depthlab/plots/report"
)

// measuredRuns are trained nets with measurements of the shape of real ones.
func measuredRuns() (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for _, depth := range []int{20, 56} {
		for _, kind := range []string{"plain", "resnet"} {
			for seed := range uint64(2) {
				s := start(fmt.Sprintf("%s-%d", kind, depth), depth, seed)
				s.Steps, s.Data, s.Precision, s.Device, s.Paper = 64000, "CIFAR-10", "fp32", "XLA on NVIDIA H100", true
				r := fake(shape{start: s, train: 1, test: 8}, 1000, 2000)
				last := len(r.Events) - 1
				r.Events = slices.Concat(r.Events[:last], fakeMeasured(s), r.Events[last:])
				rs = append(rs, r)
			}
		}
	}
	return Question{Name: "lesion.yaml", Title: "What do trained nets need?", Figures: []string{"lesion", "gradient_correlation", "landscape_1d", "landscape_2d"}}, rs
}

func fakeMeasured(s record.Start) (all []record.Event) {
	random := rand.New(rand.NewPCG(s.Seed, uint64(s.Depth)))
	add := func(name string, v map[string][]float64) {
		all = append(all, record.Event{Kind: "measured", Step: s.Steps, Measured: &record.Measured{Name: name, Options: map[string]float64{"seed": 0}, Values: v}})
	}
	rounded := func(x float64) float64 { return math.Round(1e6*x) / 1e6 }
	n := (s.Depth - 2) / 6
	lesion := map[string][]float64{"whole": {8}, "first": {1, float64(n + 1), float64(2*n + 1)}}
	for b := 1; b <= 3*n; b++ {
		first := b%n == 1
		e := 10 + 200/float64(s.Depth)*random.Float64()
		switch {
		case !s.Residual && first && b > 1:
			continue
		case !s.Residual:
			e = 80 + 10*random.Float64()
		case first:
			e += 40
		}
		lesion["block"], lesion["error"] = append(lesion["block"], float64(b)), append(lesion["error"], rounded(e))
	}
	for k := 1; k <= min(10, 3*n-3); k++ {
		for range 8 {
			e := 90 - 82*math.Exp(-float64(k)/float64(n)*(0.5+random.Float64()))
			if !s.Residual {
				e = 90 - random.Float64()
			}
			lesion["deleted"], lesion["drawn_error"] = append(lesion["deleted"], float64(k)), append(lesion["drawn_error"], rounded(e))
		}
	}
	add("lesion", lesion)

	correlation := map[string][]float64{}
	rate := 1.0
	if s.Residual {
		rate = 0.3
	}
	for l := 1; l <= s.Depth; l++ {
		correlation["scalar"] = append(correlation["scalar"], rounded(math.Pow(float64(l), -rate)))
		correlation["scalar_norm"] = append(correlation["scalar_norm"], rounded(math.Pow(2, -rate*float64(l))))
	}
	for lag := 1; lag <= 16; lag++ {
		x := float64(lag) / 16
		correlation["lag"] = append(correlation["lag"], x)
		correlation["start"] = append(correlation["start"], rounded(math.Exp(-x*rate*float64(s.Depth)/20)))
		correlation["trained"] = append(correlation["trained"], rounded(math.Exp(-3*x*rate)))
	}
	add("gradient_correlation", correlation)

	landscape := map[string][]float64{"at": {-1, -0.5, 0, 0.5, 1}, "cosine": {0}}
	for _, b := range landscape["at"] {
		for _, a := range landscape["at"] {
			d := (a*a + 2*b*b) * float64(s.Depth) / 10
			if s.Residual {
				d /= 3
			}
			landscape["loss"] = append(landscape["loss"], rounded(0.02+d*d))
			landscape["error"] = append(landscape["error"], rounded(min(90, 30*d)))
		}
	}
	add("landscape", landscape)
	return all
}

// A measurement with other options than the question's is not drawn.
func TestOptions(t *testing.T) {
	q, rs := measuredRuns()
	for _, c := range []struct {
		seed float64
		rows int
	}{{0, 4}, {1, 0}} {
		q.Options = map[string]map[string]float64{"lesion": {"seed": c.seed}, "gradient_correlation": {"seed": c.seed}, "landscape": {"seed": c.seed}}
		nets, err := asked(q, rs)
		if err != nil {
			t.Fatal(err)
		}
		all := summaries(q, nets)
		if c.rows == 0 {
			if len(all) > 0 {
				t.Errorf("seed %g: %d tables, want none", c.seed, len(all))
			}
			continue
		}
		for _, s := range all {
			// Published nets of the same depth have rows in the table of lesions, too.
			ours := slices.DeleteFunc(slices.Clone(s.rows), func(row []string) bool { return strings.HasPrefix(row[0], "Veit") })
			if len(ours) != c.rows {
				t.Errorf("%s: %d rows, want %d", s.title, len(ours), c.rows)
			}
		}
	}
}

// What figures say of seeds is about the measured ones, not about all that are finished.
func TestMeasuredSeeds(t *testing.T) {
	q, rs := measuredRuns()
	for _, r := range rs {
		if r.Start.Seed == 0 && r.Start.Net == "plain-20" {
			r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Measured != nil })
		}
	}
	for name, want := range map[string]string{"lesion": "mean of 1 to 2 seeds", "gradient_correlation": "of 1 to 2 seeds", "landscape_1d": "of 1 to 2 seeds"} {
		nets, err := asked(q, rs)
		if err != nil {
			t.Fatal(err)
		}
		if fig, err := figures[name]("", nets); err != nil || !inLegend(fig, want) {
			t.Errorf("%s: no %q in the legend; %v", name, want, err)
		}
	}
	nets, err := asked(q, rs)
	if err != nil {
		t.Fatal(err)
	}
	fig, err := lossSurface("", nets)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range fig.panels {
		got = append(got, p.heading)
	}
	if want := []string{"plain-20, seed 1", "plain-56, seed 0", "resnet-20, seed 0", "resnet-56, seed 0"}; !slices.Equal(got, want) {
		t.Errorf("panels %q, want %q", got, want)
	}
}

// Each row of the panels of the loss has a label at its y axis.
func TestSurfaceLabels(t *testing.T) {
	var rs []*record.RunRecord
	for depth := 20; depth <= 50; depth += 6 {
		s := start(fmt.Sprintf("plain-%d", depth), depth, 0)
		s.Steps = 100
		r := fake(shape{start: s, train: 1, test: 8}, 10, 50)
		last := len(r.Events) - 1
		r.Events = slices.Concat(r.Events[:last], fakeMeasured(s), r.Events[last:])
		rs = append(rs, r)
	}
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	fig, err := lossSurface("", nets)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range fig.panels { // two rows of three
		if labelled := p.y.label != ""; labelled != (i%3 == 0) {
			t.Errorf("panel %d of %d: y label %q", i, len(fig.panels), p.y.label)
		}
	}
}

// A line is not drawn across blocks that cannot be deleted.
func TestUnbroken(t *testing.T) {
	for _, c := range []struct {
		steps []float64
		want  string
	}{
		{nil, "[]"},
		{[]float64{1}, "[[1]]"},
		{[]float64{1, 2, 3}, "[[1 2 3]]"},
		{[]float64{1, 2, 3, 5, 6, 8}, "[[1 2 3] [5 6] [8]]"},
	} {
		var ps []point
		for _, s := range c.steps {
			ps = append(ps, point{step: s})
		}
		var got [][]float64
		for _, part := range unbroken(ps) {
			var steps []float64
			for _, p := range part {
				steps = append(steps, p.step)
			}
			got = append(got, steps)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v: %v, want %s", c.steps, got, c.want)
		}
	}
	for _, deepest := range []int{1, 3, 9, 27, 54, 600} {
		if ts := blockAxis(deepest).ticks; ts[0] != (tick{1, "1"}) || len(ts) > 1 && ts[1].at <= 1 {
			t.Errorf("%d blocks: ticks %v, want the first at block 1", deepest, ts)
		}
	}
}

// Files for programs have every number; the head has a name for each column.
func TestMeasuredFiles(t *testing.T) {
	q, rs := measuredRuns()
	nets, err := asked(q, rs)
	if err != nil {
		t.Fatal(err)
	}
	files := measuredFiles(q, nets)
	for name, want := range map[string]string{
		"lesion.csv":               "plain-20,0,1,2,", // the net, its seed, one block deleted: the second
		"gradient_correlation.csv": "resnet-56,1,trained,0.0625,",
		"landscape.csv":            "resnet-20,0,0,0,0.02,0",
	} {
		rows, err := csv.NewReader(strings.NewReader(string(files[name]))).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(rows) < 50 || !strings.Contains(string(files[name]), "\n"+want) {
			t.Errorf("%s has %d rows, and none begins with %q", name, len(rows), want)
		}
	}
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
}

// The published errors stand beside those of residual two-layer nets of the same depth on
// CIFAR-10 only.
func TestVeit(t *testing.T) {
	for name, blocks := range map[string]int{"resnet-20": 9, "resnet-110": 54, "resnet-110/preact": 54, "resnet-26": 0, "plain-20": 0, "resnet-20/single": 0, "resnet-164/bottleneck": 0} {
		n := named(name)
		n.Residual = strings.HasPrefix(name, "resnet")
		fmt.Sscanf(name[strings.Index(name, "-")+1:], "%d", &n.Depth)
		if got := len(veitOf(n)); got != blocks {
			t.Errorf("%s: %d published blocks, want %d", name, got, blocks)
		}
		if n.DataSet = "preview"; veitOf(n) != nil {
			t.Errorf("%s: published errors beside other data", name)
		}
	}
	if v := veit(); len(v.drawn) != 20 || v.drawn[9] != 19 || v.single[110][10] != 11.34 || v.whole[110] != 6.032 {
		t.Errorf("published: %v", v.drawn)
	}
}

func TestQuantile(t *testing.T) {
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.75: 4.5, 1: 6} {
		if got := quantile([]float64{1, 2, 3, 4.5, 6}, q); got != want {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
}

// The page for the browser has the pictures, and a table of each measurement.
func TestMeasuredPage(t *testing.T) {
	q, rs := measuredRuns()
	p, err := new(Reporter).Page(q, rs, func(string) float64 { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range p.Measured {
		got = append(got, m.Title)
		for _, picture := range m.Pictures {
			got = append(got, picture.Name)
		}
	}
	want := []string{"Errors without blocks, percent", "lesion", "Correlations of gradients", "gradient_correlation", "Loss around the trained nets", "landscape_1d", "landscape_2d"}
	if !slices.Equal(got, want) {
		t.Errorf("measured: %q, want %q", got, want)
	}
	var page strings.Builder
	if err := report.Write(&page, p); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), `class="picture"`); n != 4 {
		t.Errorf("%d pictures in the page, want 4", n)
	}
	q.Figures = []string{"training_curves"}
	if p, err := new(Reporter).Page(q, rs, func(string) float64 { return 0 }); err != nil || p.Measured != nil {
		t.Errorf("a question of curves: %d measurements, %v", len(p.Measured), err)
	}
}
