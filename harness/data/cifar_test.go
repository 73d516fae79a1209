// Tests of CIFAR's binary form: order, complaints, titles and links.

package data

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"depthlab/harness/testskip"
)

const testRows = 3

const (
	testRecord   = 1 + 3*32*32
	cifarUnknown = "CIFAR-10, files differ from the canonical ones"
)

// few is the data set with only testRows records in each file.
func few(c cifar) cifar {
	c.Train, c.Test = len(c.train)*testRows, testRows
	return c
}

// bytesOf makes one file. Labels continue from file to file, and each pixel encodes its
// file, row and place.
func (c cifar) bytesOf(file, rows int) []byte {
	var b []byte
	for row := range rows {
		for _, n := range c.labels {
			b = append(b, uint8((file*rows+row)%n))
		}
		for k := range 3 * 32 * 32 {
			b = append(b, uint8(100*file+30*row+k))
		}
	}
	return b
}

func cifarBytes(file, rows int) []byte { return cifar10.bytesOf(file, rows) }

// write makes a folder of small files in the binary form.
func (c cifar) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i, f := range c.files() {
		write(t, filepath.Join(dir, f.name), c.bytesOf(i, testRows))
	}
}

func writeCIFAR(t *testing.T, dir string) { t.Helper(); cifar10.write(t, dir) }

// open finds and reads the data set.
func (c cifar) open(home string) (*Source, error) {
	dir, err := c.find(home)
	if err != nil {
		return nil, err
	}
	return c.read(dir)
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestCIFARIsReadInOrder(t *testing.T) {
	for _, inner := range []string{"", cifar10.folder} {
		dir := t.TempDir()
		writeCIFAR(t, filepath.Join(dir, inner))
		s, err := few(cifar10).open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.Train.N != 5*testRows || s.Test.N != testRows {
			t.Fatalf("%d and %d images", s.Train.N, s.Test.N)
		}
		for i := range 6 * testRows {
			set, at := &s.Train, i
			if i >= 5*testRows {
				set, at = &s.Test, i-5*testRows
			}
			record := cifarBytes(i/testRows, testRows)[i%testRows*testRecord:][:testRecord]
			if set.Labels[at] != int32(record[0]) || !bytes.Equal(set.Image(at), record[1:]) {
				t.Errorf("image %d is not the one of the file", i)
			}
		}
		if s.Canonical || s.Title != cifarUnknown || !strings.Contains(s.Warning, "test_batch.bin") || len(s.Checksum) != 64 {
			t.Errorf("canonical %v, title %q, warning %q, checksum %q", s.Canonical, s.Title, s.Warning, s.Checksum)
		}
	}
}

func TestCIFARComplaints(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  []string
	}{
		{"missing file", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "data_batch_3.bin")) },
			[]string{"data_batch_3.bin is missing", "run.sh data cifar10"}},
		{"two complaints at once", func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "data_batch_3.bin"))
			write(t, filepath.Join(dir, "test_batch.bin"), []byte{1, 2, 3})
		}, []string{"data_batch_3.bin is missing", "test_batch.bin has 3 bytes, expected 9219", "run.sh data cifar10"}},
		{"cut short", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "data_batch_1.bin"), cifarBytes(0, testRows)[:5000])
		}, []string{"data_batch_1.bin has 5000 bytes, expected 9219", "cut short"}},
		{"too long", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "data_batch_1.bin"), cifarBytes(0, testRows+1))
		}, []string{"data_batch_1.bin has 12292 bytes, expected 9219"}},
		{"label", func(t *testing.T, dir string) {
			b := cifarBytes(4, testRows)
			b[2*testRecord] = 77
			write(t, filepath.Join(dir, "data_batch_5.bin"), b)
		}, []string{"data_batch_5.bin", "row 2 has label 77, expected 0 to 9"}},
		{"folder in place of a file", func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "data_batch_2.bin"))
			os.Mkdir(filepath.Join(dir, "data_batch_2.bin"), 0o777)
		}, []string{"data_batch_2.bin is not a regular file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeCIFAR(t, dir)
			test.spoil(t, dir)
			_, err := few(cifar10).open(dir)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestFind(t *testing.T) {
	empty, flat, nested := t.TempDir(), t.TempDir(), t.TempDir()
	writeCIFAR(t, flat)
	writeCIFAR(t, filepath.Join(nested, cifar10.folder))
	for dir, want := range map[string]string{flat: flat, nested: filepath.Join(nested, cifar10.folder)} {
		if got, err := cifar10.find(dir); err != nil || got != want {
			t.Errorf("find(%q) = %q, %v", dir, got, err)
		}
	}
	_, err := cifar10.find(empty)
	if err == nil || strings.Contains(err.Error(), "\n") {
		t.Fatalf("find in an empty folder: %v", err)
	}
	for _, want := range []string{"CIFAR-10 not found", "looked in " + empty, "run.sh data cifar10", "DEPTHLAB_DATA"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: it does not say %q", err, want)
		}
	}
}

func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"CIFAR-10, JPEG copy\n":              "CIFAR-10, JPEG copy",
		"":                                   cifarUnknown,
		"CIFAR-10\n":                         cifarUnknown,
		" cifar 10 ":                         cifarUnknown,
		"two\nlines":                         cifarUnknown,
		"\x1b[31mred":                        cifarUnknown,
		"\xff\xfe":                           cifarUnknown,
		"long " + strings.Repeat("long", 40): cifarUnknown,
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, titleFile), []byte(text))
		if got := cifar10.titleOf(rootOf(t, dir)); got != want {
			t.Errorf("title.txt %q gives title %q, want %q", text, got, want)
		}
	}
	if got := cifar10.titleOf(rootOf(t, t.TempDir())); got != cifarUnknown {
		t.Errorf("no title.txt gives title %q", got)
	}
}

func rootOf(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// Links inside the folder, and the folder itself as a link, are followed. Links that lead
// out of it are refused.
func TestLinks(t *testing.T) {
	dir, elsewhere := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "x.bin")
	writeCIFAR(t, dir)
	link := dir + "-link"
	file, moved := filepath.Join(dir, cifar10.files()[2].name), filepath.Join(dir, "moved.bin")
	if err := errors.Join(os.Symlink(dir, link), os.Rename(file, moved), os.Symlink("moved.bin", file)); err != nil {
		testskip.Skip(t, "no symbolic links here: %v", err)
	}
	if _, err := few(cifar10).open(link); err != nil {
		t.Errorf("links inside are refused: %v", err)
	}
	for _, to := range []string{elsewhere, "../../" + filepath.Base(filepath.Dir(elsewhere)) + "/x.bin"} {
		write(t, elsewhere, cifarBytes(2, testRows))
		if err := errors.Join(os.Remove(file), os.Symlink(to, file)); err != nil {
			t.Fatal(err)
		}
		if _, err := few(cifar10).open(dir); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("a link to %s: %v", to, err)
		}
	}
	// A title from outside the folder is ignored.
	if err := errors.Join(os.WriteFile(elsewhere, []byte("secret"), 0o666), os.Symlink(elsewhere, filepath.Join(dir, titleFile))); err != nil {
		t.Fatal(err)
	}
	if got := cifar10.titleOf(rootOf(t, dir)); got != cifarUnknown {
		t.Errorf("title %q from outside of the folder", got)
	}
}

// Any file is refused, or read as the right number of records.
func FuzzCIFAR(f *testing.F) {
	f.Add(cifarBytes(0, 1))
	f.Add(cifarBytes(0, 2))
	f.Add(cifarBytes(0, 3))
	f.Add([]byte{})
	f.Add([]byte{10})
	f.Fuzz(func(t *testing.T, b []byte) {
		set := newSet(4, 3, 32, 10)
		err := cifar10.parse(bytes.NewReader(b), &set, 1, 2)
		good := len(b) == 2*testRecord && b[0] < 10 && b[testRecord] < 10
		if (err == nil) != good {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if errors.Is(err, io.EOF) {
			t.Fatal("a short file ends as if it were whole")
		}
		if good && !bytes.Equal(set.Image(2), b[testRecord+1:]) {
			t.Fatal("pixels differ")
		}
		if !bytes.Equal(set.Image(0), make([]byte, testRecord-1)) || !bytes.Equal(set.Image(3), make([]byte, testRecord-1)) {
			t.Fatal("wrote beyond its rows")
		}
	})
}
