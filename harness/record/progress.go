// Progress of the runs: a bar on a terminal, plain lines elsewhere.

package record

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Metric is what the progress bar shows about a step. NaN means unknown.
type Metric struct {
	Rate, Loss float64
	Error      float64 // percent
}

// Progress shows the progress of a question: on a terminal a bar for the current runs,
// elsewhere plain lines. It is safe for concurrent use.
type Progress struct {
	// Every is the minimum time between two plain lines about training. Tests, warnings
	// and ends are always written. 0 writes a line for each "train" event.
	Every time.Duration

	bar   io.Writer // the terminal, or nil
	width func() int
	lines []io.Writer // plain lines are written to all of these
	now   func() time.Time

	mu    sync.Mutex
	runs  []*Shown // current runs
	drawn time.Time
	pb    *progressbar.ProgressBar
}

// Terminal is a file, or a wrapper around one, that may be a terminal.
type Terminal interface {
	io.Writer
	Fd() uintptr
}

// Shown is the display of one current run. Call Step as often as you like, and Event for
// each recorded event.
type Shown struct {
	p       *Progress
	run, of int
	start   Start
	rec     RunRecord // the record, from the run's beginning
	left    func(imagesPerS float64) time.Duration
	step    int
	metric  Metric
	test    float64 // latest test error, percent; NaN before the first test
	set     string
	began   time.Time
	printed time.Time
	marks   []mark        // recent times and steps, to compute the speed; without the time of tests
	tested  mark          // end of the last test
	testing time.Duration // time of tests that slower does not contain yet
	slower  float64       // time of training and tests over that of training, between the last two tests
}

type mark struct {
	at   time.Time
	step int
}

const (
	redraw = 100 * time.Millisecond // at most ten times a second
	window = 20 * time.Second       // the speed is averaged over this time
)

// NewProgress shows a bar on out if out is a terminal that can move its cursor, else
// plain lines. Plain lines also go to log, which may be nil. Errors of writing to either
// are ignored. now is the clock of speeds and of the time left: one that stands while the process is
// stopped (train.Now).
func NewProgress(out Terminal, log io.Writer, now func() time.Time) *Progress {
	p := &Progress{Every: 15 * time.Second, now: now}
	if log != nil {
		p.lines = append(p.lines, log)
	}
	fd := int(out.Fd())
	if t := os.Getenv("TERM"); term.IsTerminal(fd) && t != "dumb" && t != "" {
		p.bar = out
		p.width = func() int {
			if w, _, err := term.GetSize(fd); err == nil && w > 0 {
				return w
			}
			return 80
		}
	} else {
		p.lines = append(p.lines, out)
	}
	return p
}

// Begin starts the display of a run, number run of of, that has done steps already. rec
// is its record so far. left returns the time for the runs that have not begun, if they
// train one at a time at imagesPerS; nil if unknown.
func (p *Progress) Begin(run, of int, rec RunRecord, done int, left func(imagesPerS float64) time.Duration) *Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	nan, now := math.NaN(), p.now()
	r := &Shown{
		p: p, run: run, of: of, start: rec.Start, rec: rec, left: left, step: done,
		metric: Metric{nan, nan, nan}, test: nan, began: now, printed: now, marks: []mark{{now, done}}, slower: 1,
	}
	p.clear()
	p.runs = append(p.runs, r)
	p.draw()
	from := ""
	if done > 0 {
		from = fmt.Sprintf(", resumes after step %d", done)
	}
	p.print(fmt.Sprintf("%s: begins, %d steps%s", r.name(), r.start.Steps, from))
	return r
}

// Step reports that step steps are done. NaNs in m keep the former value. A call is very
// cheap if the display was drawn a moment ago.
func (r *Shown) Step(step int, m Metric) {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	r.step = step
	r.metric = Metric{known(m.Rate, r.metric.Rate), known(m.Loss, r.metric.Loss), known(m.Error, r.metric.Error)}
	now := p.now()
	if now.Sub(p.drawn) < redraw && step < r.start.Steps {
		return
	}
	r.mark(now)
	p.drawn = now
	p.draw()
}

// Event shows a recorded event. Lines about it are written above the bar.
func (r *Shown) Event(e Event) error {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	r.rec.Events = append(r.rec.Events, e)
	switch e.Kind {
	case "train":
		r.step = e.Step
		r.metric = Metric{e.Rate, number(e.Loss), number(e.Error)}
		r.mark(now)
		if now.Sub(r.printed) >= p.Every || e.Step == r.start.Steps {
			r.printed = now
			p.print(r.name() + ": " + strings.Join(r.status(), ", "))
		}
	case "rate":
		r.metric.Rate = e.Rate
		p.print(fmt.Sprintf("%s: step %d, rate is now %g", r.name(), e.Step, e.Rate))
	case "eval":
		r.skipTest(now)
		r.test, r.set = number(e.Error), e.Set
		p.print(fmt.Sprintf("%s: step %d, %s error %.2f %%", r.name(), e.Step, e.Set, r.test))
	case "full":
		p.print(fmt.Sprintf("%s: step %d, full training error %.2f %%", r.name(), e.Step, number(e.Error)))
	case "warn":
		p.say(fmt.Sprintf("%s: step %d, warning: %s", r.name(), e.Step, e.Text))
	case "over":
		p.say(fmt.Sprintf("%s: step %d, %s", r.name(), e.Step, e.Text))
	case "stop":
		p.say(fmt.Sprintf("%s: stopped at step %d: %s", r.name(), e.Step, e.Text))
		p.end(r)
	case "end":
		s := fmt.Sprintf("%s: finished", r.name())
		if train, ok := r.rec.FinalTrain(); ok {
			s += fmt.Sprintf(", training error %.2f %%", train)
		}
		if !math.IsNaN(r.test) {
			s += fmt.Sprintf(", %s error %.2f %%", r.set, r.test)
		}
		p.say(s + ", took " + clock(now.Sub(r.began)))
		p.end(r)
	}
	return nil
}

// Close removes the run from the display, whatever its outcome.
func (r *Shown) Close() {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.p.end(r)
}

func (p *Progress) end(r *Shown) {
	p.clear()
	p.runs = slices.DeleteFunc(p.runs, func(x *Shown) bool { return x == r })
	p.draw()
}

// Close removes all runs from the display.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.runs = nil
}

// Aside removes the bar while f writes to the terminal.
func (p *Progress) Aside(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	f()
	p.draw()
}

func known(x, otherwise float64) float64 {
	if math.IsNaN(x) {
		return otherwise
	}
	return x
}

func number(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

// name identifies the run: "2/8 plain-20 seed 0".
func (r *Shown) name() string {
	return fmt.Sprintf("%d/%d %s seed %d", r.run, r.of, r.start.Label(), r.start.Seed)
}

// mark records the step to compute the speed, and drops marks that are too old.
func (r *Shown) mark(now time.Time) {
	last := r.marks[len(r.marks)-1]
	if r.step <= last.step {
		return
	}
	if len(r.marks) > 1 && now.Sub(r.marks[len(r.marks)-2].at) < redraw {
		r.marks = r.marks[:len(r.marks)-1]
	}
	r.marks = append(r.marks, mark{now, r.step})
	for len(r.marks) > 2 && now.Sub(r.marks[1].at) > window {
		r.marks = r.marks[1:]
	}
}

// skipTest leaves the time since the last step, which a test took, out of the speed. It measures
// how much tests slow the run down.
func (r *Shown) skipTest(now time.Time) {
	took := now.Sub(r.marks[len(r.marks)-1].at)
	for i := range r.marks {
		r.marks[i].at = r.marks[i].at.Add(took)
	}
	r.testing += took
	if r.step == r.tested.step { // of another set of images: it counts with the next test
		return
	}
	if whole := now.Sub(r.tested.at); r.tested.step > 0 && whole > r.testing {
		r.slower = float64(whole) / float64(whole-r.testing)
	}
	r.tested, r.testing = mark{now, r.step}, 0
}

// speed is that of training, in images per second, 0 if unknown.
func (r *Shown) speed() float64 {
	a, b := r.marks[0], r.marks[len(r.marks)-1]
	if s := b.at.Sub(a.at).Seconds(); s > 0 {
		return float64((b.step-a.step)*r.start.Batch) / s
	}
	return 0
}

// rest is the remaining time of the run at this speed, with its tests.
func (r *Shown) rest(imagesPerS float64) time.Duration {
	return time.Duration(float64((r.start.Steps-r.step)*r.start.Batch) / imagesPerS * r.slower * float64(time.Second))
}

// status lists what is known about the run, the most important first.
func (r *Shown) status() []string {
	parts := []string{fmt.Sprintf("step %d/%d", r.step, r.start.Steps)}
	add := func(format string, x float64) {
		if !math.IsNaN(x) {
			parts = append(parts, fmt.Sprintf(format, x))
		}
	}
	add("running error %.2f %%", r.metric.Error)
	v := r.speed()
	if v > 0 {
		run := r.rest(v)
		parts = append(parts, clock(run)+" left")
		if r.left != nil && r.run < r.of {
			all := r.left(v / r.slower)
			for _, x := range r.p.runs {
				all += x.rest(cmp.Or(x.speed(), v))
			}
			parts = append(parts, clock(all/time.Duration(max(1, len(r.p.runs))))+" for all")
		}
	}
	add("loss %.4f", r.metric.Loss)
	if v > 0 {
		add("%.0f images/s", v)
	}
	add("rate %g", r.metric.Rate)
	return parts
}

// clock formats a duration for people: "42s", "3m05s", "2h07m".
func clock(d time.Duration) string {
	s := int(math.Round(max(d, 0).Seconds()))
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
}

// draw redraws the bar with as much of the status as fits on one line, because a line
// that wraps could not be redrawn. For several runs it shows the sum of their steps and
// the most important part of each status.
func (p *Progress) draw() {
	const bar = 22 // width of "100% [........]" and a margin
	if p.bar == nil || len(p.runs) == 0 || p.width() < bar {
		return
	}
	room := p.width() - bar
	steps, done, speed := 0, 0, 0.0
	var words []string
	for _, r := range p.runs {
		steps, done, speed = steps+r.start.Steps, done+r.step, speed+r.speed()
		parts := r.status()
		words = append(words, r.name()+" "+strings.Join(parts[:min(2, len(parts))], ", "))
	}
	separator := "; "
	if len(p.runs) == 1 {
		separator, words = ", ", append([]string{p.runs[0].name()}, p.runs[0].status()...)
	} else if speed > 0 {
		words = slices.Insert(words, 0, fmt.Sprintf("%.0f images/s", speed))
	}
	if p.pb == nil {
		p.pb = progressbar.NewOptions(steps,
			progressbar.OptionSetWriter(p.bar),
			progressbar.OptionSetWidth(8), // OptionFullWidth would assume 80 columns for a writer that is no file
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetTheme(progressbar.ThemeASCII))
	}
	text := words[0]
	for _, s := range words[1:] {
		if len(text)+len(separator)+len(s) > room {
			break
		}
		text += separator + s
	}
	if len(text) > room {
		text = text[:room]
	}
	p.pb.Set(min(done, steps-1)) // a full bar would end its line and could not be redrawn
	p.pb.Describe(text)
}

func (p *Progress) clear() {
	if p.pb != nil {
		p.pb.Clear()
	}
	p.pb = nil
}

// print writes a plain line to all writers of plain lines.
func (p *Progress) print(line string) {
	for _, w := range p.lines {
		fmt.Fprintln(w, line)
	}
}

// say writes a line that should also stay visible on the terminal.
func (p *Progress) say(line string) {
	if p.pb != nil {
		p.clear()
		fmt.Fprintln(p.bar, line)
		p.draw()
	}
	p.print(line)
}
