// Tests of the forms in which ImageNet and Tiny-ImageNet are published, packed and not.

package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// tarred packs files as tar does; a name that ends in / is a folder.
func tarred(t testing.TB, files ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		kind := byte(tar.TypeReg)
		if strings.HasSuffix(f.name, "/") {
			kind = tar.TypeDir
		}
		err := w.WriteHeader(&tar.Header{Name: f.name, Typeflag: kind, Size: int64(len(f.body)), Mode: 0o644})
		if _, err2 := w.Write(f.body); errors.Join(err, err2) != nil {
			t.Fatal(err, err2)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// published is a small ImageNet: photos of the classes n01 to n03, in train by class, in
// val by number with a class each.
type published struct {
	train map[string][]entry
	val   []entry
	class []string // of val
}

func newPublished(t *testing.T) published {
	p := published{train: map[string][]entry{}}
	for class := 1; class <= 3; class++ {
		name := fmt.Sprintf("n0%d", class)
		for i := range 2 {
			p.train[name] = append(p.train[name], entry{name: fmt.Sprintf("%s_%d.JPEG", name, i), body: shot(t, 60+7*class, 50+i, uint8(60*class+i))})
		}
		p.val = append(p.val, entry{name: fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", class), body: shot(t, 70, 50, uint8(50*class))})
	}
	p.class = []string{"n02", "n03", "n01"}
	return p
}

// under puts a folder before the names of files.
func under(folder string, files []entry) (all []entry) {
	for _, f := range files {
		f.name = path.Join(folder, f.name)
		all = append(all, f)
	}
	return all
}

func putAll(t *testing.T, dir string, files []entry) {
	t.Helper()
	for _, f := range files {
		put(t, dir, f.name, f.body)
	}
}

// classTars are the files of train as one tar file for each class.
func (p published) classTars(t *testing.T) (all []entry) {
	for _, class := range []string{"n01", "n02", "n03"} {
		all = append(all, entry{name: class + ".tar", body: tarred(t, p.train[class]...)})
	}
	return all
}

func (p published) sorted(t *testing.T, dir string) {
	for class, files := range p.train {
		putAll(t, dir, under("train/"+class, files))
	}
	for i, f := range p.val {
		putAll(t, dir, under("val/"+p.class[i], []entry{f}))
	}
}

func (p published) devkit(t *testing.T) []entry {
	meta, err := os.ReadFile(filepath.Join("testdata", "meta.mat")) // n03 is 1, n01 is 2, n02 is 300
	if err != nil {
		t.Fatal(err)
	}
	return []entry{{name: "data/" + truthFile, body: []byte("300\n1\n2\n")}, {name: "data/" + metaFile, body: meta}}
}

func zipped(t *testing.T, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// In every form it is the same data set with the same key, without a warning, and its
// photos are those of the folders.
func TestFormsOfImageNet(t *testing.T) {
	p := newPublished(t)
	kaggle := func(t *testing.T, dir string) {
		for class, files := range p.train {
			putAll(t, dir, under("ILSVRC/Data/CLS-LOC/train/"+class, files))
		}
		putAll(t, dir, under("ILSVRC/Data/CLS-LOC/val", p.val))
		putAll(t, dir, under("ILSVRC/Data/CLS-LOC/test", p.val))
		text := "ImageId,PredictionString\n"
		for i, f := range p.val {
			text += fmt.Sprintf("%s,%s 85 1 499 272 %s 1 2 3 4 \n", strings.TrimSuffix(f.name, ".JPEG"), p.class[i], p.class[i])
		}
		put(t, dir, kaggleFile, []byte(text))
	}
	for name, make := range map[string]func(t *testing.T, dir string){
		"Kaggle's": kaggle,
		"Kaggle's, from ILSVRC": func(t *testing.T, dir string) {
			kaggle(t, dir)
			moveUp(t, dir, "ILSVRC")
		},
		"torchvision's root": func(t *testing.T, dir string) {
			put(t, dir, "ILSVRC2012_img_train.tar", tarred(t, p.classTars(t)...))
			put(t, dir, "ILSVRC2012_img_val.tar", tarred(t, p.val...))
			put(t, dir, "ILSVRC2012_devkit_t12.tar.gz", zipped(t, tarred(t, under("ILSVRC2012_devkit_t12", p.devkit(t))...)))
		},
		"torchvision's root, unpacked": func(t *testing.T, dir string) {
			p.sorted(t, dir)
			put(t, dir, "ILSVRC2012_img_train.tar", []byte("not looked at"))
			put(t, dir, "meta.bin", []byte("not looked at"))
		},
		"a tar file of each class": func(t *testing.T, dir string) {
			putAll(t, dir, under("train", p.classTars(t)))
			putAll(t, dir, under("val", p.val))
			putAll(t, dir, under("ILSVRC2012_devkit_t12", p.devkit(t)))
		},
		"tar files with the folder of the class in them, and val in a folder of its own": func(t *testing.T, dir string) {
			for class, files := range p.train {
				put(t, dir, "train/"+class+".tar", tarred(t, append([]entry{{name: class + "/"}}, under("./"+class, files)...)...))
			}
			putAll(t, dir, under("val/ILSVRC2012_img_val", p.val))
			putAll(t, dir, p.devkit(t))
		},
		"two tar files": func(t *testing.T, dir string) {
			var train, val []entry
			for class, files := range p.train {
				train = append(train, under("train/"+class, files)...)
			}
			for i, f := range p.val {
				val = append(val, under(p.class[i], []entry{f})...)
			}
			put(t, dir, "train.tar", tarred(t, train...))
			put(t, dir, "val.tar", tarred(t, val...))
		},
		"clutter in tar files": func(t *testing.T, dir string) {
			p.sorted(t, dir)
			if err := os.RemoveAll(filepath.Join(dir, "train", "n02")); err != nil {
				t.Fatal(err)
			}
			put(t, dir, "train/n02.tar", tarred(t, append(p.train["n02"], entry{name: "._n02_0.JPEG", body: []byte("mac")},
				entry{name: "__MACOSX/n02_7.JPEG", body: []byte("mac")}, entry{name: ".DS_Store"}, entry{name: "Thumbs.db"})...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			sorted, dir, o := t.TempDir(), t.TempDir(), options(t)
			p.sorted(t, sorted)
			want, err := ImageFolder(context.Background(), sorted, options(t))
			if err != nil {
				t.Fatal(err)
			}
			make(t, dir)
			found, err := findPhotos(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkPhotos(found); err != nil {
				t.Fatal(err)
			}
			for _, fresh := range []int{9, 0} {
				s, looked := indexed(t, found, o)
				if looked != fresh || s.Title != want.Title || s.Warning != "" {
					t.Errorf("%d photos looked into, want %d; %q, warning %q", looked, fresh, s.Title, s.Warning)
				}
				if s.Checksum != want.Checksum {
					t.Error("another checksum than that of the folders")
				}
				for i := range s.Train.N {
					got, err := s.Train.Photos.read(int32(i), nil)
					if err != nil || !bytes.Equal(got, p.train[s.Classes[s.Train.Labels[i]]][i%2].body) {
						t.Errorf("%s: other bytes, %v", s.Train.Photos.Names[i], err)
					}
				}
				joined := Join(&s.Train, &s.Test)
				for i, f := range p.val {
					at := joined.N - s.Test.N
					for filepath.Base(joined.Photos.Names[at]) != f.name {
						at++
					}
					got, err := joined.Photos.read(int32(at), nil)
					if err != nil || !bytes.Equal(got, f.body) || s.Classes[joined.Labels[at]] != p.class[i] {
						t.Errorf("%s: class %d, %v", f.name, joined.Labels[at], err)
					}
				}
			}
		})
	}
}

// Tiny-ImageNet has folders images, and a list of val's photos.
func TestTinyImageNet(t *testing.T) {
	p, dir := newPublished(t), t.TempDir()
	text := ""
	for class, files := range p.train {
		putAll(t, dir, under("train/"+class+"/images", files))
		put(t, dir, "train/"+class+"/"+class+"_boxes.txt", nil)
	}
	for i, f := range p.val {
		text += fmt.Sprintf("%s\t%s\t0\t32\t44\t62\n", f.name, p.class[i])
	}
	putAll(t, dir, under("val/images", p.val))
	put(t, dir, "val/"+tinyFile, []byte(text))
	putAll(t, dir, under("test/images", p.val))
	s, _ := indexed(t, dir, options(t))
	if s.Title != "Tiny-ImageNet, 3 classes, 6 + 3 photos" || s.Warning != "" || s.Canonical || fmt.Sprint(s.Train.Labels, s.Test.Labels) != "[0 0 1 1 2 2] [1 2 0]" {
		t.Errorf("%q, warning %q, labels %v", s.Title, s.Warning, s.Test.Labels)
	}
	for _, c := range []struct{ list, says string }{
		{"val_0.JPEG\n", `line 1: "val_0.JPEG" is not a photo's name and its class`},
		{"val_0.JPEG\tn99\t0\t32\n", "names none of the classes of train, such as n01"},
	} {
		put(t, dir, "val/"+tinyFile, []byte(c.list))
		if _, err := ImageFolder(context.Background(), dir, options(t)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

// An error names the tar file that is cut short, or that is none, and says what to do. A
// warning says which of its files are left out.
func TestBadTars(t *testing.T) {
	p := newPublished(t)
	good := tarred(t, p.train["n02"]...)
	compressed := zipped(t, good)
	photo := len(p.train["n02"][0].body)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"cut in a photo":     {good[:512+photo/2], "train/n02.tar: cut short at byte"},
		"cut behind a photo": {good[:512+(photo+511)/512*512], "train/n02.tar: cut short at byte"},
		"cut in a header":    {good[:512+(photo+511)/512*512+100], "train/n02.tar: cut short at byte"},
		"empty":              {nil, "cut short at byte 0"},
		"compressed":         {append(compressed, make([]byte, 512)...), "is no tar file; if it is compressed"},
		"damaged":            {append(bytes.Clone(good[:512+(photo+511)/512*512]), bytes.Repeat([]byte{7}, 2048)...), "damaged behind byte"},
		"without photos":     {tarred(t, entry{name: "a.webp", body: []byte("webp")}), "1 of 3 classes have no photo that can be read (.JPEG, .jpg, .png): n02; left out: 1 files ending in .webp (the first is train/n02/a.webp)"},
		"broken photos":      {tarred(t, entry{name: "a.JPEG", body: []byte("<html>")}), "n02/a.JPEG (image: unknown format)"},
	} {
		dir := t.TempDir()
		p.sorted(t, dir)
		if err := os.RemoveAll(filepath.Join(dir, "train", "n02")); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "train/n02.tar", c.file)
		if _, err := ImageFolder(context.Background(), dir, options(t)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	dir, o := t.TempDir(), options(t)
	p.sorted(t, dir)
	put(t, dir, "train/n04.tar", tarred(t, entry{name: "a.JPEG", body: shot(t, 50, 50, 9)}, entry{name: "more/b.JPEG", body: []byte("x")},
		entry{name: "c.tif", body: []byte("x")}, entry{name: "notes.txt", body: []byte("x")}, entry{name: "../../d.JPEG", body: shot(t, 50, 50, 9)}))
	put(t, dir, "val/n04/e.JPEG", shot(t, 50, 50, 9))
	s, _ := indexed(t, dir, o)
	for _, says := range []string{"1 photos in folders inside of classes' folders (the first is train/n04/more/b.JPEG)", "1 files ending in .tif (the first is train/n04/c.tif)"} {
		if s.Train.N != 8 || !strings.Contains(s.Warning, says) {
			t.Errorf("%d photos, warning %q, want %q", s.Train.N, s.Warning, says)
		}
	}
	overwrite(t, dir, "train/n04.tar", tarred(t, entry{name: "a.JPEG", body: shot(t, 50, 50, 10)}))
	if again, looked := indexed(t, dir, o); again.Train.N != 7 || looked != 1 || again.Checksum == s.Checksum {
		t.Errorf("another tar file: %d photos, %d looked into", again.Train.N, looked)
	}
}

// A data set with a class that ImageNet has not is not called ImageNet.
func TestTitleOfPhotos(t *testing.T) {
	for want, classes := range map[string][]string{
		"ImageNet, 2 classes, 6 + 4 photos":   {"n01440764", "n01494475"},
		"own photos, 2 classes, 6 + 4 photos": {"n01440764", "tench"},
		"own photos, 1 classes, 6 + 4 photos": {"1440764"},
	} {
		if got := (&layout{classes: classes}).title("x", FolderOptions{}, 6, 4); got != want {
			t.Errorf("%q is called %q, want %q", classes, got, want)
		}
	}
}

// What can only be read unpacked is recognised, with the command.
func TestPackedHint(t *testing.T) {
	for file, says := range map[string]string{
		"tiny-imagenet-200.zip":                           "unzip -q '",
		"imagenet_object_localization_patched2019.tar.gz": "tar -xzf '",
	} {
		dir := t.TempDir()
		put(t, dir, file, []byte("x"))
		for _, find := range []func(string) (string, error){findPhotos, findOwn} {
			if _, err := find(dir); err == nil || !strings.Contains(err.Error(), says+filepath.Join(dir, file)) {
				t.Errorf("%v, want %q", err, says)
			}
		}
	}
}

// Whatever a tar file holds is listed within its bytes, or refused.
func FuzzTar(f *testing.F) {
	inner := tarred(f, entry{name: "n01/a.JPEG", body: []byte("photo")}, entry{name: "../b.png", body: []byte("x")})
	f.Add(inner)
	f.Add(tarred(f, entry{name: "n01.tar", body: inner}, entry{name: "n02/", body: nil}))
	f.Fuzz(func(t *testing.T, file []byte) {
		var all []tarEntry
		if err := listTar(context.Background(), bytes.NewReader(file), tarEntry{span: span{Size: int64(len(file))}}, &all); err != nil {
			return
		}
		for _, e := range all {
			if e.Offset < 512 || e.Size < 0 || e.Offset+e.Size > int64(len(file)) || strings.HasPrefix(e.Name, "..") || path.IsAbs(e.Name) {
				t.Errorf("%q at byte %d, %d bytes, of a tar file of %d", e.Name, e.Offset, e.Size, len(file))
			}
		}
		tree("x.tar", "x", all)
	})
}
