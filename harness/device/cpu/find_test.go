// Tests of finding oneDNN.

package cpu

import (
	"os"
	"path/filepath"
	"testing"
)

// The library is found if its folder is a symbolic link, and if the name of the project's
// folder has characters of a glob pattern.
func TestFindFollowsLinks(t *testing.T) {
	t.Setenv(EnvLibrary, "")
	real := filepath.Join(t.TempDir(), "wheel", "lib")
	if err := os.MkdirAll(real, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, soname), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	libDir := filepath.Join(t.TempDir(), "[2024] thesis")
	if err := os.MkdirAll(libDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(real), filepath.Join(libDir, "onednn")); err != nil {
		t.Fatal(err)
	}
	if got, err := Find(libDir); err != nil || got != filepath.Join(real, soname) {
		t.Errorf("found %q, %v; want %s behind the link", got, err, filepath.Join(real, soname))
	}
}
