// Tests of the user's own images: the forms of their folders, images of one size in memory.

package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// square is a PNG of its own for every seed.
func square(t testing.TB, size int, seed uint8) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, size, size))
	for i := range size * size {
		m.Set(i%size, i/size, color.RGBA{uint8(i) * seed, uint8(i/size) + 3*seed, seed, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pets are the images of three classes, n of 12x12 pixels in each.
func pets(t testing.TB, n int) (all []entry) {
	for class, name := range []string{"a cat", "dog", "eel"} {
		for i := range n {
			all = append(all, entry{name: fmt.Sprintf("%s/%02d.png", name, i), body: square(t, 12, uint8(1+class*n+i))})
		}
	}
	return all
}

func own(t *testing.T, home string, o FolderOptions) (*Source, error) {
	t.Helper()
	a := access["folder"]
	dir, err := a.Find(home)
	if err == nil {
		err = a.Check(dir)
	}
	if err != nil {
		return nil, err
	}
	s, err := a.Read(context.Background(), dir, o)
	if err != nil {
		return nil, err
	}
	outline, err := a.Outline(context.Background(), dir, o)
	if err != nil || outline.Title != s.Title && len(s.Train.Unread) == 0 || outline.Train.N != s.Train.N || outline.Test.N != s.Test.N || (outline.Train.Photos == nil) != o.Whole {
		t.Errorf("%s is outlined as %+v, %v, and read as %q", home, outline, err, s.Title)
	}
	return s, nil
}

// Own images are read in folders of classes, with train and test or without, packed class by
// class or not; in a folder around them, too. Their title is the folder's name or its
// title.txt.
func TestFormsOfOwnImages(t *testing.T) {
	images := pets(t, 2)
	split := func(train, val string) []entry {
		return append(under(train, images), under(val, images)...)
	}
	var tars []entry
	for i := 0; i < len(images); i += 2 {
		class := filepath.Dir(images[i].name)
		tars = append(tars, entry{name: class + ".tar", body: tarred(t, under("./", []entry{{name: filepath.Base(images[i].name), body: images[i].body}, {name: filepath.Base(images[i+1].name), body: images[i+1].body}})...)})
	}
	const whole, parts = ", 3 classes, 6 images", ", 3 classes, 6 + 6 images"
	for name, c := range map[string]struct {
		files []entry
		title string
		left  string
	}{
		"train and val":        {split("train", "val"), "NAME" + parts, ""},
		"train and valid":      {split("train", "valid"), "NAME" + parts, ""},
		"training and test":    {split("training", "test"), "NAME" + parts, ""},
		"training and testing": {split("training", "testing"), "NAME" + parts, ""},
		"train and Test":       {split("train", "Test"), "NAME" + whole, "1 folders beside train (the first is Test)"},
		"three parts":          {slices.Concat(split("train", "val"), under("test", images)), "NAME" + parts, "1 folders beside train and val (the first is test)"},
		"classes":              {images, "NAME" + whole, ""},
		"a folder around":      {under("pets", images), "pets" + whole, ""},
		"around train":         {under("pets", split("train", "val")), "pets" + parts, ""},
		"tar files":            {tars, "NAME" + whole, ""},
		"tar files in train":   {append(under("train", tars), under("val", images)...), "NAME" + parts, ""},
		"test without classes": {slices.Concat(under("train", images), []entry{{name: "test/1.png", body: images[0].body}}), "NAME" + whole, "1 folders beside train (the first is test)"},
		"packed test":          {slices.Concat(under("train", images), []entry{{name: "test.tar", body: tarred(t, entry{name: "1.png", body: images[0].body})}}), "NAME" + whole, "1 tar files beside train (the first is test.tar)"},
		"train alone":          {under("train", images), "NAME" + whole, ""},
		"a title":              {slices.Concat(images, []entry{entry{name: titleFile, body: []byte("My pets\n")}}), "My pets" + whole, ""},
		"with clutter":         {slices.Concat(images, []entry{entry{name: ".DS_Store"}, entry{name: "dog/._00.png", body: []byte("mac")}, entry{name: "__MACOSX/dog/00.png", body: []byte("mac")}, entry{name: "dog/Thumbs.db"}}), "NAME" + whole, ""},
		"with others": {slices.Concat(images, []entry{entry{name: "dog/a.webp"}, entry{name: "dog/b.webp"}, entry{name: "loose.png"}, entry{name: "old.zip"}}), "NAME" + whole,
			"2 files ending in .webp (the first is dog/a.webp); 1 files ending in .zip (the first is old.zip); 1 photos beside the classes' folders (the first is loose.png)"},
	} {
		dir := filepath.Join(t.TempDir(), "my [images]")
		putAll(t, dir, c.files)
		o := options(t)
		o.Size, o.Whole = 12, true
		s, err := own(t, dir, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := strings.Replace(c.title, "NAME", "my [images]", 1); s.Title != want || s.Name != "folder" || !s.Canonical || fmt.Sprint(s.Train.Labels) != "[0 0 1 1 2 2]" || fmt.Sprint(s.Classes) != "[a cat dog eel]" {
			t.Errorf("%s: %q, labels %v of %q", name, s.Title, s.Train.Labels, s.Classes)
		}
		if c.left == "" && s.Warning != "" || !strings.Contains(s.Warning, c.left) {
			t.Errorf("%s: warning %q, want %q", name, s.Warning, c.left)
		}
		for i, e := range images {
			m, _ := png.Decode(bytes.NewReader(e.body))
			for k, got := range s.Train.Image(i) {
				r, g, b, _ := m.At(k%144%12, k%144/12).RGBA()
				if want := []uint32{r, g, b}[k/144] >> 8; uint32(got) != want {
					t.Fatalf("%s: byte %d of image %d is %d, want %d: images of the size are not to be changed", name, k, i, got, want)
				}
			}
		}
	}
}

func TestBadOwnImages(t *testing.T) {
	images := pets(t, 1)
	for name, c := range map[string]struct {
		files []entry
		says  string
	}{
		"nothing":      {nil, "no classes of images found"},
		"no folders":   {[]entry{{name: "a.png", body: images[0].body}}, "it has images, but no folders of them"},
		"one class":    {[]entry{{name: "train/cat/a.png", body: images[0].body}}, "images of one class only, cat"},
		"packed":       {[]entry{{name: "pets.zip"}}, "pets.zip is packed: unzip -q '"},
		"test alone":   {under("test", images), "has no folder train"},
		"other test":   {append(under("train", images), under("test", images[:2])...), "lacks 1 of the 3 classes of train: eel"},
		"empty class":  {slices.Concat(images, []entry{entry{name: "fox/notes.txt"}}), "DIR: 1 of 4 classes have no photo that can be read (.JPEG, .jpg, .png): fox"},
		"broken image": {slices.Concat(images, []entry{entry{name: "fox/a.png", body: []byte("<html>")}}), "DIR: 1 of 4 files are unreadable"},
		"bad labels":   {slices.Concat(under("train", images), []entry{{name: "val/a.png", body: images[0].body}, {name: "val/val_annotations.txt", body: []byte("a.png\n")}}), "val_annotations.txt, line 1: \"a.png\" is not a photo's name and its class"},
	} {
		dir := t.TempDir()
		putAll(t, dir, c.files)
		a := access["folder"]
		found, err := a.Find(dir)
		if err == nil {
			err = a.Check(found)
		}
		if err == nil {
			_, err = a.Read(context.Background(), found, options(t))
		}
		if says := strings.Replace(c.says, "DIR", found, 1); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

// Images of another size are resized, with a warning, and decoded once. Images that cannot
// be decoded are never used. Too many images are refused.
func TestImagesInMemory(t *testing.T) {
	dir, o := t.TempDir(), options(t)
	putAll(t, dir, pets(t, 70))
	put(t, dir, "dog/00.png", square(t, 20, 9))
	bad := square(t, 12, 9)
	bad[len(bad)/2] ^= 1 // its header and end are sound
	put(t, dir, "eel/00.png", bad)
	o.Size, o.Whole = 12, true
	decoded := 0
	o.Progress = func(done, _ int) { decoded = max(decoded, done) }
	s, err := own(t, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Train.N != 210 || s.Train.Photos != nil || len(s.Train.Unread) != 1 || s.Train.Unread[140] == "" || s.Title != filepath.Base(dir)+", 3 classes, 209 images" {
		t.Errorf("%q: %d images, unread %v", s.Title, s.Train.N, s.Train.Unread)
	}
	if got := s.Train.Sound([]int32{3, 140, 5}); fmt.Sprint(got) != "[3 5]" {
		t.Errorf("of images 3, 140 and 5 are used: %v", got)
	}
	for _, says := range []string{"1 of 210 images have another size than 12x12", "1 unreadable files are left out: eel/00.png"} {
		if !strings.Contains(s.Warning, says) {
			t.Errorf("warning %q, want %q", s.Warning, says)
		}
	}
	decoded = 0
	again, err := own(t, dir, o)
	if err != nil || decoded != 0 || again.Checksum != s.Checksum || again.Warning != s.Warning || !bytes.Equal(again.Train.Images, s.Train.Images) {
		t.Errorf("the second time %d images are decoded; warning %q, %v", decoded, again.Warning, err)
	}
	kept, _ := filepath.Glob(filepath.Join(o.Cache, "resized", "*"))
	if len(kept) != 1 {
		t.Fatalf("%q are kept", kept)
	}
	if err := os.Truncate(kept[0], 1000); err != nil {
		t.Fatal(err)
	}
	if again, err = own(t, dir, o); err != nil || decoded != 210 || again.Checksum != s.Checksum {
		t.Errorf("of a damaged copy %d images are decoded, %v", decoded, err)
	}
	o.Size = 11
	if again, err = own(t, dir, o); err != nil || again.Checksum == s.Checksum || !strings.Contains(again.Warning, "209 of 210 images") {
		t.Errorf("of another size: %+v, %v", again.Warning, err)
	}
	o.Size = 1900
	if _, err := own(t, dir, o); err == nil || !strings.Contains(err.Error(), "210 images of 1900x1900 take 2.1 GiB of memory") {
		t.Errorf("more than can be held: %v", err)
	}
	o.Size = 13
	ctx, stop := context.WithCancel(context.Background())
	o.Progress = func(int, int) { stop() }
	if _, err := access["folder"].Read(ctx, dir, o); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// A title is a line that people can read.
func TestOwnTitle(t *testing.T) {
	for folder, want := range map[string]string{"flowers": "flowers", "...": "own images", strings.Repeat("x", 81): "own images"} {
		dir := filepath.Join(t.TempDir(), folder)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if got := ownTitle(dir); got != want {
			t.Errorf("%s is called %q, want %q", folder, got, want)
		}
	}
}
