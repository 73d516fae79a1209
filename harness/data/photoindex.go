// The index of photos: what is known of each file, so that only changed files are read
// again.

package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"depthlab/harness/disk"
)

// index holds what is known about every photo of a data set. It is kept in a file, so
// that each photo is read only once: 1000 photos of 110 KB take a core 0.2 to 0.4 s, plus
// the time of the disk. Later only sizes and times are read, in about 10 ms for 1000
// files.
type index struct {
	dir, path string
	kept      map[string]listing // by path
}

// listing is what the index knows about a folder.
type listing struct {
	Path  string // relative to the data set's folder
	Files []photoFile
}

// photoFile is the state of a file when it was read. It is read again if its size or
// modification time differs. (Inode number and change time are ignored: they differ
// whenever the same photos are copied to another machine.)
type photoFile struct {
	Name     string
	Size     int64
	Modified int64  // nanoseconds; of the tar file, if the photo is in one
	Offset   int64  `json:",omitempty"` // in the tar file
	Sum      string // of its bytes: the first half of SHA-256, hex; "" if not read
	Broken   string `json:",omitempty"` // why it cannot be decoded
	Unusual  string `json:",omitempty"` // why only libjpeg-turbo may decode it
}

// openIndex reads the index of a folder. If it is missing or damaged it is built again.
// Indexes of earlier versions have no checksums, so that all files are read again.
func openIndex(dir, cache string) (*index, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(whole))
	ix := &index{dir: dir, path: filepath.Join(cache, hex.EncodeToString(sum[:8])+".json"), kept: map[string]listing{}}
	text, err := os.ReadFile(ix.path)
	if errors.Is(err, fs.ErrNotExist) {
		return ix, nil
	}
	var all []listing
	if err != nil || json.Unmarshal(text, &all) != nil {
		return ix, nil
	}
	for _, l := range all {
		ix.kept[l.Path] = l
	}
	return ix, nil
}

// read returns the listings of folders and reads every file that changed. It saves the
// index every half minute, so that an interrupted build resumes.
func (ix *index) read(ctx context.Context, folders []photoDir, progress func(done, total int)) ([]*listing, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	all, fresh := make([]*listing, len(folders)), make([][]*photoFile, len(folders))
	var failed []string
	total, same := 0, true
	for i, folder := range folders {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var f []string
		all[i], fresh[i], f = ix.compare(folder)
		failed = append(failed, f...)
		total += len(fresh[i])
		same = same && slices.Equal(all[i].Files, ix.kept[folder.Path].Files)
	}
	if err := cannotRead(ix.dir, failed); err != nil || same {
		return all, err
	}
	saved, done := time.Now(), 0
	for i, l := range all {
		ix.kept[l.Path] = *l // shares its files
		for some := range slices.Chunk(fresh[i], chunk) {
			if ctx.Err() != nil {
				return nil, errors.Join(ctx.Err(), ix.save())
			}
			failed = append(failed, ix.examine(folders[i], some)...)
			done += len(some)
			progress(done, total)
			if time.Since(saved) > 30*time.Second {
				if err := ix.save(); err != nil {
					return nil, err
				}
				saved = time.Now()
			}
		}
	}
	return all, errors.Join(cannotRead(ix.dir, failed), ix.save())
}

func (ix *index) save() error {
	all := slices.SortedFunc(maps.Values(ix.kept), func(a, b listing) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return disk.Write(ix.path, text)
}

// lookers is the number of files examined concurrently, because some disks serve many
// requests at once. After each chunk of files read checks whether to stop.
const (
	lookers = 16
	chunk   = 32 * lookers
)

// each calls do for 0 to n-1, lookers at a time.
func each(n int, do func(i int)) {
	var wait sync.WaitGroup
	for l := range min(lookers, n) {
		wait.Go(func() {
			for i := l; i < n; i += lookers {
				do(i)
			}
		})
	}
	wait.Wait()
}

// eachOf calls do for the files of a folder and lists those where it failed. The folder
// itself may be a link, but its files must not lead out of it.
func (ix *index) eachOf(folder string, files []*photoFile, do func(*os.Root, *photoFile) error) (failed []string) {
	root, err := os.OpenRoot(filepath.Join(ix.dir, folder))
	if err != nil {
		return []string{failure(folder, err)}
	}
	defer root.Close()
	errs := make([]error, len(files))
	each(len(files), func(i int) { errs[i] = do(root, files[i]) })
	for i, err := range errs {
		if err != nil {
			failed = append(failed, failure(filepath.Join(folder, files[i].Name), err))
		}
	}
	return failed
}

// unsupported begins what indexes of earlier versions called broken and this one unusual.
const unsupported = "unsupported JPEG feature"

// compare lists the photos of a folder. Files that did not change keep what the index
// knows. fresh are the files that have to be read.
func (ix *index) compare(folder photoDir) (l *listing, fresh []*photoFile, failed []string) {
	l = &listing{Path: folder.Path, Files: make([]photoFile, len(folder.Photos))}
	files := make([]*photoFile, len(l.Files))
	for i, name := range folder.Photos {
		l.Files[i].Name, files[i] = name, &l.Files[i]
	}
	if folder.tar == "" {
		failed = ix.eachOf(l.Path, files, stat)
	} else if info, err := os.Stat(filepath.Join(ix.dir, folder.tar)); err != nil {
		failed = []string{failure(folder.tar, err)}
	} else {
		for i, f := range files {
			f.Size, f.Offset, f.Modified = folder.spans[i].Size, folder.spans[i].Offset, info.ModTime().UnixNano()
			if f.Size == 0 {
				f.Broken = "empty"
			}
		}
	}
	known := map[string]photoFile{}
	for _, f := range ix.kept[l.Path].Files {
		known[f.Name] = f
	}
	for _, f := range files {
		old := known[f.Name]
		switch {
		case f.Broken != "":
		case old.Sum != "" && old.Size == f.Size && old.Modified == f.Modified && old.Offset == f.Offset && !strings.HasPrefix(old.Broken, unsupported):
			*f = old
		default:
			fresh = append(fresh, f)
		}
	}
	return l, fresh, failed
}

// stat fills in size and time, or why the file is not a readable one. An error is one of
// the system.
func stat(root *os.Root, f *photoFile) error {
	info, err := root.Stat(f.Name) // before opening, because opening a pipe would wait
	switch {
	case isSystems(err):
		return err
	case err != nil:
		f.Broken = "a link that leads out of its folder: link the folder as a whole"
	case !info.Mode().IsRegular():
		f.Broken = "not a regular file"
	case info.Size() == 0:
		f.Broken = "empty"
	default:
		f.Size, f.Modified = info.Size(), info.ModTime().UnixNano()
		return unix.Faccessat(unix.AT_FDCWD, filepath.Join(root.Name(), f.Name), unix.R_OK, unix.AT_EACCESS)
	}
	return nil
}

// examine reads whole files.
func (ix *index) examine(folder photoDir, files []*photoFile) (failed []string) {
	if folder.tar != "" {
		return ix.examineTar(folder, files)
	}
	return ix.eachOf(folder.Path, files, func(root *os.Root, f *photoFile) error {
		file, err := root.Open(f.Name)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		f.Size, f.Modified = info.Size(), info.ModTime().UnixNano()
		return f.examine(file)
	})
}

// examineTar reads files inside a tar file.
func (ix *index) examineTar(folder photoDir, files []*photoFile) (failed []string) {
	whole, err := os.Open(filepath.Join(ix.dir, folder.tar))
	if err != nil {
		return []string{failure(folder.tar, err)}
	}
	defer whole.Close()
	errs := make([]error, len(files))
	each(len(files), func(i int) {
		errs[i] = files[i].examine(io.NewSectionReader(whole, files[i].Offset, files[i].Size))
	})
	for i, err := range errs {
		if err != nil {
			failed = append(failed, failure(filepath.Join(folder.Path, files[i].Name), err))
		}
	}
	return failed
}

// examine fills in the checksum of a file, and why it cannot be decoded. An error is one of
// the system.
func (f *photoFile) examine(file io.ReaderAt) error {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(file, 0, math.MaxInt64))
	if err != nil {
		return err
	}
	f.Broken, f.Unusual = "", ""
	switch err := sound(file, n); {
	case isSystems(err):
		return err
	case errors.As(err, new(jpeg.UnsupportedError)):
		f.Unusual = err.Error()
	case err != nil:
		f.Broken = err.Error()
	}
	f.Sum = hex.EncodeToString(h.Sum(nil)[:16])
	return nil
}

// isSystems reports whether an error is one of the system, which may be gone the next
// time, and not the fault of the file's bytes.
func isSystems(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e)
}

// sound checks that a file of size bytes has a photo's header and end.
func sound(file io.ReaderAt, size int64) error {
	config, format, err := image.DecodeConfig(io.NewSectionReader(file, 0, size))
	if err != nil {
		return err
	}
	if config.Width < 1 || config.Height < 1 {
		return fmt.Errorf("%d x %d pixels", config.Width, config.Height)
	}
	end := []byte{0xff, 0xd9}
	if format == "png" {
		end = []byte("IEND")
	}
	// Some files have other bytes after the end.
	for _, n := range []int64{4096, size} {
		n = min(n, size)
		tail := make([]byte, n)
		if _, err := file.ReadAt(tail, size-n); err != nil {
			return err
		}
		if bytes.Contains(tail, end) {
			return nil
		}
	}
	return errors.New("cut short")
}
