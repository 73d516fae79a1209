// Package report writes a question's answer as one page for the browser: a
// single file that needs no network, and the same page live while runs train.
// What it shows comes as plain data; it knows no record and no results folder.
package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"html/template"
	"io"
	"slices"
	"strings"
)

// Page is all that a report shows. Numbers in tables are text, ready to be read;
// "" is shown as a dash.
type Page struct {
	Title      string // the question
	Name       string // of its file, without folder and ending
	Profile    string
	Says       string // what the profile says of itself; may be ""
	Conditions string // data, steps, seeds, precision, device
	Caveat     string // whether the recipe is the paper's

	Answer      []Row
	Held        string  // what the held-out error is called: "test" or "validation"
	Meaning     string  // of the columns of Answer, and where the paper's numbers are from
	Notes       []Group // what else there is to know: unfinished runs, warnings
	Behind      []Table // the numbers behind the figures, for those who do not see them
	Differences []string
	Recipe      string // the question with every default, as YAML; "" where it is not known
	Runs        []Run
	Made        []Made
	Commands    []Command
	Plot        Plot
	Log         []string // the latest messages, of a live page
}

// Row is a net in the table of the answer.
type Row struct {
	Net, Params, Seeds, Steps string
	Train, Test               Compared // errors, percent
}

// Compared is an error beside the paper's. Spread is the lowest and the highest of
// several seeds.
type Compared struct{ Paper, Ours, Difference, Spread string }

// Group is a heading and lines below it.
type Group struct {
	Title string
	Lines []string
}

// Table is a plain table; the first cell of each row names the row.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
}

// Run is where one run stands, how it ended and what made it.
type Run struct {
	ID                string
	State, Step       string
	Train, Full, Test string // errors, percent: at the end, or the latest of one that is trained now
	Speed, Left, Seen string // of one that is trained now
	Time              string // of training
	Problem           string
}

// Made is what a run was made with: recipe, data, versions, devices, and a line for each
// process that trained it.
type Made struct {
	ID       string
	Lines    []string
	Sessions []string
}

// Command is one to type, and what it does.
type Command struct{ Text, Does string }

// Plot is what the figures of the page are drawn from.
type Plot struct {
	Nets []Net  `json:"nets"`
	Held string `json:"held"`
	// Drops are the steps at which the learning rate was lowered.
	Drops []int `json:"drops,omitempty"`
	// Paper says that the recipe is the paper's, so that its curves belong beside ours.
	Paper bool `json:"paper,omitempty"`
}

// Net is one net of the figures, with all its seeds.
type Net struct {
	Name      string    `json:"name"`
	Order     int       `json:"order"` // among all nets, also of those that a live page gets later
	Residual  bool      `json:"residual,omitempty"`
	Color     string    `json:"color"` // on white, and on black
	DarkColor string    `json:"dark"`
	Dash      []float64 `json:"dash,omitempty"`
	State     string    `json:"state,omitempty"` // "running" or "stopped" where no seed is finished
	Epoch     float64   `json:"epoch,omitempty"` // steps in one; 0 where not known
	Curves    Curves    `json:"curves"`          // means over the seeds
	Seeds     []Seed    `json:"seeds"`
	Paper     *Curves   `json:"paper,omitempty"`
	Responses *Layers   `json:"responses,omitempty"`
	First     *Layers   `json:"first,omitempty"` // norms of the gradients at the first test
	Last      *Layers   `json:"last,omitempty"`  // and at the last, in the band of all tests
	Figure7   *Layers   `json:"figure7,omitempty"`
}

// Seed is one run of a net.
type Seed struct {
	Seed   uint64 `json:"seed"`
	State  string `json:"state,omitempty"` // as of Net
	Curves Curves `json:"curves"`
}

// Curves are those of one net or run. Errors are percent.
type Curves struct {
	TrainError *Curve `json:"train_error,omitempty"`
	TestError  *Curve `json:"test_error,omitempty"`
	TrainLoss  *Curve `json:"train_loss,omitempty"`
	TestLoss   *Curve `json:"test_loss,omitempty"`
	Clock      *Clock `json:"clock,omitempty"`
}

// Curve has a value at each of its steps, and where it is of several seeds the
// lowest and the highest.
type Curve struct {
	Steps  Steps  `json:"steps"`
	Values Values `json:"values"`
	Lo     Values `json:"lo,omitempty"`
	Hi     Values `json:"hi,omitempty"`
}

// Clock says after how many seconds of training some steps were finished; between
// them the page interpolates.
type Clock struct {
	Steps   Steps `json:"steps"`
	Seconds Steps `json:"seconds"`
}

// Layers has a number for each layer of a net.
type Layers struct {
	At     []int  `json:"at,omitempty"` // nil for 1, 2, 3 and so on
	Values Values `json:"values"`
	Lo     Values `json:"lo,omitempty"`
	Hi     Values `json:"hi,omitempty"`
}

//go:embed page.html
var pageText string

//go:embed index.html
var indexText string

//go:embed page.js
var script string

//go:embed page.css
var style string

//go:embed uplot/uPlot.iife.min.js
var uPlot string

//go:embed uplot/uPlot.min.css
var uPlotStyle string

var templates = func() *template.Template {
	t := template.New("page").Funcs(template.FuncMap{
		"dash": func(s string) string {
			if s == "" {
				return "–"
			}
			return s
		},
		"list": func(n ...int) []int { return n },
		"going": func(runs []Run) bool {
			return slices.ContainsFunc(runs, func(r Run) bool { return r.Speed+r.Left+r.Seen != "" })
		},
		"rows":  rowsHTML,
		"words": func(s string) string { return strings.Join(strings.Fields(s), " ") },
	})
	template.Must(t.Parse(pageText))
	return template.Must(t.New("index").Parse(indexText))
}()

// rowsHTML writes the rows of a table; html/template would take ten times as long for
// the thousands of cells of layers.
func rowsHTML(rows [][]string) template.HTML {
	var b strings.Builder
	for _, row := range rows {
		b.WriteString("<tr>")
		for i, cell := range row {
			switch {
			case i == 0:
				b.WriteString(`<th scope="row">` + html.EscapeString(cell) + "</th>")
			case cell == "":
				b.WriteString("<td>–</td>")
			default:
				b.WriteString("<td>" + html.EscapeString(cell) + "</td>")
			}
		}
		b.WriteString("</tr>\n")
	}
	return template.HTML(b.String())
}

// view is what the templates get.
type view struct {
	Page
	Live   string // where news come from; "" for a file
	Since  int64
	Policy template.HTMLAttr
	Styles []template.CSS
	Script []template.JS
	Data   template.JS
}

// styles and scripts are in the page by their text, and the page's policy names their
// hashes: whatever else came to be in it, the browser would not run.
var (
	styles  = []string{uPlotStyle, style}
	scripts = []string{uPlot, script}
)

func newView(live string, data Plot) (view, error) {
	if data.Nets == nil {
		data.Nets = []Net{}
	}
	v := view{Live: live, Policy: template.HTMLAttr(`content="` + Policy(live != "") + `"`)}
	for _, s := range styles {
		v.Styles = append(v.Styles, template.CSS(s))
	}
	for _, s := range scripts {
		v.Script = append(v.Script, template.JS(s))
	}
	text, err := json.Marshal(data) // escapes <, > and &
	v.Data = template.JS(text)
	return v, err
}

// Policy is the Content-Security-Policy of a page: its own scripts and styles alone,
// and news from where it came from if it is live.
func Policy(live bool) string {
	hashes := func(texts []string) string {
		var all []string
		for _, s := range texts {
			sum := sha256.Sum256([]byte(s))
			all = append(all, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		return strings.Join(all, " ")
	}
	p := "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; script-src " + hashes(scripts) + "; style-src " + hashes(styles)
	if live {
		p += "; connect-src 'self'"
	}
	return p
}

// Write writes the page as one file that needs nothing else.
func Write(w io.Writer, p Page) error {
	v, err := newView("", p.Plot)
	if err != nil {
		return err
	}
	v.Page = p
	return templates.ExecuteTemplate(w, "page", v)
}

// WriteLive writes the page as a server shows it: without curves, which its script
// asks the address news for, and then for what is new, every other second.
func WriteLive(w io.Writer, p Page, news string) error {
	v, err := newView(news, Plot{})
	if err != nil {
		return err
	}
	v.Page = p
	return templates.ExecuteTemplate(w, "page", v)
}

// Sections are the parts of a page that change while runs train, by the id of the
// element that they are in, each with what it is made from.
func Sections(p Page) map[string]any {
	return map[string]any{
		"head":   Page{Title: p.Title, Name: p.Name, Profile: p.Profile, Says: p.Says, Conditions: p.Conditions, Caveat: p.Caveat},
		"answer": Page{Answer: p.Answer, Held: p.Held, Meaning: p.Meaning}, "notes": Page{Notes: p.Notes}, "behind": Page{Behind: p.Behind},
		"runs": p.Runs, "made": p.Made, "log": p.Log,
	}
}

// Section writes one of Sections, or of the index's, as HTML.
func Section(name string, from any) (string, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, name, from)
	return b.String(), err
}

// Index is the page of a results folder.
type Index struct {
	Folder    string
	Questions []Question
	Runs      []Run    // that are trained now, or failed
	Problems  []string // what could not be read
}

// Question is one of a results folder.
type Question struct {
	Name, Title, Link string
	Counts            string // of its runs, by state
}

// WriteIndex writes the page of a results folder, live as WriteLive does.
func WriteIndex(w io.Writer, x Index, news string) error {
	v, err := newView(news, Plot{})
	if err != nil {
		return err
	}
	return templates.ExecuteTemplate(w, "index", struct {
		view
		Index
	}{v, x})
}

// IndexSections are the parts of the index that change, as Sections are of a page.
func IndexSections(x Index) map[string]any {
	return map[string]any{"questions": x.Questions, "active": x.Runs, "problems": x.Problems}
}
