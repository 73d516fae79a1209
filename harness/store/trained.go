// Finished runs that questions continue.

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments"
)

// Load reads the question.yaml of the view.
func Load(v View) (*experiments.Question, error) {
	return experiments.Reader{Trained: v.Store().Trained}.Load(v.Question())
}

// Trained returns a finished run by the name of its folder, for a question that continues it. The
// error says what was expected, with a hint after a semicolon.
func (s Store) Trained(name string) (experiments.Trained, error) {
	f := s.folder(name)
	if _, err := os.Stat(string(f)); err != nil || !folderName.MatchString(name) || filepath.Base(name) != name {
		return experiments.Trained{}, fmt.Errorf("is not a run in %s; %s", s.Runs(), s.similar(name))
	}
	if status := StatusOf(f, name, 0); status.State != Finished {
		return experiments.Trained{}, fmt.Errorf("expected a finished run, but this one is %s at step %d of %d; let it finish first", status.State, status.Step, status.Steps)
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

// folder returns the folder of the run with a name, whether or not it exists.
func (s Store) folder(name string) Folder { return Folder(filepath.Join(s.Runs(), name)) }

// Parent returns the folder of the run that another one continues; "" if there is none.
func (s Store) Parent(run experiments.Run) Folder {
	if run.Continue == "" {
		return ""
	}
	return s.folder(run.Continue)
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
