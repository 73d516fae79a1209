package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments/dataset"
)

// Access is how a data set is had: made by the program, or found on the machine,
// checked and read. What a set has no use for is nil.
type Access struct {
	Make     func() *Source
	Checksum string // of what Make makes, which takes a moment

	// Find gives the folder of the files: home, or one in it. One with a part of
	// the set will do. The error says what was looked for, and what to do.
	Find func(home string) (dir string, err error)
	// Check says what a folder that Find gave lacks of a whole set, and reads no image.
	Check func(dir string) error
	// Read reads the set from such a folder. When ctx ends before, the error is its own.
	Read func(ctx context.Context, dir string, o FolderOptions) (*Source, error)
	// Outline describes what lies in such a folder, where that is not known beforehand.
	Outline func(dir string, size int) (*Source, error)
	// Fetch downloads the files into home. What an earlier, interrupted call has got
	// is gone on from. progress is told the bytes that are there and that there will
	// be, 0 if not known; it may be nil.
	Fetch func(ctx context.Context, home string, progress func(done, total int64)) error
	MiB   int // that Fetch downloads
}

var access = map[string]Access{
	"cifar10":   cifar10.access(),
	"cifar100":  cifar100.access(),
	"imagenet":  {Find: findPhotos, Check: checkPhotos, Read: ImageFolder, Outline: OutlineFolder},
	"preview":   {Make: func() *Source { return Preview(0, 0) }, Checksum: PreviewChecksum},
	"preview64": {Make: func() *Source { return Preview64(0, 0) }, Checksum: Preview64Checksum},
}

// Of is how the data set that a question calls name is had.
func Of(name string) (Access, error) {
	a, ok := access[name]
	if !ok {
		return a, fmt.Errorf("data set %q: expected one of %s", name, strings.Join(dataset.Names(), ", "))
	}
	return a, nil
}

// Fetchable lists the data sets that can be downloaded.
func Fetchable() (names []string) {
	for _, name := range dataset.Names() {
		if access[name].Fetch != nil {
			names = append(names, name)
		}
	}
	return names
}

// In lists the data sets that a folder has, or has a part of.
func In(dir string) (found []dataset.Set) {
	for _, s := range dataset.All {
		if s.Made() {
			continue
		}
		if _, err := access[s.Name].Find(dir); err == nil {
			found = append(found, s)
		}
	}
	return found
}

// Outline is a data set without its images, as much of it as is known before it
// is read; nets see a square of size x size of photos.
func Outline(name string, size int) (*Source, error) {
	if _, err := Of(name); err != nil {
		return nil, err
	}
	s := dataset.Of(name)
	set := Set{Channels: 3, Size: s.Size, Classes: s.Classes}
	if s.Photos {
		set.Size, set.Photos = size, &Photos{}
	}
	src := &Source{Name: name, Title: s.Title, Train: set, Test: set}
	src.Train.N, src.Test.N = s.Train, s.Test
	return src, nil
}

const photosForm = "--data DIR or $DEPTHLAB_IMAGENET names a folder with train/n01440764/*.JPEG and val"

// findPhotos takes a folder with train and val or, for tests, with one of them.
func findPhotos(home string) (string, error) {
	if !isFolder(home, "train") && !isFolder(home, "val") {
		return "", fmt.Errorf("ImageNet not found (looked in %s); %s", home, photosForm)
	}
	return home, nil
}

func checkPhotos(dir string) error {
	for _, set := range []string{"train", "val"} {
		if !isFolder(dir, set) {
			return fmt.Errorf("has no folder %s; %s", set, photosForm)
		}
	}
	return nil
}

func isFolder(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.IsDir()
}
