// Tests of figures and tables: golden files, and rules for each kind of figure.

package plots

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"image/color"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/recorder"

	"depthlab/experiments"
	"depthlab/harness/record"
	"depthlab/nets"
)

var regen = flag.Bool("regen", false, "rewrite the golden files in testdata")
var out = flag.String("out", "", "folder for full-size figures, for people to look at")

// shape describes the course of a made-up run.
type shape struct {
	start       record.Start
	train, test float64 // final errors, percent
	stop        int     // stops at this step with NaN; 0 = finishes
	until       int     // the record ends at this step, unfinished; 0 = finishes
}

// fake makes a record with the shape of a real one: from chance level down, noisy at the
// high learning rate, with a drop at 1/2 and a small one at 3/4.
func fake(s shape, logEvery, evalEvery int) *record.RunRecord {
	h := fnv.New64a()
	fmt.Fprint(h, s.start.Net, s.start.Seed)
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	st := s.start
	r := &record.RunRecord{Path: st.Net, Start: st, Events: []record.Event{{Kind: "start", Start: &st}}}
	n := float64(st.Steps)
	at := func(step int, final, plateau float64) float64 {
		x := float64(step) / n
		high := final + plateau + (88-final-plateau)*math.Exp(-x*n/(0.02*n+300)) + 5*math.Exp(-x*8)
		switch {
		case x <= 0.5:
			return high
		case x <= 0.75:
			return final + 0.15*plateau + 0.8*plateau*math.Exp(-(x-0.5)*200) + 0.02*final
		}
		return final + 0.1*plateau*math.Exp(-(x-0.75)*100)
	}
	num := func(x float64) *float64 {
		x = math.Round(100*min(max(x, 0), 90)) / 100
		return &x
	}
	rate := 0.1
	for step := 1; step <= st.Steps; step++ {
		if step == st.Steps/2+1 || step == st.Steps*3/4+1 {
			rate /= 10
			r.Events = append(r.Events, record.Event{Kind: "rate", Step: step - 1, Rate: rate})
		}
		if step == s.stop {
			r.Events = append(r.Events, record.Event{Kind: "stop", Step: step, Text: "NaN in layer2.0.conv1 (loss)"})
			return r
		}
		noise := 0.3
		if step <= st.Steps/2 {
			noise = 1
		}
		if step%logEvery == 0 {
			e := at(step, s.train, 6+0.3*s.train)
			e += rng.NormFloat64() * noise * math.Sqrt(e*(100-e)/float64(128*logEvery))
			r.Events = append(r.Events, record.Event{Kind: "train", Step: step, Rate: rate, Error: num(e), Loss: num(e / 30)})
		}
		if step%evalEvery == 0 || step == st.Steps {
			e := at(step, s.test, 2+0.15*s.test) + rng.NormFloat64()*noise*noise*0.6
			if step == st.Steps {
				e = s.test
			}
			r.Events = append(r.Events, record.Event{Kind: "gradients", Step: step, Layers: fakeLayers(st, 0.05*rate)},
				record.Event{Kind: "eval", Step: step, Set: "test", Error: num(e)})
		}
		if step == s.until {
			return r
		}
	}
	r.Events = append(r.Events,
		record.Event{Kind: "full", Step: st.Steps, Set: "train", Error: num(s.train * 0.8)},
		record.Event{Kind: "responses", Step: st.Steps, Layers: fakeLayers(st, 1)[1:]},
		record.Event{Kind: "end", Step: st.Steps})
	return r
}

// fakeLayers are numbers that fall with the layer, fastest in deep plain nets.
func fakeLayers(s record.Start, scale float64) []float64 {
	var all []float64
	for i := range s.Depth {
		x := scale * (1 + math.Exp(-float64(i)/5) + 0.1*math.Sin(float64(i)+float64(s.Seed)))
		if !s.Residual {
			x *= math.Exp(-float64(i) * 0.002 * float64(s.Depth) / 20)
		}
		all = append(all, x)
	}
	return all
}

func start(net string, depth int, seed uint64) record.Start {
	s := record.Start{ID: fmt.Sprintf("%s-seed%d", net, seed), Net: net, DataSet: "cifar10", Depth: depth, Seed: seed, Batch: 128,
		Residual: strings.HasPrefix(net, "resnet"), Params: int64(depth)*16203 - 54338}
	if s.Residual {
		s.Shortcut = "A"
		if _, v, ok := strings.Cut(net, "/"); ok && len(v) == 1 {
			s.Shortcut = v
		}
	}
	return s
}

// named makes a net by name, on the data set that it is for.
func named(name string) *net {
	s := record.Start{Net: name, Data: "CIFAR-10", DataSet: "cifar10"}
	if arch, _ := nets.ParseArch(name); arch.ImageNet() {
		s.Data, s.DataSet = "ImageNet", "imagenet"
	}
	return &net{Start: s}
}

// The made-up questions. paperRun is Figure 6. preview has several seeds. cpu is
// shortened and has an unfinished run and a failed one. variants compares shortcuts.

func paperRun() (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for _, d := range []int{20, 32, 44, 56, 110} {
		for _, kind := range []string{"plain", "resnet"} {
			net := fmt.Sprintf("%s-%d", kind, d)
			train, test := named(net).paper()
			if math.IsNaN(test) {
				continue
			}
			s := start(net, d, 0)
			s.Steps, s.Data, s.Precision, s.Device, s.Paper = 64000, "CIFAR-10", "fp32", "XLA on NVIDIA H100", true
			rs = append(rs, fake(shape{start: s, train: train, test: test + 0.2}, 100, 390))
		}
	}
	return Question{Name: "plain_vs_res.yaml", Title: "Do deeper plain nets train worse, and deeper residual nets not?", Figures: []string{"training_curves", "error_by_depth", "layer_responses", "gradient_norms", "generalisation_gap"}}, rs
}

func preview() (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	ends := map[string][2]float64{"plain-20": {0.3, 0.4}, "plain-32": {3.1, 3.5}, "plain-44": {18, 19},
		"resnet-20": {0.2, 0.4}, "resnet-32": {0.2, 0.3}, "resnet-44": {0.15, 0.3}}
	for net, e := range ends {
		for seed := range uint64(3) {
			var d int
			fmt.Sscanf(net[strings.Index(net, "-")+1:], "%d", &d)
			s := start(net, d, seed)
			s.Steps, s.Data, s.DataSet, s.Precision, s.Device = 1200, "preview set", "preview", "bf16", "oneDNN 3.2 on AMD EPYC 9B14, 2 threads"
			s.Caveats = []string{"preview data", "schedule shortened to 1,200 steps", "CPU", "bf16"}
			up := 1 + 0.35*float64(seed)
			rs = append(rs, fake(shape{start: s, train: e[0] * up, test: e[1] * up}, 20, 100))
		}
	}
	return Question{Name: "plain_vs_res.yaml", Title: "Do deeper plain nets train worse, and deeper residual nets not?", Figures: []string{"error_by_depth", "training_curves", "layer_responses", "gradient_norms", "generalisation_gap"}}, rs
}

func cpu() (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for _, c := range []struct {
		net         string
		depth       int
		train, test float64
		stop, until int
	}{{"plain-20", 20, 6, 12, 0, 0}, {"plain-56", 56, 17, 22, 2345, 0}, {"resnet-20", 20, 5, 10, 0, 0}, {"resnet-56", 56, 2, 9, 0, 5100}} {
		s := start(c.net, c.depth, 0)
		s.Steps, s.Data, s.Precision, s.Device = 8000, "CIFAR-10, JPEG copy", "bf16", "oneDNN 3.2 on AMD EPYC 9B14, 2 threads"
		s.Caveats = []string{"schedule shortened to 1/8", "JPEG copy of the data", "CPU", "bf16"}
		rs = append(rs, fake(shape{s, c.train, c.test, c.stop, c.until}, 50, 391))
	}
	return Question{Name: "plain_vs_res.yaml", Title: "Do deeper plain nets train worse, and deeper residual nets not?", Figures: []string{"training_curves", "error_by_depth"}}, rs
}

func variants(ds ...int) (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for _, d := range ds {
		for i, v := range []string{"plain-%d", "resnet-%d", "resnet-%d/B", "resnet-%d/C"} {
			for seed := range uint64(2) {
				s := start(fmt.Sprintf(v, d), d, seed)
				s.Steps, s.Data, s.Precision, s.Device = 8000, "CIFAR-10", "fp32", "oneDNN 3.2 on AMD EPYC 9B14, 2 threads"
				s.Caveats = []string{"schedule shortened to 1/8", "CPU"}
				k := float64(3-i) * float64(d) / 20
				rs = append(rs, fake(shape{start: s, train: 3 + k + 0.3*float64(seed), test: 9 + k + 0.2*float64(seed)}, 50, 391))
			}
		}
	}
	return Question{Name: "shortcuts.yaml", Title: "Is it enough that a shortcut is the identity, or must it learn?", Figures: []string{"training_curves", "error_by_depth"}}, rs
}

// ways has nets with different blocks and recipes.
func ways(ds ...int) (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for _, d := range ds {
		for i, v := range []string{"plain-%d", "resnet-%d", "resnet-%d/single", "resnet-%d no warm-up"} {
			net, variant, _ := strings.Cut(fmt.Sprintf(v, d), " ")
			s := start(net, d, 0)
			s.Variant, s.Steps, s.Data, s.Precision, s.Device = variant, 8000, "CIFAR-10", "fp32", "onednn"
			if s.Residual {
				s.Shortcut = "A"
			}
			s.Caveats = []string{"schedule shortened to 1/8", "CPU"}
			k := float64((i+2)%4) * float64(d) / 20
			rs = append(rs, fake(shape{start: s, train: 3 + k, test: 9 + k}, 50, 391))
		}
	}
	return Question{Name: "ways.yaml", Title: "Which way is best?", Figures: []string{"training_curves", "error_by_depth"}}, rs
}

// swept varies two keys: learning rates over two orders of magnitude, and the weight
// decay.
func swept() (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for worse, net := range []string{"resnet-20", "plain-20"} {
		for i, rate := range []string{"0.001", "0.01", "0.03", "0.1", "0.3"} {
			for j, decay := range []string{"0.0001", "0.001"} {
				for seed := range uint64(2) {
					s := start(net, 20, seed)
					s.Variant = "rate " + rate + " decay " + decay
					s.Varied = []record.Value{{Key: "optimizer.rate", Value: rate}, {Key: "optimizer.decay", Value: decay}}
					s.Steps, s.Data, s.Precision, s.Device = 800, "CIFAR-10", "fp32", "onednn"
					s.Caveats = []string{"learning rate " + rate}
					k := math.Abs(float64(i)-2.5) + 0.5*float64(j) + 0.6*float64(seed) + 2*float64(worse)
					rs = append(rs, fake(shape{start: s, train: 3 + k, test: 9 + k}, 50, 200))
				}
			}
		}
	}
	return Question{Name: "rates.yaml", Title: "Which learning rate is best?", Figures: []string{"final_error_vs_value"}}, rs
}

// wide has one family with many depths, and more text than fits on a line.
func wide() (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for i, d := range []int{8, 14, 20, 26, 32, 38, 44, 50, 56, 110, 1202} {
		s := start(fmt.Sprintf("resnet-%d", d), d, 0)
		s.Steps, s.Data, s.Precision, s.Device = 64000, "CIFAR-10", "tf32", "XLA on NVIDIA H100 80GB HBM3, driver 550.54.15, CUDA 12.4, cuDNN 9.1"
		s.Caveats = []string{"tf32", "45,000 images for training and 5,000 for validation", "momentum in PyTorch's form", "weight decay on weights only", "batch norm over the whole batch"}
		rs = append(rs, fake(shape{start: s, train: 4 / float64(i+1), test: 12 - 0.5*float64(i)}, 100, 1000))
	}
	return Question{Name: "deep.yaml", Title: "How deep can a residual net become before it gets worse again, and is it the fitting of the training set or the generalisation that suffers first?", Figures: []string{"training_curves", "error_by_depth"}}, rs
}

// crowd has more nets than there are colours, places and lines: this many variants, seeds
// and depths.
func crowd(variants, seeds int, ds ...int) (Question, []*record.RunRecord) {
	var rs []*record.RunRecord
	for _, d := range ds {
		for v := range variants {
			for _, kind := range []string{"plain", "resnet"} {
				for seed := range uint64(seeds) {
					s := start(fmt.Sprintf("%s-%d", kind, d), d, seed)
					s.Steps, s.Data, s.Precision, s.Device = 800, "CIFAR-10", "fp32", "onednn"
					if v > 0 {
						s.Variant = fmt.Sprintf("rate of %d hundredths, and a name", v)
					}
					k := float64(v) + float64(d)/20 + 0.3*float64(seed)
					rs = append(rs, fake(shape{start: s, train: 3 + k, test: 9 + k}, 50, 200))
				}
			}
		}
	}
	return Question{Name: "crowd.yaml", Title: "Which of so many?", Figures: Names()}, rs
}

// foreign has a title with characters that the font lacks. long has a title of a single
// word.
func foreign() (Question, []*record.RunRecord) {
	q, rs := cpu()
	q.Title = "更深的普通网络训练得更差吗？ Мельче? βαθύτερα; 👩🏽‍🔬 " + strings.Repeat("深度残差学习", 12)
	return q, rs
}

func long() (Question, []*record.RunRecord) {
	q, rs := cpu()
	q.Title = strings.Repeat("abcdefghij", 30)
	return q, rs
}

var questions = map[string]func() (Question, []*record.RunRecord){
	"paper":      paperRun,
	"wide":       wide,
	"swept":      swept,
	"preview":    preview,
	"cpu":        cpu,
	"shortcuts":  func() (Question, []*record.RunRecord) { return variants(20) },
	"shortcuts2": func() (Question, []*record.RunRecord) { return variants(20, 56) },
	"ways":       func() (Question, []*record.RunRecord) { return ways(20) },
	"ways2":      func() (Question, []*record.RunRecord) { return ways(20, 56) },
	"crowd":      func() (Question, []*record.RunRecord) { return crowd(17, 1, 20) },
	"crowd2":     func() (Question, []*record.RunRecord) { return crowd(6, 2, 20, 56) },
	"crowd3": func() (Question, []*record.RunRecord) {
		return crowd(1, 1, 8, 14, 20, 26, 32, 38, 44, 50, 56, 62, 68, 74, 80, 86, 92, 98, 104, 110, 116, 122, 128, 134, 140, 146)
	},
	"measured": measuredRuns,
	"foreign":  foreign,
	"long":     long,
}

// TestLook checks nothing. With -out it draws all questions at full size for people to
// look at.
func TestLook(t *testing.T) {
	if *out == "" {
		return
	}
	for name, make := range questions {
		q, rs := make()
		if err := Draw(filepath.Join(*out, name), q, rs); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGolden compares pictures (as SVG) and tables with testdata, byte by byte, so that a
// missing label or tick is noticed. After an intended change run go test ./plots -regen
// and look at the figures (-out DIR draws them as PNG, too).
func TestGolden(t *testing.T) {
	for _, c := range []struct{ question, figure string }{
		{"preview", "training_curves"},
		{"preview", "error_by_depth"},
		{"cpu", "training_curves"},
		{"paper", "training_curves"},
		{"paper", "error_by_depth"},
		{"shortcuts", "training_curves"},
		{"shortcuts", "error_by_depth"},
		{"wide", "error_by_depth"},
		{"ways", "error_by_depth"},
		{"paper", "layer_responses"},
		{"preview", "gradient_norms"},
		{"preview", "generalisation_gap"},
		{"ways2", "training_curves"},
		{"swept", "final_error_vs_value"},
		{"measured", "lesion"},
		{"measured", "gradient_correlation"},
		{"measured", "landscape_1d"},
		{"measured", "landscape_2d"},
	} {
		fig := drawn(t, c.question, c.figure)
		got, err := fig.svg()
		if err != nil {
			t.Fatal(err)
		}
		name := c.question + "_" + c.figure + ".svg"
		if want := golden(t, name, got); !bytes.Equal(got, want) {
			t.Errorf("%s differs from its golden: %s", name, firstDifference(got, want))
		}
	}
	for _, question := range []string{"preview", "cpu", "shortcuts", "ways", "measured"} {
		q, rs := questions[question]()
		nets, err := group(rs)
		if err != nil {
			t.Fatal(err)
		}
		for name, write := range tables {
			got := write(q, nets)
			if want := golden(t, question+"_"+name, got); !bytes.Equal(got, want) {
				t.Errorf("%s_%s: got\n%s\nwant\n%s", question, name, got, want)
			}
		}
	}
}

func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *regen {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// firstDifference shows the first line that differs.
func firstDifference(got, want []byte) string {
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// drawn makes a figure of one of the made-up questions.
func drawn(t *testing.T, question, name string) *figure {
	t.Helper()
	q, rs := questions[question]()
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	fig, err := figures[name](q.Title, nets)
	if err != nil {
		t.Fatal(err)
	}
	return fig
}

// TestPNG checks that a PNG of each kind of figure can be read, has the size of its
// resolution, and ink in each quarter. TestGolden checks the content in the SVG. Both are
// drawn by the same calls, but pixels differ between processors.
func TestPNG(t *testing.T) {
	const dpi = 72 // one pixel for each point
	for _, name := range Names() {
		question := "preview"
		if name == "final_error_vs_value" {
			question = "swept"
		}
		if slices.ContainsFunc(measurements, func(m measurement) bool { return slices.Contains(m.figures, name) }) {
			question = "measured"
		}
		fig := drawn(t, question, name)
		file, err := fig.png(dpi)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w, h := fig.size()
		size := img.Bounds().Size()
		if math.Abs(float64(size.X)-float64(w)) > 1 || math.Abs(float64(size.Y)-float64(h)) > 1 {
			t.Errorf("%s: %v pixels, want %v by %v", name, size, w, h)
		}
		var ink [2][2]int
		for y := range size.Y {
			for x := range size.X {
				if r, g, b, _ := img.At(x, y).RGBA(); r+g+b < 3*0xc000 {
					ink[2*y/size.Y][2*x/size.X]++
				}
			}
		}
		for y, row := range ink {
			for x, n := range row {
				if n < 100 {
					t.Errorf("%s: quarter %d, %d is blank: %d dark pixels", name, x, y, n)
				}
			}
		}
	}
}

func TestDrawWritesAllFilesTheSameEachTime(t *testing.T) {
	q, rs := preview()
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		slices.Reverse(rs) // the order of the records does not matter
		if err := Draw(dir, q, rs); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		x, _ := os.ReadFile(filepath.Join(a, e.Name()))
		y, _ := os.ReadFile(filepath.Join(b, e.Name()))
		if !bytes.Equal(x, y) {
			t.Errorf("%s differs between two drawings", e.Name())
		}
	}
	if s := strings.Join(names, " "); s != "curves.csv error_by_depth.png error_by_depth.svg generalisation_gap.png generalisation_gap.svg gradient_norms.png gradient_norms.svg layer_responses.png layer_responses.svg table.csv table.md table.tex training_curves.png training_curves.svg" {
		t.Error(s)
	}
}

// TestUnchangedFiguresStay draws a figure again after changes of its files. A figure that
// stays keeps its file; one that is drawn again gets another file.
func TestUnchangedFiguresStay(t *testing.T) {
	q, rs := preview()
	q.Figures, q.Origin = []string{"error_by_depth"}, []byte(`{"version":"1"}`)
	dir := t.TempDir()
	png, svg := filepath.Join(dir, "error_by_depth.png"), filepath.Join(dir, "error_by_depth.svg")
	draw := func() (os.FileInfo, []byte) {
		t.Helper()
		if err := Draw(dir, q, rs); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(png)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(png)
		if err != nil {
			t.Fatal(err)
		}
		return info, text
	}
	drawn, want := draw()
	for _, c := range []struct {
		name   string
		change func() error
		stays  bool
	}{
		{"nothing", func() error { return nil }, true},
		{"no PNG", func() error { return os.Rename(png, png+".old") }, false},
		{"no SVG", func() error { return os.Remove(svg) }, false},
		{"another SVG", func() error { return os.WriteFile(svg, []byte("<svg></svg>"), 0o666) }, false},
		{"a PNG of another origin", func() error { return os.WriteFile(png, pngWith(want, []byte("{}")), 0o666) }, false},
		{"a PNG that ends early", func() error { return os.WriteFile(png, want[:len(want)/2], 0o666) }, false},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		now, text := draw()
		if os.SameFile(drawn, now) != c.stays {
			t.Errorf("%s: the figure stayed: %v, expected %v", c.name, !c.stays, c.stays)
		}
		if !bytes.Equal(text, want) {
			t.Errorf("%s: the PNG is not the first one", c.name)
		}
		drawn = now
	}
	q.Origin = []byte(`{"version":"2"}`)
	if now, _ := draw(); os.SameFile(drawn, now) {
		t.Error("the figure stayed although its origin changed")
	}
}

func TestTimesAndSpeedsDoNotShow(t *testing.T) {
	q, rs := preview()
	nets, _ := group(rs)
	var before [][]byte
	for _, name := range []string{"table.md", "table.csv", "table.tex"} {
		before = append(before, tables[name](q, nets))
	}
	for _, r := range rs {
		for i := range r.Events {
			r.Events[i].Seconds, r.Events[i].ImagesPerS = 1234, 5678
		}
	}
	for i, name := range []string{"table.md", "table.csv", "table.tex"} {
		if !bytes.Equal(before[i], tables[name](q, nets)) {
			t.Errorf("%s depends on the time", name)
		}
	}
}

func TestDrawSaysWhatIsWrong(t *testing.T) {
	q, rs := cpu()
	dir := t.TempDir()
	for _, c := range []struct {
		q    Question
		rs   []*record.RunRecord
		want string
	}{
		{Question{Name: "a.yaml", Figures: []string{"training_curve"}}, rs, `there is no figure "training_curve"; there are error_by_depth, final_error_vs_value, generalisation_gap, gradient_correlation, gradient_norms, landscape_1d, landscape_2d, layer_responses, lesion, training_curves`},
		{q, nil, "nothing to draw yet: no run has been recorded"},
		{Question{Name: "a.yaml", Figures: []string{"error_by_depth"}}, rs[1:2], "nothing to draw yet: no run is finished"},
		{q, append(slices.Clone(rs), rs[0]), "seed 0 of plain-20 is in plain-20, too"},
	} {
		if err := Draw(dir, c.q, c.rs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	other := *rs[0]
	other.Start.Steps, other.Start.Seed = 99, 7
	if err := Draw(dir, q, append(slices.Clone(rs), &other)); err == nil || !strings.Contains(err.Error(), "not records of one question") {
		t.Error(err)
	}
	// It is enough if one figure can be drawn.
	if err := Draw(dir, q, rs[1:2]); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "error_by_depth.png")); err == nil {
		t.Error("a figure without points was drawn")
	}
	// A run that has just begun draws nothing, and is no error.
	begun := &record.RunRecord{Start: rs[0].Start, Events: rs[0].Events[:1]}
	if err := Draw(dir, q, []*record.RunRecord{begun}); err == nil || !strings.Contains(err.Error(), "nothing to draw yet") {
		t.Error(err)
	}
}

func TestQuestionWithoutFiguresHasTables(t *testing.T) {
	q, rs := cpu()
	q.Figures = nil
	if err := Draw(t.TempDir(), q, rs); err != nil {
		t.Error(err)
	}
}

func TestValidationIsNotCalledTest(t *testing.T) {
	q, rs := cpu()
	for _, r := range rs {
		for i := range r.Events {
			if r.Events[i].Set == "test" {
				r.Events[i].Set = "validation"
			}
		}
	}
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(markdown(q, nets)); !strings.Contains(s, "| validation |") || !strings.Contains(s, "best validation") {
		t.Error(s)
	}
}

// TestPaper compares the table of the paper's errors with the digitised curves.
func TestPaper(t *testing.T) {
	for net, want := range paperErrors["cifar10"] {
		train, test := paperCurve(named(net))
		if len(train) < 29 || len(test) < 29 {
			t.Errorf("%s: %d and %d points", net, len(train), len(test))
			continue
		}
		var tail []float64
		for _, p := range train[len(train)-10:] {
			tail = append(tail, p.Error)
		}
		if m := mean(tail); math.Abs(m-want.train) > 0.1 {
			t.Errorf("%s: training error %v, curve ends at %.2f", net, want.train, m)
		}
		if e := test[len(test)-1].Error; math.Abs(e-want.test) > 0.13 {
			t.Errorf("%s: test error %v, curve ends at %v", net, want.test, e)
		}
	}
	for net, want := range paperErrors["imagenet"] {
		train, test := paperCurve(named(net))
		if math.IsNaN(want.train) {
			if len(train) > 0 {
				t.Errorf("%s is in Figure 4, but has no training error", net)
			}
			continue
		}
		var tail []float64
		for _, p := range train[len(train)-10:] {
			tail = append(tail, p.Error)
		}
		if m := mean(tail); math.Abs(m-want.train) > 0.01 {
			t.Errorf("%s: training error %v, curve ends at %.2f", net, want.train, m)
		}
		// One crop, as in Figure 4, has a higher error than ten.
		if e := test[len(test)-1].Error; e < want.test+3 || e > want.test+4.2 {
			t.Errorf("%s: error %v, curve ends at %v", net, want.test, e)
		}
	}
	if a, b := named("plain-110").paper(); !math.IsNaN(a) || !math.IsNaN(b) {
		t.Error("plain-110 has no numbers in the paper")
	}
	if a, b := named("resnet-20").paper(); a != 0.68 || b != 8.75 {
		t.Error(a, b)
	}
	if a, b := named("resnet-20/B").paper(); !math.IsNaN(a) || !math.IsNaN(b) {
		t.Error("the paper has no shortcut B on CIFAR-10")
	}
}

// TestPaperResponses checks that Figure 7 shows what the paper says about it: deeper
// residual nets have smaller responses, and smaller ones than plain nets.
func TestPaperResponses(t *testing.T) {
	size := map[string]float64{}
	for net, layers := range map[string]int{"plain-20": 19, "plain-56": 55, "resnet-20": 19, "resnet-56": 55, "resnet-110": 109} {
		points := paperResponses()[net]
		if n := len(points); n < layers-1 || points[0].Step != 1 || points[n-1].Step != layers {
			t.Fatalf("%s: %d points", net, n)
		}
		var all []float64
		for _, p := range points {
			all = append(all, p.Error)
		}
		size[net] = mean(all)
	}
	if !(size["resnet-110"] < size["resnet-56"] && size["resnet-56"] < size["resnet-20"] && size["resnet-20"] < size["plain-20"] && size["resnet-56"] < size["plain-56"]) {
		t.Error(size)
	}
}

// The table says where the paper's numbers come from. It has none for variants.
func TestPaperSource(t *testing.T) {
	for nets, want := range map[string][2]bool{
		"plain-20 resnet-20":           {true, false},
		"plain-34 resnet-34/B":         {false, true},
		"resnet-20 resnet-50":          {true, true},
		"plain-8 resnet-164":           {false, false}, // none in the paper
		"resnet-18/single resnet-34/C": {false, true},
	} {
		var all []*net
		for _, name := range strings.Fields(nets) {
			all = append(all, named(name))
		}
		text := paperSource(all)
		if got := [2]bool{strings.Contains(text, "CIFAR-10"), strings.Contains(text, "ImageNet")}; got != want {
			t.Errorf("%s: %s", nets, text)
		}
	}
	varied := named("resnet-110")
	varied.Variant = "no warm-up"
	if _, e := varied.paper(); !math.IsNaN(e) {
		t.Error("the paper has no number for a variant")
	}
}

// A question about nets of the paper of 2016 has that paper's numbers throughout, which
// are medians; any other has those of 2015. A net that failed has no number.
func TestPaperOf2016(t *testing.T) {
	for _, c := range []struct {
		data, nets string
		want       []string
		sources    string
	}{
		{"cifar10", "resnet-56 resnet-110", []string{"6.97", "6.43"}, "2015"},
		{"cifar10", "resnet-56 resnet-110 resnet-110/preact", []string{"6.97", "6.61", "6.37"}, "2015 2016"},
		{"cifar10", "plain-110 resnet-110 resnet-110/gate=exclusive/gate-bias=-6", []string{"> 20", "6.61", "8.70"}, "2016"},
		{"cifar10", "resnet-110 resnet-110/shortcut-dropout=0.5", []string{"6.61", "> 20"}, "2016"},
		{"cifar10", "plain-110 resnet-110", []string{"–", "6.43"}, "2015"},
		{"cifar10", "resnet-56/preact", []string{"–"}, ""},
		{"cifar100", "resnet-110 resnet-164/bottleneck", []string{"–", "25.16"}, "2016"},
		{"preview", "resnet-110 resnet-110/preact", []string{"–", "–"}, ""},
	} {
		var all []*net
		for _, name := range strings.Fields(c.nets) {
			n := named(name)
			n.DataSet, n.Data, n.Residual = c.data, "CIFAR", strings.HasPrefix(name, "resnet")
			all = append(all, n)
		}
		citeIdentity(all)
		for i, r := range rows(all) {
			cells := r.cells(" ± ", "–")
			if got := cells[len(cells)-1]; got != c.want[i] {
				t.Errorf("%s, %s: %s, want %s", c.nets, r.Label(), got, c.want[i])
			}
			if r.paperTest == failed && !strings.HasSuffix(strings.TrimSpace(string(commaSeparated(Question{}, []*net{r.net}))), ",") {
				t.Errorf("%s: a number in table.csv", r.Label())
			}
			if r.paperTest == failed && !strings.HasSuffix(string(latex(Question{}, []*net{r.net})), " & $>$ 20 \\\\\n\\hline\n\\end{tabular}\n") {
				t.Errorf("%s: no $>$ in table.tex", r.Label())
			}
		}
		for _, year := range []string{"2015", "2016"} {
			source := paperSource(all)
			if want := strings.Contains(c.sources, year); strings.Contains(source, year) != want && !strings.HasPrefix(source, "no errors") {
				t.Errorf("%s: %s", c.nets, source)
			}
		}
		if best := strings.Contains(paperSource(all), "the best of five runs"); best != slices.Contains(c.want, "6.43") {
			t.Errorf("%s: it says that an error is the best of five: %v", c.nets, best)
		}
	}
}

// A legend names the paper of 2015 if something of it is drawn, and only then. The medians
// of the paper of 2016 are not drawn.
func TestLegendNamesThePaperThatIsDrawn(t *testing.T) {
	const copied = "CIFAR-10 (a copy)"
	for _, c := range []struct {
		nets, caveats string // caveats: separated by ;
		curves, depth bool
		points        int // of the paper, in both panels of error_by_depth
	}{
		{"plain-20 resnet-20", "", true, true, 4},
		{"plain-20 resnet-20", "bf16;" + copied + ";CPU", true, true, 4},
		{"plain-20 resnet-20", "bf16;schedule shortened to 1/8", false, false, 0},
		{"plain-20 resnet-20", "another copy", false, false, 0},
		{"resnet-20 resnet-20/B", "", true, true, 2},
		{"resnet-26", "", false, false, 0},
		{"resnet-110 resnet-110/C", "", false, false, 0},
		{"resnet-56 resnet-110 resnet-110/preact", "", true, true, 2},
	} {
		var rs []*record.RunRecord
		for _, name := range strings.Fields(c.nets) {
			arch, err := nets.ParseArch(name)
			if err != nil {
				t.Fatal(err)
			}
			s := start(name, arch.Depth, 0)
			s.Steps, s.Data, s.Precision, s.Paper = 800, copied, "bf16", c.caveats == ""
			if !s.Paper {
				s.Caveats = strings.Split(c.caveats, ";")
			}
			rs = append(rs, fake(shape{start: s, train: 1, test: 8}, 50, 200))
		}
		all, err := group(rs)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]bool{"training_curves": c.curves, "error_by_depth": c.depth} {
			fig, err := figures[name]("", all)
			if err != nil {
				t.Fatal(err)
			}
			if got := inLegend(fig, "He et al. 2015"); got != want {
				t.Errorf("%s (%s), %s: He et al. 2015 in the legend: %v, want %v", c.nets, c.caveats, name, got, want)
			}
			if name != "error_by_depth" {
				continue
			}
			if got := hollow(fig); want && got != c.points+1 || !want && got != 0 { // one in the legend
				t.Errorf("%s: %d hollow markers, want %d in the panels", c.nets, got, c.points)
			}
		}
	}
}

func inLegend(fig *figure, text string) bool {
	return slices.ContainsFunc(fig.legend, func(k key) bool { return strings.Contains(k.label, text) })
}

// hollow counts the hollow markers of a figure: they are filled with white.
func hollow(fig *figure) (count int) {
	w, h := fig.size()
	c := &sized{w: w, h: h}
	fig.draw(c, nil)
	var now color.Color
	for _, a := range c.Actions {
		switch a := a.(type) {
		case *recorder.SetColor:
			now = a.Color
		case *recorder.Fill:
			if now == white {
				count++
			}
		}
	}
	return count - 1 // the background
}

// The label of each net stands at the end of its test error, also if its training error
// goes further: then labels are in the order of the test errors.
func TestLabelsStandAtTestErrors(t *testing.T) {
	done, open := start("plain-20", 20, 0), start("plain-56", 56, 0)
	done.Steps, open.Steps = 8000, 8000
	for _, stop := range []int{0, 5100} { // unfinished; stopped
		s := shape{start: open, train: 6, test: 20, until: 5099, stop: stop}
		if stop > 0 {
			s.until = 0
		}
		all, err := group([]*record.RunRecord{fake(shape{start: done, train: 2, test: 12}, 50, 400), fake(s, 50, 400)})
		if err != nil {
			t.Fatal(err)
		}
		fig, err := trainingCurves("", all)
		if err != nil {
			t.Fatal(err)
		}
		at := map[string]vg.Length{}
		for _, x := range texts(fig) {
			at[x.text] = x.Min.Y
		}
		name := map[int]string{0: "56 layers, unfinished", 5100: "56 layers, stopped"}[stop]
		if at["20 layers"] == 0 || at[name] <= at["20 layers"] {
			t.Errorf("%s at height %.0f, 20 layers at %.0f: want it above", name, at[name], at["20 layers"])
		}
	}
}

func TestLineNames(t *testing.T) {
	for _, c := range []struct{ nets, want string }{
		{"plain-20 resnet-20", "20 layers; 20 layers"},
		{"plain-20 resnet-20 resnet-20/B", "20 layers; 20 layers, shortcut A; 20 layers, shortcut B"},
		{"resnet-20 resnet-56/B", "20 layers, shortcut A; 56 layers, shortcut B"},
		{"resnet-20 resnet-20/single", "20 layers; 20 layers, single"},
	} {
		var all []*net
		var got []string
		for _, name := range strings.Fields(c.nets) {
			arch, err := nets.ParseArch(name)
			if err != nil {
				t.Fatal(err)
			}
			s := start(name, arch.Depth, 0)
			all = append(all, &net{Start: s})
		}
		for _, n := range all {
			got = append(got, lineName(n, all))
		}
		if names := strings.Join(got, "; "); names != c.want {
			t.Errorf("%s: %s, want %s", c.nets, names, c.want)
		}
	}
}

// If only the finished runs are drawn, every figure says that others are not; and if it
// draws bands of seeds, its legend has a key for them.
func TestFiguresSayWhatTheyLeaveOut(t *testing.T) {
	for _, name := range Names() {
		make := preview
		switch {
		case name == "final_error_vs_value":
			make = swept
		case slices.ContainsFunc(measurements, func(m measurement) bool { return slices.Contains(m.figures, name) }):
			make = measuredRuns
		}
		_, rs := make()
		open := rs[0].Start
		open.Seed = 99
		for _, c := range []struct {
			what    string
			rs      []*record.RunRecord
			leftOut bool
			seeds   bool
		}{
			{"all finished", rs, false, true},
			{"one unfinished", append(slices.Clone(rs), fake(shape{start: open, train: 5, test: 10, until: open.Steps / 2}, 10, 50)), true, true},
			{"one seed", slices.DeleteFunc(slices.Clone(rs), func(r *record.RunRecord) bool { return r.Start.Seed > 0 }), false, false},
		} {
			all, err := group(c.rs)
			if err != nil {
				t.Fatal(err)
			}
			fig, err := figures[name]("", all)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(fig.notes, " "), "1 unfinished run is not shown."); got != c.leftOut {
				t.Errorf("%s, %s: says that a run is not shown: %v, want %v: %q", name, c.what, got, c.leftOut, fig.notes)
			}
			noKey := name == "landscape_2d" || name == "gradient_norms" // one seed each; bands of all tests
			if got := inLegend(fig, "seed"); got != c.seeds && !noKey {
				t.Errorf("%s, %s: a key for seeds: %v, want %v", name, c.what, got, c.seeds)
			}
		}
	}
	// Several seeds of which none is finished are drawn with their band, too.
	var rs []*record.RunRecord
	for seed := range uint64(2) {
		s := start("plain-20", 20, seed)
		s.Steps = 800
		rs = append(rs, fake(shape{start: s, train: 5, test: 10, until: 400}, 10, 50))
	}
	all, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"training_curves", "generalisation_gap"} {
		if fig, err := figures[name]("", all); err != nil || !inLegend(fig, "of 2 seeds") {
			t.Errorf("%s of two unfinished seeds has no key for their band; %v", name, err)
		}
	}
}

// The paper's numbers are shown beside results on its own data or a copy of them, and
// beside no others.
func TestPaperData(t *testing.T) {
	for _, c := range []struct {
		net, set, title string
		want            float64
	}{
		{"resnet-20", "cifar10", "CIFAR-10", 8.75},
		{"resnet-20", "cifar10", "CIFAR-10, JPEG copy", 8.75},
		{"resnet-20", "cifar10", "a copy of mine", 8.75},
		{"resnet-20", "preview", "preview set", math.NaN()},
		{"resnet-20", "cifar100", "CIFAR-100", math.NaN()},
		{"resnet-20", "imagenet", "ImageNet", math.NaN()},
		{"resnet-20", "imagenet", "ImageNet, 5 classes, 100 + 20 photos", math.NaN()},
		{"resnet-20", "", "CIFAR-10", math.NaN()}, // older record without the data set's name
		{"resnet-18", "imagenet", "ImageNet", 27.88},
		{"resnet-18", "imagenet", "ImageNet, 1000 classes, 1281166 + 50000 photos", 27.88},
		{"resnet-18", "imagenet", "ImageNet, 3 classes, 100 + 20 photos", math.NaN()},
		{"resnet-18", "imagenet", "own photos, 1000 classes, 1281167 + 50000 photos", math.NaN()},
		{"resnet-18", "imagenet", "Tiny-ImageNet, 200 classes, 100000 + 10000 photos", math.NaN()},
		{"resnet-18", "folder", "ImageNet", math.NaN()},
		{"resnet-20", "folder", "CIFAR-10", math.NaN()},
		{"resnet-18", "cifar10", "CIFAR-10", math.NaN()},
		{"resnet-18", "preview64", "preview set at 64x64", math.NaN()},
	} {
		n := named(c.net)
		n.DataSet, n.Data = c.set, c.title
		if _, test := n.paper(); test != c.want && !(math.IsNaN(test) && math.IsNaN(c.want)) {
			t.Errorf("%s on %s: %v beside it, want %v", c.net, c.title, test, c.want)
		}
		if train, _ := paperCurve(n); len(train) > 0 && math.IsNaN(c.want) {
			t.Errorf("%s on %s: a curve of the paper beside it", c.net, c.title)
		}
	}
}

// The errors that a run begins with are shown beside the final errors of the run that it
// extends.
func TestBegun(t *testing.T) {
	shallow := start("plain-20", 20, 1)
	shallow.Steps, shallow.Data = 200, "CIFAR-10"
	deep := start("plain-56", 56, 1)
	deep.Steps, deep.Data, deep.Variant, deep.Extends = 200, "CIFAR-10", "constructed", shallow.ID
	a, b := fake(shape{start: shallow, train: 2, test: 9.75}, 10, 50), fake(shape{start: deep, train: 2, test: 8}, 10, 50)
	test, train := 9.75, 1.6
	b.Events = slices.Insert(b.Events, 1, record.Event{Kind: "eval", Set: "test", Error: &test}, record.Event{Kind: "full", Set: "train", Error: &train})
	nets, err := group([]*record.RunRecord{a, b})
	if err != nil {
		t.Fatal(err)
	}
	const want = "plain-56 (constructed), seed 1: 9.75 % and 1.60 % before its first step; plain-20-seed1 ended with 9.75 % test error and 1.60 % on the whole training set"
	if got := begun(nets); len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
	for name, write := range tables {
		if has := strings.Contains(string(write(Question{}, nets)), want); has != (name != "table.csv") {
			t.Errorf("%s: %v", name, has)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, want := range [][]float64{{0, 0, 0, 0}, {50, 50.1, 50.2}, {1, 30, 31, 99}, {10, 20, 29, 36, 41}, {}, {100}} {
		got := spread(want, 10, 5, 95)
		if len(got) != len(want) {
			t.Errorf("%v -> %v", want, got)
		}
		for i := range got {
			if got[i] < 5-1e-9 || got[i] > 95+1e-9 || i > 0 && got[i]-got[i-1] < 10-1e-9 {
				t.Errorf("%v -> %v", want, got)
				break
			}
		}
	}
	if got := spread([]float64{10, 30, 50}, 10, 0, 100); !slices.Equal(got, []float64{10, 30, 50}) {
		t.Error(got)
	}
}

func TestThinKeepsTheExtremes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var ps []point
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range 10000 {
		y := rng.Float64() * 100
		ps = append(ps, point{float64(i + 1), y, y - 1, y + 1})
		lo, hi = min(lo, y), max(hi, y)
	}
	got := thin(ps, 10000, 100)
	if len(got) > 2*101+1 || got[len(got)-1].step != 10000 {
		t.Fatal(len(got), got[len(got)-1])
	}
	a, b := math.Inf(1), math.Inf(-1)
	for i, p := range got {
		a, b = min(a, p.mean), max(b, p.mean)
		if i > 0 && p.step <= got[i-1].step {
			t.Fatal("steps go back")
		}
	}
	if a != lo || b != hi {
		t.Errorf("%v..%v of %v..%v", a, b, lo, hi)
	}
	if short := thin(ps[:150], 10000, 100); len(short) != 150 {
		t.Error("a short curve was thinned")
	}
}

// Seeds are averaged in the steps that all reach, also if they were tested at other steps.
func TestMerge(t *testing.T) {
	short := [][]record.Point{{{Step: 10, Error: 1}, {Step: 20, Error: 3}}, nil, {{Step: 10, Error: 2}}}
	other := [][]record.Point{{{Step: 10, Error: 4}, {Step: 20, Error: 2}, {Step: 40, Error: 1}}, {{Step: 5, Error: 9}, {Step: 15, Error: 5}, {Step: 40, Error: 3}}}
	for _, c := range []struct {
		curves [][]record.Point
		want   []point
	}{
		{nil, nil}, {[][]record.Point{nil}, nil},
		{short, []point{{10, 1.5, 1, 2}}},
		{other, []point{{10, 5.5, 4, 7}, {15, 4, 3, 5}, {20, 3.3, 2, 4.6}, {40, 2, 1, 3}}},
	} {
		got := merge(c.curves)
		if !slices.EqualFunc(got, c.want, func(a, b point) bool {
			return a.step == b.step && math.Abs(a.mean-b.mean)+math.Abs(a.lo-b.lo)+math.Abs(a.hi-b.hi) < 1e-9
		}) {
			t.Errorf("%v: got %v, want %v", c.curves, got, c.want)
		}
	}
}

func TestTicksAndTops(t *testing.T) {
	if ts := ticks(0, 64000, 8, 1000); ts[0].label != "0" || ts[1].label != "10" || len(ts) != 7 {
		t.Error(ts)
	}
	if ts := ticks(0, 1200, 7, 1); ts[1].label != "200" || ts[5].label != "1,000" {
		t.Error(ts)
	}
	if ts := ticks(0, 0.5, 6, 1); ts[1].label != "0.1" || len(ts) != 6 {
		t.Error(ts)
	}
	for x, want := range map[float64]float64{13.2 * 1.4: 20, 0.1: 0.5, 95: 100, 100: 100} {
		if got := top(x); got != want {
			t.Errorf("top(%v) = %v", x, got)
		}
	}
}

func TestColorsAreLegibleAndOrdered(t *testing.T) {
	light := func(c rgba) float64 { return 0.2126*float64(c.R) + 0.7152*float64(c.G) + 0.0722*float64(c.B) }
	for x := 0.05; x <= 1; x += 0.05 {
		if light(ramp(x)) <= light(ramp(x-0.05)) {
			t.Errorf("ramp(%.2f) is not lighter than what is before it", x)
		}
	}
	all := slices.Concat(plasma, tagColors, slices.Collect(maps.Values(familyColors)), []rgba{black, gray, white})
	for _, c := range all {
		all = append(all, mix(c, white, 0.55)) // as shallow nets are drawn
	}
	for _, c := range all {
		if got := 1.05 / (luminance(legible(c)) + 0.05); got < 4.5 {
			t.Errorf("text in %v: contrast %.2f to white, want at least 4.5", c, got)
		}
		if got := (luminance(onDark(c)) + 0.05) / (luminance(hex(0x15181c)) + 0.05); got < 3 {
			t.Errorf("%v: contrast %.2f to the dark page, want at least 3", c, got)
		}
	}
	if legible(black) != black || onDark(white) != white {
		t.Error("a colour that can be read was changed")
	}
}

// Questions may ask for each figure that can be drawn, and for no others.
func TestFiguresAgree(t *testing.T) {
	if asked := slices.Sorted(slices.Values(experiments.Figures)); !slices.Equal(asked, Names()) {
		t.Errorf("a question may ask for %q, and %q can be drawn", asked, Names())
	}
}

// No curve of the paper loses points when it is drawn, and each has points to the end.
func TestPaperCurves(t *testing.T) {
	for net, splits := range paperCurves() {
		for _, split := range []string{"train", "test"} {
			c := splits[split]
			if got := merge([][]record.Point{c}); len(c) < 20 || len(got) != len(c) || got[len(got)-1].step != float64(c[len(c)-1].Step) {
				t.Errorf("%s, %s: %d of %d points are drawn", net, split, len(got), len(c))
			}
		}
	}
}
