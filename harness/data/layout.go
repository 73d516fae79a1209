// The layout of ImageNet's folders: which files belong to which class, and what is left
// out.

package data

import (
	"cmp"
	"context"
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
	parts      struct{ train, val string }       // folders of the data set's folder that they are in; "." for that itself
	truth      func(folder int, name string) int // class of a file in folder i of val
	left       leftOut
	tiny       bool // it has Tiny-ImageNet's list of val's photos
}

// photoDir is the content of a folder of a data set, sorted by name. The folder may be in
// a tar file.
type photoDir struct {
	Path    string   // relative to the data set's folder; in a tar file, as if that were unpacked
	Photos  []string // files with a photo's extension
	Folders []string
	Others  []string // files that may be photos, but have another extension
	tar     string   // the tar file that it is in, relative to the data set's folder; "" for none
	spans   []span   // places of Photos in the tar file; nil without
}

// add sorts in a file.
func (d *photoDir) add(name string, at span) {
	switch {
	case isPhoto(name):
		d.Photos = append(d.Photos, name)
		if d.tar != "" {
			d.spans = append(d.spans, at)
		}
	case !isText(name):
		d.Others = append(d.Others, name)
	}
}

// parts are the names under which the parts of a data set are looked for: folders, or tar
// files in their place.
type parts struct{ train, val, trainTars, valTars []string }

var (
	imagenetParts = parts{
		train: []string{"train"}, trainTars: []string{"train.tar", "ILSVRC2012_img_train.tar"},
		val: []string{"val"}, valTars: []string{"val.tar", "ILSVRC2012_img_val.tar"},
	}
	ownParts = parts{
		train: []string{"train", "training"}, trainTars: []string{"train.tar", "ILSVRC2012_img_train.tar"},
		val: []string{"val", "valid", "validation", "test", "testing"}, valTars: []string{"val.tar", "test.tar", "testing.tar", "ILSVRC2012_img_val.tar"},
	}
)

func (o FolderOptions) parts() parts {
	if o.own {
		return ownParts
	}
	return imagenetParts
}

// part finds a part of the data set in dir; "" if it is not there.
func part(dir string, folders, tars []string) string {
	for _, name := range folders {
		if isFolder(dir, name) {
			return name
		}
	}
	for _, name := range tars {
		if isRegular(filepath.Join(dir, name)) {
			return name
		}
	}
	return ""
}

// readLayout lists train, val and the classes' folders. In place of the folder of a part
// or of a class there may be a tar file. With o.TestOnly train may be missing. The user's
// own images may be all in one folder, with the classes' folders in it and no val.
func readLayout(ctx context.Context, dir string, o FolderOptions) (layout, error) {
	f := layout{left: leftOut{}}
	l := lister{ctx: ctx, dir: dir, cache: o.Cache, tarred: map[string]*photoDir{}}
	names := o.parts()
	trainPart, valPart := part(dir, names.train, names.trainTars), part(dir, names.val, names.valTars)
	whole := o.own && trainPart == "" && valPart == ""
	switch {
	case whole:
		trainPart = "."
	case valPart == "" && o.own: // val is split off train
	case valPart == "":
		return f, fmt.Errorf("%s is missing; expected val/n01440764/*.JPEG, or all photos in val and the devkit beside it", filepath.Join(dir, "val"))
	case trainPart == "" && !o.TestOnly:
		return f, fmt.Errorf("%s: no such file or directory; expected a folder for each class in it, such as n01440764", filepath.Join(dir, "train"))
	}
	var train, val photoDir
	tops := []photoDir{}
	if trainPart != "" {
		train = l.through(l.top(trainPart, "train"), func(inner photoDir) bool { return len(inner.Folders) > 0 })
		f.classes = train.Folders
		tops = append(tops, train)
	}
	if valPart != "" {
		val = l.through(l.top(valPart, "val"), func(inner photoDir) bool { return !slices.Contains(f.classes, filepath.Base(inner.Path)) })
		if o.own && l.unlabelled(val, &f) {
			valPart = ""
		} else {
			tops = append(tops, val)
		}
	}
	f.parts.train, f.parts.val = trainPart, cmp.Or(valPart, trainPart)
	if trainPart == "" {
		f.classes = val.Folders
	}
	if err := cmp.Or(ctx.Err(), l.err()); err != nil {
		return f, err
	}
	if len(f.classes) == 0 {
		return f, fmt.Errorf("%s has no folders; expected a folder for each class in it, such as n01440764", filepath.Join(dir, tops[0].Path))
	}
	if o.own && len(f.classes) == 1 {
		return f, fmt.Errorf("%s has images of one class only, %s; expected a folder for each of several classes", filepath.Join(dir, tops[0].Path), f.classes[0])
	}
	if trainPart != "" {
		for _, c := range f.classes {
			f.train = append(f.train, l.class(train, c))
		}
	}
	var err error
	if valPart != "" {
		err = f.readVal(&l, val)
	}
	f.left.note(&l, tops, slices.Concat(f.train, f.val))
	if !whole && o.own {
		f.left.noteUnused(&l, names, trainPart, valPart)
	}
	return f, cmp.Or(ctx.Err(), errors.Join(l.err(), f.left.explain(err)))
}

// readVal lists the folders of the validation set: those of the classes, or val itself if
// a file beside it tells the classes of its photos.
func (f *layout) readVal(l *lister, val photoDir) error {
	if len(val.Folders) == 0 {
		truth, err := l.groundTruth(val, f)
		if err != nil {
			return err
		}
		of := photoDir{Path: val.Path, tar: val.tar}
		for i, name := range val.Photos {
			if _, ok := truth(name); !ok {
				f.left.add("photos that are of no class in train", filepath.Join(val.Path, name))
				continue
			}
			of.Photos = append(of.Photos, name)
			if val.tar != "" {
				of.spans = append(of.spans, val.spans[i])
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
		f.val = append(f.val, l.class(val, c))
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

// unlabelled says whether nothing tells the classes of the photos in a val: own images often
// have a test that is only to be predicted.
func (l *lister) unlabelled(val photoDir, f *layout) bool {
	if len(val.Folders) > 0 {
		return false
	}
	_, err := l.groundTruth(val, f)
	var none *noListError
	return errors.As(err, &none)
}

// lister lists the folders of a data set, on disk or in tar files, and collects those that
// cannot be read.
type lister struct {
	ctx    context.Context
	dir    string
	cache  string
	tarred map[string]*photoDir // folders in tar files that were opened, by path
	failed []string             // files and folders that the system does not let us read
	bad    []error              // tar files that are damaged
}

// top lists a part of the data set, a folder or a tar file. In a folder, tar files stand
// for the folders of classes.
func (l *lister) top(part, as string) photoDir {
	if ending(part) == tarEnding {
		l.openTar(part, as)
		return l.list(as)
	}
	d := l.list(part)
	d.Others = slices.DeleteFunc(d.Others, func(name string) bool {
		class := stem(name)
		if ending(name) != tarEnding || slices.Contains(d.Folders, class) || part == "." && slices.Contains(slices.Concat(ownParts.trainTars, ownParts.valTars), name) {
			return false
		}
		l.openTar(filepath.Join(d.Path, name), filepath.Join(d.Path, class))
		d.Folders = append(d.Folders, class)
		return true
	})
	slices.Sort(d.Folders)
	return d
}

// class lists the folder of a class.
func (l *lister) class(top photoDir, name string) photoDir {
	return l.through(l.list(filepath.Join(top.Path, name)), func(photoDir) bool { return true })
}

// through is a folder, or, if it holds nothing but one other folder that counts, that one:
// archives are often packed so, and Tiny-ImageNet has photos in n01443537/images.
func (l *lister) through(d photoDir, counts func(inner photoDir) bool) photoDir {
	for len(d.Photos) == 0 && len(d.Folders) == 1 {
		inner := l.list(filepath.Join(d.Path, d.Folders[0]))
		if !counts(inner) {
			break
		}
		d = inner
	}
	return d
}

// openTar makes the content of a tar file a folder at path.
func (l *lister) openTar(file, path string) {
	entries, err := tarEntries(l.ctx, filepath.Join(l.dir, file), l.cache)
	switch {
	case isSystems(err):
		l.failed = append(l.failed, failure(file, err))
	case err != nil:
		l.bad = append(l.bad, fmt.Errorf("%s: %w", filepath.Join(l.dir, file), err))
	}
	maps.Copy(l.tarred, tree(file, path, entries))
}

// list sorts the content of a folder and skips clutter. It follows links.
func (l *lister) list(path string) photoDir {
	if d := l.tarred[path]; d != nil {
		return *d
	}
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
		if isFolder {
			d.Folders = append(d.Folders, name)
		} else {
			d.add(name, span{})
		}
	}
	return d
}

func (l *lister) err() error { return errors.Join(append(l.bad, cannotRead(l.dir, l.failed))...) }

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
func (left leftOut) note(l *lister, tops, classes []photoDir) {
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
			left.noteInside(l, filepath.Join(d.Path, name))
		}
	}
}

// noteUnused adds the folders beside the parts of the data set, and tar files with names of parts.
func (left leftOut) noteUnused(l *lister, names parts, train, val string) {
	beside := train
	if val != "" {
		beside += " and " + val
	}
	for _, name := range l.list(".").Folders {
		if !strings.EqualFold(name, train) && !strings.EqualFold(name, val) { // a file system may ignore case
			left.add("folders beside "+beside, name)
		}
	}
	for _, name := range slices.Concat(names.trainTars, names.valTars) {
		if name != train && name != val && isRegular(filepath.Join(l.dir, name)) {
			left.add("tar files beside "+beside, name)
		}
	}
}

// noteInside adds the photos in a folder inside a class's folder.
func (left leftOut) noteInside(l *lister, folder string) {
	if d := l.tarred[folder]; d != nil {
		for _, name := range d.Photos {
			left.add("photos in folders inside of classes' folders", filepath.Join(folder, name))
		}
		for _, name := range d.Others {
			left.addOther(filepath.Join(folder, name))
		}
		for _, name := range d.Folders {
			left.noteInside(l, filepath.Join(folder, name))
		}
		return
	}
	root := filepath.Join(l.dir, folder) + string(filepath.Separator) // follows a link
	filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		inside, _ := filepath.Rel(l.dir, path)
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
