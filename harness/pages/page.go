// Package pages makes the page of a question for the browser: as a file beside its figures, and
// live while runs train. It writes nothing but that file.
package pages

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/experiments"
	"depthlab/experiments/dataset"
	"depthlab/harness/disk"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/plots"
	"depthlab/plots/report"
)

// Question is the question of a page, with one of its profiles.
type Question struct {
	*experiments.Question
	Plan *experiments.Plan
	View store.View // its folder
}

// Run is a run of the question that has a record, described as the question sees it.
type Run struct {
	Record *record.RunRecord
	Origin store.OriginRun
}

// Write writes the page of a question into its folder.
func Write(q Question, runs []Run) error {
	p, err := page(new(plots.Reporter), q, runs)
	if err != nil {
		return err
	}
	return disk.WriteFunc(q.View.Report(), func(w io.Writer) error { return report.Write(w, p) })
}

// page makes the content of a question's page.
func page(r *plots.Reporter, q Question, runs []Run) (report.Page, error) {
	epochs := map[string]float64{} // steps of an epoch, by run
	for _, run := range q.Plan.Runs {
		epochs[run.ID] = float64(run.TrainImages()) / float64(run.Batch)
	}
	var records []*record.RunRecord
	for _, run := range runs {
		records = append(records, run.Record)
	}
	p, err := r.Page(plots.Question{Name: filepath.Base(filepath.Dir(string(q.View))), Title: q.Plan.Question, Figures: q.Plan.Figures, Options: q.Plan.Measurements.Options()}, records, func(id string) float64 { return epochs[id] })
	if err != nil {
		return p, err
	}
	resolved, err := q.Resolved(q.Plan.Profile)
	if err != nil {
		return p, err
	}
	p.Profile, p.Says, p.Recipe = q.Plan.Profile, q.Plan.Says, string(resolved)
	p.Differences, p.Commands = differences(records), commands(q, runs)
	for _, run := range runs {
		p.Made = append(p.Made, made(run.Origin))
	}
	return p, nil
}

// differences lists how the recipes differ from the paper's, with the nets if not all differ.
func differences(records []*record.RunRecord) (all []string) {
	var caveats, nets []string
	of := map[string][]string{} // nets, by caveat
	for _, r := range records {
		if !slices.Contains(nets, r.Start.Label()) {
			nets = append(nets, r.Start.Label())
		}
		for _, c := range r.Start.Caveats {
			if of[c] == nil {
				caveats = append(caveats, c)
			}
			if !slices.Contains(of[c], r.Start.Label()) {
				of[c] = append(of[c], r.Start.Label())
			}
		}
	}
	for _, c := range caveats {
		if len(of[c]) < len(nets) {
			c += ": " + strings.Join(of[c], ", ")
		}
		all = append(all, c)
	}
	return all
}

// commands lists the commands that repeat the question.
func commands(q Question, runs []Run) []report.Command {
	file, profile := q.File, ""
	if asked, _, err := q.View.Read(); err == nil && asked != "" {
		file = asked // the user's file, not the resolved question.yaml
	}
	if filepath.IsAbs(file) || strings.HasPrefix(file, "..") {
		file = filepath.Base(file) // the folders above it are those of this machine
	}
	folder := filepath.Base(string(q.View))
	switch {
	case folder != q.Plan.Profile: // the command line changed the question
		file = filepath.Join("results", filepath.Base(filepath.Dir(string(q.View))), folder, filepath.Base(q.View.Question()))
	case q.Plan.Profile != "default":
		profile = " --profile " + q.Plan.Profile
	}
	var all []report.Command
	var versions []string
	for _, run := range runs {
		for _, v := range run.Origin.Versions {
			if !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
	}
	if len(versions) == 1 && versions[0] != "unknown" && !strings.HasSuffix(versions[0], "-dirty") {
		all = append(all, report.Command{Text: "git checkout " + versions[0], Does: "the program as it was"})
	}
	for _, need := range q.Plan.Needs {
		if need == "cifar10" || need == "cifar100" {
			all = append(all, report.Command{Text: "./run.sh data " + need, Does: "downloads " + dataset.Of(need).Title})
		}
	}
	return append(all,
		report.Command{Text: "./run.sh plan " + file + profile, Does: "time, memory and disk space on this machine"},
		report.Command{Text: "./run.sh " + file + profile, Does: "trains what is missing, draws the figures and writes this page; the file question.yaml beside this page is the same question with every default"},
		report.Command{Text: "./run.sh plot " + file + profile, Does: "draws again, from the records only"},
	)
}

// made describes with what a run was made.
func made(o store.OriginRun) report.Made {
	m := report.Made{ID: o.ID}
	say := func(format string, args ...any) { m.Lines = append(m.Lines, fmt.Sprintf(format, args...)) }
	say("%s in the store of runs; seed %d, %d steps, %s", o.Run, o.Seed, o.Steps, o.Precision)
	if o.Recipe != "" {
		say("recipe, SHA-256 %s", o.Recipe)
	}
	if o.Checksum != "" {
		say("data: %s, SHA-256 %s", o.Data, o.Checksum)
	}
	if len(o.Versions) > 0 {
		say("trained by version %s of the program", strings.Join(o.Versions, ", "))
	}
	if len(o.Devices) > 0 {
		say("on %s", strings.Join(o.Devices, "; "))
	}
	if o.Finished != "" {
		say("finished %s", o.Finished)
	}
	for _, c := range o.Changes {
		say("other arithmetic from %s", c)
	}
	if o.Problem != "" {
		say("%s", o.Problem)
	}
	for _, s := range o.Sessions {
		m.Sessions = append(m.Sessions, s.String())
	}
	return m
}
