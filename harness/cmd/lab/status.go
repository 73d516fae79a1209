// The command status: how far the runs of a folder are.

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
	"text/tabwriter"
	"time"

	"depthlab/harness/store"
)

// status prints the state of every run whose results are in or under a folder. The error is of
// runs that cannot be read; the others are printed all the same.
func status(ctx context.Context, c *call) error {
	c.jsonOption()
	files, err := c.operands()
	if err != nil {
		return err
	}
	root := string(c.machine().Store())
	switch len(files) {
	case 0:
	case 1:
		root = files[0]
	default:
		return usage("status: expected one folder, such as results, got %q", strings.Join(files, " "))
	}
	if _, err := os.Stat(root); err != nil {
		return usage("status %s: %v; expected a folder of results, such as results or results/NAME/PROFILE", root, errors.Unwrap(err))
	}
	views, err := store.Under(root)
	if len(views) == 0 && err == nil {
		return usage("%s has no results; ./run.sh FILE.yaml trains nets, with results in results/NAME/PROFILE", root)
	}
	all := map[store.View][]store.Status{}
	unread := []error{err}
	for _, v := range views {
		all[v], err = store.Statuses(v)
		unread = append(unread, err)
	}
	unread = append(unread, askSlurm(ctx, all))
	return errors.Join(append(unread, printStatuses(c, views, all))...)
}

// printStatuses prints a table of runs for each folder, or JSON.
func printStatuses(c *call, views []store.View, all map[store.View][]store.Status) error {
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	for _, v := range views {
		fmt.Printf("%s\n", v)
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		jobs := slices.ContainsFunc(all[v], func(s store.Status) bool { return s.Job != "" })
		fmt.Fprint(w, "run\tstate\tstep\trunning\ttrain\ttest\timages/s\tleft\tseen\t")
		if jobs {
			fmt.Fprint(w, "job\tin Slurm\tnode\trestarts\t")
		}
		fmt.Fprintln(w)
		count := map[store.State]int{}
		notes := map[string][]string{} // runs that share a note
		var order []string
		for _, s := range all[v] {
			count[s.State]++
			left, seen := "", ""
			if s.Left > 0 {
				left = duration(s.Left)
			}
			if !s.Seen.IsZero() {
				seen = duration(max(0, time.Since(s.Seen).Seconds())) + " ago"
			}
			fmt.Fprintf(w, "%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\t%s\t%s\t", s.ID, s.State, s.Step, s.Steps,
				percent(s.Running), percent(s.Train), percent(s.Test), speed(s.ImagesPerS), left, seen)
			if jobs && s.Job != "" {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t", s.Job, s.JobState, s.Node, s.Restarts)
			} else if jobs {
				fmt.Fprint(w, "\t\t\t\t")
			}
			fmt.Fprintln(w)
			if note := cmp.Or(s.Why, s.By); note != "" {
				note = strings.Join(strings.Fields(note), " ")
				if notes[note] == nil {
					order = append(order, note)
				}
				notes[note] = append(notes[note], s.ID)
			}
		}
		w.Flush()
		for _, note := range order {
			runs := strings.Join(notes[note], ", ")
			if n := len(notes[note]); n > 3 {
				runs = fmt.Sprintf("%d runs", n)
			}
			fmt.Printf("  %s: %s\n", runs, note)
		}
		var words []string
		for _, s := range []store.State{store.Finished, store.Training, store.Silent, store.Interrupted, store.Failed, store.Waiting} {
			if count[s] > 0 {
				words = append(words, fmt.Sprintf("%d %s", count[s], s))
			}
		}
		fmt.Printf("  %d runs: %s\n\n", len(all[v]), strings.Join(words, ", "))
	}
	return nil
}

func percent(x *float64) string {
	if x == nil {
		return ""
	}
	return fmt.Sprintf("%.2f %%", *x)
}

func speed(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", x)
}
