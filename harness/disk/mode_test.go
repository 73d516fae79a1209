//go:build linux || darwin || freebsd

// Tests that files and folders get the modes that the umask asks for.

package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The user's umask decides who may read and write what is made: files, locks and folders.
// In a shared folder (setgid) they belong to its group.
func TestModesFollowTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for _, c := range []struct {
		umask        int
		file, folder fs.FileMode
	}{{0o077, 0o600, 0o700}, {0o022, 0o644, 0o755}, {0o002, 0o664, 0o775}} {
		syscall.Umask(c.umask)
		dir := filepath.Join(t.TempDir(), "made")
		written, created, appended := filepath.Join(dir, "written"), filepath.Join(dir, "created"), filepath.Join(dir, "appended")
		if err := Write(written, []byte("a")); err != nil {
			t.Fatal(err)
		}
		if err := Write(written, []byte("b")); err != nil { // replaces the first
			t.Fatal(err)
		}
		if err := Create(created, []byte("a")); err != nil {
			t.Fatal(err)
		}
		f, err := Append(appended)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{dir: c.folder, written: c.file, created: c.file, appended: c.file} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("umask %03o: %s has mode %03o, want %03o", c.umask, filepath.Base(path), got, want)
			}
		}
	}
}
