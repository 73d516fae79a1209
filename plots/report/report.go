// Package report writes a question's answer as one page for the browser: a single file
// that needs no network, and the same page as a live one while runs train. Its content is
// plain data; it does not know records or results folders.
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

// Page is the content of a report. Numbers in tables are text, already formatted. "" is
// shown as a dash.
type Page struct {
	Title      string // the question
	Name       string // file name of the question, without folder and extension
	Profile    string
	Says       string // the profile's own description; may be ""
	Conditions string // data, steps, seeds, precision, device
	Caveat     string // whether the recipe is the paper's

	Answer      []Row
	Held        string  // name of the held-out error: "test" or "validation"
	Meaning     string  // meaning of the columns of Answer, and source of the paper's numbers
	Notes       []Group // other information: unfinished runs, warnings
	Measured    []Measured
	Behind      []Table // the numbers of the figures, for people who cannot see them
	Differences []string
	Recipe      string // the question with all defaults filled in, as YAML; "" if unknown
	Runs        []Run
	Made        []Made
	Commands    []Command
	Plot        Plot
	Log         []string // the latest messages, on a live page
}

// Row is one net in the table of the answer.
type Row struct {
	Net, Params, Seeds, Steps string
	Train, Test               Compared // errors, percent
}

// Compared is an error together with the paper's. Spread is the range from the lowest to
// the highest of several seeds.
type Compared struct{ Paper, Ours, Difference, Spread string }

// Group is a heading with lines below it.
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

// Measured is what was measured of trained nets.
type Measured struct {
	Table
	Note     string
	Pictures []Picture
}

// Picture is an SVG.
type Picture struct {
	Name string
	SVG  []byte
}

// URL holds the whole picture.
func (p Picture) URL() template.URL {
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(p.SVG))
}

// Run is the state of one run, and how it ended.
type Run struct {
	ID                string
	State, Step       string
	Train, Full, Test string // errors, percent: final ones, or the latest ones of a run that trains now
	Speed, Left, Seen string // of a run that trains now
	Time              string // training time
	Problem           string
}

// Made is what a run was made with: recipe, data, versions, devices, and a line for each
// process that trained it.
type Made struct {
	ID       string
	Lines    []string
	Sessions []string
}

// Command is a command to type, and what it does.
type Command struct{ Text, Does string }

// Plot holds the data of the page's figures.
type Plot struct {
	Nets []Net  `json:"nets"`
	Held string `json:"held"`
	// Drops are the steps at which the learning rate was lowered.
	Drops []int `json:"drops,omitempty"`
	// Paper reports whether the recipe is the paper's, whatever the machine, so that its curves are shown, too.
	Paper bool `json:"paper,omitempty"`
}

// Net is one net of the figures, with all its seeds.
type Net struct {
	Name      string    `json:"name"`
	Order     int       `json:"order"` // position among all nets, including those that a live page gets later
	Residual  bool      `json:"residual,omitempty"`
	Color     string    `json:"color"` // colour on white; the next one is for black
	DarkColor string    `json:"dark"`
	Dash      []float64 `json:"dash,omitempty"`
	State     string    `json:"state,omitempty"` // "unfinished" or "stopped" if no seed is finished
	Epoch     float64   `json:"epoch,omitempty"` // steps in an epoch; 0 if unknown
	Curves    Curves    `json:"curves"`          // means over the seeds
	Seeds     []Seed    `json:"seeds"`
	Paper     *Curves   `json:"paper,omitempty"`
	Responses *Layers   `json:"responses,omitempty"`
	First     *Layers   `json:"first,omitempty"` // norms of the gradients at the first test
	Last      *Layers   `json:"last,omitempty"`  // the same at the last test, with the band of all tests
	Figure7   *Layers   `json:"figure7,omitempty"`
}

// Seed is one run of a net.
type Seed struct {
	Seed   uint64 `json:"seed"`
	State  string `json:"state,omitempty"` // as in Net
	Curves Curves `json:"curves"`
}

// Curves are the curves of one net or run. Errors are in percent.
type Curves struct {
	TrainError *Curve `json:"train_error,omitempty"`
	TestError  *Curve `json:"test_error,omitempty"`
	TrainLoss  *Curve `json:"train_loss,omitempty"`
	TestLoss   *Curve `json:"test_loss,omitempty"`
	Clock      *Clock `json:"clock,omitempty"`
}

// Curve has a value at each of its steps and, for several seeds, the lowest and the
// highest.
type Curve struct {
	Steps  Steps  `json:"steps"`
	Values Values `json:"values"`
	Lo     Values `json:"lo,omitempty"`
	Hi     Values `json:"hi,omitempty"`
}

// Clock gives the training time in seconds at some steps. Between them the page
// interpolates.
type Clock struct {
	Steps   Steps `json:"steps"`
	Seconds Steps `json:"seconds"`
}

// Layers has one number for each layer of a net.
type Layers struct {
	At     []int  `json:"at,omitempty"` // nil means 1, 2, 3 and so on
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
		"ended": func(runs []Run) bool {
			return slices.ContainsFunc(runs, func(r Run) bool { return r.Full+r.Time != "" })
		},
		"rows":  rowsHTML,
		"words": func(s string) string { return strings.Join(strings.Fields(s), " ") },
	})
	template.Must(t.Parse(pageText))
	return template.Must(t.New("index").Parse(indexText))
}()

// rowsHTML writes the rows of a table. html/template would take ten times as long for the
// thousands of cells of layers.
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

// view is the data of the templates.
type view struct {
	Page
	Live   string // address for updates; "" for a file
	Since  int64
	Policy template.HTMLAttr
	Styles []template.CSS
	Script []template.JS
	Data   template.JS
}

// styles and scripts are included in the page as text, and the page's policy lists their
// hashes. So the browser runs no other script, however it got into the page.
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

// Policy is the Content-Security-Policy of a page: only its own scripts and styles, and
// updates from its own server if it is live.
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

// Write writes the page as one file that needs no other file.
func Write(w io.Writer, p Page) error {
	v, err := newView("", p.Plot)
	if err != nil {
		return err
	}
	v.Page = p
	return templates.ExecuteTemplate(w, "page", v)
}

// WriteLive writes the page for a server. It has no curves: its script requests them from
// the address news, and every two seconds what is new.
func WriteLive(w io.Writer, p Page, news string) error {
	v, err := newView(news, Plot{})
	if err != nil {
		return err
	}
	v.Page = p
	return templates.ExecuteTemplate(w, "page", v)
}

// Sections are the parts of a page that change while runs train: the id of their element,
// and the data that they are made from.
func Sections(p Page) map[string]any {
	return map[string]any{
		"head":   Page{Title: p.Title, Name: p.Name, Profile: p.Profile, Says: p.Says, Conditions: p.Conditions, Caveat: p.Caveat},
		"answer": Page{Answer: p.Answer, Held: p.Held, Meaning: p.Meaning}, "notes": Page{Notes: p.Notes}, "measured": Page{Measured: p.Measured}, "behind": Page{Behind: p.Behind},
		"recipe": Page{Differences: p.Differences, Caveat: p.Caveat, Recipe: p.Recipe}, "commands": p.Commands,
		"runs": p.Runs, "made": p.Made, "log": p.Log,
	}
}

// Section writes one section of Sections or IndexSections as HTML.
func Section(name string, from any) (string, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, name, from)
	return b.String(), err
}

// Index is the page of a results folder.
type Index struct {
	Folder    string
	Questions []Question
	Runs      []Run    // that train now, or failed
	Problems  []string // files that could not be read
}

// Question is one question of a results folder.
type Question struct {
	Name, Title, Link string
	Counts            string // numbers of its runs, by state
}

// WriteIndex writes the page of a results folder, live like WriteLive.
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

// IndexSections are the parts of the index that change, like Sections of a page.
func IndexSections(x Index) map[string]any {
	return map[string]any{"questions": x.Questions, "active": x.Runs, "problems": x.Problems}
}
