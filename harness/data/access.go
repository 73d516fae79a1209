// The table of how each data set is obtained: generated, or found, checked, read and
// downloaded.

package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments/dataset"
)

// Access is how a data set is obtained: the program generates it, or finds files on the
// machine, checks and reads them. Functions that do not apply to a set are nil.
type Access struct {
	Make     func() *Source
	Checksum string // of what Make generates, so that it need not be generated to know it

	// Find returns the folder of the files: home or a folder in it. A folder with only a
	// part of the set is accepted. The error says where it looked and what to do.
	Find func(home string) (dir string, err error)
	// Check returns an error if a folder from Find is not complete. It reads no image.
	Check func(dir string) error
	// Read reads the set from such a folder. If ctx ends first, it returns ctx's error.
	Read func(ctx context.Context, dir string, o FolderOptions) (*Source, error)
	// Outline describes the content of such a folder, if that is not known beforehand.
	Outline func(ctx context.Context, dir string, o FolderOptions) (*Source, error)
	// Fetch downloads the files into home. It resumes an interrupted download. progress,
	// which may be nil, gets the number of bytes so far and in total (0 if unknown).
	Fetch func(ctx context.Context, home string, progress func(done, total int64)) error
	MiB   int // size of the download
}

var access = map[string]Access{
	"cifar10":   cifar10.access(),
	"cifar100":  cifar100.access(),
	"imagenet":  {Find: findPhotos, Check: checkPhotos, Read: ImageFolder, Outline: OutlineFolder},
	"folder":    ownAccess(),
	"preview":   {Make: func() *Source { return Preview(0, 0) }, Checksum: PreviewChecksum},
	"preview64": {Make: func() *Source { return Preview64(0, 0) }, Checksum: Preview64Checksum},
}

// Of returns how the data set with this name in questions is obtained.
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

// In lists the data sets that a folder has completely or partly.
func In(dir string) (found []dataset.Set) {
	for _, s := range dataset.All {
		if s.Made() || s.Own() && len(found) > 0 { // own images may look like anything
			continue
		}
		if _, err := access[s.Name].Find(dir); err == nil {
			found = append(found, s)
		}
	}
	return found
}

// Outline returns a data set without its images, as far as it is known before it is read.
// Of photos nets see squares of size x size pixels.
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

const photosForm = "--data DIR or $DEPTHLAB_IMAGENET names a folder with train/n01440764/*.JPEG and val, or tar files in their place"

// findPhotos accepts a folder with train and val or, for tests, with one of them; also
// that around it, as Kaggle has it.
func findPhotos(home string) (string, error) {
	for _, dir := range []string{home, filepath.Join(home, kaggleFolder), filepath.Join(home, "ILSVRC", kaggleFolder)} {
		if imagenetParts.in(dir) {
			return dir, nil
		}
	}
	hint := packedHint(home)
	if hasClasses(home) {
		hint = "it has folders of images: data: folder reads them; "
	}
	return "", fmt.Errorf("ImageNet not found (looked in %s); %s%s", home, hint, photosForm)
}

func checkPhotos(dir string) error {
	p := imagenetParts
	for set, found := range map[string]string{"train": part(dir, p.train, p.trainTars), "val": part(dir, p.val, p.valTars)} {
		if found == "" {
			return fmt.Errorf("has no folder %s; %s%s", set, packedHint(dir), photosForm)
		}
	}
	return nil
}

// packedHint is the command that unpacks an archive in the folder that cannot be read
// packed; "" if there is none.
func packedHint(dir string) string {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		file := filepath.Join(dir, e.Name())
		name := strings.ToLower(e.Name())
		switch {
		case isClutter(name):
		case ending(name) == ".zip":
			return fmt.Sprintf("%s is packed: unzip -q '%s' -d '%s'; else ", e.Name(), file, dir)
		case strings.HasSuffix(name, ".tar.gz") && !strings.Contains(name, "devkit"), ending(name) == ".tgz":
			return fmt.Sprintf("%s is packed: tar -xzf '%s' -C '%s'; else ", e.Name(), file, dir)
		}
	}
	return ""
}

func isFolder(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.IsDir()
}
