// Files that are appended to, such as records.

package disk

import (
	"errors"
	"os"
)

// File is a file open for appending.
type File struct {
	f    *os.File
	path string // final name, for errors and faults
}

// Append opens a file for appending, or makes it. Its errors, and those of File's
// methods, are *Error.
func Append(path string) (*File, error) {
	if _, err := fault("create", path, 0); err != nil {
		return nil, wrap(path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return nil, wrap(path, err)
	}
	return &File{f, path}, nil
}

// Name is the path that the file was opened with.
func (f *File) Name() string { return f.path }

func (f *File) Write(b []byte) (n int, err error) {
	if n, err = fault("write", f.path, len(b)); err != nil {
		n, _ = f.f.Write(b[:n])
	} else {
		n, err = f.f.Write(b)
	}
	return n, wrap(f.path, err)
}

// Truncate shortens the file to this number of bytes.
func (f *File) Truncate(bytes int64) error {
	if _, err := fault("truncate", f.path, 0); err != nil {
		return wrap(f.path, err)
	}
	return wrap(f.path, f.f.Truncate(bytes))
}

// Sync makes what was written survive a loss of power.
func (f *File) Sync() error {
	if _, err := fault("sync", f.path, 0); err != nil {
		return wrap(f.path, err)
	}
	return wrap(f.path, f.f.Sync())
}

// Close syncs and closes the file.
func (f *File) Close() error { return errors.Join(f.Sync(), wrap(f.path, f.f.Close())) }
