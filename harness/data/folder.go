// ImageNet: reads a data set of photos from folders.

package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
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
	spans   []span           // (N), where those lie that are in tar files; nil for none
	cache   string           // folder where results are cached
}

// read reads the bytes of photo i into a buffer that is reused.
func (p *Photos) read(i int32, b []byte) ([]byte, error) {
	file, err := p.open(i)
	if err != nil {
		return b, err
	}
	defer file.Close()
	n := int(file.Size())
	if cap(b) < n {
		b = make([]byte, n+n/2)
	}
	b = b[:n]
	_, err = io.ReadFull(file, b)
	return b, err
}

// photoReader reads a photo's bytes, out of a file of its own or a tar file.
type photoReader struct {
	*io.SectionReader
	io.Closer
}

func (p *Photos) open(i int32) (photoReader, error) {
	path, at := p.Names[i], span{}
	if p.spans != nil && p.spans[i].Tar != "" {
		at = p.spans[i]
		path = at.Tar
	}
	f, err := os.Open(filepath.Join(p.Dir, path))
	if err != nil {
		return photoReader{}, errors.Unwrap(err)
	}
	if at.Tar == "" {
		info, err := f.Stat()
		if err != nil {
			return photoReader{}, errors.Join(err, f.Close())
		}
		at.Size = info.Size()
	}
	return photoReader{io.NewSectionReader(f, at.Offset, at.Size), f}, nil
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
	Whole    bool                  // bring all images to Size and hold them in memory

	own bool // the user's own images, which may be arranged in other ways
}

// ImageFolder reads a data set laid out like ImageNet: train/CLASS/*.JPEG, and
// val/CLASS/* or, as published, all of val in one folder with the devkit's ground truth
// beside it. In place of a folder there may be a tar file, which is not unpacked. Classes
// are the folders in train, any number of them, in the order of their names. It reports
// all errors together.
//
// It reads every file once. The index is cached, so that only changed files are read
// again. If ctx ends first, its error is returned and the files read so far stay in the
// cache. Files whose bytes are not a photo are left out of training and tests, unless
// they are more than MostBroken of a set. A file that cannot be read for another reason,
// such as a missing permission, is an error. The source's Warning says what else is left
// out.
func ImageFolder(ctx context.Context, dir string, o FolderOptions) (*Source, error) {
	f, err := readLayout(ctx, dir, o)
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
	train, err := newPhotoSet(dir, f.parts.train, o, f.classes, f.train, listed[:len(f.train)], func(class int, _ string) int { return class })
	if err != nil {
		return nil, f.left.explain(err)
	}
	test, err := newPhotoSet(dir, f.parts.val, o, f.classes, f.val, listed[len(f.train):], f.truth)
	if err != nil {
		return nil, f.left.explain(err)
	}
	s := &Source{Name: o.set().Name, Classes: f.classes, Train: train, Test: test, Checksum: photoChecksum(f.classes, &train, &test)}
	var broken, warnings []string
	resized := 0
	if o.Whole {
		if resized, err = s.hold(ctx, o); err != nil {
			return nil, err
		}
	}
	for _, p := range []*Photos{train.Photos, test.Photos} {
		broken = append(broken, p.broken()...)
	}
	s.Title = f.title(dir, o, train.N-len(train.Photos.Broken), test.N-len(test.Photos.Broken))
	s.Canonical = o.own || s.Title == imagenet.Title
	if len(broken) > 0 {
		where := "; all are named in " + ix.path
		if o.Whole { // not all of them are found out by the index
			where = ""
		}
		warnings = append(warnings, fmt.Sprintf("%s: %d unreadable files are left out: %s%s", dir, len(broken), someOf(broken), where))
	}
	if len(f.left) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %v", dir, f.left))
	}
	if resized > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %d of %d images have another size than %dx%[4]d: they are resized by the shorter side, and the middle is cut out", dir, resized, train.N+test.N, o.Size))
	}
	s.Warning = strings.Join(warnings, "\n")
	return s, nil
}

// OutlineFolder is the outline of a folder of photos, from its listing: no photo is
// opened. Nets see squares of o.Size x o.Size pixels.
func OutlineFolder(ctx context.Context, dir string, o FolderOptions) (*Source, error) {
	f, err := readLayout(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	set := func(folders []photoDir) Set {
		s := Set{Channels: 3, Size: o.Size, Classes: len(f.classes)}
		if !o.Whole {
			s.Photos = &Photos{Dir: dir}
		}
		for _, folder := range folders {
			s.N += len(folder.Photos)
		}
		return s
	}
	train, test := set(f.train), set(f.val)
	if o.Whole {
		err = fits(train.N+test.N, o.Size)
	}
	s := &Source{Name: o.set().Name, Classes: f.classes, Title: f.title(dir, o, train.N, test.N), Train: train, Test: test}
	if len(f.left) > 0 {
		s.Warning = fmt.Sprintf("%s: %v", dir, f.left)
	}
	return s, err
}

// imagenet describes the whole of ImageNet.
var imagenet = dataset.Of("imagenet")

// set is the data set of the table.
func (o FolderOptions) set() dataset.Set {
	if o.own {
		return dataset.Of("folder")
	}
	return imagenet
}

// title says what the readable photos are, and how many. Own images are called as their
// folder, or as its title.txt says.
func (f *layout) title(dir string, o FolderOptions, train, test int) string {
	name := imagenet.Title
	switch {
	case o.own && test == 0:
		return fmt.Sprintf("%s, %d classes, %d images", ownTitle(dir), len(f.classes), train)
	case o.own:
		return fmt.Sprintf("%s, %d classes, %d + %d images", ownTitle(dir), len(f.classes), train, test)
	case f.tiny:
		name = "Tiny-ImageNet"
	case slices.ContainsFunc(f.classes, func(class string) bool { return !isSynset(class) }):
		name = "own photos" // ImageNet's classes are all called like n01440764
	case len(f.classes) == imagenet.Classes && train == imagenet.Train && test == imagenet.Test:
		return name
	}
	return fmt.Sprintf("%s, %d classes, %d + %d photos", name, len(f.classes), train, test)
}

// isSynset says whether a class has a name of ImageNet's.
func isSynset(class string) bool {
	_, err := strconv.Atoi(strings.TrimPrefix(class, "n"))
	return err == nil && class[0] == 'n'
}

// someOf joins the first few entries of a list.
func someOf(list []string) string {
	const few = 5
	if len(list) > few {
		return strings.Join(list[:few], ", ") + fmt.Sprintf(" and %d more", len(list)-few)
	}
	return strings.Join(list, ", ")
}

// newPhotoSet makes a set of the files in folders, as they are listed. part is the folder of
// dir that they are in. class returns the class of a file in folder i.
func newPhotoSet(dir, part string, o FolderOptions, classes []string, folders []photoDir, listed []*listing, class func(folder int, name string) int) (Set, error) {
	s := Set{Channels: 3, Size: o.Size, Classes: len(classes), Photos: &Photos{Dir: dir, Broken: map[int32]string{}, Library: o.Library, cache: o.Cache}}
	if len(listed) == 0 {
		return s, nil
	}
	per := make([]int, len(classes))
	unusual := map[int32]string{}
	var spans []span
	for i, l := range listed {
		for _, file := range l.Files {
			c := class(i, file.Name)
			switch {
			case file.Broken != "":
				s.Photos.Broken[int32(s.N)] = file.Broken
			case file.Unusual != "":
				unusual[int32(s.N)] = file.Unusual
			}
			per[c]++
			s.Photos.Names = append(s.Photos.Names, filepath.Join(l.Path, file.Name))
			s.Photos.sums = append(s.Photos.sums, file.Sum)
			spans = append(spans, span{folders[i].tar, file.Offset, file.Size})
			s.Labels = append(s.Labels, int32(c))
			s.N++
		}
	}
	if slices.ContainsFunc(folders, func(d photoDir) bool { return d.tar != "" }) {
		s.Photos.spans = spans
	}
	for i, why := range unusual {
		why, err := s.Photos.undecodable(i, why)
		if err != nil {
			return s, err
		}
		if why != "" {
			s.Photos.Broken[i] = why
		}
	}
	for i := range s.Photos.Broken {
		per[s.Labels[i]]--
	}
	where := filepath.Join(dir, part)
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

// undecodable says why an unusual photo cannot be decoded by the library that is here; ""
// if it can.
func (p *Photos) undecodable(i int32, unusual string) (why string, err error) {
	if p.Library == nil {
		return unusual + "; libjpeg-turbo may read it, else convert it to an ordinary JPEG", nil
	}
	file, err := p.read(i, nil)
	if err != nil {
		return "", cannotRead(p.Dir, []string{failure(p.Names[i], err)})
	}
	c, err := photo.NewCutter(p.Library)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Cut(make([]uint8, 3), file, photo.View{Side: 1, W: 1, H: 1}); err != nil {
		return err.Error() + "; convert it to an ordinary JPEG", nil
	}
	return "", nil
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
		f, err := p.open(int32(i))
		if err != nil {
			return
		}
		defer f.Close()
		c, _, err := image.DecodeConfig(f)
		if err != nil { // or an unusual one
			c.Width, c.Height, _ = p.size(int32(i))
		}
		if c.Width > 0 && c.Height > 0 {
			all[i] = [2]int{c.Width, c.Height}
		}
	})
	return all
}

// size is the width and height of a photo as the library reads its header.
func (p *Photos) size(i int32) (w, h int, err error) {
	file, err := p.read(i, nil)
	if err != nil {
		return 0, 0, err
	}
	c, err := photo.NewCutter(p.Library)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	return c.Size(file)
}

// photoChecksum is over classes and the files' labels, names and bytes, class by class. It
// does not depend on the folders or tar files that they are in, nor on their times.
func photoChecksum(classes []string, train, val *Set) string {
	h := sha256.New()
	for _, c := range classes {
		fmt.Fprintf(h, "%q\n", c)
	}
	for k, s := range []*Set{train, val} {
		part := []string{"train", "val"}[k]
		order := Indices(s.N)
		slices.SortStableFunc(order, func(a, b int32) int { return int(s.Labels[a] - s.Labels[b]) })
		for _, i := range order {
			label := s.Labels[i]
			fmt.Fprintf(h, "%q %d %s\n", path.Join(part, classes[label], filepath.Base(s.Photos.Names[i])), label, s.Photos.sums[i])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
