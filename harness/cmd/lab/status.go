package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"depthlab/harness"
)

// status prints where every run stands whose results lie in or under a folder.
func status(_ context.Context, c *call) error {
	c.jsonOption()
	files, err := c.files(1, "one folder, such as results")
	if err != nil {
		return err
	}
	var dirs []string
	err = filepath.WalkDir(files[0], func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "superseded":
			return fs.SkipDir
		case d.IsDir() && d.Name() == "runs":
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		return fmt.Errorf("%s holds no results; ./run.sh FILE.yaml makes some, in results/NAME/PROFILE", files[0])
	}
	all := map[string][]harness.Status{}
	for _, dir := range dirs {
		if all[dir], err = harness.Statuses(dir); err != nil {
			return err
		}
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	for _, dir := range dirs {
		fmt.Printf("%s\n", dir)
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "run\tstate\tstep\ttrain\ttest\timages/s\tleft\tseen\t")
		count := map[harness.State]int{}
		var notes []string
		for _, s := range all[dir] {
			count[s.State]++
			left, seen := "", ""
			if s.Left > 0 {
				left = duration(s.Left)
			}
			if !s.Seen.IsZero() {
				seen = duration(max(0, time.Since(s.Seen).Seconds())) + " ago"
			}
			fmt.Fprintf(w, "%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\t%s\t\n", s.ID, s.State, s.Step, s.Steps,
				percent(s.Train), percent(s.Test), number(s.ImagesPerS), left, seen)
			if note := cmp.Or(s.Why, s.By); note != "" {
				notes = append(notes, fmt.Sprintf("  %s: %s", s.ID, strings.Join(strings.Fields(note), " ")))
			}
		}
		w.Flush()
		for _, n := range notes {
			fmt.Println(n)
		}
		var words []string
		for _, s := range []harness.State{harness.Finished, harness.Training, harness.Silent, harness.Interrupted, harness.Failed, harness.Waiting} {
			if count[s] > 0 {
				words = append(words, fmt.Sprintf("%d %s", count[s], s))
			}
		}
		fmt.Printf("  %d runs: %s\n\n", len(all[dir]), strings.Join(words, ", "))
	}
	return nil
}

func percent(x *float64) string {
	if x == nil {
		return ""
	}
	return fmt.Sprintf("%.2f %%", *x)
}

func number(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", x)
}
