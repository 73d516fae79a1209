package data

import (
	"bufio"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A record of CIFAR-10's binary layout is a label byte and 3072 bytes of red,
// green and blue planes, 32 by 32, row-major.
const (
	cifarSize    = 32
	cifarClasses = 10
	cifarRecord  = 1 + 3*cifarSize*cifarSize
	cifarRows    = 10000 // records of a file
	cifarTrain   = 5     // files of the training set; the last file is the test set
)

// cifarFiles are the files and their canonical SHA-1. Toronto publishes a sum
// of the archive only. These are the ones that Apache MXNet lists
// (gluon/data/vision/datasets.py), first for the files of Toronto's own
// archive. SHA-1 is broken against forgery, which is not what this guards
// against: it tells copies that were recompressed, reordered or damaged.
// Files that Download unpacked from the archive of the right MD5 count as
// canonical by its manifest too, should that list ever be wrong.
var cifarFiles = [...]struct{ name, sha1 string }{
	{"data_batch_1.bin", "aadd24acce27caa71bf4b10992e9e7b2d74c2540"},
	{"data_batch_2.bin", "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"},
	{"data_batch_3.bin", "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"},
	{"data_batch_4.bin", "aab85764eb3584312d3c7f65fd2fd016e36a258e"},
	{"data_batch_5.bin", "26e2849e66a845b7f1e4614ae70f4889ae604628"},
	{"test_batch.bin", "67eb016db431130d61cd03c7ad570b013799c88c"},
}

const (
	cifarTitle   = "CIFAR-10"
	cifarUnknown = "CIFAR-10, files differ from the canonical ones"
	cifarFolder  = "cifar-10-batches-bin" // in the official archive
	titleFile    = "title.txt"
	manifestFile = "SHA1SUMS"
	howToGet     = "./run.sh data cifar10 downloads CIFAR-10; --data DIR or $DEPTHLAB_DATA names a folder that has the six .bin files of its binary version"
)

// NotFoundError says that no folder holds the data. Its text has the ways to
// get them, on one line.
type NotFoundError struct{ Dirs []string } // looked in

func (e *NotFoundError) Error() string {
	where := "no folder was named"
	if len(e.Dirs) > 0 {
		where = "looked in " + strings.Join(e.Dirs, ", ")
	}
	return "CIFAR-10 not found (" + where + "); " + howToGet
}

// Find returns the first folder of dirs that holds data of CIFAR-10, or holds
// them in cifar-10-batches-bin, as the archive unpacks. Empty names are
// passed over. A folder with only some of the files is taken too, so that
// CIFAR10 can say what is missing rather than go on to another one. Without
// any, the error is a *NotFoundError.
func Find(dirs ...string) (string, error) {
	missing := &NotFoundError{}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		for _, d := range []string{dir, filepath.Join(dir, cifarFolder)} {
			for _, f := range cifarFiles {
				if info, err := os.Stat(filepath.Join(d, f.name)); err == nil && info.Mode().IsRegular() {
					return d, nil
				}
			}
		}
		missing.Dirs = append(missing.Dirs, dir)
	}
	return "", missing
}

// CIFAR10 reads the six files from dir or from dir/cifar-10-batches-bin: 50,000
// images to train on and 10,000 to test on, in the files' order. Files whose
// sums are not the canonical ones are accepted with a Warning, and the Title
// says so: in the words of the folder's title.txt if it has one (one line, for
// example "CIFAR-10, JPEG copy").
func CIFAR10(dir string) (*Source, error) { return readCIFAR(dir, cifarRows, cifarMD5) }

// manifest is the text that Download leaves beside files from an archive of
// the right MD5, in the form that sha1sum -c takes.
func manifest(archiveMD5 string, sums []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# files of %s, MD5 %s\n", cifarArchive, archiveMD5)
	for i, f := range cifarFiles {
		fmt.Fprintf(&b, "%s  %s\n", sums[i], f.name)
	}
	return b.String()
}

// readCIFAR reads files of so many records each. They are canonical when their
// sums are, or when dir has the manifest of an archive of that MD5.
func readCIFAR(dir string, rows int, archiveMD5 string) (*Source, error) {
	dir, err := Find(dir)
	if err != nil {
		return nil, err
	}
	s := &Source{
		Name: "cifar10", Title: cifarTitle, Canonical: true,
		Train: newSet(0, 3, cifarSize, cifarClasses), Test: newSet(0, 3, cifarSize, cifarClasses),
	}
	// Nothing outside of the folder is read, whatever links are in it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Before anything is allocated or read.
	if err := checkSizes(root, rows); err != nil {
		return nil, err
	}
	s.Train = newSet(cifarTrain*rows, 3, cifarSize, cifarClasses)
	s.Test = newSet(rows, 3, cifarSize, cifarClasses)

	sums := make([]string, len(cifarFiles))
	bad := make([]error, len(cifarFiles))
	done := make(chan bool)
	for i := range cifarFiles {
		go func() {
			set, first := &s.Train, i*rows
			if i >= cifarTrain {
				set, first = &s.Test, 0
			}
			sums[i], bad[i] = readCIFARFile(root, cifarFiles[i].name, set, first, rows)
			done <- true
		}()
	}
	for range cifarFiles {
		<-done
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	var differ []string
	for i, f := range cifarFiles {
		if sums[i] != f.sha1 {
			differ = append(differ, f.name)
		}
	}
	written := readSmall(root, manifestFile) // "" if missing: no witness
	if len(differ) > 0 && written != manifest(archiveMD5, sums) {
		s.Canonical = false
		s.Title = titleOf(root)
		s.Warning = fmt.Sprintf("%s: %s: not the canonical files of CIFAR-10 (SHA-1), so results will differ from published ones; figures and tables will say %q",
			dir, strings.Join(differ, ", "), s.Title)
	}
	s.Checksum = checksum(&s.Train, &s.Test)
	return s, nil
}

// CheckCIFAR10 says which of the six files are missing in dir, which Find gave,
// or have another size than they should. It reads none of them.
func CheckCIFAR10(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return checkSizes(root, cifarRows)
}

// checkSizes makes all complaints at once.
func checkSizes(root *os.Root, rows int) error {
	var bad []error
	for _, f := range cifarFiles {
		bad = append(bad, checkSize(root, f.name, int64(rows)*cifarRecord))
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("%w\n%s", err, howToGet)
	}
	return nil
}

func checkSize(root *os.Root, name string, want int64) error {
	path := filepath.Join(root.Name(), name)
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing", path)
	case err != nil: // a link that leads out of the folder, too
		return fmt.Errorf("%s: %w; the folder must hold the file itself, or be a link as a whole", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Size() != want:
		return fmt.Errorf("%s has %d bytes, expected %d (%d records of %d): cut short, or not the binary version (\"for C programs\")",
			path, info.Size(), want, want/cifarRecord, cifarRecord)
	}
	return nil
}

// readCIFARFile reads a file into set from image first on and returns its
// SHA-1. It is safe to call at once for different images of one set.
func readCIFARFile(root *os.Root, name string, set *Set, first, rows int) (sum string, err error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha1.New()
	if err := parseCIFAR(bufio.NewReaderSize(io.TeeReader(f, h), 1<<18), set, first, rows); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(root.Name(), name), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// parseCIFAR reads exactly rows records, and that must be all there is.
func parseCIFAR(r io.Reader, set *Set, first, rows int) error {
	label := make([]byte, 1)
	for row := range rows {
		i := first + row
		if _, err := io.ReadFull(r, label); err != nil {
			return fmt.Errorf("row %d of %d: %w", row, rows, noEOF(err))
		}
		if int(label[0]) >= set.Classes {
			return fmt.Errorf("row %d has label %d, expected 0 to %d: damaged, or not CIFAR-10's binary version; %s", row, label[0], set.Classes-1, howToGet)
		}
		set.Labels[i] = int32(label[0])
		if _, err := io.ReadFull(r, set.Image(i)); err != nil {
			return fmt.Errorf("row %d of %d: %w", row, rows, noEOF(err))
		}
	}
	if n, _ := r.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("goes on after %d rows", rows)
	}
	return nil
}

// noEOF is for places where the end of a file is never right.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// titleOf is the line in the folder's title.txt, unless it is empty, no
// printable line of at most 80 characters, or claims to be the real thing.
func titleOf(root *os.Root) string {
	title := strings.TrimSpace(readSmall(root, titleFile))
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, title)
	printable := strings.IndexFunc(title, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
	if plain == "" || plain == "cifar10" || !printable || !utf8.ValidString(title) || utf8.RuneCountInString(title) > 80 {
		return cifarUnknown
	}
	return title
}

// readSmall is the text of a small file, "" if it cannot be read.
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
