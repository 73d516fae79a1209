// Tests of the layout: left-out files are reported, clutter is not.

package data

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Photos are never left out without a warning. Files that operating systems leave in
// folders are neither photos nor classes, and give no warning.
func TestLeftOut(t *testing.T) {
	good := shot(t, 50, 50, 9)
	for name, c := range map[string]struct {
		files []string
		says  []string // nil means no warning
	}{
		"texts": {[]string{"train/notes.txt", "val/n01/labels.csv", "train/n02/n02_boxes.XML", "train/n02/about/readme.md"}, nil},
		"clutter": {[]string{
			"train/._n01", "train/n01/._000.JPEG", "train/n01/.nfs0001.jpg", "train/n01/Thumbs.db", "train/.DS_Store", "val/desktop.ini",
			"train/@eaDir/000.JPEG", "val/@eaDir/x/000.JPEG", "train/n02/@eaDir/000.JPEG/SYNOPHOTO_THUMB_M.jpg", "train/__MACOSX/n01/a.JPEG",
			"val/lost+found/a.JPEG", "train/.cache/a.JPEG", "val/n03/.thumbnails/a.png", "val/$RECYCLE.BIN/a.JPEG", "train/n01/more/.a.JPEG",
		}, nil},
		"endings": {[]string{"train/n01/a.webp", "train/n01/b.WEBP", "val/n02/c.tif", "train/n03/d.heic", "train/n03/e", "train/n01.tar", "train/n01/f.gif", "train/n01/more/g.bmp"}, []string{
			"2 files ending in .webp (the first is train/n01/a.webp)", "1 files ending in .tif (the first is val/n02/c.tif)", "1 files ending in .heic", "1 files without an ending (the first is train/n03/e)",
			"1 files ending in .tar (the first is train/n01.tar)", "1 files ending in .gif", "1 files ending in .bmp (the first is train/n01/more/g.bmp)", "Photos are files ending in .jpeg, .jpg or .png",
		}},
		"loose in train": {[]string{"train/a.JPEG", "train/b.png"}, []string{"2 photos beside the classes' folders (the first is train/a.JPEG)"}},
		"half sorted":    {[]string{"val/a.JPEG", "val/b.JPEG", "val/c.webp"}, []string{"2 photos beside the classes' folders (the first is val/a.JPEG)", "1 files ending in .webp (the first is val/c.webp)"}},
		"folders inside": {[]string{"train/n01/more/a.JPEG", "train/n01/more/b/c.jpg", "val/n02/x.jpg/d.png"}, []string{"3 photos in folders inside of classes' folders (the first is train/n01/more/a.JPEG)"}},
	} {
		dir, o := folder(t, 2), options(t)
		want, _ := indexed(t, dir, o)
		for _, file := range c.files {
			put(t, dir, file, good)
		}
		s, looked := indexed(t, dir, o)
		if looked != 0 || s.Checksum != want.Checksum || s.Title != want.Title || c.says == nil && s.Warning != "" {
			t.Errorf("%s: %d files looked into, title %q, warning %q", name, looked, s.Title, s.Warning)
		}
		for _, says := range c.says {
			if !strings.Contains(s.Warning, says) {
				t.Errorf("%s: warning %q, want %q", name, s.Warning, says)
			}
		}
	}
}

// Folders and photos may be links, also inside a class's folder.
func TestLinkedPhotos(t *testing.T) {
	dir := folder(t, 2)
	put(t, dir, "elsewhere/a.JPEG", shot(t, 50, 50, 9))
	if err := errors.Join(
		os.Rename(filepath.Join(dir, "val/n03"), filepath.Join(dir, "n03")), os.Symlink("../n03", filepath.Join(dir, "val/n03")),
		os.Symlink("001.JPEG", filepath.Join(dir, "train/n01/002.JPEG")), os.Symlink("../../elsewhere", filepath.Join(dir, "train/n01/more")),
	); err != nil {
		t.Fatal(err)
	}
	s, err := ImageFolder(context.Background(), dir, options(t))
	if err != nil || s.Title != "ImageNet, 3 classes, 7 + 6 photos" || !strings.Contains(s.Warning, "1 photos in folders inside of classes' folders (the first is train/n01/more/a.JPEG)") {
		t.Errorf("%+v, %v", s, err)
	}
}
