package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	Version  string          `json:"version"`
	Go       string          `json:"go"`
	Proof    proof           `json:"proof"`
	Run      experiments.Run `json:"run"`
	Question string          `json:"question"`
	Profile  string          `json:"profile"`
	Micro    int             `json:"micro_batch,omitempty"` // images at a time, as the question or the memory at hand had it; 0 = all
	Device   device.Info     `json:"device"`
	Choices  []device.Choice `json:"choices,omitempty"`
	Data     string          `json:"data"`
	Started  string          `json:"started"`            // UTC, of the latest start
	Finished string          `json:"finished,omitempty"` // UTC
	Seconds  float64         `json:"seconds,omitempty"`  // of training
}

func (s *Sweep) provenance(t *trainer, info device.Info) *provenance {
	p := &provenance{
		ID: t.run.ID, Version: s.Version, Proof: t.proof, Run: t.run, Question: s.Plan.Question, Profile: s.Plan.Profile,
		Device: info, Choices: t.session.Choices(), Data: s.Data.Title, Started: time.Now().UTC().Format(time.RFC3339),
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		p.Go = b.GoVersion
	}
	return p
}

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
	p := new(provenance)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("%s: %w", provenancePath(dir, id), err)
	}
	return p, nil
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

// OriginRun is a run that was drawn.
type OriginRun struct {
	ID        string `json:"id"`
	Seed      uint64 `json:"seed"`
	Steps     int    `json:"steps"`
	Version   string `json:"version"` // of the program; "-dirty" behind it: with changes that were not committed
	Recipe    string `json:"recipe_sha256"`
	Data      string `json:"data"`
	Checksum  string `json:"data_sha256"`
	Device    string `json:"device"`
	Precision string `json:"precision"`
	Finished  string `json:"finished,omitempty"` // UTC; "" for a run that is not
}

// OriginOf describes runs whose files lie in dir. A run without its runs/ID.json
// is described by its record alone.
func OriginOf(dir string, runs []*record.RunRecord) []OriginRun {
	var all []OriginRun
	for _, r := range runs {
		o := OriginRun{ID: r.Start.ID, Seed: r.Start.Seed, Steps: r.Start.Steps, Data: r.Start.Data, Device: r.Start.Device, Precision: r.Start.Precision}
		if p, err := readProvenance(dir, o.ID); err == nil {
			o.Version, o.Recipe, o.Checksum, o.Finished = p.Version, p.Proof.Run, p.Proof.Data, p.Finished
			o.Device = strings.Join(slices.DeleteFunc([]string{p.Device.Name, p.Device.Library, p.Device.Hardware}, func(s string) bool { return s == "" }), ", ")
		}
		all = append(all, o)
	}
	return all
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
		p.Started, p.Finished, p.Seconds = "", "", 0
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
