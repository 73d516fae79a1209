// Tests of CIFAR's Python version and packed archives, and of the pickle reader.

package data

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pickled writes a batch as Python 2's cPickle writes it in protocol 2: a dictionary of
// a title, labels, an array and file names, with everything that can be recalled stored.
func pickled(labels string, classes, pixels []byte, byColumn bool) []byte {
	var b bytes.Buffer
	stored := 0
	put := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	store := func() {
		if stored++; stored < 256 {
			put("q%c", 0)
			b.Bytes()[b.Len()-1] = byte(stored)
			return
		}
		b.WriteByte('r')
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(stored)))
	}
	text := func(s string) { b.WriteByte('U'); b.WriteByte(byte(len(s))); b.WriteString(s); store() }
	raw := func(bytes ...byte) { b.Write(bytes) }
	raw(0x80, 2, '}')
	store()
	raw('(')
	text("batch_label")
	text("training batch 1 of 5")
	text(labels)
	raw(']')
	store()
	raw('(')
	for _, c := range classes {
		raw('K', c)
	}
	raw('e')
	text("data")
	put("cnumpy.core.multiarray\n_reconstruct\n")
	store()
	put("cnumpy\nndarray\n")
	store()
	raw('K', 0, 0x85)
	store()
	text("b")
	raw(0x87)
	store()
	raw('R')
	store()
	raw('(', 'K', 1, 'M', byte(len(classes)), byte(len(classes)>>8), 'M', 0, 12, 0x86)
	store()
	put("cnumpy\ndtype\n")
	store()
	text("u1")
	raw('K', 0, 'K', 1, 0x87)
	store()
	raw('R')
	store()
	raw('(', 'K', 3)
	text("|")
	raw('N', 'N', 'N', 'J', 255, 255, 255, 255, 'J', 255, 255, 255, 255, 'K', 0, 't')
	store()
	raw('b')
	if byColumn {
		raw(0x88)
	} else {
		raw(0x89)
	}
	raw('T')
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(pixels))))
	b.Write(pixels)
	store()
	raw('t')
	store()
	raw('b')
	text("filenames")
	raw(']')
	store()
	raw('(')
	for range classes {
		text("tabby_s_000001.png")
	}
	raw('e', 'u', '.')
	return b.Bytes()
}

// pickleOf is file i of the Python version, with the images of the binary one.
func (c cifar) pickleOf(i int, byColumn bool) []byte {
	binary := c.bytesOf(i, testRows)
	size := 3 * 32 * 32
	var labels, pixels []byte
	for at := 0; at < len(binary); at += len(c.labels) + size {
		labels = append(labels, binary[at+len(c.labels)-1])
		pixels = append(pixels, binary[at+len(c.labels):][:size]...)
	}
	if byColumn {
		rows := pixels
		pixels = make([]byte, len(rows))
		for k := range rows {
			pixels[k%size*testRows+k/size] = rows[k]
		}
	}
	return pickled(c.python.labels, labels, pixels, byColumn)
}

// forms are the folders in which a data set is published.
func forms(t *testing.T, c cifar) map[string]func(dir string) {
	python := []entry{{c.python.folder + "/", tar.TypeDir, nil}, {c.python.folder + "/batches.meta", tar.TypeReg, []byte("meta")}}
	for i, f := range c.python.files {
		python = append(python, entry{c.python.folder + "/" + f.name, tar.TypeReg, c.pickleOf(i, i%2 == 1)})
	}
	pickles := func(dir string) {
		for _, e := range python[2:] {
			put(t, dir, e.name, e.body)
		}
	}
	return map[string]func(dir string){
		"torchvision's root": pickles,
		"pickles":            func(dir string) { pickles(dir); moveUp(t, dir, c.python.folder) },
		"binary archive": func(dir string) {
			b, _ := pack(t, c, entriesOf(c))
			put(t, dir, c.archive, b)
		},
		"python archive": func(dir string) {
			b, _ := pack(t, c, python)
			put(t, dir, c.python.archive, b)
		},
	}
}

// moveUp moves the content of a folder into the one around it.
func moveUp(t *testing.T, dir, folder string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(dir, folder, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// In every form it is the same data set, with the same key.
func TestFormsOfCIFAR(t *testing.T) {
	for _, c := range []cifar{cifar10, cifar100} {
		dir := t.TempDir()
		c.write(t, dir)
		want, err := few(c).open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for name, form := range forms(t, c) {
			dir := t.TempDir()
			form(dir)
			s, err := few(c).open(dir)
			if err != nil {
				t.Errorf("%s, %s: %v", c.Title, name, err)
				continue
			}
			if s.Checksum != want.Checksum || s.Canonical || s.Title != want.Title || s.Train.N != want.Train.N || !bytes.Equal(s.Test.Images, want.Test.Images) {
				t.Errorf("%s, %s: %q, %d images, checksum %s, want %s", c.Title, name, s.Title, s.Train.N, s.Checksum, want.Checksum)
			}
		}
	}
}

// An archive with the published MD5 is canonical, whatever is in it; one of another name,
// cut short or without a file is refused.
func TestPackedCIFAR(t *testing.T) {
	dir := t.TempDir()
	forms(t, cifar10)["python archive"](dir)
	path := filepath.Join(dir, cifar10.python.archive)
	c := few(cifar10)
	var err error
	if c.python.md5, err = md5Of(path); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{dir, path} {
		if s, err := c.open(home); err != nil || !s.Canonical || s.Title != "CIFAR-10" {
			t.Errorf("%s: %+v, %v", home, s, err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := pack(t, cifar10, entriesOf(cifar10)[:4])
	for _, bad := range []struct {
		file []byte
		says string
	}{{whole[:len(whole)/2], "unexpected EOF"}, {other, "data_batch_1 is not in it"}, {nil, "unexpected EOF"}, {[]byte("<html><body>Not found"), "gzip: invalid header"}} {
		write(t, path, bad.file)
		if _, err := c.open(dir); err == nil || !strings.Contains(err.Error(), bad.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, bad.says)
		}
	}
}

// What is no batch is refused, and nothing in a pickle is executed or believed.
func TestBadPickles(t *testing.T) {
	good := cifar10.pickleOf(0, false)
	labels := bytes.Index(good, []byte("(K\x00K\x01K\x02e"))
	spoil := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	cut := append(bytes.Clone(good[:len(good)-5000]), bytes.Repeat([]byte{'N'}, 5000)...)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"a call":         {append([]byte("\x80\x02cos\nsystem\nU\x07echo hi\x85R."), good...), "expected a dictionary"},
		"protocol 4":     {spoil("\x80\x02", "\x80\x04"), "protocol 4, expected 2"},
		"other bytes":    {append([]byte("\x80\x02\x95"), good...), "instruction 0x95"},
		"text":           {bytes.Repeat([]byte("<html>"), 2000), "instruction 0x3c"},
		"cut":            {cut[:len(cut)-4000], "cut short"},
		"padded":         {cut, "cut short"},
		"label":          {append(append(bytes.Clone(good[:labels]), "(K\x00K\x0aK\x02e"...), good[labels+8:]...), "row 1 has label 10, expected 0 to 9"},
		"labels":         {append(append(bytes.Clone(good[:labels]), "(K\x00K\x01NNe"...), good[labels+8:]...), "expected a list of 3 labels"},
		"no labels":      {spoil("labels", "lobels"), "labels: expected a list"},
		"no data":        {spoil("U\x04data", "U\x04dito"), "data: expected an array"},
		"another array":  {spoil("_reconstruct", "_frombuffer_"), "data: expected an array"},
		"another type":   {spoil("U\x02u1", "U\x02f4"), "type u1"},
		"another shape":  {spoil("M\x00\x0c\x86", "M\x00\x0b\x86"), "shape (3, 3072)"},
		"recall":         {append([]byte("\x80\x02h\x09"), good...), "recalls value 9"},
		"empty stack":    {append([]byte("\x80\x02R"), good...), "empty stack"},
		"no mark":        {append([]byte("\x80\x02t"), good...), "no mark"},
		"a list of none": {append([]byte("\x80\x02NNa"), good...), "another type"},
		"in itself":      {append([]byte("\x80\x02]q\x01h\x01a."), good...), "expected a dictionary"},
	} {
		dir := t.TempDir()
		for i, f := range cifar10.python.files {
			put(t, dir, f.name, cifar10.pickleOf(i, false))
		}
		put(t, dir, "data_batch_1", c.file)
		if _, err := few(cifar10).open(dir); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "data_batch_1") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// Any bytes are read to the end or refused.
func FuzzPickle(f *testing.F) {
	f.Add(cifar10.pickleOf(0, false)[:300])
	f.Add([]byte("\x80\x02}q\x01(U\x01aK\x01u."))
	f.Fuzz(func(t *testing.T, file []byte) {
		value, err := unpickle(file)
		if batch, ok := value.(*pickleDict); err == nil && ok {
			bytesOfList(batch.get("labels"), 3, 10)
			bytesOfArray(batch.get("data"), 3, 3072)
		}
	})
}
