// Where the files of CIFAR lie, in which of their forms, and how each form is read.

package data

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// cifarPlace is a folder with files of CIFAR, or a packed archive.
type cifarPlace struct {
	cifar
	path   string
	python bool // the Python version: pickles
	packed bool // the archive
}

// howToGet says what to do if files are missing.
func (c cifar) howToGet() string {
	return fmt.Sprintf("./run.sh data %s downloads %s; --data DIR or $%s names a folder that has the %d .bin files of its binary version, the %d pickled files of its Python version, or %s or %s",
		c.Name, c.Title, c.Env, len(c.files()), len(c.python.files), c.archive, c.python.archive)
}

// find returns the first place with all files of the set: home, a folder in it as left by
// unpacking an archive, or an archive. If none has all, it is the first with some of
// them, so that check can say what is missing.
func (c cifar) find(home string) (string, error) {
	var found []string
	for _, path := range []string{
		home, filepath.Join(home, c.folder), filepath.Join(home, c.python.folder),
		filepath.Join(home, c.archive), filepath.Join(home, c.python.archive),
	} {
		if _, ok := c.at(path); ok {
			found = append(found, path)
		}
	}
	for _, path := range found {
		if c.check(path) == nil {
			return path, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return "", fmt.Errorf("%s not found (looked in %s); %s", c.Title, home, c.howToGet())
}

// at tells what there is of the set at a path; ok is false for nothing.
func (c cifar) at(path string) (p cifarPlace, ok bool) {
	p = cifarPlace{cifar: c, path: path}
	if isRegular(path) {
		p.packed, p.python = true, filepath.Base(path) == c.python.archive
		return p, p.python || filepath.Base(path) == c.archive
	}
	for _, p.python = range []bool{false, true} {
		if slices.ContainsFunc(p.names(), func(f cifarFile) bool { return isRegular(filepath.Join(path, f.name)) }) {
			return p, true
		}
	}
	return p, false
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// names are the files of the place's version: those of the training set, then the test set.
func (p cifarPlace) names() []cifarFile {
	if p.python {
		return p.cifar.python.files
	}
	return p.files()
}

// check reports the files at a path (from find) that are missing or have the wrong size.
// It reads no file.
func (c cifar) check(path string) error {
	p, _ := c.at(path)
	if p.packed {
		return nil
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return p.checkSizes(root)
}

// checkSizes reports all errors together.
func (p cifarPlace) checkSizes(root *os.Root) error {
	var bad []error
	for i, f := range p.names() {
		bad = append(bad, p.checkSize(root, f.name, i))
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("%w\n%s", err, p.howToGet())
	}
	return nil
}

func (p cifarPlace) checkSize(root *os.Root, name string, i int) error {
	path, want := filepath.Join(root.Name(), name), p.bytes(i)
	info, err := root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing", path)
	case isSystems(err):
		return err
	case err != nil:
		return fmt.Errorf("%s is a link that leads out of the folder; the folder must hold the file itself, or be a link as a whole", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case p.python && (info.Size() < want || info.Size() > 2*want):
		return fmt.Errorf("%s has %d bytes, expected a pickle of %d images, a little more than %d: cut short, or not the Python version", path, info.Size(), p.rows(i), want)
	case !p.python && info.Size() != want:
		return fmt.Errorf("%s has %d bytes, expected %d (%d records of %d): cut short, or not the binary version (\"for C programs\")",
			path, info.Size(), want, want/int64(p.record()), p.record())
	}
	return nil
}

// read reads the files at a path (from find) in their order. They are canonical if their
// checksums are right, or that of the archive they come from. Other files are accepted
// with a Warning, and Title says so: it is the folder's title.txt if there is one (one
// line, for example "CIFAR-10, JPEG copy").
func (c cifar) read(path string) (*Source, error) {
	p, _ := c.at(path)
	dir := path
	if p.packed {
		dir = filepath.Dir(path)
	}
	// Read nothing outside the folder, whatever links are in it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s := &Source{
		Name: c.Name, Title: c.Title, Canonical: true,
		Train: newSet(c.Train, 3, c.Size, c.Classes), Test: newSet(c.Test, 3, c.Size, c.Classes),
	}
	var sums []string
	known := false // by a checksum of the archive
	if p.packed {
		sums, known, err = p.readPacked(s)
	} else if err = p.checkSizes(root); err == nil {
		sums, err = p.readFiles(root, s)
		known = !p.python && readSmall(root, manifestFile) == c.manifest(sums)
	}
	if err != nil {
		return nil, err
	}
	var differ []string
	for i, f := range p.names() {
		if sums[i] != f.sum {
			differ = append(differ, f.name)
		}
	}
	if len(differ) > 0 && !known {
		s.Canonical = false
		s.Title = c.titleOf(root)
		s.Warning = fmt.Sprintf("%s: %s: not the canonical files of %s (by their checksums), so results will differ from published ones; figures and tables will say %q",
			path, strings.Join(differ, ", "), c.Title, s.Title)
	}
	s.Checksum = checksum(&s.Train, &s.Test)
	return s, nil
}

// readFiles reads the files of a folder at the same time, and returns their checksums.
func (p cifarPlace) readFiles(root *os.Root, s *Source) ([]string, error) {
	files := p.names()
	sums, bad := make([]string, len(files)), make([]error, len(files))
	each(len(files), func(i int) {
		f, err := root.Open(files[i].name)
		if err == nil {
			defer f.Close()
			sums[i], err = p.take(s, i, bufio.NewReaderSize(f, 1<<18))
		}
		if err != nil {
			bad[i] = fmt.Errorf("%s: %w", filepath.Join(root.Name(), files[i].name), err)
		}
	})
	return sums, errors.Join(bad...)
}

// readPacked reads the files in an archive. known says that its MD5 is the published one.
func (p cifarPlace) readPacked(s *Source) (sums []string, known bool, err error) {
	f, err := os.Open(p.path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w; get it again, or name a folder with the unpacked files", p.path, noEOF(err))
		}
	}()
	h := md5.New()
	whole := io.TeeReader(bufio.NewReaderSize(f, 1<<18), h)
	z, err := gzip.NewReader(whole)
	if err != nil {
		return nil, false, err
	}
	files := p.names()
	sums = make([]string, len(files))
	// Read no more than the files' size and a reserve, however well the archive is compressed.
	most := int64(16 << 20)
	for i := range files {
		most += 2 * p.bytes(i)
	}
	for in := tar.NewReader(io.LimitReader(z, most)); ; {
		entry, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, false, err
		}
		i := slices.IndexFunc(files, func(f cifarFile) bool { return f.name == path.Base(entry.Name) })
		if i < 0 || entry.Typeflag != tar.TypeReg {
			continue
		}
		if sums[i], err = p.take(s, i, in); err != nil {
			return nil, false, fmt.Errorf("%s: %w", files[i].name, err)
		}
	}
	if i := slices.Index(sums, ""); i >= 0 {
		return nil, false, fmt.Errorf("%s is not in it", files[i].name)
	}
	if _, err := io.Copy(io.Discard, whole); err != nil {
		return nil, false, err
	}
	archive := p.md5
	if p.python {
		archive = p.cifar.python.md5
	}
	return sums, hex.EncodeToString(h.Sum(nil)) == archive, nil
}

// take reads file i of the place's version into its set, and returns its checksum. It is
// safe for concurrent use with different files.
func (p cifarPlace) take(s *Source, i int, r io.Reader) (sum string, err error) {
	set, first := &s.Train, i*p.rows(i)
	if i == len(p.train) {
		set, first = &s.Test, 0
	}
	var h hash.Hash
	if p.python {
		h = md5.New()
		err = p.parsePickle(io.TeeReader(r, h), set, first, i)
	} else {
		h = sha1.New()
		err = p.parse(io.TeeReader(r, h), set, first, p.rows(i))
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// parsePickle reads a file of the Python version: a dictionary with the labels as a list
// and the images as an array, an image in a row.
func (p cifarPlace) parsePickle(r io.Reader, set *Set, first, i int) error {
	var file bytes.Buffer
	if _, err := io.Copy(&file, io.LimitReader(r, 2*p.bytes(i)+1)); err != nil {
		return err
	}
	value, err := unpickle(file.Bytes())
	if err != nil {
		return err
	}
	batch, ok := value.(*pickleDict)
	if !ok {
		return fmt.Errorf("expected a dictionary with data and %s", p.cifar.python.labels)
	}
	rows, columns := p.rows(i), 3*p.Size*p.Size
	labels, err := bytesOfList(batch.get(p.cifar.python.labels), rows, p.Classes)
	if err != nil {
		return fmt.Errorf("%s: %w", p.cifar.python.labels, err)
	}
	pixels, byColumn, err := bytesOfArray(batch.get("data"), rows, columns)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	for row, label := range labels {
		set.Labels[first+row] = int32(label)
		image := set.Image(first + row)
		if !byColumn {
			copy(image, pixels[row*columns:])
			continue
		}
		for k := range image {
			image[k] = pixels[k*rows+row]
		}
	}
	return nil
}
