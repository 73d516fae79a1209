package disk

import (
	"errors"
	"os"
)

// File is written to at its end.
type File struct {
	f    *os.File
	path string // its final name: what errors and faults are about
}

// Append opens a file to be gone on with, or made. The error is an *Error, as
// are those of its methods.
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

// Truncate cuts the file to so many bytes.
func (f *File) Truncate(bytes int64) error {
	if _, err := fault("truncate", f.path, 0); err != nil {
		return wrap(f.path, err)
	}
	return wrap(f.path, f.f.Truncate(bytes))
}

// Sync makes what was written outlast a loss of power.
func (f *File) Sync() error {
	if _, err := fault("sync", f.path, 0); err != nil {
		return wrap(f.path, err)
	}
	return wrap(f.path, f.f.Sync())
}

// Close syncs and closes the file.
func (f *File) Close() error { return errors.Join(f.Sync(), wrap(f.path, f.f.Close())) }
