// Tests of the page, in a real browser if there is one.

package plots

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"depthlab/harness/record"
	"depthlab/plots/report"
	"depthlab/plots/report/browser"
)

// reported makes the report of made-up records.
func reported(t testing.TB, q Question, rs []*record.RunRecord) []byte {
	t.Helper()
	p, err := new(Reporter).Page(q, rs, func(string) float64 { return 390.625 })
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// crossing is a text that must never be interpreted as HTML or JavaScript.
const crossing = `</script><script>alert(1)</script><img src=x onerror=alert(2)> "'&<!-- {{.}} ${alert(3)}`

// bad is a question with only hostile texts.
func bad() (Question, []*record.RunRecord) {
	q, rs := preview()
	q.Title, q.Name = "Is it "+crossing, crossing
	for i := range rs {
		s := &rs[i].Start
		s.Variant, s.Device, s.Caveats = crossing, crossing, []string{crossing}
		s.ID += crossing
		rs[i].Events = append(rs[i].Events, record.Event{Kind: "stop", Step: s.Steps, Text: crossing})
	}
	return q, rs
}

// Texts stay text: none of them becomes an element of the page.
func TestReportEscapes(t *testing.T) {
	text := string(reported(t, func() Question { q, _ := bad(); return q }(), func() []*record.RunRecord { _, rs := bad(); return rs }()))
	for _, wrong := range []string{"<script>alert", "<img", "</script><script>a", "<!-- {{"} {
		if strings.Contains(text, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
	if n := strings.Count(text, "<script"); n != 3 {
		t.Errorf("%d scripts, want the data, uPlot and the page's own", n)
	}
	if want := html.EscapeString("</script><script>alert(1)"); !strings.Contains(text, want) {
		t.Errorf("the page lacks %q", want)
	}
}

// save writes a report to a new file and returns its address.
func save(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

var shown = regexp.MustCompile(`^(.*?)((?:training|test) error) ([0-9.]+) %(?: \(([0-9.]+) to ([0-9.]+)\))?, iteration ([0-9,]+)$`)

// checkShown checks that a chart shows a value that the records have, of a net of that
// family.
func checkShown(t *testing.T, text string, nets []*net) {
	t.Helper()
	m := shown.FindStringSubmatch(text)
	if m == nil {
		t.Errorf("shown: %q", text)
		return
	}
	for _, n := range nets {
		if n.Label() != m[1] {
			continue
		}
		var curves [][]record.Point
		for _, r := range n.done {
			curves = append(curves, map[string]func() []record.Point{"training error": r.TrainCurve, "test error": r.TestCurve}[m[2]]())
		}
		for _, p := range merge(curves) {
			if thousands(int(p.step)) == m[6] {
				if percent(p.mean, "") != m[3] {
					t.Errorf("shown: %q; the records have %v", text, p)
				}
				for at, want := range map[string]float64{m[4]: p.lo, m[5]: p.hi} {
					if got, err := strconv.ParseFloat(at, 64); at != "" && (err != nil || math.Abs(got-want) > 0.001*want) {
						t.Errorf("shown: %q; the records have %v", text, p)
					}
				}
				return
			}
		}
	}
	t.Errorf("shown: %q, which no record has", text)
}

func TestReportInBrowser(t *testing.T) {
	q, rs := preview()
	nets, err := group(rs)
	if err != nil {
		t.Fatal(err)
	}
	b := browser.Open(t, 1200, 900)
	b.Go(save(t, reported(t, q, rs)))
	if got := b.Text("document.querySelector('h1').textContent"); got != q.Title {
		t.Errorf("title %q", got)
	}
	if got := b.Text("[...document.querySelectorAll('section')].filter(s => !s.hidden).length"); got != "8" {
		t.Errorf("%s sections are shown", got)
	}
	// Charts are drawn: the picture of an empty canvas is small.
	for _, panels := range []string{"curve-panels", "response-panels", "gradient-panels"} {
		if n := b.Number("[...document.querySelectorAll('#" + panels + " canvas')].filter(c => c.toDataURL().length > 10000).length"); n != 2 {
			t.Errorf("%s: %v of 2 charts are drawn", panels, n)
		}
	}
	place := func(share, down float64) (x, y float64) {
		b.Text("document.querySelector('#curve-panels').scrollIntoView()")
		at := "document.querySelector('#curve-panels .u-over').getBoundingClientRect()"
		return b.Number(at+".left") + share*b.Number(at+".width"), b.Number(at+".top") + down*b.Number(at+".height")
	}
	tip := "document.querySelector('#curve-panels .tip')"
	for _, share := range []float64{0.3, 0.55, 0.9} {
		for _, down := range []float64{0.1, 0.9} {
			b.Hover(place(share, down))
			b.Wait("!" + tip + ".hidden")
			checkShown(t, b.Text(tip+".textContent"), nets)
		}
	}
	if got := b.Text("document.querySelector('#nets tr').textContent"); !regexp.MustCompile(`^plain-20[0-9.]+ %[0-9.]+ %$`).MatchString(got) {
		t.Errorf("the table of nets reads %q", got)
	}

	// With the keyboard.
	b.Do(chromedp.Focus("#curve-panels .chart"), chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.End))
	name, text, _ := strings.Cut(b.Text("document.querySelector('#spoken').textContent"), ": ")
	checkShown(t, name+text, nets)
	// + enlarges the end, where the keyboard is: the second half of the 1,200 steps. 0 shows the whole again.
	near := func(what string, want float64) {
		t.Helper()
		b.Hover(place(0.1, 0.9))
		b.Wait("!" + tip + ".hidden")
		at := b.Number("+" + tip + `.textContent.match(/iteration ([0-9,]+)$/)[1].replace(",", "")`)
		if math.Abs(at-want) > 60 {
			t.Errorf("%s: iteration %v at a tenth of the width, want about %v", what, at, want)
		}
	}
	chart := "document.querySelector('#curve-panels .chart')"
	b.Do(chromedp.KeyEvent("+"))
	near("enlarged by +", 660)
	b.Do(chromedp.KeyEvent("0"))
	near("the whole by 0", 120)
	b.Text("document.querySelector('button[value=in]').click()") // around the point at the mouse
	near("enlarged by the button", 120)
	b.Hover(place(0.9, 0.9))
	b.Text("document.querySelector('button[value=whole]').click()")
	near("the whole by the button", 120)
	b.Do(chromedp.KeyEvent(kb.Escape))
	b.Wait(tip + ".hidden && document.activeElement === " + chart)

	// Each choice is what the chart shows then.
	label := chart + ".getAttribute('aria-label')"
	picture := "document.querySelector('#curve-panels canvas').toDataURL()"
	for _, c := range []struct{ input, want string }{
		{"[value=iterations]", "Plain nets: error (%) over iterations, 6 curves."},
		{"[value=epochs]", "Plain nets: error (%) over epochs, 6 curves."},
		{"[value=loss]", "Plain nets: loss over epochs, 3 curves."}, // of training
		{"[value=log]", "Plain nets: loss over epochs, 3 curves."},
		{"[name=seeds]", "Plain nets: loss over epochs, 9 curves."},
		{"[value=error]", "Plain nets: error (%) over epochs, 18 curves."},
		{"[name=train]", "Plain nets: error (%) over epochs, 9 curves."},
	} {
		before := b.Text(picture)
		b.Text("document.querySelector('#curves input" + c.input + "').click()")
		if got := b.Text(label); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: the chart is %q, want %q", c.input, got, c.want)
		}
		if changed := b.Text(picture) != before; changed != (c.input != "[value=iterations]") {
			t.Errorf("%s: the picture changed: %v", c.input, changed)
		}
	}
	sorted := "document.querySelector('#response-panels .chart').getAttribute('aria-label')"
	b.Text("document.querySelector('input[value=size]').click()")
	if got := b.Text(sorted); !strings.HasPrefix(got, "Plain nets: standard deviation over layers, the largest first, 3 curves.") {
		t.Errorf("sorted responses are %q", got)
	}

	// A hidden net is not drawn. What was not recorded cannot be chosen.
	inks := "document.querySelector('#curve-panels canvas').toDataURL().length"
	before := b.Number(inks)
	for range 3 {
		b.Text("[...document.querySelectorAll('#nets input')].find(i => i.checked).click()")
	}
	if after := b.Number(inks); after > before/2 {
		t.Errorf("a picture of %v bytes without nets, of %v with", after, before)
	}
	if got := b.Text("document.querySelector('input[value=hours]').disabled + ' ' + document.querySelector('input[name=paper]').disabled"); got != "true true" {
		t.Errorf("hours and the paper's curves cannot be chosen: %s", got)
	}
}

// Steps at which the rate was lowered are marked only where all nets come to a step at the
// same place: not over hours, and over epochs only if these have equal numbers of steps.
// The legend names what is drawn.
func TestMarksInBrowser(t *testing.T) {
	q, rs := paperRun()
	for _, r := range rs {
		for i := range r.Events {
			r.Events[i].Seconds = float64(r.Events[i].Step*r.Start.Depth) / 100
		}
	}
	b := browser.Open(t, 1200, 900)
	for _, c := range []struct {
		epoch         func(id string) float64
		over          string
		dotted, faint bool
	}{
		{func(string) float64 { return 390 }, "iterations", true, true},
		{func(string) float64 { return 390 }, "epochs", true, true},
		{func(id string) float64 { return float64(300 + len(id)) }, "epochs", false, true},
		{func(string) float64 { return 390 }, "hours", false, false},
	} {
		p, err := new(Reporter).Page(q, rs, c.epoch)
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if err := report.Write(&page, p); err != nil {
			t.Fatal(err)
		}
		b.Go(save(t, page.Bytes()))
		b.Text("document.querySelector('input[value=" + c.over + "]').click()")
		legend := b.Text("document.querySelector('#curve-legend').textContent")
		if got := strings.Contains(legend, "Dotted verticals"); got != c.dotted {
			t.Errorf("over %s: rates in the legend: %v, want %v: %q", c.over, got, c.dotted, legend)
		}
		if got := strings.Contains(legend, "Faint: He et al. 2015"); got != c.faint {
			t.Errorf("over %s: the paper in the legend: %v, want %v: %q", c.over, got, c.faint, legend)
		}
	}
}

func TestHostileReportInBrowser(t *testing.T) {
	q, rs := bad()
	b := browser.Open(t, 1200, 900)
	b.Go(save(t, reported(t, q, rs)))
	if got := b.Text("document.querySelector('h1').textContent"); got != q.Title {
		t.Errorf("title %q, want %q", got, q.Title)
	}
	if got := b.Text("document.querySelector('#nets label').textContent"); !strings.Contains(got, crossing) {
		t.Errorf("net %q", got)
	}
	if got := b.Text("document.querySelectorAll('img, [onerror]').length + document.scripts.length"); got != "3" {
		t.Errorf("%s elements of its own, want 3 scripts", got)
	}
}

// large is the paper's nine nets with five seeds, 64,000 steps logged every tenth:
// 288,000 points.
func large(t testing.TB) []byte {
	_, once := paperRun()
	var rs []*record.RunRecord
	for _, r := range once {
		for seed := range uint64(5) {
			s := r.Start
			s.Seed, s.ID = seed, fmt.Sprintf("%s-seed%d", s.Net, seed)
			rs = append(rs, fake(shape{start: s, train: 1, test: 8}, 10, 391))
		}
	}
	return reported(t, Question{Name: "large", Title: "Is it small?"}, rs)
}

func TestReportOfALargeRecordIsSmall(t *testing.T) {
	if n := len(large(t)); n > 3<<20 {
		t.Errorf("%d bytes, want at most 3 MB", n)
	}
}

// BenchmarkReport opens that report in a browser. drawn-ms is the time from the request
// to the end of the page's script; it should be less than 2,000.
func BenchmarkReport(b *testing.B) {
	address := save(b, large(b))
	tab := browser.Open(b, 1200, 900)
	sum := 0.0
	for b.Loop() {
		tab.Go(address)
		sum += tab.Number("document.documentElement.dataset.drawn")
	}
	b.ReportMetric(sum/float64(b.N), "drawn-ms")
}

func TestThinWholeKeepsPointsAndExtremes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var ps []point
	have := map[point]bool{}
	for i := range 10000 {
		y := rng.Float64() * 100
		p := point{float64(i + 1), y, y - rng.Float64(), y + rng.Float64()}
		ps, have[p] = append(ps, p), true
	}
	got := thinWhole(ps, 10000, 100)
	if len(got) > 4*101+1 || got[len(got)-1] != ps[9999] {
		t.Fatal(len(got), got[len(got)-1])
	}
	for i, p := range got {
		if !have[p] || i > 0 && p.step <= got[i-1].step {
			t.Fatalf("%v was no point, or its step comes again", p)
		}
	}
	least := slices.MinFunc(got, func(a, b point) int { return cmp.Compare(a.lo, b.lo) }).lo
	most := slices.MaxFunc(got, func(a, b point) int { return cmp.Compare(a.hi, b.hi) }).hi
	if wantLo := slices.MinFunc(ps, func(a, b point) int { return cmp.Compare(a.lo, b.lo) }).lo; least != wantLo {
		t.Errorf("lowest %v, want %v", least, wantLo)
	}
	if wantHi := slices.MaxFunc(ps, func(a, b point) int { return cmp.Compare(a.hi, b.hi) }).hi; most != wantHi {
		t.Errorf("highest %v, want %v", most, wantHi)
	}
}

// Nothing is made again unless a record changed.
func TestReporterRemembers(t *testing.T) {
	q, rs := preview()
	r := new(Reporter)
	calls := 0
	epoch := func(string) float64 { calls++; return 1 }
	for _, want := range []int{6, 6, 7} {
		if want == 7 {
			again := *rs[0]
			rs[0] = &again
		}
		p, err := r.Page(q, rs, epoch)
		if err != nil || len(p.Plot.Nets) != 6 || len(p.Runs) != len(rs) {
			t.Fatal(len(p.Plot.Nets), len(p.Runs), err)
		}
		if calls != want {
			t.Errorf("%d nets were made, want %d", calls, want)
		}
	}
}

// A net's row depends on another net in one way: a net of the paper of 2016 brings that
// paper's numbers.
func TestReporterForgetsThePaper(t *testing.T) {
	var rs []*record.RunRecord
	for _, name := range []string{"resnet-110", "resnet-110/preact"} {
		s := start(name, 110, 0)
		s.Steps, s.Data = 100, "CIFAR-10"
		rs = append(rs, fake(shape{start: s, train: 1, test: 8}, 10, 50))
	}
	r := new(Reporter)
	for _, c := range []struct {
		runs   int
		test   string
		curves bool
	}{{1, "6.43", true}, {2, "6.61", false}, {1, "6.43", true}} {
		p, err := r.Page(Question{Name: "preactivation"}, rs[:c.runs], func(string) float64 { return 1 })
		if err != nil {
			t.Fatal(err)
		}
		if got, curves := p.Answer[0].Test.Paper, p.Plot.Nets[0].Paper != nil; got != c.test || curves != c.curves {
			t.Errorf("%d runs: the paper's error %s, curves %v; want %s, %v", c.runs, got, curves, c.test, c.curves)
		}
	}
}

// A record does not tell if its run is still going on.
func TestStates(t *testing.T) {
	_, rs := cpu()
	p, err := new(Reporter).Page(Question{Name: "states"}, rs, func(string) float64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]string{"plain-20": {"", "finished"}, "plain-56": {"stopped", "stopped"}, "resnet-20": {"", "finished"}, "resnet-56": {"unfinished", "unfinished"}}
	for i, n := range p.Plot.Nets {
		if got := [2]string{n.State, p.Runs[i].State}; got != want[n.Name] || n.Seeds[0].State != n.State {
			t.Errorf("%s: net and run are %q, its seed %q; want %q", n.Name, got, n.Seeds[0].State, want[n.Name])
		}
	}
}

// With -out, reports are written there, with pictures: light, dark, on a phone and in
// print.
func TestReportLook(t *testing.T) {
	if *out == "" {
		return
	}
	if err := os.MkdirAll(*out, 0o777); err != nil {
		t.Fatal(err)
	}
	put := func(name string, content []byte) string {
		path := filepath.Join(*out, name)
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b := browser.Open(t, 1200, 900)
	for name, make := range map[string]func() (Question, []*record.RunRecord){"paper": paperRun, "preview": preview, "cpu": cpu} {
		q, rs := make()
		address := "file://" + put(name+".html", reported(t, q, rs))
		for _, look := range []struct {
			name          string
			dark          bool
			width, height int
		}{{"light", false, 1200, 900}, {"phone", false, 390, 800}, {"dark", true, 1200, 900}} {
			b.Dark(look.dark)
			b.Size(look.width, look.height)
			b.Go(address)
			put(name+"-"+look.name+".png", b.Picture())
		}
		put(name+".pdf", b.Print())
	}
}

// The time of a run says if other runs shared the device.
func TestRunTime(t *testing.T) {
	for _, c := range []struct {
		beside []int // of its events
		want   string
	}{
		{[]int{0, 0}, "0.50 hours"},
		{[]int{0, 3, 1}, "0.50 hours, 4 at a time"},
	} {
		r := &record.RunRecord{}
		for _, n := range c.beside {
			r.Events = append(r.Events, record.Event{Kind: "train", Seconds: 1800, Beside: n})
		}
		if got := runTable(&net{open: []*record.RunRecord{r}})[0].Time; got != c.want {
			t.Errorf("%v: %q, want %q", c.beside, got, c.want)
		}
	}
}
