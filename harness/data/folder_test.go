// Tests of folders of photos: layouts, complaints, unreadable files, ground truth.

package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shot is a grey photo with a bright corner.
func shot(t testing.TB, w, h int, grey uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	for i := range w * h / 16 {
		m.SetGray(i%(w/4+1), i/(w/4+1), color.Gray{255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// folder makes classes n01 to n03 with n photos each, for training and validation.
func folder(t testing.TB, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "[2024] *photos") // must not be read as a pattern
	for class := 1; class <= 3; class++ {
		for i := range n {
			photo := shot(t, 60+7*class, 50+i%13, uint8(60*class+i%30))
			put(t, dir, fmt.Sprintf("train/n0%d/%03d.JPEG", class, i), photo)
			put(t, dir, fmt.Sprintf("val/n0%d/%03d.JPEG", class, i), photo)
		}
	}
	return dir
}

func options(t testing.TB) FolderOptions {
	return FolderOptions{Size: 32, Cache: filepath.Join(t.TempDir(), "cache")}
}

func TestImageFolder(t *testing.T) {
	dir, o := folder(t, 4), options(t)
	put(t, dir, "train/notes.txt", []byte("not a class"))
	put(t, dir, "train/n02/notes.txt", []byte("not a photo"))
	s, err := ImageFolder(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Train.N != 12 || s.Test.N != 12 || s.Train.Classes != 3 || s.Train.Size != 32 || s.Canonical || s.Warning != "" {
		t.Errorf("%d + %d photos of %d classes, %d pixels, warning %q", s.Train.N, s.Test.N, s.Train.Classes, s.Train.Size, s.Warning)
	}
	if s.Train.Photos.Names[4] != filepath.Join("train", "n02", "000.JPEG") || s.Train.Labels[4] != 1 {
		t.Errorf("photo 4 is %s of class %d", s.Train.Photos.Names[4], s.Train.Labels[4])
	}
	if o, err := OutlineFolder(context.Background(), dir, options(t)); err != nil || o.Title != s.Title || o.Train.N != 12 || o.Test.N != 12 || o.Train.Classes != 3 || o.Train.Size != 32 {
		t.Errorf("its outline: %+v, %v", o, err)
	}
}

func TestBadFolders(t *testing.T) {
	good := shot(t, 50, 50, 9)
	for name, c := range map[string]struct {
		make func(dir string)
		says []string
	}{
		"nothing":       {func(dir string) { os.RemoveAll(filepath.Join(dir, "train")) }, []string{"train: no such file", "n01440764"}},
		"no classes":    {func(dir string) { os.RemoveAll(filepath.Join(dir, "train")); put(t, dir, "train/a.JPEG", good) }, []string{"has no folders"}},
		"no val":        {func(dir string) { os.RemoveAll(filepath.Join(dir, "val")) }, []string{"val is missing"}},
		"class missing": {func(dir string) { os.RemoveAll(filepath.Join(dir, "val", "n02")) }, []string{"lacks 1 of the 3", "n02"}},
		"class too many": {func(dir string) { put(t, dir, "val/n09/a.JPEG", good); os.RemoveAll(filepath.Join(dir, "val", "n01")) },
			[]string{"1 classes that train does not have: n09", "lacks 1 of the 3 classes of train: n01"}},
		"empty class": {func(dir string) {
			os.RemoveAll(filepath.Join(dir, "train", "n02"))
			put(t, dir, "train/n02/readme.txt", nil)
		}, []string{"1 of 3 classes have no photo", "n02"}},
		"classes of folders": {func(dir string) {
			for _, part := range []string{"train", "val"} {
				os.RemoveAll(filepath.Join(dir, part, "n02"))
				put(t, dir, part+"/n02/images/1.JPEG", good)
				put(t, dir, part+"/n02/more/2.JPEG", good)
			}
		}, []string{"1 of 3 classes have no photo", "4 photos in folders inside of classes' folders (the first is train/n02/images/1.JPEG)"}},
		"half sorted": {func(dir string) {
			put(t, dir, "val/2.JPEG", good)
			os.RemoveAll(filepath.Join(dir, "val", "n02"))
		}, []string{"lacks 1 of the 3 classes of train: n02", "1 photos beside the classes' folders (the first is val/2.JPEG)"}},
		"many broken": {func(dir string) { put(t, dir, "train/n01/000.JPEG", shot(t, 300, 300, 9)[:1200]) }, []string{"1 of 6 files are unreadable", "000.JPEG (cut short)"}},
	} {
		dir := folder(t, 2)
		c.make(dir)
		_, err := ImageFolder(context.Background(), dir, options(t))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", name, err, says)
			}
		}
	}
}

// For tests, train may be missing.
func TestValAlone(t *testing.T) {
	dir, o := folder(t, 2), options(t)
	if err := os.RemoveAll(filepath.Join(dir, "train")); err != nil {
		t.Fatal(err)
	}
	o.TestOnly = true
	s, err := ImageFolder(context.Background(), dir, o)
	if err != nil || s.Train.N != 0 || s.Test.N != 6 || s.Test.Classes != 3 || s.Test.Labels[5] != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A few unreadable files are named and left out.
func TestBrokenFiles(t *testing.T) {
	dir := folder(t, 135)
	put(t, dir, "train/n01/000.JPEG", nil)
	put(t, dir, "train/n02/001.JPEG", []byte("<html>"))
	put(t, dir, "train/n03/002.JPEG", shot(t, 50, 50, 9)[:300])
	put(t, dir, "val/n03/134.JPEG", bytes.Replace(shot(t, 50, 50, 9), []byte{0xff, 0xc0}, []byte{0xff, 0xc9}, 1)) // arithmetic coding
	put(t, dir, "elsewhere.JPEG", shot(t, 50, 50, 9))
	out, pipe := filepath.Join(dir, "train/n03/003.JPEG"), filepath.Join(dir, "val/n03/000.JPEG")
	if err := errors.Join(os.Remove(out), os.Symlink("../../elsewhere.JPEG", out), os.Remove(pipe), syscall.Mkfifo(pipe, 0o666)); err != nil {
		t.Fatal(err)
	}
	s, err := ImageFolder(context.Background(), dir, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Title != "ImageNet, 3 classes, 401 + 403 photos" {
		t.Errorf("title %q counts what is left out", s.Title)
	}
	if s.Train.N != 405 || len(s.Train.Photos.Broken) != 4 || s.Train.Photos.Broken[0] != "empty" {
		t.Errorf("%d photos, broken %v", s.Train.N, s.Train.Photos.Broken)
	}
	if why := s.Test.Photos.Broken[404]; why != "unsupported JPEG feature: unknown marker; libjpeg-turbo may read it, else convert it to an ordinary JPEG" {
		t.Errorf("arithmetic coding: %q", why)
	}
	for _, says := range []string{"6 unreadable", "000.JPEG (empty)", "003.JPEG (a link that leads out of its folder", "000.JPEG (not a regular file)", "001.JPEG (image: unknown format)"} {
		if !strings.Contains(s.Warning, says) {
			t.Errorf("warning %q, want %q", s.Warning, says)
		}
	}
}

// The validation set as published: one folder, and the devkit.
func TestGroundTruth(t *testing.T) {
	flat := func(t *testing.T, truth string) string {
		dir := filepath.Join(t.TempDir(), "[2012] *?")
		if err := os.Rename(folder(t, 1), dir); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "val")); err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= 4; i++ {
			put(t, dir, fmt.Sprintf("val/ILSVRC2012_val_%08d.JPEG", i), shot(t, 50, 50, 9))
		}
		meta, err := os.ReadFile(filepath.Join("testdata", "meta.mat")) // n03 is 1, n01 is 2, n02 is 300
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "ILSVRC2012_devkit_t12/data/meta.mat", meta)
		put(t, dir, "ILSVRC2012_devkit_t12/data/"+truthFile, []byte(truth))
		return dir
	}
	s, err := ImageFolder(context.Background(), flat(t, "300\n1\n2\n1\n"), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.Test.Labels); got != "[1 2 0 2]" || s.Warning != "" {
		t.Errorf("labels %s, warning %q", got, s.Warning)
	}
	other, err := ImageFolder(context.Background(), flat(t, "1\n300\n2\n1\n"), options(t))
	if err != nil || other.Checksum == s.Checksum {
		t.Errorf("another label, the same checksum, %v", err)
	}
	dir := flat(t, "300\n1\n2\n1\n")
	put(t, dir, "val/photo.JPEG", shot(t, 50, 50, 9))
	if err := os.RemoveAll(filepath.Join(dir, "train", "n03")); err != nil {
		t.Fatal(err)
	}
	if s, err = ImageFolder(context.Background(), dir, options(t)); err != nil || fmt.Sprint(s.Test.Labels) != "[1 0]" || !strings.Contains(s.Warning, "3 photos that are of no class in train (the first is val/ILSVRC2012_val_00000002.JPEG)") {
		t.Errorf("a subset of the classes: %+v, %v", s, err)
	}
	for _, c := range []struct{ truth, says string }{
		{"1\n4\n2\n1\n", `line 2: label "4" is not one of the 3 classes`},
		{"1\nx\n2\n1\n", `line 2: label "x"`},
		{"301\n", "line 1"}, // not a leaf class
	} {
		if _, err := ImageFolder(context.Background(), flat(t, c.truth), options(t)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("ground truth %q: %v, want %q", c.truth, err, c.says)
		}
	}
	dir = flat(t, "1\n2\n2\n1\n")
	put(t, dir, "train/n07/a.JPEG", shot(t, 50, 50, 9))
	if _, err := ImageFolder(context.Background(), dir, options(t)); err == nil || !strings.Contains(err.Error(), "n07") {
		t.Errorf("a class that the devkit does not know: %v", err)
	}
	for name := range map[string]bool{"meta.mat": true, truthFile: true} {
		dir := flat(t, "1\n")
		if err := os.Remove(filepath.Join(dir, "ILSVRC2012_devkit_t12", "data", name)); err != nil {
			t.Fatal(err)
		}
		if _, err := ImageFolder(context.Background(), dir, options(t)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// meta.mat may be damaged anywhere without a panic.
func TestDamagedMeta(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "meta.mat"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := synsets(file); err != nil || len(got) != 3 || got["n02"] != 300 {
		t.Fatal(got, err)
	}
	for i := range file {
		synsets(file[:i])
		other := bytes.Clone(file)
		other[i] ^= 0x55
		synsets(other)
	}
}
