// The classes of validation photos that are all in one folder.

package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// classOf is the class of a photo by its file name. ok is false for a photo whose class
// train does not have, or is not known.
type classOf func(name string) (class int, ok bool)

// Lists of photos with their classes.
const (
	kaggleFile = "LOC_val_solution.csv" // Kaggle's: ILSVRC2012_val_00048981,n03995372 85 1 499 272
	tinyFile   = "val_annotations.txt"  // Tiny-ImageNet's: val_0.JPEG	n03444034	0	32	44	62
)

// groundTruth reads what tells the classes of the photos in val: the devkit, Kaggle's
// list or Tiny-ImageNet's.
func (l *lister) groundTruth(val photoDir, f *layout) (classOf, error) {
	for _, dir := range l.around() {
		d, err := findDevkit(dir)
		if err != nil {
			return nil, err
		}
		if d != nil {
			return d.classOf(f.classes)
		}
		if path := filepath.Join(dir, kaggleFile); isRegular(path) {
			return listedClasses(path, f.classes)
		}
	}
	for _, dir := range []string{val.Path, filepath.Dir(val.Path)} {
		if path := filepath.Join(l.dir, dir, tinyFile); isRegular(path) {
			f.tiny = true
			return listedClasses(path, f.classes)
		}
	}
	return nil, &noListError{filepath.Join(l.dir, val.Path)}
}

// noListError says that nothing tells the classes of the photos in the folder val.
type noListError struct{ val string }

func (e *noListError) Error() string {
	return fmt.Sprintf("%s has no folders for the classes, so the devkit is needed beside it: ILSVRC2012_devkit_t12.tar.gz, packed or unpacked, with %s and %s; or Kaggle's %s, or Tiny-ImageNet's %s",
		e.val, truthFile, metaFile, kaggleFile, tinyFile)
}

// around lists the folders that may have the list of classes. In Kaggle's form, the data
// set's folder is ILSVRC/Data/CLS-LOC, and the list is beside ILSVRC.
func (l *lister) around() []string {
	whole, err := filepath.Abs(l.dir)
	if err != nil || !strings.HasSuffix(whole, kaggleFolder) {
		return []string{l.dir}
	}
	root := strings.TrimSuffix(whole, kaggleFolder)
	return []string{l.dir, root, filepath.Dir(filepath.Clean(root))}
}

var kaggleFolder = string(filepath.Separator) + filepath.Join("Data", "CLS-LOC")

// listedClasses reads a list of photos with their classes.
func listedClasses(path string, classes []string) (classOf, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	of, labels := map[string]int{}, map[string]int{}
	for class, name := range classes {
		of[name] = class
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(",\t \r", r) })
		if len(words) < 2 {
			return nil, fmt.Errorf("%s, line %d: %q is not a photo's name and its class", path, i+1, line)
		}
		if class, ok := of[words[1]]; ok {
			labels[stem(words[0])] = class
		}
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("%s: names none of the classes of train, such as %s", path, classes[0])
	}
	return func(name string) (int, bool) {
		class, ok := labels[stem(name)]
		return class, ok
	}, nil
}

// stem is a file's name without its ending.
func stem(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }
