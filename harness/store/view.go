// Views: the folders of questions, which list runs of the store.

package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"depthlab/experiments"
	"depthlab/harness/disk"
	"depthlab/harness/lock"
)

// View is the folder of a question's profile, results/QUESTION/PROFILE.
type View string

// Entry is one run of a question.
type Entry struct {
	ID  string `json:"id"`  // ID of the run in its question: "resnet-110-no_warm-up-seed0"
	Run string `json:"run"` // name of the run's folder in the store
}

// list is the content of runs.json.
type list struct {
	File string  `json:"file"`           // path of the question's file, as the user gave it
	Path string  `json:"path,omitempty"` // the same relative to the store: other folders have files of the same name
	Runs []Entry `json:"runs"`
}

// Store is the results folder that contains the view.
func (v View) Store() Store { return Store(filepath.Join(string(v), "..", "..")) } // v may end in / or be "."

// Question is the path of the question as it was asked, with all defaults filled in.
func (v View) Question() string { return filepath.Join(string(v), "question.yaml") }

// Slurm is the folder of the batch scripts that were submitted for the question, and of
// their logs.
func (v View) Slurm() string { return filepath.Join(string(v), "slurm") }

// Log is the path of the sweeps' messages.
func (v View) Log() string { return filepath.Join(string(v), "log.txt") }

// Table is the table of errors, for people.
func (v View) Table() string { return filepath.Join(string(v), "table.md") }

// Figure is a figure as PNG.
func (v View) Figure(name string) string { return filepath.Join(string(v), name+".png") }

// Report is the page for a browser.
func (v View) Report() string { return filepath.Join(string(v), "report.html") }

// Origin is what the tables beside it were made from; figures carry it themselves.
func (v View) Origin() string { return filepath.Join(string(v), "provenance.json") }

// TensorBoard is the folder of the event files of the run that the question calls id.
func (v View) TensorBoard(id string) string { return filepath.Join(string(v), "tensorboard", id) }

// Alone runs f while no other process is in Alone for this view. It protects figures,
// tables and the question's file.
func (v View) Alone(ctx context.Context, f func() error) error {
	return lock.Alone(ctx, filepath.Join(string(v), "alone.lock"), f)
}

// List is the path of the list of the question's runs.
func (v View) List() string { return filepath.Join(string(v), "runs.json") }

// Write stores the list of the question's runs. Runs of an earlier list that are not in
// this one stay in the store.
func (v View) Write(file string, runs []Entry) error {
	before, _ := v.read() // a damaged list is overwritten
	l := list{file, before.Path, runs}
	if _, err := os.Stat(file); err == nil {
		store, err1 := filepath.Abs(string(v.Store()))
		path, err2 := filepath.Abs(file)
		if l.Path, err = filepath.Rel(store, path); errors.Join(err1, err2, err) != nil {
			l.Path = ""
		}
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return disk.Write(v.List(), append(text, '\n'))
}

// Read returns the runs of the question; none if it was never asked.
func (v View) Read() (file string, runs []Entry, err error) {
	l, err := v.read()
	return l.File, l.Runs, err
}

// Asked is the path of the question's file from the current folder; "" if it is not known.
func (v View) Asked() (string, error) {
	l, err := v.read()
	if l.Path == "" {
		return l.File, err
	}
	return filepath.Join(string(v.Store()), l.Path), err
}

func (v View) read() (l list, err error) {
	text, err := os.ReadFile(v.List())
	if errors.Is(err, fs.ErrNotExist) {
		return list{}, nil
	}
	if err != nil {
		return list{}, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return list{}, fmt.Errorf("%s: damaged (%w); asking the question again writes it anew", v.List(), err)
	}
	for _, e := range l.Runs {
		if !folderName.MatchString(e.Run) || filepath.Base(e.Run) != e.Run {
			return list{}, fmt.Errorf("%s: %q is not the name of a run in the store", v.List(), e.Run)
		}
	}
	return l, nil
}

// Folder is the folder of an entry's run.
func (v View) Folder(e Entry) Folder { return v.Store().Run(e.Run) }

// Views lists the questions that were asked in this store, by name.
func (s Store) Views() ([]View, error) {
	var all []View
	questions, err := os.ReadDir(string(s))
	if err != nil {
		return nil, err
	}
	for _, q := range questions {
		profiles, err := os.ReadDir(filepath.Join(string(s), q.Name()))
		if err != nil {
			continue // a file, or a folder that we may not read
		}
		for _, p := range profiles {
			v := s.View(q.Name(), p.Name())
			if _, err := os.Stat(v.List()); err == nil {
				all = append(all, v)
			}
		}
	}
	return all, nil
}

// Under lists the views in or under a folder. It follows links, because results may lie on
// another disk. The error is of folders that cannot be read.
func Under(dir string) ([]View, error) { return under(dir, map[string]bool{}) }

// under is Under. seen are the folders that were looked into, as links may form circles.
func under(dir string, seen map[string]bool) (all []View, err error) {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) || seen[real] {
		return nil, nil // a link to nowhere
	}
	seen[real] = true
	entries, unread := os.ReadDir(dir)
	if errors.Is(unread, syscall.ENOTDIR) {
		return nil, nil // a link to a file
	}
	if v := View(dir); IsQuestion(v) {
		return []View{v}, nil
	}
	errs := []error{err, unread}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		hidden := strings.HasPrefix(e.Name(), ".") // being unpacked
		if path != Store(dir).Runs() && !hidden && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
			below, err := under(path, seen)
			all, errs = append(all, below...), append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}

// IsQuestion reports whether the folder is results/NAME/PROFILE: the list of its runs, or its
// question, is in it.
func IsQuestion(v View) bool {
	_, runs, err := v.Read()
	_, missing := os.Stat(v.Question())
	return err != nil || len(runs) > 0 || missing == nil
}

// Used returns for each run (by folder name) the questions that list it, or a run that
// begins as it, or that are to continue it or to begin with a file of its weights. The error is
// about lists that cannot be read.
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
		use := func(run string) {
			if run != "" {
				used[run] = appendNew(used[run], name)
			}
		}
		for _, e := range runs {
			use(e.Run)
			if p, err := ReadProvenance(v.Folder(e)); err == nil {
				use(cmp.Or(p.Source, runOf(p.Run.Init)))
			}
		}
		// A run that has not begun yet has no run.json. Only the names count here, so no run and no
		// file is looked up, and errors do not matter.
		experiments.Reader{
			Trained: func(run string) (experiments.Trained, error) {
				use(run)
				return experiments.Trained{}, errors.New("not looked up")
			},
			Weights: func(file string, _ experiments.Run) (string, error) {
				use(runOf(file))
				return "", nil
			},
		}.Load(v.Question())
	}
	return used, errors.Join(errs...)
}

// runOf returns the name of the run in whose folder the file of weights init is; "" if it is in none,
// or if init is no file. The names in its path decide, not the folder of the store: the path may lead
// there through links, and be relative to a folder that is no longer the current one.
func runOf(init string) string {
	file, err := filepath.Abs(init)
	if err != nil || !experiments.IsFile(init) {
		return ""
	}
	for dir := filepath.Dir(file); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if folderName.MatchString(filepath.Base(dir)) {
			return filepath.Base(dir)
		}
	}
	return ""
}
