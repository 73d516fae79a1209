// Provenance: what a run was made with (run.json), what a figure was made from, and what
// differs between two runs.

package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/record"
)

// Provenance is the content of run.json: what a run was made with.
type Provenance struct {
	Key      string          `json:"key"`
	Run      experiments.Run `json:"run"`      // as in the question that began the run
	Question string          `json:"question"` // the question that began it
	Profile  string          `json:"profile"`
	Micro    int             `json:"micro_batch,omitempty"` // images in a micro-batch, as the question or the free memory asked for; 0 = the whole batch
	Data     string          `json:"data"`
	Checksum string          `json:"data_sha256"`
	Source   string          `json:"source,omitempty"`   // folder of the trained run that it begins as
	Finished string          `json:"finished,omitempty"` // UTC
	Sessions []Session       `json:"sessions"`           // one for each process that trained the run, in their order
}

// Begin adds a session to the history of a run that begins or resumes at step, after so
// many seconds of training.
func (p *Provenance) Begin(now Session, step int, seconds float64) {
	now.First, now.Last = step, step
	p.Sessions = append(settle(p.Sessions, p.Run.From, step, seconds), now)
}

// Reached records how far the current session has come, after so many seconds of training
// in total.
func (p *Provenance) Reached(step int, seconds float64) {
	now := &p.Sessions[len(p.Sessions)-1]
	now.Last, now.Ended = step, UTC()
	now.Seconds += seconds - Trained(p.Sessions)
}

// UTC is the current time in the format of all files.
func UTC() string { return time.Now().UTC().Format(time.RFC3339) }

// WriteProvenance replaces run.json.
func WriteProvenance(f Folder, p *Provenance) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return disk.Write(f.Provenance(), append(text, '\n'))
}

// DamagedError says that a run.json cannot be parsed.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged (%v): the run's history is unknown; its record is not affected", e.Path, e.Err)
}
func (e *DamagedError) Unwrap() error { return e.Err }

// ReadProvenance reads run.json. The error is a *DamagedError if its content is not
// valid.
func ReadProvenance(f Folder) (*Provenance, error) {
	text, err := os.ReadFile(f.Provenance())
	if err != nil {
		return nil, err
	}
	p := new(Provenance)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, &DamagedError{f.Provenance(), err}
	}
	return p, nil
}

// History returns the provenance of a run that resumes; nil if there is none. It renames
// a damaged run.json to run.json.damaged, and the run continues without it.
func History(f Folder) (p *Provenance, warning string, err error) {
	p, err = ReadProvenance(f)
	var damaged *DamagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", nil
	case errors.As(err, &damaged):
		return nil, err.Error(), os.Rename(f.Provenance(), f.Provenance()+".damaged")
	}
	return p, "", err
}

// Origin is what figures and tables were made from. It is stored inside the figures and
// beside the tables.
type Origin struct {
	Question string      `json:"question"`
	Profile  string      `json:"profile"`
	Changes  []string    `json:"changes,omitempty"` // changes of the command line: "--set optimizer.rate=0.05"
	Resolved string      `json:"question_sha256"`   // of question.yaml, with all defaults filled in
	Drawn    string      `json:"drawn_by"`          // version of the program
	Runs     []OriginRun `json:"runs"`
}

// OriginRun is a run that was drawn. Versions and Devices list all that trained it.
type OriginRun struct {
	ID        string    `json:"id"`
	Run       string    `json:"run"` // name of its folder in the store
	Seed      uint64    `json:"seed"`
	Steps     int       `json:"steps"`
	Versions  []string  `json:"versions"` // of the program; "-dirty" at its end: with uncommitted changes
	Devices   []string  `json:"devices"`
	Recipe    string    `json:"recipe_sha256"`
	Source    string    `json:"source,omitempty"` // the run, or the file of weights, that it begins with; "" for its own first weights
	Data      string    `json:"data"`
	Checksum  string    `json:"data_sha256"`
	Precision string    `json:"precision"`
	Finished  string    `json:"finished,omitempty"` // UTC; "" if the run is not finished
	Sessions  []Session `json:"sessions,omitempty"`
	Changes   []string  `json:"changes,omitempty"` // in the arithmetic, from one session to the next
	Problem   string    `json:"problem,omitempty"` // why nothing more is known
}

// OriginOf describes the run of record r in folder f. If run.json is missing or damaged
// it describes the run by its record only, and sets Problem.
func OriginOf(f Folder, r *record.RunRecord) OriginRun {
	o := OriginRun{ID: r.Start.ID, Run: f.Name(), Seed: r.Start.Seed, Steps: r.Start.Steps, Data: r.Start.Data, Precision: r.Start.Precision}
	p, err := ReadProvenance(f)
	if err != nil {
		o.Devices, o.Problem = []string{r.Start.Device}, err.Error()
		return o
	}
	if o.Source = p.Source; o.Source == "" && p.Run.Weights != "" {
		o.Source = fmt.Sprintf("%s (SHA-256 %.12s)", p.Run.Init, p.Run.Weights)
	}
	o.Recipe, o.Checksum, o.Finished, o.Sessions = p.Run.Hash(), p.Checksum, p.Finished, p.Sessions
	counted := counted(o.Sessions)
	for i, s := range counted {
		o.Versions = appendNew(o.Versions, s.Version)
		o.Devices = appendNew(o.Devices, s.Device.Summary())
		if i == 0 || s.Device.Name == "" || counted[i-1].Device.Name == "" {
			continue
		}
		if text := s.Changed(counted[i-1]); text != "" {
			o.Changes = append(o.Changes, fmt.Sprintf("step %d: %s", s.First, text))
		}
	}
	return o
}

// appendNew appends a word unless it is empty or already there.
func appendNew(words []string, word string) []string {
	if word == "" || slices.Contains(words, word) {
		return words
	}
	return append(words, word)
}

// Made describes in lines what the drawn runs were made with: versions of the program,
// devices, and runs whose arithmetic changed during training.
func (o Origin) Made() []string {
	var versions, devices, lines []string
	for _, r := range o.Runs {
		for _, v := range r.Versions {
			versions = appendNew(versions, v)
		}
		for _, d := range r.Devices {
			devices = appendNew(devices, d)
		}
	}
	if len(versions) > 0 {
		lines = append(lines, "Trained by version "+strings.Join(versions, ", ")+" of the program.")
	}
	if len(devices) > 0 {
		lines = append(lines, "Devices: "+strings.Join(devices, "; ")+".")
	}
	noted := map[string][]string{} // runs, by their sessions' notes
	for _, r := range o.Runs {
		for _, s := range r.Sessions {
			if s.Note != "" {
				noted[s.Note] = appendNew(noted[s.Note], r.ID)
			}
		}
	}
	for _, note := range slices.Sorted(maps.Keys(noted)) {
		ids := strings.Join(noted[note], ", ")
		if n := len(noted[note]); n == len(o.Runs) && n > 1 {
			ids = fmt.Sprintf("all %d runs", n)
		}
		lines = append(lines, strings.ToUpper(note[:1])+note[1:]+": "+ids+".")
	}
	for _, r := range o.Runs {
		for _, c := range r.Changes {
			lines = append(lines, fmt.Sprintf("%s went on with other arithmetic at %s.", r.ID, c))
		}
		if r.Problem != "" {
			lines = append(lines, r.ID+": "+r.Problem+".")
		}
	}
	return lines
}

// Difference is a value that differs. Name is its path in the JSON, joined by dots. A or
// B is "" if that side does not have it.
type Difference struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s -> %s", d.Name, orNone(d.A), orNone(d.B))
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// Diff lists what differs between two runs: how they were made, and their results. Each
// is given as its folder or a file in it. Dates, durations and Slurm's jobs are left out.
func Diff(a, b string) ([]Difference, error) {
	var made [2]*Provenance
	var out [2]map[string]any
	for i, path := range []string{a, b} {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			path = filepath.Dir(path)
		}
		f := Folder(path)
		p, err := ReadProvenance(f)
		if err != nil {
			return nil, fmt.Errorf("%w; expected a run's folder, such as results/runs/plain-20-seed0-3fa9c1d2e4b5", err)
		}
		p.Key, p.Question, p.Profile, p.Finished = "", "", "", ""
		for i := range p.Sessions { // leave out dates, jobs and the number of sessions
			one := &p.Sessions[i]
			one.First, one.Last, one.Started, one.Ended, one.Seconds = 0, 0, "", "", 0
			one.Job, one.Restart = "", 0
		}
		p.Sessions = slices.CompactFunc(p.Sessions, func(a, b Session) bool { return reflect.DeepEqual(a, b) })
		made[i], out[i] = p, map[string]any{}
		rec, err := record.Read(f.Record())
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, record.ErrEmpty) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[i]["step"] = rec.Step()
		for name, f := range map[string]func() (float64, bool){
			"train_error": rec.FinalTrain, "full_train_error": rec.FullTrain, "test_error": rec.FinalTest, "best_test_error": rec.BestTest,
		} {
			if v, ok := f(); ok {
				out[i][name] = v
			}
		}
	}
	return append(Differences(made[0], made[1]), Differences(out[0], out[1])...), nil
}

// Differences compares the JSON of two values, leaf by leaf.
func Differences(a, b any) []Difference {
	left, right := leaves(a), leaves(b)
	var all []Difference
	for name, v := range left {
		if right[name] != v {
			all = append(all, Difference{name, v, right[name]})
		}
	}
	for name, v := range right {
		if _, both := left[name]; !both {
			all = append(all, Difference{name, "", v})
		}
	}
	slices.SortFunc(all, func(x, y Difference) int { return strings.Compare(x.Name, y.Name) })
	return all
}

func leaves(v any) map[string]string {
	text, err := json.Marshal(v)
	var tree any
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	if err != nil {
		panic("store: a value that cannot be written as JSON")
	}
	all := map[string]string{}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			text, _ := json.Marshal(v)
			all[name] = strings.Trim(string(text), `"`)
			return
		}
		for key, v := range object {
			walk(strings.TrimPrefix(name+"."+key, "."), v)
		}
	}
	walk("", tree)
	return all
}
