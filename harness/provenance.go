package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/device"
	"depthlab/harness/disk"
	"depthlab/harness/record"
)

// provenance is runs/ID.json: what a result was made with.
type provenance struct {
	ID       string          `json:"id"`
	Proof    proof           `json:"proof"`
	Run      experiments.Run `json:"run"`
	Question string          `json:"question"`
	Profile  string          `json:"profile"`
	Micro    int             `json:"micro_batch,omitempty"` // images at a time, as the question or the memory at hand had it; 0 = all
	Data     string          `json:"data"`
	Finished string          `json:"finished,omitempty"` // UTC
	Sessions []session       `json:"sessions"`           // of each process that trained the run, in their order
}

// begin is the provenance of a run that goes on in this process: that of before,
// which may be nil, and a session more.
func (s *Sweep) begin(t *trainer, before *provenance) *provenance {
	p := &provenance{
		ID: t.run.ID, Proof: t.proof, Run: t.run, Question: s.Plan.Question, Profile: s.Plan.Profile, Data: s.Data.Title,
	}
	if before != nil {
		p.Sessions = before.Sessions
	}
	p.Sessions = append(settle(p.Sessions, t.step, t.clock.total.Seconds()), t.made)
	return p
}

// made describes this process as it trains a run.
func (s *Sweep) made(m *model, info device.Info) session {
	now := session{Version: s.Version, Device: info, Decoder: m.decoder(), Choices: m.session.Choices(), Started: utc()}
	if b, ok := debug.ReadBuildInfo(); ok {
		now.Go = b.GoVersion
	}
	return now
}

// reached notes how far the present session has come, after so many seconds of
// training in all.
func (p *provenance) reached(step int, seconds float64) {
	now := &p.Sessions[len(p.Sessions)-1]
	now.Last, now.Ended = step, utc()
	now.Seconds += seconds - trained(p.Sessions)
}

func utc() string { return time.Now().UTC().Format(time.RFC3339) }

func provenancePath(dir, id string) string { return filepath.Join(dir, "runs", id+".json") }

func (p *provenance) write(dir string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return disk.Write(provenancePath(dir, p.ID), append(text, '\n'))
}

func readProvenance(dir, id string) (*provenance, error) {
	text, err := os.ReadFile(provenancePath(dir, id))
	if err != nil {
		return nil, err
	}
	// What a file of before sessions has at its top is of the latest process.
	var file struct {
		provenance
		Version, Go, Started string
		Device               device.Info
		Choices              []device.Choice
		Seconds              float64
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: damaged (%w): move it away, and the run's history is unknown, but its record stays", provenancePath(dir, id), err)
	}
	p := &file.provenance
	if p.Sessions == nil {
		p.Sessions = []session{{
			Version: file.Version, Go: file.Go, Device: file.Device, Choices: file.Choices, Last: p.Run.Schedule.Stop,
			Started: file.Started, Ended: p.Finished, Seconds: file.Seconds, Note: unknownHistory,
		}}
	}
	return p, nil
}

// begunPrecision is the precision of the run in a results folder that is run but
// for its precision.
func begunPrecision(dir string, run experiments.Run) (precision string, ok bool) {
	if dir == "" {
		return "", false
	}
	old, err := readProvenance(dir, run.ID)
	if err != nil {
		return "", false
	}
	run.Precision = old.Run.Precision
	return run.Precision, run.Hash() == old.Proof.Run
}

// changes spells out how the run in the results folder was made otherwise than
// it would be made now.
func (s *Sweep) changes(run experiments.Run) string {
	old, err := readProvenance(s.Dir, run.ID)
	if err != nil {
		return "made otherwise"
	}
	var words []string
	for _, d := range differences(old.Run, run) {
		words = append(words, d.String())
	}
	if old.Proof.Data != s.Data.Checksum {
		words = append(words, fmt.Sprintf("data: %s (%.12s) -> %s (%.12s)", old.Data, old.Proof.Data, s.Data.Title, s.Data.Checksum))
	}
	if len(words) == 0 { // a field that this version knows and the old one did not
		words = []string{fmt.Sprintf("recipe %.12s -> %.12s", old.Proof.Run, run.Hash())}
	}
	return strings.Join(words, ", ")
}

// Origin is what figures and tables were made from. It goes into the figures,
// and beside the tables.
type Origin struct {
	Question string      `json:"question"`
	Profile  string      `json:"profile"`
	Resolved string      `json:"question_sha256"` // of question.yaml, with all defaults
	Drawn    string      `json:"drawn_by"`        // version of the program
	Runs     []OriginRun `json:"runs"`
}

// OriginRun is a run that was drawn. Its versions and devices are all that
// trained it.
type OriginRun struct {
	ID        string    `json:"id"`
	Seed      uint64    `json:"seed"`
	Steps     int       `json:"steps"`
	Versions  []string  `json:"versions"` // of the program; "-dirty" behind one: with changes that were not committed
	Devices   []string  `json:"devices"`
	Recipe    string    `json:"recipe_sha256"`
	Data      string    `json:"data"`
	Checksum  string    `json:"data_sha256"`
	Precision string    `json:"precision"`
	Finished  string    `json:"finished,omitempty"` // UTC; "" for a run that is not
	Sessions  []session `json:"sessions,omitempty"`
	Changes   []string  `json:"changes,omitempty"` // in how sums are computed, from one session to the next
	Problem   string    `json:"problem,omitempty"` // why nothing more is known
}

// OriginOf describes runs whose files lie in dir. A run whose runs/ID.json is
// missing or damaged is described by its record alone, and says so.
func OriginOf(dir string, runs []*record.RunRecord) []OriginRun {
	var all []OriginRun
	for _, r := range runs {
		o := OriginRun{ID: r.Start.ID, Seed: r.Start.Seed, Steps: r.Start.Steps, Data: r.Start.Data, Precision: r.Start.Precision}
		if p, err := readProvenance(dir, o.ID); err == nil {
			o.Recipe, o.Checksum, o.Finished, o.Sessions = p.Proof.Run, p.Proof.Data, p.Finished, p.Sessions
		} else {
			o.Devices, o.Problem = []string{r.Start.Device}, err.Error()
		}
		counted := counted(o.Sessions)
		for i, s := range counted {
			o.Versions = appendNew(o.Versions, s.Version)
			o.Devices = appendNew(o.Devices, s.Device.Summary())
			if i == 0 || s.Device.Name == "" || counted[i-1].Device.Name == "" {
				continue
			}
			if text := s.changed(counted[i-1]); text != "" {
				o.Changes = append(o.Changes, fmt.Sprintf("step %d: %s", s.First, text))
			}
		}
		all = append(all, o)
	}
	return all
}

// appendNew appends a word that is not empty and not there yet.
func appendNew(words []string, word string) []string {
	if word == "" || slices.Contains(words, word) {
		return words
	}
	return append(words, word)
}

// Made says in a line each what the drawn runs were made with: versions of the
// program, devices, and runs whose arithmetic changed on the way.
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
	for _, r := range o.Runs {
		for _, s := range r.Sessions {
			if s.Note != "" {
				lines = append(lines, r.ID+": "+s.Note+".")
			}
		}
		for _, c := range r.Changes {
			lines = append(lines, fmt.Sprintf("%s went on with other arithmetic at %s.", r.ID, c))
		}
		if r.Problem != "" {
			lines = append(lines, r.ID+": "+r.Problem+".")
		}
	}
	return lines
}

// Difference is a value that differs, under its dotted name; "" where one
// side has none.
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

// Diff says what differs between two runs, each given as runs/ID.json,
// runs/ID.jsonl or runs/ID: how they were made, and what came out. When, and
// how long it took, is no difference.
func Diff(a, b string) ([]Difference, error) {
	var made [2]*provenance
	var out [2]map[string]any
	for i, path := range []string{a, b} {
		path = strings.TrimSuffix(strings.TrimSuffix(path, ".jsonl"), ".json")
		dir, id := filepath.Dir(filepath.Dir(path)), filepath.Base(path)
		if filepath.Base(filepath.Dir(path)) != "runs" {
			return nil, fmt.Errorf("%s: expected a run's file, such as results/NAME/PROFILE/runs/plain-20-seed0.json", path)
		}
		p, err := readProvenance(dir, id)
		if err != nil {
			return nil, err
		}
		p.Finished = ""
		for i := range p.Sessions { // when, and how often it was stopped, is no difference
			one := &p.Sessions[i]
			one.First, one.Last, one.Started, one.Ended, one.Seconds = 0, 0, "", "", 0
		}
		p.Sessions = slices.CompactFunc(p.Sessions, func(a, b session) bool { return reflect.DeepEqual(a, b) })
		made[i], out[i] = p, map[string]any{}
		rec, err := record.Read(recordPath(dir, id))
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
	return append(differences(made[0], made[1]), differences(out[0], out[1])...), nil
}

// differences compares the JSON of two values, leaf by leaf.
func differences(a, b any) []Difference {
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
		panic("harness: a value that is no JSON")
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
