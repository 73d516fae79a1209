// Finished runs that questions go on from, and the weights that runs keep.

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"depthlab/experiments"
	"depthlab/harness/disk"
)

// Load reads the question of the view as it was asked last.
func (v View) Load() (*experiments.Question, error) {
	return experiments.Reader{Trained: v.Store().Trained}.Load(v.Question())
}

// Trained returns a finished run by the name of its folder, for a question that goes on
// from it. The error says what was expected, with a hint after a semicolon.
func (s Store) Trained(name string) (experiments.Trained, error) {
	f := s.folder(name)
	if _, err := os.Stat(string(f)); err != nil || !folderName.MatchString(name) || filepath.Base(name) != name {
		return experiments.Trained{}, fmt.Errorf("is no run in %s; %s", s.Runs(), s.similar(name))
	}
	if status := f.Status(name, 0); status.State != Finished {
		return experiments.Trained{}, fmt.Errorf("expected a finished run, and this one is %s at step %d of %d; let it finish first", status.State, status.Step, status.Steps)
	}
	p, err := f.ReadProvenance()
	if err != nil {
		return experiments.Trained{}, fmt.Errorf("its recipe is unknown: %w; remove it (./run.sh rm %s) and train it again", err, name)
	}
	sum, err := Sum(f.Weights())
	if err != nil {
		return experiments.Trained{}, fmt.Errorf("its weights cannot be read: %w; remove it (./run.sh rm %s) and train it again", err, name)
	}
	return experiments.Trained{Run: p.Run, Weights: sum}, nil
}

// folder is the folder of the run with a name.
func (s Store) folder(name string) Folder { return Folder(filepath.Join(s.Runs(), name)) }

// Parent is the folder of the run that another goes on from; "" if there is none.
func (s Store) Parent(run experiments.Run) Folder {
	if run.Continue == "" {
		return ""
	}
	return s.folder(run.Continue)
}

// similar lists runs whose names begin like name, for a hint.
func (s Store) similar(name string) string {
	const most = 5
	all, _, _ := s.All()
	net, _, _ := strings.Cut(name, "-seed")
	var names []string
	for _, f := range all {
		if strings.HasPrefix(f.Name(), net+"-seed") && len(names) < most {
			names = append(names, f.Name())
		}
	}
	if len(names) == 0 {
		return "./run.sh runs lists them"
	}
	return "there is " + strings.Join(names, ", ")
}

// Sum is the SHA-256 of a file, in hexadecimal digits.
func Sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// KeptKind says why weights are kept.
type KeptKind string

const (
	Best  KeptKind = "best" // of the test with the lowest error
	Every KeptKind = "step" // of every so many steps
)

// Kept is the file of weights that were kept after a step: kept/best-step7800.safetensors.
func (f Folder) Kept(kind KeptKind, step int) string {
	name := fmt.Sprintf("step%d.safetensors", step)
	if kind == Best {
		name = "best-" + name
	}
	return filepath.Join(f.kept(), name)
}

func (f Folder) kept() string { return filepath.Join(string(f), "kept") }

// KeptSteps lists the steps whose weights are kept for a reason, in ascending order.
func (f Folder) KeptSteps(kind KeptKind) (steps []int) {
	entries, _ := os.ReadDir(f.kept())
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

// Lacks says which of the weights to keep a finished run does not have; "" for none: it was
// trained before they were asked for.
func (f Folder) Lacks(run experiments.Run) string {
	var lacks []string
	if run.Keep.Best && len(f.KeptSteps(Best)) == 0 {
		lacks = append(lacks, "the best weights")
	}
	if every := run.Keep.Every; every > 0 && run.Schedule.Stop > run.From+every && len(f.KeptSteps(Every)) == 0 {
		lacks = append(lacks, fmt.Sprintf("weights of every %d steps", every))
	}
	return strings.Join(lacks, " and ")
}

// RemoveKept removes the weights kept after steps for which gone is true.
func (f Folder) RemoveKept(kind KeptKind, gone func(step int) bool) error {
	var errs []error
	for _, step := range f.KeptSteps(kind) {
		if gone(step) {
			errs = append(errs, os.Remove(f.Kept(kind, step)))
		}
	}
	return errors.Join(errs...)
}

// copyKept copies the kept weights of a run.
func copyKept(from, to Folder) error {
	entries, err := os.ReadDir(from.kept())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err, disk.MakeDir(to.kept())}
	for _, e := range entries {
		errs = append(errs, copyFile(filepath.Join(from.kept(), e.Name()), filepath.Join(to.kept(), e.Name())))
	}
	return errors.Join(errs...)
}
