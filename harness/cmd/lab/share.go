// The commands pack and unpack: the results of a question in one file.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"depthlab/harness/store"
)

func packResults(_ context.Context, c *call) error {
	out := c.String("o", "", "the zip file to write, which must not exist yet")
	weights := c.Bool("weights", false, "pack the trained weights, too")
	files, err := c.files(1, "one folder of a question, such as results/NAME/PROFILE")
	if err != nil {
		return err
	}
	v, err := viewAt(c, files[0])
	if err != nil {
		return err
	}
	if *out == "" {
		return usage("-o is missing: the zip file to write, such as -o %s.zip", filepath.Base(filepath.Dir(filepath.Clean(string(v)))))
	}
	n, err := store.Pack(v, *out, *weights, say)
	if errors.Is(err, fs.ErrExist) {
		return usage("-o %s: the file exists already; choose another name, or remove it", *out)
	}
	if errors.Is(err, store.ErrNoWeights) {
		return usage("--weights: %v; leave it out to pack what there is", err)
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(*out)
	if err != nil {
		return err
	}
	say("%s: %d runs, %.1f MiB; ./run.sh unpack copies them into a results folder", *out, n, float64(info.Size())/(1<<20))
	return nil
}

// noRuns is the error of a folder that is not a question's. err is why it could not be read, or nil.
func noRuns(c *call, dir string, err error) error {
	why := ""
	if err != nil {
		why = fmt.Sprintf(" (%v)", err)
	}
	return usage("%s %s: no runs there%s; expected a folder such as results/NAME/PROFILE", c.Name(), dir, why)
}

// viewAt returns dir as a question's folder of results, or a usageError if it is not one.
func viewAt(c *call, dir string) (store.View, error) {
	v := store.View(dir)
	if _, listed, err := v.Read(); err != nil || len(listed) == 0 {
		return v, noRuns(c, dir, err)
	}
	return v, nil
}

func unpackResults(ctx context.Context, c *call) error {
	into := c.String("into", "", "results folder to unpack into, instead of the project's")
	files, err := c.files(1, "one zip file that pack wrote")
	if err != nil {
		return err
	}
	st := c.machine().Store()
	if *into != "" {
		st = store.Store(*into)
	}
	v, n, err := store.Unpack(files[0], st, say)
	var broken *store.PackError
	if errors.As(err, &broken) || errors.Is(err, fs.ErrNotExist) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	say("%d runs copied into %s", n, st.Runs())
	q, err := store.Load(v)
	if err != nil {
		return err
	}
	return question{Question: q, plan: q.Plans[0], view: v}.draw(ctx)
}
