// CIFAR's binary form: finds, checks and reads its files.

package data

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"depthlab/experiments/dataset"
)

// cifar is a data set in CIFAR's binary form. Its files are sequences of records: label
// bytes, the last of which is the class, then 3072 bytes of red, green and blue planes,
// 32 by 32, row-major.
//
// The checksums of its files are SHA-1, which does not protect against forgery. They do
// not have to: they detect copies that were recompressed, reordered or damaged. Files
// unpacked from the archive with the right MD5 are canonical by their manifest, too, in
// case these checksums should be wrong.
type cifar struct {
	dataset.Set
	labels      []int       // for each label byte of a record: number of its values
	train       []cifarFile // files of the training set, with equal numbers of records
	test        cifarFile
	folder      string // folder of the files in the archive
	archive     string // file name of the archive
	url, envURL string // address where its authors publish it; environment variable with an address to try first
	md5         string // of the archive
	mib         int    // size of the archive in MiB
}

type cifarFile struct{ name, sha1 string }

const (
	titleFile    = "title.txt"
	manifestFile = "SHA1SUMS"
)

// access returns how the data set is obtained.
func (c cifar) access() Access {
	return Access{
		Find: c.find, Check: c.check,
		Read:  func(_ context.Context, dir string, _ FolderOptions) (*Source, error) { return c.read(dir) },
		Fetch: c.fetch, MiB: c.mib,
	}
}

// files lists the files of the training set, then that of the test set.
func (c cifar) files() []cifarFile { return append(slices.Clone(c.train), c.test) }

// rows is the number of records in file i of files.
func (c cifar) rows(i int) int {
	if i < len(c.train) {
		return c.Train / len(c.train)
	}
	return c.Test
}

// record is the size of a record in bytes.
func (c cifar) record() int { return len(c.labels) + 3*c.Size*c.Size }

// bytes is the size of file i of files.
func (c cifar) bytes(i int) int64 { return int64(c.rows(i)) * int64(c.record()) }

// howToGet says what to do if files are missing.
func (c cifar) howToGet() string {
	return fmt.Sprintf("./run.sh data %s downloads %s; --data DIR or $%s names a folder that has the %d .bin files of its binary version",
		c.Name, c.Title, c.Env, len(c.files()))
}

// find returns the first folder that holds files of the set: home, or the archive's
// folder in it, as left by unpacking the archive. It accepts a folder with only some of
// the files, so that check can say what is missing.
func (c cifar) find(home string) (string, error) {
	for _, d := range []string{home, filepath.Join(home, c.folder)} {
		for _, f := range c.files() {
			if info, err := os.Stat(filepath.Join(d, f.name)); err == nil && info.Mode().IsRegular() {
				return d, nil
			}
		}
	}
	return "", fmt.Errorf("%s not found (looked in %s); %s", c.Title, home, c.howToGet())
}

// check reports the files in dir (from find) that are missing or have the wrong size. It
// reads no file.
func (c cifar) check(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return c.checkSizes(root)
}

// manifest is the text that fetch writes beside files from an archive with the right MD5,
// in the format of sha1sum -c.
func (c cifar) manifest(sums []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# files of %s, MD5 %s\n", c.archive, c.md5)
	for i, f := range c.files() {
		fmt.Fprintf(&b, "%s  %s\n", sums[i], f.name)
	}
	return b.String()
}

// read reads the files in dir (from find) in their order. They are canonical if their
// checksums are right, or if dir has the archive's manifest. Other files are accepted
// with a Warning, and Title says so: it is the folder's title.txt if there is one (one
// line, for example "CIFAR-10, JPEG copy").
func (c cifar) read(dir string) (*Source, error) {
	// Read nothing outside the folder, whatever links are in it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Check before allocating or reading anything.
	if err := c.checkSizes(root); err != nil {
		return nil, err
	}
	s := &Source{
		Name: c.Name, Title: c.Title, Canonical: true,
		Train: newSet(c.Train, 3, c.Size, c.Classes), Test: newSet(c.Test, 3, c.Size, c.Classes),
	}
	files := c.files()
	sums := make([]string, len(files))
	bad := make([]error, len(files))
	done := make(chan bool)
	for i := range files {
		go func() {
			set, first := &s.Train, i*c.rows(i)
			if i == len(c.train) {
				set, first = &s.Test, 0
			}
			sums[i], bad[i] = c.readFile(root, files[i].name, set, first, c.rows(i))
			done <- true
		}()
	}
	for range files {
		<-done
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	var differ []string
	for i, f := range files {
		if sums[i] != f.sha1 {
			differ = append(differ, f.name)
		}
	}
	written := readSmall(root, manifestFile) // "" if missing, which matches no files
	if len(differ) > 0 && written != c.manifest(sums) {
		s.Canonical = false
		s.Title = c.titleOf(root)
		s.Warning = fmt.Sprintf("%s: %s: not the canonical files of %s (SHA-1), so results will differ from published ones; figures and tables will say %q",
			dir, strings.Join(differ, ", "), c.Title, s.Title)
	}
	s.Checksum = checksum(&s.Train, &s.Test)
	return s, nil
}

// checkSizes reports all errors together.
func (c cifar) checkSizes(root *os.Root) error {
	var bad []error
	for i, f := range c.files() {
		bad = append(bad, c.checkSize(root, f.name, c.bytes(i)))
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("%w\n%s", err, c.howToGet())
	}
	return nil
}

func (c cifar) checkSize(root *os.Root, name string, want int64) error {
	path := filepath.Join(root.Name(), name)
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing", path)
	case err != nil: // also for a link that leads out of the folder
		return fmt.Errorf("%s: %w; the folder must hold the file itself, or be a link as a whole", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Size() != want:
		return fmt.Errorf("%s has %d bytes, expected %d (%d records of %d): cut short, or not the binary version (\"for C programs\")",
			path, info.Size(), want, want/int64(c.record()), c.record())
	}
	return nil
}

// readFile reads a file into set, beginning at image first, and returns its SHA-1. It is
// safe for concurrent use on different images of one set.
func (c cifar) readFile(root *os.Root, name string, set *Set, first, rows int) (sum string, err error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha1.New()
	if err := c.parse(bufio.NewReaderSize(io.TeeReader(f, h), 1<<18), set, first, rows); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(root.Name(), name), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// parse reads exactly rows records. Fails if there are more.
func (c cifar) parse(r io.Reader, set *Set, first, rows int) error {
	labels := make([]byte, len(c.labels))
	for row := range rows {
		i := first + row
		if _, err := io.ReadFull(r, labels); err != nil {
			return fmt.Errorf("row %d of %d: %w", row, rows, noEOF(err))
		}
		for k, label := range labels {
			if int(label) >= c.labels[k] {
				return fmt.Errorf("row %d has label %d, expected 0 to %d: damaged, or not %s's binary version; %s", row, label, c.labels[k]-1, c.Title, c.howToGet())
			}
			set.Labels[i] = int32(label) // the last label byte is the class
		}
		if _, err := io.ReadFull(r, set.Image(i)); err != nil {
			return fmt.Errorf("row %d of %d: %w", row, rows, noEOF(err))
		}
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("has more than %d rows", rows)
	}
	return nil
}

// noEOF turns EOF into an error, where the end of a file is unexpected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// titleOf returns the line in the folder's title.txt, unless it is empty, not one
// printable line of at most 80 characters, or the title of the canonical files.
func (c cifar) titleOf(root *os.Root) string {
	title := strings.TrimSpace(readSmall(root, titleFile))
	plain := plainly(title)
	printable := strings.IndexFunc(title, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
	if plain == "" || plain == plainly(c.Title) || !printable || !utf8.ValidString(title) || utf8.RuneCountInString(title) > 80 {
		return c.Title + ", files differ from the canonical ones"
	}
	return title
}

// plainly keeps only the letters and digits of a text, in lower case.
func plainly(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

// readSmall reads the text of a small file; "" if it cannot be read.
func readSmall(root *os.Root, name string) string {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return ""
	}
	return string(b)
}
