// ImageNet: reads a data set of photos from folders.

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

// Photos are the images of a set that is too large for memory: files of any size, decoded
// when they are needed.
type Photos struct {
	Dir     string
	Names   []string         // (N), paths relative to Dir
	Broken  map[int32]string // what is wrong with the files that the index found unreadable, by image
	Library *photo.Library   // decoder; nil for Go's decoder
	sums    []string         // (N), checksums of the files' bytes
	cache   string           // folder where results are cached
}

// MostBroken is the largest share of unreadable files. With more of them a data set is
// refused and a run stops.
const MostBroken = 0.01

// FolderOptions say how to read a folder of photos.
type FolderOptions struct {
	Size     int                   // side of the square that a net sees
	Library  *photo.Library        // decoder; nil for Go's decoder
	Cache    string                // folder of the cached index
	Progress func(done, total int) // number of files examined so far and in total; may be nil
	TestOnly bool                  // for tests: train may be missing
}

// ImageFolder reads a data set laid out like ImageNet: train/CLASS/*.JPEG, and
// val/CLASS/* or, as published, all of val in one folder with the devkit's ground truth
// beside it. Classes are the folders in train, any number of them, in the order of their
// names. It reports all errors together.
//
// It reads every file once. The index is cached, so that only changed files are read
// again. If ctx ends first, its error is returned and the files read so far stay in the
// cache. Files whose bytes are not a photo are left out of training and tests, unless
// they are more than MostBroken of a set. A file that cannot be read for another reason,
// such as a missing permission, is an error. The source's Warning says what else is left
// out.
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

// OutlineFolder is the outline of a folder of photos, from its listing: no photo is
// opened. Nets see squares of size x size pixels.
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

// imagenet describes the whole of ImageNet.
var imagenet = dataset.Of("imagenet")

// photoTitle says how much of ImageNet the readable photos are.
func photoTitle(classes, train, test int) string {
	if classes == imagenet.Classes && train == imagenet.Train && test == imagenet.Test {
		return imagenet.Title
	}
	return fmt.Sprintf("ImageNet, %d classes, %d + %d photos", classes, train, test)
}

// someOf joins the first few entries of a list.
func someOf(list []string) string {
	const few = 5
	if len(list) > few {
		return strings.Join(list[:few], ", ") + fmt.Sprintf(" and %d more", len(list)-few)
	}
	return strings.Join(list, ", ")
}

// newPhotoSet makes a set of the files in folders. class returns the class of a file in
// folder i.
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

// broken lists the unreadable files in order, each with the reason.
func (p *Photos) broken() []string {
	var all []string
	for _, i := range slices.Sorted(maps.Keys(p.Broken)) {
		all = append(all, fmt.Sprintf("%s (%s)", p.Names[i], p.Broken[i]))
	}
	return all
}

// Extents returns width and height of all photos, from their headers. It returns 1 x 1
// for a photo with an unreadable header; decoding it will give the error.
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

// photoChecksum is over classes and the files' names, labels and bytes. It does not
// depend on the place of the files nor on their times.
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
