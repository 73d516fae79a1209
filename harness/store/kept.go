// Kept weights: the best of a run, and those at regular intervals.

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/record"
)

// KeptKind says why weights are kept.
type KeptKind string

const (
	Best  KeptKind = "best" // of the test with the lowest error
	Every KeptKind = "step" // at multiples of a number of steps
)

// File returns the path of the weights that were kept after a step: kept/best-step7800.safetensors.
func (kind KeptKind) File(f Folder, step int) string {
	name := fmt.Sprintf("step%d.safetensors", step)
	if kind == Best {
		name = "best-" + name
	}
	return filepath.Join(keptDir(f), name)
}

func keptDir(f Folder) string { return filepath.Join(string(f), "kept") }

// Steps lists the steps whose weights of this kind are kept, in ascending order.
func (kind KeptKind) Steps(f Folder) (steps []int) {
	entries, _ := os.ReadDir(keptDir(f))
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".safetensors")
		name, best := strings.CutPrefix(name, "best-")
		number, isStep := strings.CutPrefix(name, "step")
		if step, err := strconv.Atoi(number); ok && isStep && err == nil && best == (kind == Best) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps
}

// Lacks describes the weights that the question keeps and a finished run does not have, because it,
// or a part of it, was trained before the question asked for them; "" if there are none.
func Lacks(f Folder, run experiments.Run) string {
	var lacks []string
	if run.Keep.Best && !keepsBest(f) {
		lacks = append(lacks, "the best weights")
	}
	if every := run.Keep.Every; every > 0 {
		kept := Every.Steps(f)
		for step := (run.From/every + 1) * every; step < run.Schedule.Stop; step += every {
			if !slices.Contains(kept, step) {
				lacks = append(lacks, fmt.Sprintf("weights of every %d steps", every))
				break
			}
		}
	}
	return strings.Join(lacks, " and ")
}

// keepsBest reports whether the weights of the run's best test are kept.
func keepsBest(f Folder) bool {
	kept := Best.Steps(f)
	rec, err := record.Read(f.Record())
	if err != nil {
		return len(kept) > 0
	}
	lowest, _ := rec.BestTest()
	return slices.ContainsFunc(rec.TestCurve(), func(p record.Point) bool { return p.Error == lowest && slices.Contains(kept, p.Step) })
}

// Remove removes the weights of the steps for which gone returns true.
func (kind KeptKind) Remove(f Folder, gone func(step int) bool) error {
	var errs []error
	for _, step := range kind.Steps(f) {
		if gone(step) {
			errs = append(errs, os.Remove(kind.File(f, step)))
		}
	}
	return errors.Join(errs...)
}

// copyKept copies the kept weights of a run.
func copyKept(from, to Folder) error {
	entries, err := os.ReadDir(keptDir(from))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err, disk.MakeDir(keptDir(to))}
	for _, e := range entries {
		errs = append(errs, copyFile(filepath.Join(keptDir(from), e.Name()), filepath.Join(keptDir(to), e.Name())))
	}
	return errors.Join(errs...)
}
