// Tests of the files of unfinished measurements.

package measure

import (
	"os"
	"path/filepath"
	"testing"

	"depthlab/harness/disk"
)

// A measurement with the same options resumes from the points of the file; with other options, or
// if the file is damaged, it begins again. Removing the last file removes the folder.
func TestPart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "measuring")
	open := func(draws float64) *part {
		t.Helper()
		p, err := openPart(dir, "lesion", map[string]float64{"draws": draws}, 3)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open(1)
	if err := p.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a file of no points")
	}
	p.Points = [][]float64{{1, 2}, {3}}
	if err := p.save(); err != nil {
		t.Fatal(err)
	}
	if again := open(1); len(again.Points) != 2 || again.Points[0][1] != 2 {
		t.Errorf("read %v", again.Points)
	}
	if other := open(2); len(other.Points) != 0 {
		t.Errorf("with other options: %v", other.Points)
	}
	if p, err := openPart(dir, "lesion", p.Options, 1); err != nil || len(p.Points) != 0 {
		t.Errorf("more points than there are: %v, %v", p.Points, err)
	}
	if err := disk.Write(p.path, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if damaged := open(1); len(damaged.Points) != 0 {
		t.Errorf("a damaged file: %v", damaged.Points)
	}
	if err := p.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is left")
	}
	if err := p.remove(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}
