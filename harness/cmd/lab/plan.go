// The command plan: estimates of time, memory and disk for each run.

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"depthlab/experiments"
	"depthlab/harness/device"
	"depthlab/harness/machine"
	"depthlab/harness/measure"
	"depthlab/harness/model"
	"depthlab/harness/predict"
	"depthlab/harness/record"
	"depthlab/harness/store"
	"depthlab/harness/sweep"
)

// measuring is the longest time of plan --measure.
const measuring = 10 * time.Second

// planOutput is the JSON of plan.
type planOutput struct {
	Question   string                `json:"question"`
	Profile    string                `json:"profile"`
	Data       string                `json:"data"`
	Changes    []string              `json:"changes,omitempty"`
	Overridden string                `json:"overridden,omitempty"`
	Not        []experiments.Missing `json:"not,omitempty"` // unmet needs of the profiles before this one
	Device     device.Info           `json:"device"`
	Runs       []predict.Estimate    `json:"runs"`
}

func planQuestion(ctx context.Context, c *call) (err error) {
	flags := addPlaceFlags(c)
	c.dataOption()
	c.profileOption(firstMet)
	addChangeOptions(c)
	c.jsonOption()
	measure := c.Bool("measure", false, "time some steps of the nets now, at most 10 s in all; only for this plan")
	files, err := c.files(1, "one question file")
	if err != nil {
		return err
	}
	if err := flags.check(c.machine()); err != nil {
		return err
	}
	if !*measure {
		endAtOnce(ctx)
	}
	q, missing, err := choose(c, files[0])
	if err != nil {
		return err
	}
	if err := flags.share(q.plan); err != nil {
		return err
	}
	m := c.machine()
	places, err := flags.places(m)
	if err != nil {
		return err
	}
	info, speeds, err := predictSpeeds(ctx, &q, m, flags, places[0], *measure)
	if err != nil {
		return err
	}
	src, err := m.Data(q.plan.Runs[0].Data).Outline(ctx, model.Reading(q.plan.Runs[0].Input))
	if err != nil {
		return err
	}
	estimates, err := predict.Estimates(q.plan, src, info, speeds)
	if err != nil {
		return err
	}
	for i := range estimates {
		e := &estimates[i]
		if e.Done = doneText(q, e.ID); strings.HasPrefix(e.Done, "finished") {
			e.Time, e.Disk, e.Passes, e.Rough = 0, 0, 0, false
		}
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(planOutput{q.plan.Question, q.plan.Profile, src.Title, q.plan.Changes, q.Overridden(q.plan), missing, info, estimates})
	}
	fmt.Printf("%s\nprofile %s, %s, device %s (%s), %s\n", q.plan.Question, q.asked(), src.Title, info.Name, cmp.Or(info.Hardware, "not opened"), q.plan.Runs[0].Precision)
	for _, line := range append(notChosen(c, missing), q.Overridden(q.plan), src.Warning) {
		if line != "" {
			fmt.Println(line)
		}
	}
	wide := 22
	for _, e := range estimates {
		wide = max(wide, len(e.ID))
	}
	fmt.Printf("\n%-*s %12s %14s %8s %9s %9s\n", wide, "run", "parameters", "multiply-adds", "steps", "memory", "time")
	var done []string
	var total, longest float64
	var disk, passing, memory int64
	rough := false
	var cuts []string
	for _, e := range estimates {
		takes, then := duration(e.Time), ""
		if e.Done != "" && e.Time == 0 {
			takes = "finished"
		} else {
			then = measuredText(q, e.ID)
		}
		if text := strings.TrimPrefix(e.Done+then, "; "); text != "" {
			done = append(done, e.ID+": "+text)
		}
		fmt.Printf("%-*s %12d %14d %8d %5d MiB %9s\n", wide, e.ID, e.Params, e.Macs, e.Steps, e.Memory>>20, takes)
		if e.Cut != "" && !slices.Contains(cuts, e.Cut) {
			cuts = append(cuts, e.Cut)
		}
		total, longest = total+e.Time, max(longest, e.Time)
		disk += e.Disk
		passing, memory = max(passing, e.Passes), max(memory, e.Memory)
		rough = rough || e.Rough
	}
	for _, text := range append(done, cuts...) {
		fmt.Println(text)
	}
	all := duration(total)
	if n := min(len(places), len(estimates)); n > 1 {
		each, how := max(1, len(places[0])), "a run on each"
		if each > 1 {
			how = fmt.Sprintf("%d for each run", each)
		}
		all += fmt.Sprintf(" in all (%s on %d devices, %s)", duration(max(total/float64(n), longest)), n*each, how)
	} else {
		all += " in all"
	}
	fmt.Printf("\n%d runs, %s, %d MiB of memory, %d MiB of disk in %s\n", len(estimates), all, memory>>20, (disk+passing)>>20+1, q.view)
	switch {
	case rough && *measure:
		fmt.Printf("Some times are a rough guess: %v were too short to time a net like these.\n", measuring)
	case rough:
		fmt.Printf("The times are a rough guess: no run on this device was like these; plan --measure times some steps now, in %v.\n", measuring)
	}
	return nil
}

// doneText describes how far a run of the plan is in the store; "" if the store does not have it.
func doneText(q question, id string) string {
	f := q.folders[id]
	p, err := store.ReadProvenance(f)
	if err != nil {
		return ""
	}
	s := store.StatusOf(f, id, p.Run.Schedule.Stop)
	trained := ""
	if p.Question != q.plan.Question || p.Profile != q.plan.Folder {
		trained = fmt.Sprintf(" (trained for %q, %s)", p.Question, p.Profile)
	}
	if s.State == store.Finished {
		return "finished already" + trained + lackingText(q, id)
	}
	return fmt.Sprintf("%s at step %d of %d%s", s.State, s.Step, s.Steps, trained)
}

// lackingText describes the measurements that the figures need and a finished run lacks, and whether
// they can be added; "" for none.
func lackingText(q question, id string) (text string) {
	f := q.folders[id]
	rec, err := record.Read(f.Record())
	if err != nil {
		return ""
	}
	_, missing := os.Stat(f.Weights())
	for _, m := range measure.Lacking(rec, q.plan) {
		if missing == nil {
			text += fmt.Sprintf("; its record lacks %s, which will be computed from its weights and added (%s)", m.Name, m.Cost(runOf(q, id), q.plan))
		} else {
			text += fmt.Sprintf("; its record lacks %s, and its weights are missing: the run will be missing in %s", m.Name, strings.Join(m.Figures, " and "))
		}
	}
	if sweep.LacksGradients(rec, q.plan.Figures) {
		text += fmt.Sprintf("; its record lacks gradients, which weights cannot replace: the run will be missing in gradient_norms, unless ./run.sh rm %s removes it, so that it is trained again", f.Name())
	}
	return text
}

// runOf returns the run of the plan with an ID that exists.
func runOf(q question, id string) experiments.Run {
	i := slices.IndexFunc(q.plan.Runs, func(r experiments.Run) bool { return r.ID == id })
	return q.plan.Runs[i]
}

// measuredText describes the measurements of a run after its training; "" for none.
func measuredText(q question, id string) (text string) {
	for _, m := range measure.All {
		if m.Asked(q.plan) && m.Name != "responses" { // which training records
			text += fmt.Sprintf("; then %s (%s)", m.Name, m.Cost(runOf(q, id), q.plan))
		}
	}
	return text
}

// predictSpeeds returns the device and the speeds of nets on it: timed now if measure is set, else from
// the records of this machine. It sets the precision of the plan's runs.
func predictSpeeds(ctx context.Context, q *question, m machine.Machine, flags deviceFlags, p machine.Place, measure bool) (info device.Info, speeds []predict.Speed, err error) {
	run := q.plan.Runs[0]
	k, err := m.Kind(*flags.name)
	if err != nil {
		return info, nil, err
	}
	if !measure && k.Unopened != nil {
		if _, err := k.Find(m); err != nil {
			return info, nil, err
		}
		info = k.Unopened()
		if len(p) > 1 {
			info.Replicas = len(p)
		}
		if err := q.place(m.Data(run.Data).Checksum(), info, *flags.precision); err != nil {
			return info, nil, err
		}
		return info, predict.Recorded(m.Stores(), run.Data, info), q.computable(info)
	}
	dev, err := flags.open(m, p)
	if err != nil {
		return info, nil, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	info = dev.Info()
	if err := errors.Join(q.place(m.Data(run.Data).Checksum(), info, *flags.precision), q.computable(info)); err != nil {
		return info, nil, err
	}
	if !measure {
		return info, predict.Recorded(m.Stores(), run.Data, info), nil
	}
	src, err := load(ctx, m, run.Data, model.Reading(run.Input))
	if err != nil {
		return info, nil, err
	}
	speeds, err = predict.Measure(q.plan, src, dev, measuring-time.Second)
	return info, speeds, err
}

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
