// Follower: reads a record repeatedly while its run writes it.

package record

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Follower reads a record that may be growing: first the whole file, then only what was
// appended. If the file was replaced or truncated, it starts again. It is not safe for
// concurrent use.
type Follower struct {
	Path string

	info  fs.FileInfo // of the file at the latest read; nil before
	end   int64       // end of the complete lines that were read
	last  []byte      // the last of these lines, to recognise the file
	lines int
	check checker
	rec   *RunRecord
	err   error
}

// Read does the same as the function Read. If nothing was written it returns the same
// pointer as before, else a new one: a returned RunRecord never changes.
func (f *Follower) Read() (*RunRecord, error) {
	if info, err := os.Stat(f.Path); err == nil && f.same(info) {
		return f.rec, f.err
	}
	file, err := os.Open(f.Path)
	if err != nil {
		*f = Follower{Path: f.Path}
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if f.err != nil && !errors.Is(f.err, ErrEmpty) || !f.continues(file, info) {
		*f = Follower{Path: f.Path}
	}
	f.info = info
	f.err = f.extend(io.NewSectionReader(file, f.end, info.Size()-f.end))
	if f.err != nil {
		f.rec = nil
	}
	return f.rec, f.err
}

// same reports whether the file is unchanged since the latest read.
func (f *Follower) same(info fs.FileInfo) bool {
	return f.info != nil && os.SameFile(f.info, info) && f.info.Size() == info.Size() && f.info.ModTime().Equal(info.ModTime())
}

// continues reports whether the file still begins with what was read.
func (f *Follower) continues(file *os.File, info fs.FileInfo) bool {
	if f.info == nil || !os.SameFile(f.info, info) || info.Size() < f.end {
		return false
	}
	last := make([]byte, len(f.last))
	_, err := file.ReadAt(last, f.end-int64(len(last)))
	return err == nil && bytes.Equal(last, f.last)
}

// extend reads the lines after f.end.
func (f *Follower) extend(from io.Reader) error {
	next := &RunRecord{Path: f.Path}
	if f.rec != nil {
		next.Start, next.Events = f.rec.Start, f.rec.Events
	}
	known := len(next.Events)
	in := bufio.NewScanner(from)
	in.Buffer(nil, maxLine)
	in.Split(wholeLine)
	for in.Scan() {
		f.lines++
		e, err := parse(in.Bytes())
		if err == nil {
			err = f.check.next(e)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", f.Path, f.lines, err)
		}
		next.Events = append(next.Events, e)
		f.end += int64(len(in.Bytes()))
		f.last = append(f.last[:0], in.Bytes()...)
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: line longer than %d bytes", f.Path, f.lines+1, maxLine)
	case err != nil:
		return fmt.Errorf("%s:%d: %w", f.Path, f.lines+1, err)
	case len(next.Events) == 0:
		return fmt.Errorf("%s: %w", f.Path, ErrEmpty)
	}
	if len(next.Events) > known {
		next.Start = *next.Events[0].Start
		f.rec = next
	}
	return nil
}
