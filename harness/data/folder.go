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
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"depthlab/harness/data/photo"
	"depthlab/harness/disk"
)

// Photos are the images of a set that is too large for memory: files of any
// size, decoded when they are needed.
type Photos struct {
	Dir     string
	Names   []string         // (N), under Dir
	Broken  map[int32]string // what is wrong with the files that the index found unreadable
	Library *photo.Library   // decodes; nil for Go's decoder
	cache   string           // folder for what is worked out once
}

// MostBroken is the share of unreadable files above which a data set is
// refused, and a run stops.
const MostBroken = 0.01

// ImageNet's own numbers.
const (
	imagenetClasses = 1000
	ImageNetTrain   = 1281167
	imagenetVal     = 50000
)

// FolderOptions say how a folder of photos is read.
type FolderOptions struct {
	Size     int                   // of the square that a net sees
	Library  *photo.Library        // decodes; nil for Go's decoder
	Cache    string                // folder where the index is kept
	Progress func(done, total int) // files looked into; may be nil
	TestOnly bool                  // val alone will do
}

// ImageFolder reads a data set in the form of ImageNet: train/CLASS/*.JPEG,
// and val/CLASS/* or, as it comes, all of val in one folder with the devkit's
// ground truth beside. Classes are the folders under train, any number of
// them, in the order of their names. All complaints come at once.
//
// Every file is looked into once: what is found is kept in the cache, and only
// folders that changed are read again. When ctx ends before, its error is
// returned; what was looked into by then is kept. Unreadable files are left out of
// training and tests, unless they are more than MostBroken of a set.
func ImageFolder(ctx context.Context, dir string, o FolderOptions) (*Source, error) {
	classes, err := classesOf(filepath.Join(dir, "train"))
	only := o.TestOnly && errors.Is(err, fs.ErrNotExist)
	if only {
		classes, err = classesOf(filepath.Join(dir, "val"))
	}
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, c := range classes {
		if !only {
			folders = append(folders, filepath.Join("train", c))
		}
	}
	val, truth, err := valFolders(dir, classes)
	if err != nil {
		return nil, err
	}
	ix, err := openIndex(dir, o.Cache)
	if err != nil {
		return nil, err
	}
	listed, err := ix.read(ctx, append(folders, val...), o.Progress)
	if err != nil {
		return nil, err
	}
	train, err := newPhotoSet(dir, o, classes, listed[:len(folders)], func(class int, _ string) (int, bool) { return class, true })
	if err != nil {
		return nil, err
	}
	test, err := newPhotoSet(dir, o, classes, listed[len(folders):], truth)
	if err != nil {
		return nil, err
	}
	s := &Source{Name: "imagenet", Train: train, Test: test, Checksum: photoChecksum(classes, listed)}
	s.Title = fmt.Sprintf("ImageNet, %d classes, %d + %d photos", len(classes), train.N, test.N)
	if len(classes) == imagenetClasses && train.N == ImageNetTrain && test.N == imagenetVal {
		s.Title, s.Canonical = "ImageNet", true
	}
	var broken []string
	for _, set := range []*Set{&s.Train, &s.Test} {
		for _, i := range set.Photos.brokenInOrder() {
			broken = append(broken, fmt.Sprintf("%s (%s)", set.Photos.Names[i], set.Photos.Broken[i]))
		}
	}
	if len(broken) > 0 {
		s.Warning = fmt.Sprintf("%s: %d unreadable files are left out: %s; all are named in %s", dir, len(broken), someOf(broken), ix.path)
	}
	return s, nil
}

// classesOf lists the folders under train.
func classesOf(train string) ([]string, error) {
	const form = "expected a folder for each class in it, such as n01440764"
	entries, err := os.ReadDir(train)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, form)
	}
	var classes []string
	for _, e := range entries {
		if isFolder(train, e) {
			classes = append(classes, e.Name())
		}
	}
	if len(classes) == 0 {
		return nil, fmt.Errorf("%s has no folders; %s", train, form)
	}
	return classes, nil
}

// isFolder follows links, too.
func isFolder(dir string, e fs.DirEntry) bool {
	if strings.HasPrefix(e.Name(), ".") {
		return false
	}
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// valFolders lists the folders of the validation set, and gives what tells
// the class of a file in the i-th of them; ok is false for one that is of none
// of the classes.
func valFolders(dir string, classes []string) (folders []string, class func(i int, name string) (class int, ok bool), err error) {
	val := filepath.Join(dir, "val")
	entries, err := os.ReadDir(val)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s is missing; expected val/n01440764/*.JPEG, or all photos in val and the devkit beside it", val)
	}
	if err != nil {
		return nil, nil, err
	}
	have := map[string]bool{}
	for _, e := range entries {
		if isFolder(val, e) {
			have[e.Name()] = true
		}
	}
	if len(have) == 0 {
		truth, err := groundTruth(dir, classes)
		if err != nil {
			return nil, nil, err
		}
		return []string{"val"}, truth, nil
	}
	var missing, unknown []string
	for _, c := range classes {
		if !have[c] {
			missing = append(missing, c)
		}
		folders = append(folders, filepath.Join("val", c))
		delete(have, c)
	}
	for c := range have {
		unknown = append(unknown, c)
	}
	slices.Sort(unknown)
	var bad []error
	if len(missing) > 0 {
		bad = append(bad, fmt.Errorf("%s lacks %d of the %d classes of train: %s", val, len(missing), len(classes), someOf(missing)))
	}
	if len(unknown) > 0 {
		bad = append(bad, fmt.Errorf("%s has %d classes that train has not: %s", val, len(unknown), someOf(unknown)))
	}
	return folders, func(i int, _ string) (int, bool) { return i, true }, errors.Join(bad...)
}

// someOf is the first few of a list.
func someOf(list []string) string {
	const few = 5
	if len(list) > few {
		return strings.Join(list[:few], ", ") + fmt.Sprintf(" and %d more", len(list)-few)
	}
	return strings.Join(list, ", ")
}

// newPhotoSet makes a set of the files of folders.
func newPhotoSet(dir string, o FolderOptions, classes []string, listed []*listing, class func(folder int, name string) (int, bool)) (Set, error) {
	s := Set{Channels: 3, Size: o.Size, Classes: len(classes), Photos: &Photos{Dir: dir, Broken: map[int32]string{}, Library: o.Library, cache: o.Cache}}
	if len(listed) == 0 {
		return s, nil
	}
	per := make([]int, len(classes))
	for f, l := range listed {
		for _, file := range l.Files {
			c, ok := class(f, file.Name)
			if !ok {
				continue
			}
			if file.Broken != "" {
				s.Photos.Broken[int32(s.N)] = file.Broken
			} else {
				per[c]++
			}
			s.Photos.Names = append(s.Photos.Names, filepath.Join(l.Path, file.Name))
			s.Labels = append(s.Labels, int32(c))
			s.N++
		}
	}
	where := filepath.Join(dir, strings.Split(listed[0].Path, string(filepath.Separator))[0])
	if n := len(s.Photos.Broken); float64(n) > MostBroken*float64(s.N) {
		var some []string
		for _, i := range s.Photos.brokenInOrder() {
			some = append(some, fmt.Sprintf("%s (%s)", s.Photos.Names[i], s.Photos.Broken[i]))
		}
		return s, fmt.Errorf("%s: %d of %d files are unreadable, more than %g %%: %s", where, n, s.N, 100*MostBroken, someOf(some))
	}
	var empty []string
	for c, n := range per {
		if n == 0 {
			empty = append(empty, classes[c])
		}
	}
	if len(empty) > 0 {
		return s, fmt.Errorf("%s: %d of %d classes have no photo that can be read (.JPEG, .jpg, .png): %s", where, len(empty), len(classes), someOf(empty))
	}
	return s, nil
}

func (p *Photos) brokenInOrder() []int32 {
	var all []int32
	for i := range p.Broken {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

// Extents are the widths and heights of all photos, by their headers; 1 x 1 of
// one whose header can not be read, which decoding it will say.
func (p *Photos) Extents() [][2]int {
	all := make([][2]int, len(p.Names))
	var wait sync.WaitGroup
	for l := range lookers {
		wait.Go(func() {
			for i := l; i < len(all); i += lookers {
				all[i] = [2]int{1, 1}
				if p.Broken[int32(i)] != "" {
					continue
				}
				f, err := os.Open(filepath.Join(p.Dir, p.Names[i]))
				if err != nil {
					continue
				}
				if c, _, err := image.DecodeConfig(f); err == nil && c.Width > 0 && c.Height > 0 {
					all[i] = [2]int{c.Width, c.Height}
				}
				f.Close()
			}
		})
	}
	wait.Wait()
	return all
}

// photoChecksum is over classes, names and sizes of files: to read 140 GB for
// it would take longer than many a run.
func photoChecksum(classes []string, listed []*listing) string {
	h := sha256.New()
	for _, c := range classes {
		fmt.Fprintln(h, c)
	}
	for _, l := range listed {
		for _, f := range l.Files {
			fmt.Fprintf(h, "%s/%s %d\n", filepath.ToSlash(l.Path), f.Name, f.Size)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// listing is what the index knows of a folder.
type listing struct {
	Path     string // under the data set's
	Modified int64  // of the folder, in nanoseconds
	Files    []listedFile
}

type listedFile struct {
	Name   string
	Size   int64
	Broken string `json:",omitempty"` // why it can not be read
}

// index is the file that keeps listings.
type index struct {
	dir, path string
	kept      map[string]*listing
}

// openIndex reads the index of a folder; one that is not there, or not
// readable, is made anew.
func openIndex(dir, cache string) (*index, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(whole))
	ix := &index{dir: dir, path: filepath.Join(cache, hex.EncodeToString(sum[:8])+".json"), kept: map[string]*listing{}}
	text, err := os.ReadFile(ix.path)
	if errors.Is(err, fs.ErrNotExist) {
		return ix, nil
	}
	var all []*listing
	if err != nil || json.Unmarshal(text, &all) != nil {
		return ix, nil
	}
	for _, l := range all {
		ix.kept[l.Path] = l
	}
	return ix, nil
}

// read lists folders, looking into every file of those that changed. What it
// has is kept every half minute, so that a build that is stopped goes on.
func (ix *index) read(ctx context.Context, folders []string, progress func(done, total int)) ([]*listing, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	all := make([]*listing, len(folders))
	var fresh []*listing
	total, done := 0, 0
	for i, folder := range folders {
		l, known, err := ix.list(folder)
		if err != nil {
			return nil, err
		}
		all[i] = l
		if !known {
			fresh = append(fresh, l)
			total += len(l.Files)
		}
	}
	saved := time.Now()
	for _, l := range fresh {
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), ix.save())
		}
		if err := ix.look(l); err != nil {
			return nil, err
		}
		ix.kept[l.Path] = l
		done += len(l.Files)
		progress(done, total)
		if time.Since(saved) > 30*time.Second {
			if err := ix.save(); err != nil {
				return nil, err
			}
			saved = time.Now()
		}
	}
	if len(fresh) > 0 {
		return all, ix.save()
	}
	return all, nil
}

func (ix *index) save() error {
	all := make([]*listing, 0, len(ix.kept))
	for _, l := range ix.kept {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *listing) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return disk.Write(ix.path, text)
}

// list gives the listing that is known of a folder, or a new one with names
// alone.
func (ix *index) list(folder string) (l *listing, known bool, err error) {
	path := filepath.Join(ix.dir, folder)
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if l := ix.kept[folder]; l != nil && l.Modified == info.ModTime().UnixNano() {
		return l, true, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, false, err
	}
	l = &listing{Path: folder, Modified: info.ModTime().UnixNano()}
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".jpeg", ".jpg", ".png":
			l.Files = append(l.Files, listedFile{Name: e.Name()})
		}
	}
	return l, false, nil
}

// lookers is how many files are looked into at once: there are disks that
// answer many.
const lookers = 16

// look fills in size and soundness of a folder's files. The folder may be a
// link as a whole; the files must be its own.
func (ix *index) look(l *listing) error {
	root, err := os.OpenRoot(filepath.Join(ix.dir, l.Path))
	if err != nil {
		return err
	}
	defer root.Close()
	var wait sync.WaitGroup
	for w := range min(lookers, len(l.Files)) {
		wait.Go(func() {
			for i := w; i < len(l.Files); i += lookers {
				f := &l.Files[i]
				var err error
				if f.Size, err = lookInto(root, f.Name); err != nil {
					f.Broken = err.Error()
				}
			}
		})
	}
	wait.Wait()
	return nil
}

// lookInto reads a photo's header and its end.
func lookInto(root *os.Root, name string) (size int64, err error) {
	info, err := root.Stat(name) // before it is opened: a pipe would be waited for
	switch {
	case err != nil: // a link out of the folder, too
		return 0, errors.Unwrap(err)
	case !info.Mode().IsRegular():
		return 0, errors.New("no regular file")
	case info.Size() == 0:
		return 0, errors.New("empty")
	}
	f, err := root.Open(name)
	if err != nil {
		return 0, errors.Unwrap(err)
	}
	defer f.Close()
	size = info.Size()
	config, format, err := image.DecodeConfig(io.LimitReader(f, size))
	if err != nil {
		return size, err
	}
	if config.Width < 1 || config.Height < 1 {
		return size, fmt.Errorf("%d x %d pixels", config.Width, config.Height)
	}
	end := []byte{0xff, 0xd9}
	if format == "png" {
		end = []byte("IEND")
	}
	// Some have other bytes behind the end.
	for _, n := range []int64{4096, size} {
		n = min(n, size)
		tail := make([]byte, n)
		if _, err := f.ReadAt(tail, size-n); err != nil {
			return size, err
		}
		if bytes.Contains(tail, end) {
			return size, nil
		}
	}
	return size, errors.New("cut short")
}
