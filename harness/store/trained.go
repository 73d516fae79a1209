// Finished runs that questions continue, and the weights with which runs began.

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments"
)

// Load reads the question.yaml of the view. It reads no weights with which runs begin, because these
// may be gone, as in a pack: run.json of a run has their sum.
func Load(v View) (*experiments.Question, error) {
	q, err := experiments.Reader{Trained: v.Store().Recorded}.Load(v.Question())
	if err != nil {
		return nil, err
	}
	_, entries, _ := v.Read() // who reads the runs reports a damaged list
	for _, p := range q.Plans {
		for i := range p.Runs {
			begunWith(&p.Runs[i], v, entries)
		}
	}
	return q, nil
}

// begunWith sets the sum of the weights with which a run of the view began; "" if it has not begun.
func begunWith(run *experiments.Run, v View, entries []Entry) {
	if run.Continue == "" && !experiments.IsFile(run.Init) {
		return
	}
	for _, e := range entries {
		if e.ID != run.ID {
			continue
		}
		if made, err := ReadProvenance(v.Folder(e)); err == nil {
			run.Weights = made.Run.Weights
		}
	}
}

// Trained returns a finished run by the name of its folder, for a question that continues it. The
// error says what was expected, with a hint after a semicolon.
func (s Store) Trained(name string) (experiments.Trained, error) {
	run, err := s.Recorded(name)
	if err != nil {
		return run, err
	}
	run.Weights, err = Sum(s.Run(name).Weights())
	if err != nil {
		return experiments.Trained{}, fmt.Errorf("its weights cannot be read: %w; remove it (./run.sh rm %s) and train it again", err, name)
	}
	return run, nil
}

// Recorded is Trained without the sum of the weights, which need not be there.
func (s Store) Recorded(name string) (experiments.Trained, error) {
	f := s.Run(name)
	if _, err := os.Stat(string(f)); err != nil || !folderName.MatchString(name) || filepath.Base(name) != name {
		return experiments.Trained{}, fmt.Errorf("is not a run in %s; %s", s.Runs(), s.similar(name))
	}
	switch status := StatusOf(f, name, 0); status.State {
	case Finished:
	case Training, Silent, Interrupted:
		return experiments.Trained{}, fmt.Errorf("expected a finished run, but this one is %s at step %d of %d; let it finish first", status.State, status.Step, status.Steps)
	case Failed:
		return experiments.Trained{}, fmt.Errorf("expected a finished run, but this one failed: %s", status.Why)
	default:
		return experiments.Trained{}, errors.New("expected a finished run, but this one has not begun")
	}
	p, err := ReadProvenance(f)
	if err != nil {
		return experiments.Trained{}, fmt.Errorf("its recipe is unknown: %w; remove it (./run.sh rm %s) and train it again", err, name)
	}
	return experiments.Trained{Run: p.Run}, nil
}

// Parent returns the folder of the run that another one continues; "" if there is none.
func (s Store) Parent(run experiments.Run) Folder {
	if run.Continue == "" {
		return ""
	}
	return s.Run(run.Continue)
}

// similar returns a hint with runs of the same net as name.
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

// Sum returns the SHA-256 of a file, in hexadecimal digits.
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
