// A question that is served live.

package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/plots"
	"depthlab/plots/report"
)

// watched is a question that is served live, with what was read of it.
type watched struct {
	name string
	view store.View

	question *Question // nil if it cannot be read
	listed   stamp     // of the list of its runs
	asked    stamp     // of question.yaml
	problem  error     // lists what cannot be read
	order    []*run
	byID     map[string]*run
	reporter plots.Reporter
	page     report.Page
	drawn    *Question             // the question from which page was made
	shown    []Run                 // runs from which page was made
	final    map[string]report.Run // rows of runs in page, by ID
	sections parts
	nets     map[string]netAt
	log      []string
	logged   stamp
}

// netAt is a net as it was last sent, and the time of its last change.
type netAt struct {
	net  report.Net
	text json.RawMessage
	at   int64
}

// run is one run of a question.
type run struct {
	id     string
	asked  *experiments.Run // nil if the question no longer has it
	folder store.Folder     // "" if it was never begun

	follower record.Follower
	rec      *record.RunRecord // as read
	err      error
	base     store.Status // from its files, without its lock
	status   store.Status
	origin   store.OriginRun
	made     *store.Provenance
	madeAt   stamp
	seen     *record.RunRecord // as the question sees it; nil if there is no valid record
}

// stamp is the size and modification time of a file, by which changes are detected.
type stamp struct {
	size int64
	time time.Time
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{size: -1}
	}
	return stamp{info.Size(), info.ModTime()}
}

// refresh reads the files that changed.
func (w *watched) refresh(see See) {
	w.list()
	for _, r := range w.order {
		if r.folder == "" {
			continue
		}
		rec, err := r.follower.Read()
		changed := rec != r.rec || err != nil && (r.err == nil || err.Error() != r.err.Error())
		if now := stampOf(r.folder.Provenance()); now != r.madeAt || changed {
			if now != r.madeAt {
				r.made, _ = store.ReadProvenance(r.folder)
				r.madeAt = now
			}
			changed = true
		}
		if changed || r.base.ID == "" {
			r.rec, r.err = rec, err
			steps := 0
			if r.asked != nil {
				steps = r.asked.Schedule.Stop
			}
			r.base = store.Recorded(r.folder, r.id, steps, rec, err)
			r.describe(w.question, see)
		}
		r.status = store.Held(r.folder, r.base)
	}
}

// describe describes the record as the question sees it.
func (r *run) describe(q *Question, see See) {
	r.seen = nil
	if r.rec == nil || r.err != nil || r.asked == nil || q == nil {
		return
	}
	start, err := see(q.Plan, *r.asked, r.made, r.rec.Start)
	if err != nil {
		r.base.Why = err.Error()
		return
	}
	r.seen = &record.RunRecord{Path: r.rec.Path, Start: start, Events: r.rec.Events}
	r.origin = store.OriginOf(r.folder, r.seen)
}

// list reads the runs of the question, if question.yaml or the list of runs changed.
func (w *watched) list() {
	listed, asked := stampOf(w.view.List()), stampOf(w.view.Question())
	if w.byID != nil && listed == w.listed && asked == w.asked {
		return
	}
	w.listed, w.asked, w.problem, w.question = listed, asked, nil, nil
	_, entries, err := w.view.Read()
	problems := []error{err}
	before := w.byID
	w.byID, w.order = map[string]*run{}, nil
	add := func(id string, folder store.Folder, asked *experiments.Run) {
		r := before[id]
		if r == nil || r.folder != folder {
			r = &run{id: id, folder: folder, follower: record.Follower{Path: folder.Record()}}
			r.status = store.Status{ID: id, State: store.Waiting}
		}
		r.asked, r.base = asked, store.Status{} // refresh describes it again
		if asked != nil && folder == "" {
			r.status.Steps = asked.Schedule.Stop
		}
		w.byID[id], w.order = r, append(w.order, r)
	}
	at := map[string]store.Folder{}
	for _, e := range entries {
		at[e.ID] = w.view.Folder(e)
	}
	q, err := store.Load(w.view)
	switch {
	case err == nil:
		w.question = &Question{q, q.Plans[0], w.view}
		for i := range q.Plans[0].Runs {
			asked := &q.Plans[0].Runs[i]
			add(asked.ID, at[asked.ID], asked)
		}
	case !errors.Is(err, fs.ErrNotExist):
		problems = append(problems, err)
	}
	for _, e := range entries {
		if w.byID[e.ID] == nil {
			add(e.ID, at[e.ID], nil)
		}
	}
	w.problem = errors.Join(problems...)
}

func (w *watched) title() string {
	if w.question == nil {
		return ""
	}
	return w.question.Plan.Question
}

func (w *watched) statuses() (all []store.Status) {
	for _, r := range w.order {
		all = append(all, r.status)
	}
	return all
}

// counts lists the number of runs in each state.
func (w *watched) counts() string {
	count := map[store.State]int{}
	for _, r := range w.order {
		count[r.status.State]++
	}
	words := []string{fmt.Sprintf("%d runs", len(w.order))}
	for _, s := range []store.State{store.Training, store.Finished, store.Silent, store.Interrupted, store.Failed, store.Waiting} {
		if count[s] > 0 {
			words = append(words, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	return strings.Join(words, ", ")
}

// describe returns the row of a run in the table. final has the errors of a finished run.
func describe(s store.Status, final report.Run) report.Run {
	r := final
	r.ID, r.State, r.Step, r.Problem = s.ID, string(s.State), fmt.Sprintf("%d of %d", s.Step, s.Steps), s.Why
	if s.State == store.Finished {
		if s.Why != "" {
			r.State, r.Problem = r.State+", "+s.Why, ""
		}
		return r
	}
	if s.Running != nil {
		r.Train = fmt.Sprintf("%.2f %%", *s.Running)
	}
	if s.Test != nil {
		r.Test = fmt.Sprintf("%.2f %%", *s.Test)
	}
	if !s.Seen.IsZero() {
		r.Seen = s.Seen.UTC().Format("01-02 15:04") + " UTC"
	}
	if s.State == store.Training || s.State == store.Silent {
		if s.ImagesPerS > 0 {
			r.Speed = fmt.Sprintf("%.0f", s.ImagesPerS)
		}
		if s.Left > 0 {
			r.Left = (time.Duration(s.Left) * time.Second).Round(time.Minute).String()
			r.Left = strings.TrimSuffix(r.Left, "0s")
			if s.Left < 60 {
				r.Left = fmt.Sprintf("%.0fs", s.Left)
			}
		}
	}
	if s.State == store.Silent {
		r.Problem = s.By + " does not respond"
	}
	return r
}

// draw updates the parts of the page that changed.
func (w *watched) draw() {
	var runs []Run
	for _, r := range w.order {
		if r.seen != nil {
			runs = append(runs, Run{r.seen, r.origin})
		}
	}
	if w.question == nil {
		w.page = report.Page{Title: w.name, Name: w.name, Held: "test", Notes: []report.Group{{Title: "What cannot be shown", Lines: lines(w.problem)}}}
	} else if w.drawn != w.question || !slices.EqualFunc(runs, w.shown, func(a, b Run) bool { return a.Record == b.Record }) {
		p, err := page(&w.reporter, *w.question, runs)
		if problems := append(lines(w.problem), lines(err)...); len(problems) > 0 {
			p.Notes = append(p.Notes, report.Group{Title: "What cannot be shown", Lines: problems})
		}
		w.page, w.shown, w.final = p, runs, map[string]report.Run{}
		for _, r := range p.Runs {
			w.final[r.ID] = r
		}
	}
	w.drawn, w.page.Runs = w.question, nil
	for _, r := range w.order {
		w.page.Runs = append(w.page.Runs, describe(r.status, w.final[r.id]))
	}
	w.tail()
	w.page.Log = w.log
}

// tail reads the latest messages.
func (w *watched) tail() {
	const most, bytes = 60, 16 << 10
	now := stampOf(w.view.Log())
	if now == w.logged {
		return
	}
	w.logged, w.log = now, nil
	if info, err := os.Lstat(w.view.Log()); err != nil || !info.Mode().IsRegular() {
		return // a link may point outside of the folder
	}
	f, err := os.Open(w.view.Log())
	if err != nil {
		return
	}
	defer f.Close()
	from := max(0, now.size-bytes)
	text, err := io.ReadAll(io.NewSectionReader(f, from, bytes))
	if err != nil {
		return
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if from > 0 {
		all = all[1:] // the first line is incomplete
	}
	w.log = all[max(0, len(all)-most):]
}

// serve replies with the page or, if asked, with its changes after since.
func (w *watched) serve(s *Server, asked bool, since int64) reply {
	w.refresh(s.See)
	w.draw()
	if !asked {
		return htmlReply(func(to io.Writer) error { return report.WriteLive(to, w.page, address(w.name)+"news") })
	}
	sections, err := w.sections.update(s, report.Sections(w.page), since)
	if err != nil {
		return failed(err)
	}
	n := news{Sections: sections, Names: []string{}, Plot: &newPlot{w.page.Plot, []json.RawMessage{}}}
	now := map[string]netAt{}
	for _, net := range w.page.Plot.Nets {
		k, known := w.nets[net.Name]
		if !known || !equal(k.net, net) {
			text, err := json.Marshal(net)
			if err != nil {
				return failed(err)
			}
			k = netAt{net, text, s.now()}
		}
		now[net.Name] = k
		n.Names = append(n.Names, net.Name)
		if k.at > since {
			n.Plot.Nets = append(n.Plot.Nets, k.text)
		}
	}
	w.nets = now
	n.Now = strconv.FormatInt(s.clock, 10)
	return jsonReply(http.StatusOK, n)
}

// equal compares values. It is fast for unchanged values, which share pointers.
func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func sorted(views map[string]*watched) []string { return slices.Sorted(maps.Keys(views)) }
