// Tests of the index of photos: only changed files are read again, and every change is
// noticed.

package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"depthlab/harness/data/photo"
	"depthlab/harness/testskip"
)

// indexed reads a folder and counts the files that were examined.
func indexed(t *testing.T, dir string, o FolderOptions) (s *Source, looked int) {
	t.Helper()
	o.Progress = func(_, total int) { looked = total }
	s, err := ImageFolder(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, looked
}

// overwrite changes a file in place and sets a later time, because some file systems
// count time in seconds or worse.
func overwrite(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	put(t, dir, name, content)
	touch(t, dir, name)
}

func touch(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	later := info.ModTime().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

// The second time only changed files are examined. The checksum changes with the photos
// and with nothing else.
func TestIndexIsKept(t *testing.T) {
	dir, o := folder(t, 3), options(t)
	all := 18
	const photo = "train/n02/001.JPEG"
	first, looked := indexed(t, dir, o)
	if looked != all {
		t.Fatalf("%d files looked into", looked)
	}
	good, err := os.ReadFile(filepath.Join(dir, photo))
	if err != nil {
		t.Fatal(err)
	}
	same := bytes.Clone(good)
	same[len(same)-10] ^= 1 // the size stays
	for _, c := range []struct {
		name   string
		change func()
		looked int
		same   bool // whether the checksum is the first one
	}{
		{"nothing", func() {}, 0, true},
		{"a photo is touched", func() { touch(t, dir, photo) }, 1, true},
		{"a folder is touched", func() { touch(t, dir, "train/n02") }, 0, true},
		{"modes", func() { os.Chmod(filepath.Join(dir, photo), 0o600) }, 0, true},
		{"another size", func() { overwrite(t, dir, photo, append(bytes.Clone(good), 0)) }, 1, false},
		{"put back", func() { overwrite(t, dir, photo, good) }, 1, true},
		{"the same size", func() { overwrite(t, dir, photo, same) }, 1, false},
		{"put back again", func() { overwrite(t, dir, photo, good) }, 1, true},
		{"replaced by a file with an older time", func() {
			put(t, dir, "new", same)
			old := time.Now().Add(-time.Hour)
			if err := errors.Join(os.Chtimes(filepath.Join(dir, "new"), old, old), os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, photo))); err != nil {
				t.Fatal(err)
			}
		}, 1, false},
		{"put back a third time", func() { overwrite(t, dir, photo, good) }, 1, true},
		{"a photo more", func() { put(t, dir, "val/n03/more.jpg", good) }, 1, false},
		{"a photo less", func() { os.Remove(filepath.Join(dir, "val/n03/more.jpg")) }, 0, true},
		{"another name", func() { os.Rename(filepath.Join(dir, photo), filepath.Join(dir, "train/n02/0010.JPEG")) }, 1, false},
		{"the old name", func() { os.Rename(filepath.Join(dir, "train/n02/0010.JPEG"), filepath.Join(dir, photo)) }, 1, true},
		{"no index", func() { os.RemoveAll(o.Cache) }, all, true},
		{"a damaged index", func() { damageIndex(t, o.Cache, func(path string) error { return os.Truncate(path, 100) }) }, all, true},
		{"an empty index", func() {
			damageIndex(t, o.Cache, func(path string) error { return os.WriteFile(path, []byte("[null]"), 0o666) })
		}, all, true},
		{"another place", func() {
			to := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(dir, to); err != nil {
				t.Fatal(err)
			}
			dir = to
		}, all, true},
	} {
		c.change()
		s, looked := indexed(t, dir, o)
		if looked != c.looked || (s.Checksum == first.Checksum) != c.same || s.Warning != "" {
			t.Errorf("%s: %d files looked into, want %d; the checksum is the first: %v, want %v; warning %q",
				c.name, looked, c.looked, s.Checksum == first.Checksum, c.same, s.Warning)
		}
	}
}

// An interrupted build of the index resumes.
func TestIndexIsStopped(t *testing.T) {
	dir, o := folder(t, 3), options(t)
	ctx, cancel := context.WithCancel(context.Background())
	o.Progress = func(done, _ int) {
		if done == 6 {
			cancel()
		}
	}
	if _, err := ImageFolder(ctx, dir, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	looked := 0
	o.Progress = func(_, total int) { looked = total }
	if _, err := ImageFolder(context.Background(), dir, o); err != nil || looked != 12 {
		t.Errorf("%d files examined, %v; want the 12 that were left", looked, err)
	}
}

func damageIndex(t *testing.T, cache string, damage func(path string) error) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cache, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := damage(files[0]); err != nil {
		t.Fatal(err)
	}
}

// An index of an earlier version, which has only the times of folders, is built again.
func TestFormerIndex(t *testing.T) {
	dir, o := folder(t, 1), options(t)
	first, _ := indexed(t, dir, o)
	info, err := os.Stat(filepath.Join(dir, "train", "n01"))
	if err != nil {
		t.Fatal(err)
	}
	former := fmt.Sprintf(`[{"Path": "train/n01", "Modified": %d, "Files": [{"Name": "000.JPEG", "Size": 9, "Broken": "cut short"}]}, {"Path": "val/n01", "Modified": 5, "Files": null}]`, info.ModTime().UnixNano())
	damageIndex(t, o.Cache, func(path string) error { return os.WriteFile(path, []byte(former), 0o666) })
	s, looked := indexed(t, dir, o)
	if looked != 6 || s.Checksum != first.Checksum || s.Warning != "" {
		t.Errorf("%d files looked into, warning %q", looked, s.Warning)
	}
}

// A photo that is damaged or repaired in place is noticed.
func TestRepairedInPlace(t *testing.T) {
	dir, o := folder(t, 101), options(t)
	const photo = "train/n02/001.JPEG"
	first, _ := indexed(t, dir, o)
	good, err := os.ReadFile(filepath.Join(dir, photo))
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, dir, photo, good[:300])
	s, _ := indexed(t, dir, o)
	if !strings.Contains(s.Warning, "1 unreadable files are left out: "+photo+" (") || s.Title != "ImageNet, 3 classes, 302 + 303 photos" || s.Checksum == first.Checksum {
		t.Errorf("damaged: title %q, warning %q, checksum %s", s.Title, s.Warning, s.Checksum)
	}
	overwrite(t, dir, photo, good)
	s, _ = indexed(t, dir, o)
	if s.Warning != "" || s.Title != first.Title || s.Checksum != first.Checksum {
		t.Errorf("repaired: title %q, warning %q, checksum %s", s.Title, s.Warning, s.Checksum)
	}
}

// The index also lists what is not a readable file, because the warning refers to it.
func TestIndexNamesAll(t *testing.T) {
	dir, o := folder(t, 101), options(t)
	indexed(t, dir, o)
	put(t, dir, "val/n01/050.JPEG", nil)
	s, _ := indexed(t, dir, o)
	damageIndex(t, o.Cache, func(path string) error {
		text, err := os.ReadFile(path)
		if !bytes.Contains(text, []byte(`"Broken": "empty"`)) || !strings.Contains(s.Warning, "(empty); all are named in "+path) {
			t.Errorf("warning %q", s.Warning)
		}
		return err
	})
}

// asNobody calls do as a user without rights, because root may do anything.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() == 0 {
		const nobody = 65534
		if err := syscall.Setreuid(-1, nobody); err != nil {
			testskip.Skip(t, "root cannot become another user here: %v", err)
		}
		defer func() {
			if err := syscall.Setreuid(-1, 0); err != nil {
				t.Fatal(err)
			}
		}()
	}
	do()
}

// Files that the system does not let us read are an error that names them, not a smaller
// data set. When they can be read again, everything is as before.
func TestCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		spoil, mend func(dir string) error
		says        []string
	}{
		"a photo": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "train/n02/001.JPEG"), 0) },
			func(dir string) error { return os.Chmod(filepath.Join(dir, "train/n02/001.JPEG"), 0o644) },
			[]string{"1 files or folders", "train/n02/001.JPEG (permission denied)", "make them readable for you"},
		},
		"a folder of val": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "val/n01"), 0) },
			func(dir string) error { return os.Chmod(filepath.Join(dir, "val/n01"), 0o755) },
			[]string{"val/n01 (permission denied)"},
		},
		"a folder whose files cannot be reached": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "val/n01"), 0o644) },
			func(dir string) error { return os.Chmod(filepath.Join(dir, "val/n01"), 0o755) },
			[]string{"2 files or folders", "val/n01/001.JPEG (permission denied)"},
		},
		"train": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "train"), 0) },
			func(dir string) error { return os.Chmod(filepath.Join(dir, "train"), 0o755) },
			[]string{"train (permission denied)"},
		},
		"classes whose links lead nowhere": {
			func(dir string) error {
				return errors.Join(os.Rename(filepath.Join(dir, "train/n03"), filepath.Join(dir, "away")), os.Symlink("../elsewhere", filepath.Join(dir, "train/n03")),
					os.Rename(filepath.Join(dir, "val/n03"), filepath.Join(dir, "away2")), os.Symlink("../elsewhere2", filepath.Join(dir, "val/n03")))
			},
			func(dir string) error {
				return errors.Join(os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "elsewhere")), os.Rename(filepath.Join(dir, "away2"), filepath.Join(dir, "elsewhere2")))
			},
			[]string{"2 files or folders", "train/n03 (no such file or directory)", "val/n03 (no such file or directory)", "a link needs its target"},
		},
		"a photo whose link leads nowhere": {
			func(dir string) error {
				return errors.Join(os.Rename(filepath.Join(dir, "val/n03/001.JPEG"), filepath.Join(dir, "away")), os.Symlink("a.bin", filepath.Join(dir, "val/n03/001.JPEG")))
			},
			func(dir string) error {
				return os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "val/n03/001.JPEG"))
			},
			[]string{"val/n03/001.JPEG (no such file or directory)"},
		},
		"a photo whose link leads to itself": {
			func(dir string) error {
				return errors.Join(os.Rename(filepath.Join(dir, "val/n03/001.JPEG"), filepath.Join(dir, "away")), os.Symlink("001.JPEG", filepath.Join(dir, "val/n03/001.JPEG")))
			},
			func(dir string) error {
				return os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "val/n03/001.JPEG"))
			},
			[]string{"val/n03/001.JPEG (too many levels of symbolic links)"},
		},
	} {
		dir, o := folder(t, 2), options(t)
		for _, known := range []bool{false, true} { // whether the index knows the files already
			if err := errors.Join(os.RemoveAll(o.Cache), os.Mkdir(o.Cache, 0o777), os.Chmod(o.Cache, 0o777)); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir) // the folders above may be closed to this user
			first, _ := indexed(t, ".", FolderOptions{Size: 32, Cache: t.TempDir()})
			if known {
				indexed(t, ".", o)
			}
			if err := c.spoil("."); err != nil {
				t.Fatal(err)
			}
			var err error
			asNobody(t, func() { _, err = ImageFolder(context.Background(), ".", o) })
			if err == nil {
				t.Errorf("%s, known %v: no error", name, known)
				continue
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%s, known %v: %v, want %q", name, known, err, says)
				}
			}
			if err := c.mend("."); err != nil {
				t.Fatal(err)
			}
			if s, _ := indexed(t, ".", o); s.Checksum != first.Checksum || s.Warning != "" {
				t.Errorf("%s, known %v: once repaired, another checksum or the warning %q", name, known, s.Warning)
			}
			dir = folder(t, 2)
		}
	}
}

// Statistics change with the bytes of the photos. They are refused if a photo cannot be
// read now.
func TestStatisticsFollow(t *testing.T) {
	dir, o := folder(t, 3), options(t)
	stats := func() (PhotoStatistics, error) {
		s, _ := indexed(t, dir, o)
		return s.Train.PhotoStatistics(Indices(s.Train.N), 36)
	}
	first, err := stats()
	if err != nil {
		t.Fatal(err)
	}
	const photo = "train/n01/000.JPEG"
	good, err := os.ReadFile(filepath.Join(dir, photo))
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, dir, photo, shot(t, 70, 50, 250))
	if s, err := stats(); err != nil || reflect.DeepEqual(s, first) {
		t.Errorf("another photo, the same statistics; %v", err)
	}
	overwrite(t, dir, photo, good)
	if s, err := stats(); err != nil || !reflect.DeepEqual(s, first) {
		t.Errorf("the photo put back, other statistics; %v", err)
	}
	s, _ := indexed(t, dir, o)
	if err := os.Remove(filepath.Join(dir, photo)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Train.PhotoStatistics(Indices(s.Train.N), 37); err == nil || !strings.Contains(err.Error(), photo+" (no such file or directory)") {
		t.Errorf("statistics without a photo that is gone: %v", err)
	}
}

// Photos that only libjpeg-turbo decodes are used if it is there and left out if not, also
// with an index that was made the other way.
func TestUnusualPhotos(t *testing.T) {
	dir, o := folder(t, 120), options(t)
	unusual, err := os.ReadFile(filepath.Join("photo", "testdata", "unusual.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "train/n02/000.JPEG", unusual)
	without, looked := indexed(t, dir, o)
	if why := without.Train.Photos.Broken[120]; looked != 720 || why != "unsupported JPEG feature: luma/chroma subsampling ratio; libjpeg-turbo may read it, else convert it to an ordinary JPEG" {
		t.Errorf("%d looked into; %q", looked, why)
	}
	path, err := photo.Find(filepath.Join("..", "..", ".lib"))
	if err != nil {
		testskip.Skip(t, "%v", err)
	}
	if o.Library, err = photo.Open(path); err != nil {
		t.Fatal(err)
	}
	with, looked := indexed(t, dir, o)
	if looked != 0 || len(with.Train.Photos.Broken) > 0 || with.Warning != "" || with.Checksum != without.Checksum {
		t.Errorf("%d looked into; broken %v, warning %q", looked, with.Train.Photos.Broken, with.Warning)
	}
	if got := with.Train.Photos.Extents()[120]; got != [2]int{48, 48} {
		t.Errorf("it has %v pixels", got)
	}
}
