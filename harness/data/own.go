// The user's own images: where their folders lie, and images of one size in memory.

package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"depthlab/experiments/dataset"
	"depthlab/harness/disk"
)

const ownForm = "--data DIR or $DEPTHLAB_FOLDER names a folder with a folder of images for each class, or with train and val of these"

// ownAccess is how the user's own images are obtained.
func ownAccess() Access {
	return Access{
		Find: findOwn, Check: checkOwn,
		Read: func(ctx context.Context, dir string, o FolderOptions) (*Source, error) {
			o.own = true
			return ImageFolder(ctx, dir, o)
		},
		Outline: func(ctx context.Context, dir string, o FolderOptions) (*Source, error) {
			o.own = true
			return OutlineFolder(ctx, dir, o)
		},
	}
}

// findOwn accepts a folder with train or val, or with folders or tar files for classes;
// also that around it, if there is nothing else in it.
func findOwn(home string) (string, error) {
	places := []string{home, filepath.Join(home, kaggleFolder), filepath.Join(home, "ILSVRC", kaggleFolder)}
	if inner := onlyFolder(home); inner != "" {
		places = append(places, inner)
	}
	for _, dir := range places {
		if ownParts.in(dir) {
			return dir, nil
		}
	}
	for _, dir := range places {
		if hasClasses(dir) {
			return dir, nil
		}
	}
	there := ""
	if l := (lister{dir: home}); len(l.list(".").Photos) > 0 {
		there = ": it has images, but no folders of them"
	}
	return "", fmt.Errorf("no classes of images found (looked in %s%s); %s%s", home, there, packedHint(home), ownForm)
}

// checkOwn refuses a folder that is for tests alone.
func checkOwn(dir string) error {
	p := ownParts
	if p.in(dir) && part(dir, p.train, p.trainTars) == "" {
		return fmt.Errorf("has no folder train; %s%s", packedHint(dir), ownForm)
	}
	return nil
}

// in says whether a folder has a part of the data set.
func (p parts) in(dir string) bool {
	return part(dir, p.train, p.trainTars)+part(dir, p.val, p.valTars) != ""
}

// onlyFolder is the folder in a folder that has no other; "" if there are more or none.
func onlyFolder(dir string) string {
	l := lister{dir: dir}
	if d := l.list("."); len(d.Folders) == 1 && len(d.Photos) == 0 {
		return filepath.Join(dir, d.Folders[0])
	}
	return ""
}

// hasClasses says whether one of the folders in a folder has a photo, or is a tar file.
func hasClasses(dir string) bool {
	l := lister{dir: dir}
	top := l.list(".")
	for _, name := range top.Others {
		if ending(name) == tarEnding {
			return true
		}
	}
	for _, class := range top.Folders {
		if d := l.list(class); len(d.Photos) > 0 {
			return true
		}
	}
	return false
}

// ownTitle is the title of own images: the line in title.txt, or the name of the folder.
func ownTitle(dir string) string {
	if root, err := os.OpenRoot(dir); err == nil {
		defer root.Close()
		if title := titleIn(root); title != "" {
			return title
		}
	}
	if whole, err := filepath.Abs(dir); err == nil && isTitle(filepath.Base(whole)) {
		return filepath.Base(whole)
	}
	return dataset.Of("folder").Title
}

// mostHeld bounds the images held in memory, in bytes: devices count them in 32 bits.
const mostHeld = 1<<31 - 1

// fits refuses more images than can be held in memory.
func fits(images, size int) error {
	if bytes := int64(images) * 3 * int64(size) * int64(size); bytes > mostHeld {
		return fmt.Errorf("%d images of %dx%[2]d take %.1f GiB of memory, and at most 2 can be used: choose a smaller input.size, or leave it out, and squares are cut out of the images as they are needed",
			images, size, float64(bytes)/(1<<30))
	}
	return nil
}

// hold brings all images to o.Size and holds them in memory in place of the photos.
// resized is how many had another size. The checksum is then over what the nets see.
func (s *Source) hold(ctx context.Context, o FolderOptions) (resized int, err error) {
	if err := fits(s.Train.N+s.Test.N, o.Size); err != nil {
		return 0, err
	}
	for _, set := range []*Set{&s.Train, &s.Test} {
		n, err := set.hold(ctx, o)
		if err != nil {
			return 0, err
		}
		resized += n
	}
	s.Checksum = checksum(&s.Train, &s.Test)
	return resized, nil
}

// held is the first line of a file with the images of a set. Their bytes follow.
type held struct {
	Sum     [sha256.Size]byte // of the bytes
	Resized int
	Unread  map[int32]string
}

// hold is Source.hold for a set. What it decodes is kept in the cache.
func (s *Set) hold(ctx context.Context, o FolderOptions) (resized int, err error) {
	if s.N == 0 {
		s.Photos = nil
		return 0, nil
	}
	h := sha256.New()
	fmt.Fprintln(h, s.Photos.Library, s.Size)
	for i, name := range s.Photos.Names {
		fmt.Fprintln(h, name, s.Photos.sums[i])
	}
	path := filepath.Join(s.Photos.cache, "resized", fmt.Sprintf("%x", h.Sum(nil)[:8]))
	images, about, ok := readHeld(path, s.N*s.Channels*s.Area())
	if !ok {
		if images, about, err = s.decode(ctx, o); err != nil {
			return 0, err
		}
		about.Sum = sha256.Sum256(images)
		first, err := json.Marshal(about)
		if err != nil {
			return 0, err
		}
		err = disk.WriteFunc(path, func(w io.Writer) error {
			_, err := io.Copy(w, io.MultiReader(bytes.NewReader(first), strings.NewReader("\n"), bytes.NewReader(images)))
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	for i, why := range about.Unread {
		s.Photos.Broken[i] = why
	}
	if n := len(s.Photos.Broken); float64(n) > MostBroken*float64(s.N) {
		return 0, fmt.Errorf("%s: %d of %d files are unreadable, more than %g %%: %s", s.Photos.Dir, n, s.N, 100*MostBroken, someOf(s.Photos.broken()))
	}
	s.Images, s.Unread, s.Photos = images, s.Photos.Broken, nil
	return about.Resized, nil
}

// readHeld reads a file that hold has written; ok is false if it is missing or damaged.
func readHeld(path string, size int) (images []uint8, about held, ok bool) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, about, false
	}
	first, images, _ := bytes.Cut(file, []byte("\n"))
	ok = json.Unmarshal(first, &about) == nil && len(images) == size && sha256.Sum256(images) == about.Sum
	return images, about, ok
}

// decode decodes all images of a set, whole: their middle, as tests see a photo.
func (s *Set) decode(ctx context.Context, o FolderOptions) (images []uint8, about held, err error) {
	const batch = 64
	about.Unread = map[int32]string{}
	extents, all := s.Photos.Extents(), Indices(s.N)
	centre := Centre(s.Size, s.Size)
	l, err := NewLoader(s, Planar, batch, 4, func(k int, dst []Shot) []Shot {
		if ctx.Err() != nil {
			return dst
		}
		return append(dst, Shots(all[min(k*batch, s.N):min((k+1)*batch, s.N)], []Shot{centre})...)
	})
	if err != nil {
		return nil, about, err
	}
	defer l.Close()
	area := 3 * s.Area()
	images = make([]uint8, s.N*area)
	for at := 0; ; {
		b, err := l.Next()
		if errors.Is(err, io.EOF) {
			return images, about, ctx.Err()
		}
		if err != nil {
			return nil, about, err
		}
		for slot, row := range b.Rows {
			i := int32(at + slot)
			switch err := b.errs[slot]; {
			case isSystems(err):
				return nil, about, cannotRead(s.Photos.Dir, []string{failure(s.Photos.Names[i], err)})
			case err != nil:
				about.Unread[i] = err.Error()
			case row[0] >= 0:
				copy(images[int(i)*area:][:area], b.Images[slot*area:])
				if extents[i] != [2]int{s.Size, s.Size} {
					about.Resized++
				}
			}
		}
		at += len(b.Rows)
		if o.Progress != nil {
			o.Progress(at, s.N)
		}
	}
}
