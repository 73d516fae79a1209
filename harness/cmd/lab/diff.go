// The command diff: what differs between two runs, or two questions.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"depthlab/harness/store"
)

// diffRuns prints what differs between two runs, or run by run between two questions.
func diffRuns(_ context.Context, c *call) error {
	c.jsonOption()
	files, err := c.files(2, "two runs, or two folders of questions")
	if err != nil {
		return err
	}
	if a, b := isQuestion(files[0]), isQuestion(files[1]); a && b {
		return diffQuestions(c, store.View(files[0]), store.View(files[1]))
	} else if a != b {
		return usage("diff %s %s: one is a question and the other is not; expected two runs (results/runs/RUN), or two questions (results/NAME/PROFILE)", files[0], files[1])
	}
	all, err := store.Diff(files[0], files[1])
	if errors.Is(err, fs.ErrNotExist) {
		return usage("diff: %w", err)
	}
	if err != nil {
		return err
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"differences": append([]store.Difference{}, all...)})
	}
	if len(all) == 0 {
		fmt.Println("no differences except dates and times")
		return nil
	}
	printDifferences("", all)
	return nil
}

// isQuestion reports whether a path is a question's folder of results.
func isQuestion(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && store.IsQuestion(store.View(path))
}

// printDifferences prints a line for each difference, with aligned names.
func printDifferences(indent string, all []store.Difference) {
	width := 0
	for _, d := range all {
		width = max(width, len(d.Name))
	}
	for _, d := range all {
		fmt.Println(strings.TrimRight(fmt.Sprintf("%s%-*s  %s", indent, width, d.Name, strings.TrimPrefix(d.String(), d.Name+": ")), " "))
	}
}

func diffQuestions(c *call, a, b store.View) error {
	all, err := store.DiffViews(a, b)
	if err != nil {
		return err
	}
	if c.json {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"runs": all})
	}
	shared := store.Shared(all)
	if len(shared) > 0 {
		fmt.Println("in all runs that both have:")
		printDifferences("  ", shared)
		fmt.Println()
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "run\ttraining error\ttest error\tother differences")
	for _, d := range all {
		other := 0
		for _, x := range d.Differences {
			if !slices.Contains(shared, x) && !slices.Contains(results, x.Name) {
				other++
			}
		}
		note := fmt.Sprint(other)
		switch {
		case d.Problem != "":
			note = d.Problem
		case d.B == "":
			note = "only in the first"
		case d.A == "":
			note = "only in the second"
		case len(d.Differences) == 0:
			note = "no difference"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.ID, change(d, "train_error"), change(d, "test_error"), note)
	}
	w.Flush()
	for _, d := range all {
		var rest []store.Difference
		for _, x := range d.Differences {
			if !slices.Contains(shared, x) && !slices.Contains(results, x.Name) {
				if x.Name == "sessions" { // its text is long
					x.A, x.B = "(versions and devices)", "(others; diff of the two runs shows them)"
				}
				rest = append(rest, x)
			}
		}
		if len(rest) > 0 {
			fmt.Printf("\n%s\n", d.ID)
			printDifferences("  ", rest)
		}
	}
	return nil
}

// results are the names of the differences that are results.
var results = []string{"train_error", "full_train_error", "test_error", "best_test_error", "step"}

// change writes how an error differs, "6.80 % -> 6.75 %"; "" if it does not.
func change(d store.RunDifference, name string) string {
	for _, x := range d.Differences {
		if x.Name == name {
			return rounded(x.A) + " -> " + rounded(x.B)
		}
	}
	return ""
}

// rounded formats a number of a difference as percent with two decimals; "-" if there is none.
func rounded(text string) string {
	var x float64
	if _, err := fmt.Sscan(text, &x); err != nil {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", x)
}
