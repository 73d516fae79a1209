// Files of unfinished measurements.

package measure

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"depthlab/harness/disk"
)

// part is the file of an unfinished measurement: the points so far.
type part struct {
	path    string
	Options map[string]float64 `json:"options"`
	Points  [][]float64        `json:"points"`
}

// openPart reads the points of an earlier session, if that had the same options and the file is
// not damaged; else there are no points.
func openPart(dir, name string, options map[string]float64, points int) (*part, error) {
	all := func(string) bool { return true }
	if err := disk.RemoveTemporaries(dir, all); err != nil {
		return nil, err
	}
	p := &part{path: filepath.Join(dir, name+".json"), Options: options}
	text, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	var old part
	if json.Unmarshal(text, &old) == nil && maps.Equal(old.Options, options) && len(old.Points) <= points {
		p.Points = old.Points
	}
	return p, nil
}

// save writes the points so far, if there are any.
func (p *part) save() error {
	if len(p.Points) == 0 {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return disk.Write(p.path, text)
}

// remove removes the file, after its points are in the record, and the folder if it is empty then.
func (p *part) remove() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	os.Remove(filepath.Dir(p.path)) // fails if the folder has other files
	return nil
}
