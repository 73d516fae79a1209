// The server of live pages: requests and replies.

package pages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"depthlab/experiments"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/plots/report"
)

// Server serves the live pages of all questions in a folder. It only reads, and only results
// folders: an address is never used as a path. It reads records once, and then only what is
// appended.
type Server struct {
	// Dir is a results folder, one of its questions, or a folder above several.
	Dir string
	// Find lists the folders of questions in or under Dir.
	Find func(dir string) ([]store.View, error)
	See  See
	// Anyone accepts requests for any host name. Otherwise the host must be this machine
	// (localhost), so that pages of other sites cannot read these (DNS rebinding).
	Anyone bool

	mu    sync.Mutex
	views map[string]*watched // by name
	index parts
	clock int64
}

// See describes a run's record as a question sees it. The error says why the run no longer belongs to
// the question. made may be nil.
type See func(p *experiments.Plan, run experiments.Run, made *store.Provenance, st record.Start) (record.Start, error)

// Refresh reads all questions, and returns the number of runs. The error lists what cannot be read;
// the rest is served.
func (s *Server) Refresh() (runs int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.find()
	for _, w := range s.views {
		w.refresh(s.See)
		runs += len(w.order)
	}
	return runs, err
}

// find updates the list of questions: adds new ones, removes those that no longer exist.
func (s *Server) find() error {
	if _, err := os.Stat(s.Dir); err != nil {
		s.views = map[string]*watched{}
		return err
	}
	views, err := s.Find(s.Dir)
	now := map[string]*watched{}
	for _, v := range views {
		name := nameOf(s.Dir, string(v))
		w := s.views[name]
		if w == nil {
			w = &watched{name: name, view: v}
		}
		now[name] = w
	}
	s.views = now
	return err
}

// nameOf is the name of a question's folder in addresses: QUESTION/PROFILE, preceded by the folders
// between them and root.
func nameOf(root, dir string) string {
	name, err := filepath.Rel(root, dir)
	if err != nil || name == "." || !strings.Contains(filepath.ToSlash(name), "/") {
		name = filepath.Join(filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
	}
	return filepath.ToSlash(name)
}

// address is the address of a question's page.
func address(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "/q/" + strings.Join(parts, "/") + "/"
}

// parts holds the sections of a page, by name: their content, HTML and the time of the last change.
type parts struct {
	from map[string]any
	html map[string]string
	at   map[string]int64
}

// now returns the next time of a change. It increases, also across restarts of the server.
func (s *Server) now() int64 {
	s.clock = max(s.clock+1, time.Now().UnixNano())
	return s.clock
}

// reply is a complete response. It is sent without the lock, so that a slow client does not block
// others.
type reply struct {
	code    int
	kind    string // content type
	body    []byte
	forward string // address to which the request is redirected
}

func htmlReply(write func(io.Writer) error) reply {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return failed(err)
	}
	return reply{code: http.StatusOK, kind: "text/html; charset=utf-8", body: b.Bytes()}
}

func jsonReply(code int, value any) reply {
	text, err := json.Marshal(value)
	if err != nil {
		return failed(err)
	}
	return reply{code: code, kind: "application/json", body: text}
}

// failed is the reply for an internal error.
func failed(err error) reply {
	return jsonReply(http.StatusInternalServerError, map[string]string{"error": err.Error()})
}

func refusal(code int, text string) reply {
	return reply{code: code, kind: "text/plain; charset=utf-8", body: []byte(text + "\n")}
}

// ServeHTTP serves the index (/), the page of a question (/q/NAME/PROFILE/), and the changes of each
// (news).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := s.reply(r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", report.Policy(true)+"; frame-ancestors 'none'")
	if a.forward != "" {
		http.Redirect(w, r, a.forward, http.StatusMovedPermanently)
		return
	}
	h.Set("Content-Type", a.kind)
	w.WriteHeader(a.code)
	w.Write(a.body) // ignore the error: the client may have disconnected
}

// reply makes the reply to a request.
func (s *Server) reply(r *http.Request) reply {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return refusal(http.StatusMethodNotAllowed, "expected the method GET or HEAD")
	case !s.Anyone && !ownName(r.Host):
		return refusal(http.StatusForbidden, "use localhost or 127.0.0.1 as host; --listen allows other hosts")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path, asked := strings.CutSuffix(r.URL.Path, "/news")
	if asked {
		path += "/"
	}
	since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64) // 0: all
	unread := s.find()
	if path == "/" {
		return s.serveIndex(unread, asked, since)
	}
	name, ok := strings.CutPrefix(path, "/q/")
	view := s.views[strings.TrimSuffix(name, "/")]
	switch {
	case (!ok || view == nil) && asked:
		return jsonReply(http.StatusNotFound, map[string]string{"error": "the question's folder is gone"})
	case !ok || view == nil:
		return refusal(http.StatusNotFound, "no such question; / lists all questions")
	case !strings.HasSuffix(path, "/"):
		return reply{forward: address(view.name)}
	}
	return view.serve(s, asked, since)
}

// ownName reports whether a host is this machine: localhost, or a loopback address.
func ownName(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// news is what has changed on a page.
type news struct {
	Now      string            `json:"now"` // value of since for the next request
	Sections map[string]string `json:"sections,omitempty"`
	Plot     *newPlot          `json:"plot,omitempty"`
	Names    []string          `json:"names"` // of all nets
}

// newPlot is a Plot with only the nets that changed, as JSON.
type newPlot struct {
	report.Plot
	Nets []json.RawMessage `json:"nets"`
}

// update renders the sections whose content changed, and returns those that changed after since.
func (p *parts) update(s *Server, from map[string]any, since int64) (map[string]string, error) {
	if p.html == nil {
		*p = parts{map[string]any{}, map[string]string{}, map[string]int64{}}
	}
	fresh := map[string]string{}
	for name, content := range from {
		if _, known := p.html[name]; !known || !equal(p.from[name], content) {
			html, err := report.Section(name, content)
			if err != nil {
				return nil, err
			}
			p.from[name], p.html[name], p.at[name] = content, html, s.now()
		}
		if p.at[name] > since {
			fresh[name] = p.html[name]
		}
	}
	return fresh, nil
}

// serveIndex replies with the index or, if asked, with its sections that changed after since. unread
// is the error of find.
func (s *Server) serveIndex(unread error, asked bool, since int64) reply {
	const most = 200
	x := report.Index{Folder: s.Dir}
	for _, line := range lines(unread) {
		x.Problems = append(x.Problems, line)
	}
	for _, name := range sorted(s.views) {
		v := s.views[name]
		v.refresh(s.See)
		x.Questions = append(x.Questions, report.Question{Name: name, Title: v.title(), Link: address(name), Counts: v.counts()})
		for _, line := range lines(v.problem) {
			x.Problems = append(x.Problems, name+": "+line)
		}
		for _, st := range v.statuses() {
			if st.State == store.Training || st.State == store.Silent || st.State == store.Failed {
				run := describe(st, report.Run{})
				run.ID = name + ": " + run.ID
				x.Runs = append(x.Runs, run)
			}
		}
	}
	if more := len(x.Runs) - most; more > 0 {
		x.Runs = x.Runs[:most]
		x.Problems = append(x.Problems, fmt.Sprintf("%d more runs are in training or failed; see the pages of their questions", more))
	}
	if !asked {
		return htmlReply(func(to io.Writer) error { return report.WriteIndex(to, x, "/news") })
	}
	sections, err := s.index.update(s, report.IndexSections(x), since)
	if err != nil {
		return failed(err)
	}
	return jsonReply(http.StatusOK, news{Now: strconv.FormatInt(s.clock, 10), Sections: sections})
}

// lines returns the lines of an error, none for nil.
func lines(err error) []string {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return []string{"it does not exist: " + err.Error()}
	}
	return strings.Split(err.Error(), "\n")
}
