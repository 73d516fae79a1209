// The command show: what a figure or table was made from.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"depthlab/harness/store"
	"depthlab/plots"
)

// showOrigin prints what a figure was made from.
func showOrigin(_ context.Context, c *call) error {
	c.jsonOption()
	files, err := c.files(1, "one figure or table, such as results/NAME/PROFILE/table.md")
	if err != nil {
		return err
	}
	var text []byte
	switch path := files[0]; filepath.Ext(path) {
	case ".png", ".svg":
		text, err = plots.Origin(path)
	case ".json":
		text, err = os.ReadFile(path)
	case ".csv", ".md", ".tex":
		text, err = os.ReadFile(store.View(filepath.Dir(path)).Origin())
	default:
		err = usage("show %s: expected a .png, .svg, table.csv, .md or .tex", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return usage("show %s: %w; expected a figure or table in results/NAME/PROFILE", files[0], err)
	}
	if err != nil {
		return err
	}
	if c.json {
		_, err := os.Stdout.Write(text)
		return err
	}
	var o store.Origin
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	fmt.Printf("%s\nprofile %s, question.yaml SHA-256 %.12s, drawn by version %s\n", o.Question, strings.Join(append([]string{o.Profile}, o.Changes...), " "), o.Resolved, o.Drawn)
	for _, r := range o.Runs {
		finished := "not finished"
		if r.Finished != "" {
			finished = "finished " + r.Finished
		}
		fmt.Printf("\n%s: seed %d, %d steps, %s, %s\n  version %s, recipe %.12s, data %s %.12s\n  %s\n",
			r.ID, r.Seed, r.Steps, r.Precision, finished, known(strings.Join(r.Versions, ", ")), known(r.Recipe), r.Data, r.Checksum, known(strings.Join(r.Devices, "; ")))
		if r.Source != "" {
			fmt.Printf("  begins with %s\n", r.Source)
		}
		for i, s := range r.Sessions {
			fmt.Printf("  session %d: %s\n", i+1, s)
		}
		for _, c := range r.Changes {
			fmt.Printf("  other arithmetic from %s\n", c)
		}
		if r.Problem != "" {
			fmt.Printf("  %s\n", r.Problem)
		}
	}
	return nil
}

func known(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
