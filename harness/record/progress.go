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

// Metric is what a progress bar shows of a step. NaN is unknown.
type Metric struct {
	Rate, Loss float64
	Error      float64 // percent
}

// Progress shows how a question gets on: on a terminal a bar for the runs under
// way, elsewhere plain lines. It may be used by several goroutines.
type Progress struct {
	// Every is the least time between two plain lines of training; tests,
	// warnings and ends are always written. 0 writes a line per "train" event.
	Every time.Duration

	bar   io.Writer // the terminal, or nil
	width func() int
	lines []io.Writer // plain lines go here
	now   func() time.Time

	mu    sync.Mutex
	runs  []*Shown // under way
	drawn time.Time
	pb    *progressbar.ProgressBar
}

// Terminal is a file, or what stands before one, that may be a terminal.
type Terminal interface {
	io.Writer
	Fd() uintptr
}

// Shown is the display of a run under way: call Step as often as you like, and
// Event with what is recorded.
type Shown struct {
	p       *Progress
	run, of int
	start   Start
	rec     RunRecord // what is recorded, from the run's beginning
	left    func(imagesPerS float64) time.Duration
	step    int
	metric  Metric
	test    float64 // the last test error, percent; NaN
	set     string
	began   time.Time
	printed time.Time
	marks   []mark // the last moments, for the speed
}

type mark struct {
	at   time.Time
	step int
}

const (
	redraw = 100 * time.Millisecond // at most ten times a second
	window = 20 * time.Second       // speed is averaged over so much
)

// NewProgress shows a bar on out if out is a terminal that can move its
// cursor, and plain lines if it is not. Plain lines go to log in either case;
// it may be nil. What cannot be written to either is lost, and no more.
func NewProgress(out Terminal, log io.Writer) *Progress {
	p := &Progress{Every: 15 * time.Second, now: time.Now}
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

// Begin starts the display of a run, the run-th of of, which has done steps
// behind it. rec is what is recorded of it so far. left gives the time that the runs not yet begun will take if each
// trains as this one would at imagesPerS, one at a time; nil where it is not
// known.
func (p *Progress) Begin(run, of int, rec RunRecord, done int, left func(imagesPerS float64) time.Duration) *Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	nan, now := math.NaN(), p.now()
	r := &Shown{
		p: p, run: run, of: of, start: rec.Start, rec: rec, left: left, step: done,
		metric: Metric{nan, nan, nan}, test: nan, began: now, printed: now, marks: []mark{{now, done}},
	}
	p.clear()
	p.runs = append(p.runs, r)
	p.draw()
	from := ""
	if done > 0 {
		from = fmt.Sprintf(", goes on after step %d", done)
	}
	p.print(fmt.Sprintf("%s: begins, %d steps%s", r.name(), r.start.Steps, from))
	return r
}

// Step says that step steps are done. What m does not know stays as it was. A
// call costs next to nothing when the display was drawn a moment ago.
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

// Event shows what is recorded. A bar is left standing under lines about it.
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

// Close takes the run from the display, whatever became of it.
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

// Close takes all runs from the display.
func (p *Progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.runs = nil
}

// Aside calls f, which writes to the terminal, with the bar out of its way.
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

// name is "2/8 plain-20 seed 0".
func (r *Shown) name() string {
	return fmt.Sprintf("%d/%d %s seed %d", r.run, r.of, r.start.Label(), r.start.Seed)
}

// mark notes the step for the speed, and forgets what is too old for it.
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

// speed is in images per second, 0 while unknown.
func (r *Shown) speed() float64 {
	a, b := r.marks[0], r.marks[len(r.marks)-1]
	if s := b.at.Sub(a.at).Seconds(); s > 0 {
		return float64((b.step-a.step)*r.start.Batch) / s
	}
	return 0
}

// rest is the time that the run still takes at a speed.
func (r *Shown) rest(imagesPerS float64) time.Duration {
	return time.Duration(float64((r.start.Steps-r.step)*r.start.Batch) / imagesPerS * float64(time.Second))
}

// status is what is known of the run, the most telling first.
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
			all := r.left(v)
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

// clock writes a duration for people: "42s", "3m05s", "2h07m".
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

// draw redraws the bar with as much of the status as the terminal has room for:
// a line that wraps could not be drawn over. Of several runs it shows the sum
// of their steps, and of each what is most telling.
func (p *Progress) draw() {
	if p.bar == nil || len(p.runs) == 0 {
		return
	}
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
			progressbar.OptionFullWidth(),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetTheme(progressbar.ThemeASCII))
	}
	const bar = 22 // "100% [........]" and some air
	room := p.width() - bar
	text := words[0]
	for _, s := range words[1:] {
		if len(text)+len(separator)+len(s) > room {
			break
		}
		text += separator + s
	}
	if len(text) > room {
		text = text[:max(room, 0)]
	}
	p.pb.Set(min(done, steps-1)) // a full bar would end its line and be drawn no more
	p.pb.Describe(text)
}

func (p *Progress) clear() {
	if p.pb != nil {
		p.pb.Clear()
	}
	p.pb = nil
}

// print writes a plain line where plain lines go.
func (p *Progress) print(line string) {
	for _, w := range p.lines {
		fmt.Fprintln(w, line)
	}
}

// say writes a line that also a person at the terminal should see stay.
func (p *Progress) say(line string) {
	if p.pb != nil {
		p.clear()
		fmt.Fprintln(p.bar, line)
		p.draw()
	}
	p.print(line)
}
