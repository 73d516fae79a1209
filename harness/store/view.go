// Questions as views over the runs of the store.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"depthlab/harness/disk"
	"depthlab/harness/lock"
)

// View is the folder of a question's profile, results/QUESTION/PROFILE.
type View string

// Entry is a run of a question.
type Entry struct {
	ID  string `json:"id"`  // of the run in its question: "resnet-110-no_warm-up-seed0"
	Run string `json:"run"` // name of its folder in the store
}

// list is runs.json.
type list struct {
	File string  `json:"file"` // the question's, as it was named
	Runs []Entry `json:"runs"`
}

// Store is the results folder that the view lies in.
func (v View) Store() Store { return Store(filepath.Dir(filepath.Dir(string(v)))) }

// Question is the file of the question as it was asked, with every default.
func (v View) Question() string { return filepath.Join(string(v), "question.yaml") }

// Log is where the messages of sweeps go.
func (v View) Log() string { return filepath.Join(string(v), "log.txt") }

// TensorBoard is the folder of the event files of the run that the question calls id.
func (v View) TensorBoard(id string) string { return filepath.Join(string(v), "tensorboard", id) }

// Alone runs f while no other process is in Alone for the view: for figures, tables
// and the question.
func (v View) Alone(ctx context.Context, f func() error) error {
	return lock.Alone(ctx, filepath.Join(string(v), "alone.lock"), f)
}

func (v View) listPath() string { return filepath.Join(string(v), "runs.json") }

// Write notes which runs the question has. Runs that an earlier list has and this one
// lacks stay in the store.
func (v View) Write(file string, runs []Entry) error {
	text, err := json.MarshalIndent(list{file, runs}, "", "  ")
	if err != nil {
		return err
	}
	return disk.Write(v.listPath(), append(text, '\n'))
}

// Read gives the runs of the question; none where it was never asked.
func (v View) Read() (file string, runs []Entry, err error) {
	text, err := os.ReadFile(v.listPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return "", nil, fmt.Errorf("%s: damaged (%w); asking the question again writes it anew", v.listPath(), err)
	}
	for _, e := range l.Runs {
		if !folderName.MatchString(e.Run) || filepath.Base(e.Run) != e.Run {
			return "", nil, fmt.Errorf("%s: %q is no name of a run in the store", v.listPath(), e.Run)
		}
	}
	return l.File, l.Runs, nil
}

// Folder is where an entry's run lies.
func (v View) Folder(e Entry) Folder { return Folder(filepath.Join(v.Store().Runs(), e.Run)) }

// Views lists the questions that were asked in the store, by name.
func (s Store) Views() ([]View, error) {
	var all []View
	questions, err := os.ReadDir(string(s))
	if err != nil {
		return nil, err
	}
	for _, q := range questions {
		profiles, err := os.ReadDir(filepath.Join(string(s), q.Name()))
		if err != nil {
			continue // a file, or not ours to read
		}
		for _, p := range profiles {
			v := s.View(q.Name(), p.Name())
			if _, err := os.Stat(v.listPath()); err == nil {
				all = append(all, v)
			}
		}
	}
	return all, nil
}

// Used says which questions name each run of the store, by the run's folder name.
// The error is of lists that cannot be read.
func (s Store) Used() (map[string][]string, error) {
	views, err := s.Views()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	errs := []error{err}
	used := map[string][]string{}
	for _, v := range views {
		_, runs, err := v.Read()
		errs = append(errs, err)
		name, _ := filepath.Rel(string(s), string(v))
		for _, e := range runs {
			if !slices.Contains(used[e.Run], name) {
				used[e.Run] = append(used[e.Run], name)
			}
		}
	}
	return used, errors.Join(errs...)
}
