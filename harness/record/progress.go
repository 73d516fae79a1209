package record

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Metric is what a progress bar shows of a step. NaN is unknown.
type Metric struct {
	Rate, Loss float64
	Error      float64 // percent
}

// Progress shows how a question gets on: on a terminal a bar for the run under
// way, elsewhere plain lines. Begin a run, then call Step as often as you like
// and Event with what is recorded.
type Progress struct {
	// Every is the least time between two plain lines of training; tests,
	// warnings and ends are always written. 0 writes a line per "train" event.
	Every time.Duration

	bar   io.Writer // the terminal, or nil
	width func() int
	lines []io.Writer // plain lines go here
	now   func() time.Time

	run, of int
	start   Start
	left    func(imagesPerS float64) time.Duration
	step    int
	metric  Metric
	test    float64 // the last test error, percent; NaN
	set     string
	began   time.Time
	first   int // the step that the run was begun or gone on with at
	drawn   time.Time
	printed time.Time
	pb      *progressbar.ProgressBar
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
// it may be nil.
func NewProgress(out *os.File, log io.Writer) *Progress {
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
// behind it. left gives the time that the runs after this one will take if
// this one trains at imagesPerS; nil where it is not known.
func (p *Progress) Begin(run, of int, s Start, done int, left func(imagesPerS float64) time.Duration) {
	p.clear()
	nan := math.NaN()
	p.run, p.of, p.start, p.left = run, of, s, left
	p.step, p.first = done, done
	p.metric, p.test, p.set = Metric{nan, nan, nan}, nan, ""
	p.began = p.now()
	p.drawn, p.printed = time.Time{}, p.began
	p.marks = []mark{{p.began, done}}
	p.pb = nil
	if p.bar != nil {
		p.pb = progressbar.NewOptions(s.Steps,
			progressbar.OptionSetWriter(p.bar),
			progressbar.OptionFullWidth(),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetTheme(progressbar.ThemeASCII))
		p.draw()
	}
	from := ""
	if done > 0 {
		from = fmt.Sprintf(", goes on after step %d", done)
	}
	p.print(fmt.Sprintf("%s: begins, %d steps%s", p.name(), s.Steps, from))
}

// Step says that step steps are done. What m does not know stays as it was. A
// call costs next to nothing when the display was drawn a moment ago.
func (p *Progress) Step(step int, m Metric) {
	p.step = step
	p.metric = Metric{known(m.Rate, p.metric.Rate), known(m.Loss, p.metric.Loss), known(m.Error, p.metric.Error)}
	now := p.now()
	if now.Sub(p.drawn) < redraw && step < p.start.Steps {
		return
	}
	p.drawn = now
	p.mark(now)
	p.draw()
}

// Event shows what is recorded. A bar is left standing under lines about it.
func (p *Progress) Event(e Event) error {
	now := p.now()
	switch e.Kind {
	case "train":
		p.step = e.Step
		p.metric = Metric{e.Rate, number(e.Loss), number(e.Error)}
		p.mark(now)
		if now.Sub(p.printed) >= p.Every || e.Step == p.start.Steps {
			p.printed = now
			p.print(p.name() + ": " + strings.Join(p.status(), ", "))
		}
	case "rate":
		p.metric.Rate = e.Rate
		p.print(fmt.Sprintf("%s: step %d, rate is now %g", p.name(), e.Step, e.Rate))
	case "eval":
		p.test, p.set = number(e.Error), e.Set
		p.print(fmt.Sprintf("%s: step %d, %s error %.2f %%", p.name(), e.Step, e.Set, p.test))
	case "full":
		p.print(fmt.Sprintf("%s: step %d, error on the whole %s set %.2f %%", p.name(), e.Step, e.Set, number(e.Error)))
	case "warn":
		p.say(fmt.Sprintf("%s: step %d, warning: %s", p.name(), e.Step, e.Text))
	case "stop":
		p.say(fmt.Sprintf("%s: stopped at step %d: %s", p.name(), e.Step, e.Text))
		p.clear()
	case "end":
		s := fmt.Sprintf("%s: finished", p.name())
		if !math.IsNaN(p.metric.Error) {
			s += fmt.Sprintf(", training error %.2f %%", p.metric.Error)
		}
		if !math.IsNaN(p.test) {
			s += fmt.Sprintf(", %s error %.2f %%", p.set, p.test)
		}
		p.say(s + ", took " + clock(now.Sub(p.began)))
		p.clear()
	}
	return nil
}

// Close takes the bar away, as after an interrupt.
func (p *Progress) Close() { p.clear() }

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
func (p *Progress) name() string {
	return fmt.Sprintf("%d/%d %s seed %d", p.run, p.of, p.start.Label(), p.start.Seed)
}

// mark notes the step for the speed, and forgets what is too old for it.
func (p *Progress) mark(now time.Time) {
	last := p.marks[len(p.marks)-1]
	if p.step <= last.step {
		return
	}
	if len(p.marks) > 1 && now.Sub(p.marks[len(p.marks)-2].at) < redraw {
		p.marks = p.marks[:len(p.marks)-1]
	}
	p.marks = append(p.marks, mark{now, p.step})
	for len(p.marks) > 2 && now.Sub(p.marks[1].at) > window {
		p.marks = p.marks[1:]
	}
}

// speed is in images per second, 0 while unknown.
func (p *Progress) speed() float64 {
	a, b := p.marks[0], p.marks[len(p.marks)-1]
	if s := b.at.Sub(a.at).Seconds(); s > 0 {
		return float64((b.step-a.step)*p.start.Batch) / s
	}
	return 0
}

// status is what is known of the run, the most telling first.
func (p *Progress) status() []string {
	parts := []string{fmt.Sprintf("step %d/%d", p.step, p.start.Steps)}
	add := func(format string, x float64) {
		if !math.IsNaN(x) {
			parts = append(parts, fmt.Sprintf(format, x))
		}
	}
	add("error %.2f %%", p.metric.Error)
	v := p.speed()
	if v > 0 {
		run := time.Duration(float64((p.start.Steps-p.step)*p.start.Batch) / v * float64(time.Second))
		parts = append(parts, clock(run)+" left")
		if p.left != nil && p.run < p.of {
			parts = append(parts, clock(run+p.left(v))+" for all")
		}
	}
	add("loss %.4f", p.metric.Loss)
	if v > 0 {
		add("%.0f images/s", v)
	}
	add("rate %g", p.metric.Rate)
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
// a line that wraps could not be drawn over.
func (p *Progress) draw() {
	if p.pb == nil {
		return
	}
	const bar = 22 // "100% [........]" and some air
	room := p.width() - bar
	text := p.name()
	for _, s := range p.status() {
		if len(text)+2+len(s) > room {
			break
		}
		text += ", " + s
	}
	if len(text) > room {
		text = text[:max(room, 0)]
	}
	done := p.step
	if done >= p.start.Steps { // a full bar would end its line and be drawn no more
		done = p.start.Steps - 1
	}
	p.pb.Set(done)
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
		p.pb.Clear()
		fmt.Fprintln(p.bar, line)
		p.draw()
	}
	p.print(line)
}
