// Submissions, recorded in the results folder.

package slurm

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"depthlab/harness/disk"
)

// Submission is an array of tasks that was submitted for a question. It is recorded beside its
// script, whose name is the time.
type Submission struct {
	Job       string `json:"job"`            // number of the array
	Plot      string `json:"plot,omitempty"` // number of the job that follows; "" if Slurm refused it
	Tasks     int    `json:"tasks"`
	Submitted string `json:"submitted"` // UTC
}

// Note writes the submission beside its script.
func (s Submission) Note(script string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return disk.Write(strings.TrimSuffix(script, filepath.Ext(script))+".json", append(text, '\n'))
}

// Submissions reads the submissions of a folder, oldest first; none if the folder does not exist. The
// error lists files that cannot be read; the others are returned.
func Submissions(dir string) (all []Submission, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	errs := []error{err}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		var s Submission
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if errs = append(errs, err); err == nil {
			all = append(all, s)
		}
	}
	return all, errors.Join(errs...)
}
