// Tests that every data set of the table can be obtained.

package data

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"depthlab/experiments/dataset"
)

// Every data set of the table is generated or read from files, and no other data set
// exists.
func TestAccess(t *testing.T) {
	if len(access) != len(dataset.All) {
		t.Errorf("%d data sets can be obtained, the table has %d", len(access), len(dataset.All))
	}
	for _, s := range dataset.All {
		a, err := Of(s.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Made() && (a.Make == nil || a.Checksum == "" || a.Find != nil || s.Env != "" || s.Caveat == "") {
			t.Errorf("%s is generated, but its access is %+v", s.Name, a)
		}
		if !s.Made() && (a.Make != nil || a.Find == nil || a.Check == nil || a.Read == nil || s.Env == "") {
			t.Errorf("%s is read from files, but its access is %+v", s.Name, a)
		}
	}
	if _, err := Of("mnist"); err == nil {
		t.Error("mnist is known")
	}
}

// The sizes in the table are those of the files.
func TestCIFARSizes(t *testing.T) {
	for _, c := range []cifar{cifar10, cifar100} {
		if c.Train%len(c.train) != 0 || c.labels[len(c.labels)-1] != c.Classes || c.Size != 32 {
			t.Errorf("%s: %d images in %d files, classes %v and %d, %d pixels", c.Title, c.Train, len(c.train), c.labels, c.Classes, c.Size)
		}
	}
}

// In finds the data sets of which a folder has a part.
func TestIn(t *testing.T) {
	small, fine, photos, both := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	cifar10.write(t, small)
	cifar100.write(t, filepath.Join(fine, cifar100.folder))
	cifar10.write(t, filepath.Join(both, cifar10.folder))
	for _, dir := range []string{photos, both} {
		if err := os.Mkdir(filepath.Join(dir, "val"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string][]string{t.TempDir(): nil, small: {"cifar10"}, fine: {"cifar100"}, photos: {"imagenet"}, both: {"cifar10", "imagenet"}} {
		var got []string
		for _, s := range In(dir) {
			got = append(got, s.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("a folder with %q has %q", want, got)
		}
	}
}
