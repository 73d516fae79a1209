// Tests of the live pages, also in a real browser.

package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/plots/report/browser"
)

// results is a results folder with one question.
type results struct {
	t    testing.TB
	dir  string
	view store.View
	plan *experiments.Plan
}

func newResults(t testing.TB, title string, nets, seeds int) results {
	t.Helper()
	dir := t.TempDir()
	r := results{t, dir, store.Store(dir).View("asked", "default"), nil}
	var names, numbers []string
	for i := range nets {
		names = append(names, fmt.Sprintf("plain-%d", 8+6*i))
	}
	for i := range seeds {
		numbers = append(numbers, fmt.Sprint(i))
	}
	quoted, _ := json.Marshal(title)
	text := fmt.Sprintf(`question: %s
nets: [%s]
data: preview
batch: 64
input: {pad: 2}
schedule: {at: [], stop: 1000 steps, warmup: none}
log: 10 steps
evaluate: 100 steps
seeds: [%s]
`, quoted, strings.Join(names, ", "), strings.Join(numbers, ", "))
	r.write(r.view.Question(), text)
	q, err := experiments.Load(r.view.Question())
	if err != nil {
		t.Fatal(err)
	}
	r.plan = q.Plans[0]
	var entries []store.Entry
	for i, run := range r.plan.Runs {
		entries = append(entries, store.Entry{ID: run.ID, Run: fmt.Sprintf("%s-%012x", run.Name(), i)})
	}
	if err := r.view.Write("asked.yaml", entries); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r results) write(path, text string) {
	r.t.Helper()
	if err := disk.Write(path, []byte(text)); err != nil {
		r.t.Fatal(err)
	}
}

// folder is the folder of run i.
func (r results) folder(i int) store.Folder {
	return r.view.Folder(store.Entry{Run: fmt.Sprintf("%s-%012x", r.plan.Runs[i].Name(), i)})
}

// train appends the events of steps after+1 to until to the record of run i.
func (r results) train(i, after, until int) {
	r.t.Helper()
	run := r.plan.Runs[i]
	path := r.folder(i).Record()
	if err := disk.MakeDir(filepath.Dir(path)); err != nil {
		r.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	lines := json.NewEncoder(f)
	say := func(e record.Event) {
		if err := lines.Encode(e); err != nil {
			r.t.Fatal(err)
		}
	}
	if after == 0 {
		depth := 0
		fmt.Sscanf(run.Net, "plain-%d", &depth)
		say(record.Event{Kind: "start", Start: &record.Start{ID: run.ID, Net: run.Net, Depth: depth, Seed: run.Seed, Steps: 1000, Batch: 64, Data: "preview set", DataSet: "preview", Precision: "fp32", Device: "ref", Caveats: []string{"preview data"}}})
	}
	for step := after/10*10 + 10; step <= until; step += 10 {
		e := 90 - float64(step)/20 + float64(i)/100
		loss := e / 30
		say(record.Event{Kind: "train", Step: step, Error: &e, Loss: &loss, ImagesPerS: 640, Seconds: float64(step) / 10})
		if step%100 == 0 {
			test := e + 5
			say(record.Event{Kind: "gradients", Step: step, Layers: []float64{1, 0.1, 0.01}})
			say(record.Event{Kind: "eval", Step: step, Set: "test", Error: &test})
		}
	}
	if until == 1000 {
		say(record.Event{Kind: "end", Step: until})
	}
}

func (r results) server() *Server {
	return &Server{Dir: r.dir, Find: func(string) ([]store.View, error) {
		if _, err := os.Stat(string(r.view)); err != nil {
			return nil, nil
		}
		return []store.View{r.view}, nil
	}, See: func(p *experiments.Plan, run experiments.Run, made *store.Provenance, st record.Start) (record.Start, error) {
		st.ID = run.ID
		return st, nil
	}}
}

// get sends a request as a browser on this machine does.
func get(s http.Handler, path string) (int, string) {
	r := httptest.NewRequest("GET", "http://localhost"+path, nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestLiveInBrowser(t *testing.T) {
	const hostile = `Is it </script><img src=x onerror=alert(1)> "quoted" & told?`
	r := newResults(t, hostile, 2, 2)
	run := func(id string) int {
		return slices.IndexFunc(r.plan.Runs, func(run experiments.Run) bool { return run.ID == id })
	}
	r.train(run("plain-8-seed0"), 0, 1000)
	r.train(run("plain-8-seed1"), 0, 300)
	r.write(r.view.Log(), "first <b>message</b>\n")
	serving := httptest.NewServer(r.server())
	defer serving.Close()
	b := browser.Open(t, 1200, 900)
	b.Go(serving.URL)
	if got := b.Text("document.querySelector('.questions').textContent"); !strings.Contains(got, "asked/default "+hostile) || !strings.Contains(got, "4 runs, 1 finished, 1 interrupted, 2 waiting") {
		t.Errorf("the index has %q", got)
	}
	b.Go(serving.URL + "/q/asked/default/")
	if got := b.Text("document.querySelector('h1').textContent"); got != hostile {
		t.Errorf("title %q", got)
	}
	b.Wait("document.querySelectorAll('#nets tr').length === 1 && document.querySelector('#curve-panels canvas')")
	b.Text("document.querySelector('input[name=seeds]').click()")
	runs := "document.querySelector('[data-section=runs]').textContent"
	if got := b.Text(runs); !strings.Contains(got, "300 of 1000") || !strings.Contains(got, "waiting") {
		t.Errorf("runs: %q", got)
	}
	log := "document.querySelector('[data-section=log]').textContent"
	if got := b.Text(log); !strings.Contains(got, "first <b>message</b>") {
		t.Errorf("messages: %q", got)
	}

	// What is written appears on the page.
	at := "document.querySelector('#curve-panels .u-over').getBoundingClientRect()"
	b.Text("document.querySelector('#curve-panels').scrollIntoView()")
	r.train(run("plain-8-seed1"), 300, 800)
	r.train(run("plain-14-seed0"), 0, 500)
	r.write(r.view.Log(), "first <b>message</b>\nsecond message\n")
	b.Wait(runs + ".includes('800 of 1000')")
	b.Wait(log + ".includes('second message')")
	b.Wait("document.querySelectorAll('#nets tr').length === 2")
	b.Hover(b.Number(at+".left")+0.795*b.Number(at+".width"), b.Number(at+".top")+b.Number(at+".height")*0.1)
	b.Wait("document.querySelector('.tip:not([hidden])')")
	if got := b.Text("document.querySelector('.tip').textContent"); !regexp.MustCompile(`test error 55\.0\d %, iteration 800`).MatchString(got) {
		t.Errorf("shown: %q", got)
	}

	// If the folder is removed, the page says so; if it returns, the page shows it again.
	if err := os.Rename(string(r.view), string(r.view)+".gone"); err != nil {
		t.Fatal(err)
	}
	b.Wait("document.querySelector('#live').textContent.includes('folder is gone')")
	if err := os.Rename(string(r.view)+".gone", string(r.view)); err != nil {
		t.Fatal(err)
	}
	b.Wait("!document.querySelector('#live').textContent.includes('folder is gone')")
	if got := b.Text("document.querySelectorAll('img, [onerror]').length + document.scripts.length"); got != "3" {
		t.Errorf("%s images and scripts, want the page's 3 scripts", got)
	}
	if errs := b.Errors(); slices.ContainsFunc(errs, func(e string) bool { return !strings.Contains(e, "404") }) {
		t.Errorf("errors: %q", errs)
	}
	b.Expected()
}

func TestServerAnswersOnlyWhatItHas(t *testing.T) {
	r := newResults(t, "Is it safe?", 1, 1)
	r.train(0, 0, 100)
	secret := filepath.Join(filepath.Dir(r.dir), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, r.view.Log()); err != nil {
		t.Fatal(err)
	}
	s := r.server()
	for path, want := range map[string]int{
		"/": 200, "/news": 200, "/q/asked/default/": 200, "/q/asked/default": 301, "/q/asked/default/news": 200, "/q/asked/default/news?since=x": 200,
		"/q/asked/other/": 404, "/q/asked/other/news": 404, "/q/../../secret": 404, "/q/%2e%2e/%2e%2e/secret/": 404, "/secret": 404, "/q/asked/default/../../../secret": 404,
		"/q/asked/default/question.yaml": 404, "//etc/passwd": 404, "/q/" + strings.Repeat("a/", 3000): 404,
	} {
		code, text := get(s, path)
		if code != want || strings.Contains(text, "secret") {
			t.Errorf("%.60s: %d, want %d\n%.200s", path, code, want, text)
		}
	}
	for _, c := range []struct {
		method, host string
		anyone       bool
		want         int
	}{
		{"GET", "127.0.0.1:6107", false, 200}, {"GET", "localhost", false, 200}, {"GET", "[::1]:6107", false, 200}, {"HEAD", "127.0.0.1", false, 200},
		{"GET", "evil.example", false, 403}, {"GET", "evil.example:6107", false, 403}, {"GET", "localhost.evil.example", false, 403}, {"GET", "", false, 403},
		{"GET", "a-cluster", true, 200}, {"POST", "localhost", false, 405}, {"DELETE", "localhost", true, 405},
	} {
		s.Anyone = c.anyone
		q := httptest.NewRequest(c.method, "/", nil)
		q.Host = c.host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		if w.Code != c.want {
			t.Errorf("%s of %q: %d, want %d", c.method, c.host, w.Code, c.want)
		}
		if h := w.Header(); h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("headers %v", h)
		}
	}
}

// told requests news.
func told(t testing.TB, s *Server, since string) (n struct {
	Now      string
	Sections map[string]string
	Names    []string
	Plot     struct{ Nets []struct{ Name string } }
}) {
	t.Helper()
	code, text := get(s, "/q/asked/default/news?since="+since)
	if err := json.Unmarshal([]byte(text), &n); code != 200 || err != nil {
		t.Fatal(code, text, err)
	}
	return n
}

func TestNewsIsWhatIsNew(t *testing.T) {
	r := newResults(t, "What is new?", 3, 2)
	for i := range r.plan.Runs {
		r.train(i, 0, 200)
	}
	s := r.server()
	first := told(t, s, "")
	if len(first.Plot.Nets) != 3 || len(first.Sections) != 10 || len(first.Names) != 3 {
		t.Errorf("at first %d nets and %d sections", len(first.Plot.Nets), len(first.Sections))
	}
	if n := told(t, s, first.Now); len(n.Plot.Nets) != 0 || len(n.Sections) != 0 || n.Now != first.Now {
		t.Errorf("news without a change: %v", n)
	}
	r.train(3, 200, 300)
	n := told(t, s, first.Now)
	if len(n.Plot.Nets) != 1 || n.Plot.Nets[0].Name != r.plan.Runs[3].Net || len(n.Names) != 3 || n.Sections["runs"] == "" {
		t.Errorf("news after a change of one run: %v", n)
	}
	// Another page with an older state gets the same news. A page of an earlier server gets all nets.
	if again := told(t, s, first.Now); len(again.Plot.Nets) != 1 {
		t.Errorf("another page gets %d nets, want 1", len(again.Plot.Nets))
	}
	if again := told(t, r.server(), n.Now); len(again.Plot.Nets) != 3 {
		t.Errorf("a page of an earlier server gets %d nets, want 3", len(again.Plot.Nets))
	}
	// With a damaged record, or a question that cannot be read, everything else is still shown.
	r.write(r.folder(0).Record(), "nonsense\n")
	if n := told(t, s, ""); len(n.Plot.Nets) != 3 || !strings.Contains(n.Sections["runs"], "record.jsonl:1") {
		t.Errorf("with a damaged record: %v", n)
	}
	r.write(r.view.Question(), "question: [\n")
	if n := told(t, s, ""); !strings.Contains(n.Sections["notes"], "question.yaml") || !strings.Contains(n.Sections["runs"], r.plan.Runs[5].ID) {
		t.Errorf("with a damaged question: %v", n)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	if code, text := get(s, "/news"); code != 200 || !strings.Contains(text, "it does not exist") {
		t.Errorf("without the folder: %d %s", code, text)
	}
}

// The page never claims what is not known: whether the recipe is the paper's, while no run has a record
// or the question cannot be read.
func TestRecipeIsLive(t *testing.T) {
	r := newResults(t, "How is it trained?", 1, 1)
	text, err := os.ReadFile(r.view.Question())
	if err != nil {
		t.Fatal(err)
	}
	s := r.server()
	now := ""
	for _, c := range []struct {
		name                     string
		change                   func()
		recipe, answer, commands string
	}{
		{"no run has begun", func() {}, "is listed here when a run has begun", "No results to show yet.", "./run.sh plan"},
		{"the question cannot be read", func() { r.write(r.view.Question(), "question: [\n") }, "Not known.", "No results to show yet.", ""},
		{"it can be read again", func() { r.write(r.view.Question(), string(text)) }, "is listed here when a run has begun", "No results to show yet.", "./run.sh plan"},
		{"a run has begun", func() { r.train(0, 0, 100) }, "<li>preview data</li>", "<th scope=\"row\">plain-8</th>", "./run.sh plan"},
	} {
		c.change()
		fresh, all := told(t, s, now), told(t, s, "").Sections
		if fresh.Sections["recipe"] != all["recipe"] {
			t.Errorf("%s: the recipe is no news: %q", c.name, fresh.Sections["recipe"])
		}
		now = fresh.Now
		_, page := get(s, "/q/asked/default/")
		for section, want := range map[string]string{"recipe": c.recipe, "answer": c.answer, "commands": c.commands} {
			if !strings.Contains(all[section], want) || !strings.Contains(page, all[section]) {
				t.Errorf("%s: %s: %q, want %q, and the same in the page", c.name, section, all[section], want)
			}
		}
	}
}

// BenchmarkThousandRuns requests each path of a server with a thousand runs while one of them is
// trained. A reply should take less than 200 ms.
func BenchmarkThousandRuns(b *testing.B) {
	r := newResults(b, "How many?", 20, 50)
	for i := range r.plan.Runs {
		r.train(i, 0, 990)
	}
	s := r.server()
	if n, err := s.Refresh(); n != 1000 || err != nil {
		b.Fatal(n, err)
	}
	now := told(b, s, "").Now
	for _, path := range []string{"/", "/news", "/q/asked/default/", "/q/asked/default/news", "/q/asked/default/news?since=" + now} {
		b.Run(path, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				r.train(i%1000, 990, 1000)
				b.StartTimer()
				if code, text := get(s, path); code != 200 {
					b.Fatal(code, text)
				}
				b.StopTimer()
				if err := record.Truncate(r.folder(i%1000).Record(), 990, false); err != nil && !errors.Is(err, record.ErrEmpty) {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
