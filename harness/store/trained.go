// Finished runs that questions continue.

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
	"strings"

	"depthlab/experiments"
)

// Load reads the question.yaml of the view.
func Load(v View) (*experiments.Question, error) {
	return experiments.Reader{Trained: v.trained}.Load(v.Question())
}

// trained is Store.Trained for a question that was asked already. Without the weights of a run, as
// in a pack, the run that continues it knows their sum.
func (v View) trained(name string) (experiments.Trained, error) {
	run, err := v.Store().Trained(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return run, err
	}
	_, entries, unread := v.Read()
	if unread != nil {
		return run, err
	}
	for _, e := range entries {
		child, unread := ReadProvenance(v.Folder(e))
		if unread != nil || child.Run.Continue != name {
			continue
		}
		if parent, unread := ReadProvenance(v.Store().Run(name)); unread == nil {
			return experiments.Trained{Run: parent.Run, Weights: child.Run.Weights}, nil
		}
	}
	return run, err
}

// Trained returns a finished run by the name of its folder, for a question that continues it. The
// error says what was expected, with a hint after a semicolon.
func (s Store) Trained(name string) (experiments.Trained, error) {
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
	sum, err := Sum(f.Weights())
	if err != nil {
		return experiments.Trained{}, fmt.Errorf("its weights cannot be read: %w; remove it (./run.sh rm %s) and train it again", err, name)
	}
	return experiments.Trained{Run: p.Run, Weights: sum}, nil
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
