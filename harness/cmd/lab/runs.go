// The commands runs, rm, gc and import: the store of runs.

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"depthlab/harness/store"
)

// runLine describes a run in the output of runs.
type runLine struct {
	Run  string `json:"run"` // its name in the store
	Data string `json:"data,omitempty"`
	store.Status
	Precision string   `json:"precision,omitempty"`
	Size      int64    `json:"bytes"`
	Used      []string `json:"used_by"` // questions, as QUESTION/PROFILE
}

// listed describes every run of a store. The error is of runs that cannot be read; the others
// are returned all the same.
func listed(st store.Store) ([]runLine, error) {
	folders, strays, err := st.All()
	errs := []error{err}
	for _, path := range strays {
		say("%s is not the folder of a run, and is not listed", path)
	}
	used, err := st.Used()
	errs = append(errs, err)
	all := []runLine{}
	for _, f := range folders {
		l := runLine{Run: f.Name(), Status: store.StatusOf(f, f.Name(), 0), Size: store.Size(f), Used: append([]string{}, used[f.Name()]...)}
		p, err := store.ReadProvenance(f)
		if err == nil {
			l.Data, l.Precision = p.Data, p.Run.Precision
			l.Steps = p.Run.Schedule.Stop
		} else if l.State != store.Finished && l.Why == "" {
			l.Why = err.Error()
		}
		all = append(all, l)
	}
	return all, errors.Join(errs...)
}

func listRuns(_ context.Context, c *call) error {
	c.jsonOption()
	sort := c.String("sort", "run", "key to sort by: run, test_error, train_error, bytes or seen")
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	orders := map[string]func(a, b runLine) int{
		"run":         func(a, b runLine) int { return strings.Compare(a.Run, b.Run) },
		"test_error":  func(a, b runLine) int { return lowest(a.Test, b.Test) },
		"train_error": func(a, b runLine) int { return lowest(a.Train, b.Train) },
		"bytes":       func(a, b runLine) int { return int(b.Size - a.Size) },
		"seen":        func(a, b runLine) int { return b.Seen.Compare(a.Seen) },
	}
	if orders[*sort] == nil {
		return usage("--sort %q: expected run, test_error, train_error, bytes or seen", *sort)
	}
	all, unread := listed(c.machine().Store())
	slices.SortStableFunc(all, orders[*sort])
	if c.json {
		return errors.Join(unread, json.NewEncoder(os.Stdout).Encode(map[string]any{"runs": all}))
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "run\tstate\tstep\ttrain\ttest\tsize\tseen\tused by")
	var size int64
	for _, l := range all {
		seen := ""
		if !l.Seen.IsZero() {
			seen = duration(max(0, time.Since(l.Seen).Seconds())) + " ago"
		}
		where := strings.Join(l.Used, ", ")
		if where == "" {
			where = "no question"
		}
		fmt.Fprintf(w, "%s\t%s\t%d/%d\t%s\t%s\t%.1f MiB\t%s\t%s\n", l.Run, l.State, l.Step, l.Steps, percent(l.Train), percent(l.Test), float64(l.Size)/(1<<20), seen, where)
		size += l.Size
	}
	w.Flush()
	fmt.Printf("%d runs, %.1f MiB\n", len(all), float64(size)/(1<<20))
	for _, l := range all {
		if l.Why != "" {
			fmt.Printf("  %s: %s\n", l.Run, strings.Join(strings.Fields(l.Why), " "))
		}
	}
	return unread
}

// lowest compares errors, with unknown ones (nil) last.
func lowest(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil || b != nil && *a > *b:
		return 1
	case b == nil || *a < *b:
		return -1
	}
	return 0
}

func removeRun(_ context.Context, c *call) error {
	files, err := c.files(1, "one run, by its name or folder")
	if err != nil {
		return err
	}
	st := c.machine().Store()
	folders, _, err := st.All()
	if err != nil {
		return err
	}
	name := filepath.Base(filepath.Clean(files[0]))
	for _, f := range folders {
		if f.Name() != name || files[0] != name && !sameFolder(files[0], string(f)) {
			continue
		}
		if err := store.Remove(f); err != nil {
			return err
		}
		say("removed %s", f.Name())
		return nil
	}
	return usage("rm %s: there is no such run in %s; ./run.sh runs lists them", files[0], st.Runs())
}

// sameFolder reports whether both paths lead to the same folder.
func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

func collectRuns(_ context.Context, c *call) error {
	yes := c.Bool("yes", false, "do not ask")
	if _, err := c.files(0, "no file"); err != nil {
		return err
	}
	all, err := listed(c.machine().Store())
	if err != nil {
		return fmt.Errorf("nothing was removed, because it is not known which runs are in use: %w", err)
	}
	var unused []runLine
	var size int64
	for _, l := range all {
		if len(l.Used) == 0 && l.State != store.Training && l.State != store.Silent {
			unused = append(unused, l)
			size += l.Size
		}
	}
	if len(unused) == 0 {
		say("every run belongs to a question: nothing to remove")
		return nil
	}
	for _, l := range unused {
		fmt.Printf("%s  %s at step %d of %d, %.1f MiB\n", l.Run, l.State, l.Step, l.Steps, float64(l.Size)/(1<<20))
	}
	if !*yes {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return usage("nothing was removed; --yes removes these %d runs (%.1f MiB)", len(unused), float64(size)/(1<<20))
		}
		fmt.Fprintf(os.Stderr, "Remove these %d runs (%.1f MiB)? [y/N] ", len(unused), float64(size)/(1<<20))
		answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
			say("nothing was removed")
			return nil
		}
	}
	var errs []error
	for _, l := range unused {
		errs = append(errs, store.Remove(c.machine().Store().Run(l.Run)))
	}
	return errors.Join(errs...)
}

func importRuns(_ context.Context, c *call) error {
	finished := c.Bool("finished", false, "copy only finished runs, such as for publishing")
	into := c.String("into", "", "results folder to copy into, instead of the project's")
	files, err := c.files(1, "one folder of a question, such as results/NAME/PROFILE")
	if err != nil {
		return err
	}
	st := c.machine().Store()
	if *into != "" {
		st = store.Store(*into)
	}
	v := store.View(files[0])
	if _, listed, err := v.Read(); err != nil || len(listed) == 0 && !store.Former(v) {
		return noRuns(c, files[0], err)
	}
	n, err := store.Import(files[0], st, *finished, say)
	if err != nil {
		return err
	}
	say("%d runs copied into %s; ./run.sh plot draws their figures there", n, st.Runs())
	return nil
}
