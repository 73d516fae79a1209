// Package disk writes files: atomically (whole or not at all), or line by line. All
// results are written through it, so that the effects of a failing disk or a kill are
// decided, and tested, in one place.
package disk

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Error says that a file could not be written. Its former content is unchanged.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("writing %s: %v", e.Path, e.Err)
	switch {
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, syscall.EDQUOT):
		s += "; make room on that disk, then the same command resumes"
	case errors.Is(e.Err, syscall.EROFS), errors.Is(e.Err, os.ErrPermission):
		s += "; the folder must be writable for you"
	case errors.Is(e.Err, os.ErrNotExist):
		s += "; was the folder moved or removed meanwhile?"
	case errors.Is(e.Err, syscall.EIO):
		s += "; the disk itself fails: have it checked"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func wrap(path string, err error) error {
	var inner *Error
	if err == nil || errors.As(err, &inner) {
		return err
	}
	return &Error{path, err}
}

// tempMark comes between a file's name and some digits while the file is being written.
const tempMark = ".tmp"

// Write replaces a file by content, atomically. It makes the folder if necessary. The
// error is an *Error.
func Write(path string, content []byte) error {
	return WriteFunc(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// WriteFunc is Write for content that write produces. When it returns, the file survives
// a loss of power.
func WriteFunc(path string, write func(io.Writer) error) error {
	return put(path, write, os.Rename)
}

// Create is Write for a file that must not exist yet. If several processes try it, on
// several machines too, only one succeeds. The others get fs.ErrExist.
func Create(path string, content []byte) error {
	return put(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}, link)
}

// link gives a temporary file its final name, unless a file of that name exists.
func link(temp, path string) error {
	err := os.Link(temp, path)
	if err == nil {
		return os.Remove(temp)
	}
	if errors.Is(err, os.ErrExist) || errors.Is(err, os.ErrNotExist) {
		return err
	}
	// The file system has no hard links.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Rename(temp, path))
}

// put writes a temporary file beside path and calls place to give it its final name.
func put(path string, write func(io.Writer) error, place func(temp, path string) error) (err error) {
	defer func() { err = wrap(path, err) }()
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir) // "." if dir is ""
	if err := MakeDir(dir); err != nil {
		return err
	}
	if _, err := fault("create", path, 0); err != nil {
		return err
	}
	temp, err := createTemp(dir, name)
	if err != nil {
		return err
	}
	f := &File{temp, path}
	defer func() {
		if err != nil {
			f.f.Close()
			if _, stop := fault("remove", path, 0); stop == nil {
				os.Remove(temp.Name())
			}
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if _, err := fault("rename", path, 0); err != nil {
		return err
	}
	if err := place(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// createTemp makes a temporary file for name in dir. Its mode is 0666 as reduced by the
// user's umask and the folder; that of os.CreateTemp would be 0600.
func createTemp(dir, name string) (*os.File, error) {
	for {
		path := filepath.Join(dir, fmt.Sprintf(".%s%s%d", name, tempMark, rand.Uint32()))
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
}

// MakeDir makes a folder and its parents if they do not exist.
func MakeDir(dir string) error {
	if _, err := fault("mkdir", dir, 0); err != nil {
		return wrap(dir, err)
	}
	return wrap(dir, os.MkdirAll(dir, 0o777))
}

// syncDir makes new and changed names in a folder survive a loss of power. Some network
// and user-space file systems cannot do it and return an error. That is ignored.
func syncDir(dir string) error {
	if _, err := fault("syncdir", dir, 0); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// RemoveTemporaries removes the temporary files that a killed process left in a folder,
// if mine is true for their final names. A missing folder is no error. No process may be
// writing these files.
func RemoveTemporaries(dir string, mine func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		name, hidden := strings.CutPrefix(e.Name(), ".")
		at := strings.LastIndex(name, tempMark)
		if !hidden || at < 0 || strings.Trim(name[at+len(tempMark):], "0123456789") != "" || !mine(name[:at]) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Free is how many bytes the user may still write to the disk that holds dir. known is
// false if that cannot be determined.
func Free(dir string) (bytes int64, known bool) {
	if n, err := fault("free", dir, -1); err != nil {
		return int64(n), true
	}
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
