// Measurements that are under way.

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

// part is the file of a measurement that is under way: the points so far.
type part struct {
	path    string
	Options map[string]float64 `json:"options"`
	Points  [][]float64        `json:"points"`
}

// openPart reads what an earlier session left, if it had the same options.
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

// remove removes the file when its points are in the record, and the folder if it was the
// last one.
func (p *part) remove() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	os.Remove(filepath.Dir(p.path)) // fails if another one is in it
	return nil
}
