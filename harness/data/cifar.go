// CIFAR: finds, checks and reads its files, binary or pickled, unpacked or not.

package data

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"depthlab/experiments/dataset"
)

// cifar is a data set as CIFAR is published, in two versions. Files of the binary version
// are sequences of records: label bytes, the last of which is the class, then 3072 bytes
// of red, green and blue planes, 32 by 32, row-major. Files of the Python version are
// pickles. Both are read, from a folder or from the packed archive.
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
	python      cifarPython
}

// cifarFile is a file with its published checksum: SHA-1 of the binary version, MD5 of the
// Python version.
type cifarFile struct{ name, sum string }

// cifarPython is the Python version of a data set.
type cifarPython struct {
	folder, archive string
	md5             string // of the archive
	labels          string // key of the classes in a pickle
	files           []cifarFile
}

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

// titleOf returns the line in the folder's title.txt, unless it is the title of the
// canonical files.
func (c cifar) titleOf(root *os.Root) string {
	title := titleIn(root)
	if title == "" || plainly(title) == plainly(c.Title) {
		return c.Title + ", files differ from the canonical ones"
	}
	return title
}

// titleIn returns the line in a folder's title.txt; "" if there is none.
func titleIn(root *os.Root) string {
	title := strings.TrimSpace(readSmall(root, titleFile))
	if !isTitle(title) {
		return ""
	}
	return title
}

// isTitle says whether a text is one printable line of at most 80 characters, with letters
// or digits in it.
func isTitle(text string) bool {
	printable := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
	return plainly(text) != "" && printable && utf8.ValidString(text) && utf8.RuneCountInString(text) <= 80
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
