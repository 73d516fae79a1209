package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"depthlab/experiments/dataset"
	"depthlab/harness/data/photo"
)

// Photos are the images of a set that is too large for memory: files of any
// size, decoded when they are needed.
type Photos struct {
	Dir     string
	Names   []string         // (N), under Dir
	Broken  map[int32]string // what is wrong with the files that the index found unreadable
	Library *photo.Library   // decodes; nil for Go's decoder
	sums    []string         // (N), of the files' bytes
	cache   string           // folder for what is worked out once
}

// MostBroken is the share of unreadable files above which a data set is
// refused, and a run stops.
const MostBroken = 0.01

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
// Every file is read once: what is found is kept in the cache, and only files
// that changed are read again. When ctx ends before, its error is returned; what
// was read by then is kept. Files whose bytes are no photo are left out of
// training and tests, unless they are more than MostBroken of a set. A file
// that cannot be read for another reason, such as a lack of permission, is an
// error. What else is left out is in the source's Warning.
func ImageFolder(ctx context.Context, dir string, o FolderOptions) (*Source, error) {
	f, err := readLayout(dir, o.TestOnly)
	if err != nil {
		return nil, err
	}
	ix, err := openIndex(dir, o.Cache)
	if err != nil {
		return nil, err
	}
	listed, err := ix.read(ctx, slices.Concat(f.train, f.val), o.Progress)
	if err != nil {
		return nil, err
	}
	train, err := newPhotoSet(dir, o, f.classes, listed[:len(f.train)], func(class int, _ string) int { return class })
	if err != nil {
		return nil, f.left.explain(err)
	}
	test, err := newPhotoSet(dir, o, f.classes, listed[len(f.train):], f.truth)
	if err != nil {
		return nil, f.left.explain(err)
	}
	s := &Source{Name: "imagenet", Train: train, Test: test, Checksum: photoChecksum(f.classes, &train, &test)}
	var broken, warnings []string
	for _, set := range []*Set{&s.Train, &s.Test} {
		broken = append(broken, set.Photos.broken()...)
	}
	s.Title = photoTitle(len(f.classes), train.N-len(train.Photos.Broken), test.N-len(test.Photos.Broken))
	s.Canonical = s.Title == imagenet.Title
	if len(broken) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %d unreadable files are left out: %s; all are named in %s", dir, len(broken), someOf(broken), ix.path))
	}
	if len(f.left) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %v", dir, f.left))
	}
	s.Warning = strings.Join(warnings, "\n")
	return s, nil
}

// OutlineFolder is the outline of a folder of photos, by what it lists: no photo
// is opened. Nets see a square of size x size.
func OutlineFolder(dir string, size int) (*Source, error) {
	f, err := readLayout(dir, false)
	if err != nil {
		return nil, err
	}
	set := func(folders []photoDir) Set {
		s := Set{Channels: 3, Size: size, Classes: len(f.classes), Photos: &Photos{Dir: dir}}
		for _, folder := range folders {
			s.N += len(folder.Photos)
		}
		return s
	}
	train, test := set(f.train), set(f.val)
	return &Source{Name: "imagenet", Title: photoTitle(len(f.classes), train.N, test.N), Train: train, Test: test}, nil
}

// imagenet is all of ImageNet.
var imagenet = dataset.Of("imagenet")

// photoTitle says how much of ImageNet the photos that can be read are.
func photoTitle(classes, train, test int) string {
	if classes == imagenet.Classes && train == imagenet.Train && test == imagenet.Test {
		return imagenet.Title
	}
	return fmt.Sprintf("ImageNet, %d classes, %d + %d photos", classes, train, test)
}

// someOf is the first few of a list.
func someOf(list []string) string {
	const few = 5
	if len(list) > few {
		return strings.Join(list[:few], ", ") + fmt.Sprintf(" and %d more", len(list)-few)
	}
	return strings.Join(list, ", ")
}

// newPhotoSet makes a set of the files of folders; class tells the class of a
// file in the i-th of them.
func newPhotoSet(dir string, o FolderOptions, classes []string, listed []*listing, class func(folder int, name string) int) (Set, error) {
	s := Set{Channels: 3, Size: o.Size, Classes: len(classes), Photos: &Photos{Dir: dir, Broken: map[int32]string{}, Library: o.Library, cache: o.Cache}}
	if len(listed) == 0 {
		return s, nil
	}
	per := make([]int, len(classes))
	for i, l := range listed {
		for _, file := range l.Files {
			c := class(i, file.Name)
			if file.Broken != "" {
				s.Photos.Broken[int32(s.N)] = file.Broken
			} else {
				per[c]++
			}
			s.Photos.Names = append(s.Photos.Names, filepath.Join(l.Path, file.Name))
			s.Photos.sums = append(s.Photos.sums, file.Sum)
			s.Labels = append(s.Labels, int32(c))
			s.N++
		}
	}
	where := filepath.Join(dir, strings.Split(listed[0].Path, string(filepath.Separator))[0])
	if n := len(s.Photos.Broken); float64(n) > MostBroken*float64(s.N) {
		return s, fmt.Errorf("%s: %d of %d files are unreadable, more than %g %%: %s", where, n, s.N, 100*MostBroken, someOf(s.Photos.broken()))
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

// broken names the unreadable files, each with the reason, in order.
func (p *Photos) broken() []string {
	var all []string
	for _, i := range slices.Sorted(maps.Keys(p.Broken)) {
		all = append(all, fmt.Sprintf("%s (%s)", p.Names[i], p.Broken[i]))
	}
	return all
}

// Extents are the widths and heights of all photos, by their headers; 1 x 1 of
// one whose header can not be read, which decoding it will say.
func (p *Photos) Extents() [][2]int {
	all := make([][2]int, len(p.Names))
	each(len(all), func(i int) {
		all[i] = [2]int{1, 1}
		if p.Broken[int32(i)] != "" {
			return
		}
		f, err := os.Open(filepath.Join(p.Dir, p.Names[i]))
		if err != nil {
			return
		}
		defer f.Close()
		if c, _, err := image.DecodeConfig(f); err == nil && c.Width > 0 && c.Height > 0 {
			all[i] = [2]int{c.Width, c.Height}
		}
	})
	return all
}

// photoChecksum is over classes, and names, labels and bytes of the files. It
// does not depend on where the files lie, nor on their times.
func photoChecksum(classes []string, sets ...*Set) string {
	h := sha256.New()
	for _, c := range classes {
		fmt.Fprintf(h, "%q\n", c)
	}
	for _, s := range sets {
		for i, name := range s.Photos.Names {
			fmt.Fprintf(h, "%q %d %s\n", filepath.ToSlash(name), s.Labels[i], s.Photos.sums[i])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
