// Tests of writing: whatever fails, a file is the old one or the new one.

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// failing makes one operation fail. A write first writes done bytes.
func failing(t *testing.T, op string, done int, with error) {
	t.Helper()
	Fault = func(o, _ string, _ int) (int, error) {
		if o == op {
			return done, with
		}
		return 0, nil
	}
	t.Cleanup(func() { Fault = nil })
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// Whatever fails, the file is the old one or the new one, the error names it, and no
// other file is left.
func TestWriteIsWholeOrNot(t *testing.T) {
	for _, c := range []struct {
		op   string
		done int
		err  error
		says string
	}{
		{"mkdir", 0, syscall.EROFS, "must be writable"},
		{"create", 0, syscall.EACCES, "must be writable"},
		{"write", 0, syscall.ENOSPC, "make room"},
		{"write", 3, syscall.ENOSPC, "make room"},
		{"write", 3, syscall.EDQUOT, "make room"},
		{"sync", 0, syscall.EIO, "disk itself"},
		{"rename", 0, syscall.EIO, "disk itself"},
	} {
		t.Run(c.op, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub", "x")
			if err := Write(path, []byte("old")); err != nil {
				t.Fatal(err)
			}
			failing(t, c.op, c.done, c.err)
			err := Write(path, []byte("newer"))
			var bad *Error
			if !errors.As(err, &bad) || !errors.Is(err, c.err) || !strings.Contains(err.Error(), path) && c.op != "mkdir" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want an *Error of %v that names %s and says %q", err, c.err, path, c.says)
			}
			if b, err := os.ReadFile(path); string(b) != "old" {
				t.Errorf("the file holds %q, %v; want the old content", b, err)
			}
			if got := names(t, filepath.Dir(path)); got != "x" {
				t.Errorf("files %q, want x alone", got)
			}
			Fault = nil
			if err := Write(path, []byte("newer")); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(path); string(b) != "newer" {
				t.Errorf("after the fault: %q", b)
			}
		})
	}
	t.Run("syncdir", func(t *testing.T) { // too late to undo: the file is the new one, and the error says so
		path := filepath.Join(t.TempDir(), "x")
		failing(t, "syncdir", 0, syscall.EIO)
		if err := Write(path, []byte("new")); !errors.Is(err, syscall.EIO) {
			t.Errorf("error %v, want EIO", err)
		}
		if b, _ := os.ReadFile(path); string(b) != "new" {
			t.Errorf("the file holds %q", b)
		}
	})
}

func TestFolderVanishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	path := filepath.Join(dir, "x")
	f := func(op, _ string, _ int) (int, error) {
		if op == "rename" {
			os.RemoveAll(dir)
		}
		return 0, nil
	}
	Fault = f
	t.Cleanup(func() { Fault = nil })
	var bad *Error
	if err := Write(path, []byte("new")); !errors.As(err, &bad) || bad.Path != path || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want an *Error of %s, not found", err, path)
	}
}

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, text := range []string{"one\n", "two\n"} {
		f, err := Append(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.Write([]byte(text)); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f, _ := Append(path)
	failing(t, "write", 2, syscall.ENOSPC)
	if n, err := f.Write([]byte("half")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if b, _ := os.ReadFile(path); string(b) != "one\ntwo\nha" {
		t.Errorf("holds %q", b)
	}
	if err := errors.Join(f.Truncate(8), f.Close()); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "one\ntwo\n" {
		t.Errorf("holds %q", b)
	}
}

func TestRemoveTemporaries(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".a.json.tmp123", ".a.json.tmp", ".b.json.tmp1", "a.json.tmp1", ".a.json.tmpx1", ".a.json", "a.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveTemporaries(dir, func(name string) bool { return name == "a.json" }); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), ".a.json .a.json.tmpx1 .b.json.tmp1 a.json a.json.tmp1"; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
	if err := RemoveTemporaries(filepath.Join(dir, "none"), nil); err != nil {
		t.Error(err)
	}
}

func TestFree(t *testing.T) {
	if n, known := Free(t.TempDir()); known && n <= 0 {
		t.Errorf("%d bytes free", n)
	}
	failing(t, "free", 7, syscall.ENOSPC)
	if n, known := Free(t.TempDir()); n != 7 || !known {
		t.Errorf("%d %v, want the fault's 7", n, known)
	}
}
