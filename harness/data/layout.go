// The layout of ImageNet's folders: which files belong to which class, and what is left
// out.

package data

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layout lists the folders of photos that make a data set.
type layout struct {
	classes    []string
	train, val []photoDir
	truth      func(folder int, name string) int // class of a file in folder i of val
	left       leftOut
}

// photoDir is the content of a folder of a data set, sorted by name.
type photoDir struct {
	Path    string   // relative to the data set's folder
	Photos  []string // files with a photo's extension
	Folders []string
	Others  []string // files that may be photos, but have another extension
}

// readLayout lists train, val and the classes' folders. With testOnly train may be
// missing.
func readLayout(dir string, testOnly bool) (layout, error) {
	const form = "expected a folder for each class in it, such as n01440764"
	var f layout
	l := lister{dir: dir}
	_, err := os.Stat(filepath.Join(dir, "train"))
	noTrain := errors.Is(err, fs.ErrNotExist)
	if noTrain && !testOnly {
		return f, fmt.Errorf("%w; %s", err, form)
	}
	val := filepath.Join(dir, "val")
	if _, err := os.Stat(val); errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("%s is missing; expected val/n01440764/*.JPEG, or all photos in val and the devkit beside it", val)
	}
	var tops []photoDir
	if !noTrain {
		tops = append(tops, l.list("train"))
	}
	tops = append(tops, l.list("val"))
	f.classes = tops[0].Folders
	if err := l.err(); err != nil {
		return f, err
	}
	if len(f.classes) == 0 {
		return f, fmt.Errorf("%s has no folders; %s", filepath.Join(dir, tops[0].Path), form)
	}
	if !noTrain {
		for _, c := range f.classes {
			f.train = append(f.train, l.list(filepath.Join("train", c)))
		}
	}
	f.left = leftOut{}
	err = f.readVal(&l, tops[len(tops)-1])
	f.left.note(dir, tops, slices.Concat(f.train, f.val))
	return f, errors.Join(l.err(), f.left.explain(err))
}

// readVal lists the folders of the validation set: those of the classes, or val itself if
// the devkit tells the classes of its photos.
func (f *layout) readVal(l *lister, val photoDir) error {
	if len(val.Folders) == 0 {
		truth, err := groundTruth(l.dir, f.classes)
		if err != nil {
			return err
		}
		of := photoDir{Path: val.Path}
		for _, name := range val.Photos {
			if _, ok := truth(name); ok {
				of.Photos = append(of.Photos, name)
			} else {
				f.left.add("photos that are of no class in train", filepath.Join(val.Path, name))
			}
		}
		f.val = []photoDir{of}
		f.truth = func(_ int, name string) int {
			class, _ := truth(name)
			return class
		}
		return nil
	}
	f.truth = func(class int, _ string) int { return class }
	unknown := slices.Clone(val.Folders)
	var missing []string
	for _, c := range f.classes {
		i := slices.Index(unknown, c)
		if i < 0 {
			missing = append(missing, c)
			continue
		}
		unknown = slices.Delete(unknown, i, i+1)
		f.val = append(f.val, l.list(filepath.Join(val.Path, c)))
	}
	var bad []error
	path := filepath.Join(l.dir, val.Path)
	if len(missing) > 0 {
		bad = append(bad, fmt.Errorf("%s lacks %d of the %d classes of train: %s", path, len(missing), len(f.classes), someOf(missing)))
	}
	if len(unknown) > 0 {
		bad = append(bad, fmt.Errorf("%s has %d classes that train does not have: %s", path, len(unknown), someOf(unknown)))
	}
	return errors.Join(bad...)
}

// lister lists the folders of a data set and collects those that cannot be read.
type lister struct {
	dir    string
	failed []string
}

// list sorts the content of a folder and skips clutter. It follows links.
func (l *lister) list(path string) photoDir {
	d := photoDir{Path: path}
	entries, err := os.ReadDir(filepath.Join(l.dir, path))
	if err != nil {
		l.failed = append(l.failed, failure(path, err))
	}
	for _, e := range entries {
		name := e.Name()
		if isClutter(name) {
			continue
		}
		isFolder := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(l.dir, path, name))
			if err != nil {
				l.failed = append(l.failed, failure(filepath.Join(path, name), err))
				continue
			}
			isFolder = info.IsDir()
		}
		switch {
		case isFolder:
			d.Folders = append(d.Folders, name)
		case isPhoto(name):
			d.Photos = append(d.Photos, name)
		case !isText(name):
			d.Others = append(d.Others, name)
		}
	}
	return d
}

func (l *lister) err() error { return cannotRead(l.dir, l.failed) }

// failure names a file or folder of a data set together with the system's error.
func failure(path string, err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		err = e.Err
	}
	return fmt.Sprintf("%s (%v)", path, err)
}

// cannotRead is the error for files and folders that the system does not let us read now;
// nil if there are none. Leaving them out would make another data set.
func cannotRead(dir string, failed []string) error {
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d files or folders cannot be read: %s; make them readable for you (a link needs its target, a network disk its connection), or remove them from the data set",
		dir, len(failed), someOf(failed))
}

// leftOut lists the files of a data set that are not read, by kind.
type leftOut map[string][]string

func (left leftOut) add(kind, path string) { left[kind] = append(left[kind], path) }

// note adds what is not read in train, in val and in the classes' folders.
func (left leftOut) note(dir string, tops, classes []photoDir) {
	for _, d := range tops {
		if len(d.Folders) == 0 { // val as published, in one folder
			continue
		}
		for _, name := range d.Photos {
			left.add("photos beside the classes' folders", filepath.Join(d.Path, name))
		}
	}
	for _, d := range slices.Concat(tops, classes) {
		for _, name := range d.Others {
			left.addOther(filepath.Join(d.Path, name))
		}
	}
	for _, d := range classes {
		for _, name := range d.Folders {
			left.noteInside(dir, filepath.Join(d.Path, name))
		}
	}
}

// noteInside adds the photos in a folder inside a class's folder.
func (left leftOut) noteInside(dir, folder string) {
	root := filepath.Join(dir, folder) + string(filepath.Separator) // follows a link
	filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		inside, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			left.add("folders inside of classes' folders, which cannot be opened", inside)
		case path != root && isClutter(e.Name()):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.IsDir():
		case isPhoto(path):
			left.add("photos in folders inside of classes' folders", inside)
		case !isText(path):
			left.addOther(inside)
		}
		return nil
	})
}

func (left leftOut) addOther(path string) {
	kind := "files without an ending"
	if ending := ending(path); ending != "" {
		kind = "files ending in " + ending
	}
	left.add(kind, path)
}

func (left leftOut) String() string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(left)) {
		all = append(all, fmt.Sprintf("%d %s (the first is %s)", len(left[kind]), kind, left[kind][0]))
	}
	return "left out: " + strings.Join(all, "; ") + ". Photos are files ending in .jpeg, .jpg or .png in the folders of the classes"
}

// explain adds to an error what was left out, because that may be the reason.
func (left leftOut) explain(err error) error {
	if err == nil || len(left) == 0 {
		return err
	}
	return fmt.Errorf("%w; %v", err, left)
}

// ending is a file name's extension, in lower case and with its dot.
func ending(name string) string { return strings.ToLower(filepath.Ext(name)) }

func isPhoto(name string) bool {
	switch ending(name) {
	case ".jpeg", ".jpg", ".png":
		return true
	}
	return false
}

// isText tells the files that people and programs put beside photos: lists,
// labels, notes.
func isText(name string) bool {
	switch ending(name) {
	case ".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".log", ".ini", ".md5", ".sha256":
		return true
	}
	return false
}

// isClutter tells the files and folders that operating systems, file servers
// and archivers leave: hidden ones (._1.JPEG, .nfs0001.jpg, .DS_Store), and
// those that have such a name.
func isClutter(name string) bool {
	if strings.HasPrefix(name, ".") {
		return true
	}
	switch strings.ToLower(name) {
	case "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", // files of Windows and macOS
		"__macosx", "lost+found", "$recycle.bin", "system volume information", // folders of macOS, Linux, Windows
		"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot": // of file servers
		return true
	}
	return false
}
