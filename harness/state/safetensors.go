// Safetensors files: a strict reader and a writer.

package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"depthlab/harness/disk"
)

// A safetensors file is the length of the header (8 bytes, little-endian), the header (a
// JSON object, padded with spaces) and the data. The header holds the type, shape and
// position in the data of each tensor, and a map of strings under "__metadata__".
//
// The reader is stricter than the format requires, so that it never has to guess. Every
// byte of the data belongs to exactly one tensor, no name occurs twice, and unknown
// fields are errors. It reads the data only after the header agreed with the file's real
// size.

const (
	metaKey   = "__metadata__"
	prefix    = 8
	maxHeader = 1 << 20  // ten times that of the paper's deepest net; parsing needs about thirty times as much memory
	maxFile   = 16 << 30 // far more than any net needs; stops sparse files from taking all memory
)

// FormatError says that a file is damaged or not in the safetensors format, as opposed to
// unreadable.
type FormatError struct {
	Path string // "" if it was not read from a file
	What string // what is wrong, and where
}

func (e *FormatError) Error() string {
	if e.Path == "" {
		return "safetensors: " + e.What
	}
	return e.Path + ": not a whole safetensors file: " + e.What
}

func wrong(format string, a ...any) *FormatError {
	return &FormatError{What: fmt.Sprintf(format, a...)}
}

// File is the content of a safetensors file. Tensors are in the order of their data.
type File struct {
	Meta    map[string]string
	Tensors []Tensor
}

// ReadFile reads a file. An error is a *FormatError or one of the operating system.
func ReadFile(path string) (*File, error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	f, err := Decode(b)
	return f, at(path, err)
}

// at sets the path of a *FormatError.
func at(path string, err error) error {
	var e *FormatError
	if errors.As(err, &e) {
		e.Path = path
	}
	return err
}

func readWhole(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening, because opening a pipe would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, &FormatError{path, fmt.Sprintf("it is not a regular file of at most %d bytes", int64(maxFile))}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, min(info.Size(), prefix))
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	n, err := headerLength(head, info.Size())
	if err != nil {
		if kind := kindOf(f); kind != "" {
			return nil, &FormatError{path, "it is " + kind}
		}
		return nil, at(path, err)
	}
	head = append(head, make([]byte, n)...)
	if _, err := io.ReadFull(f, head[prefix:]); err != nil {
		return nil, err
	}
	file, spans, err := parseHeader(head[prefix:])
	if err == nil {
		err = file.check(spans, info.Size()-prefix-n)
	}
	if err != nil {
		return nil, at(path, err)
	}
	whole := make([]byte, info.Size())
	copy(whole, head)
	_, err = io.ReadFull(f, whole[len(head):])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &FormatError{path, "it became shorter while it was read"}
	}
	return whole, err
}

// kinds lists files that people take for safetensors: how they begin (text in lower
// case), and what they are and what to do.
var kinds = []struct{ begins, kind string }{
	{"version https://git-lfs", "a pointer of Git LFS, not the file itself; git lfs pull fetches that"},
	{"PK\x03\x04", "a ZIP archive, as PyTorch's .pth files are; safetensors.torch.save_file(torch.load(PATH), OUT) in Python converts those"},
	{"\x80\x02", "a Python pickle, as PyTorch's old .pth files are; safetensors.torch.save_file(torch.load(PATH), OUT) in Python converts those"},
	{"<!doctype", "a web page: the download went wrong"},
	{"<html", "a web page: the download went wrong"},
	{"<?xml", "a web page: the download went wrong"},
	{"\x1f\x8b", "compressed by gzip; unpack it first"},
	{"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first"},
	{"\x89HDF\r\n", "an HDF5 file, as Keras writes"},
	{"GGUF", "a GGUF file"},
}

// kindOf says what a file is that is not safetensors; "" if unknown.
func kindOf(f io.ReaderAt) string {
	head := make([]byte, 64)
	n, _ := f.ReadAt(head, 0)
	begin := strings.TrimLeft(strings.TrimPrefix(string(head[:n]), "\ufeff"), " \t\r\n")
	for _, k := range kinds {
		if strings.HasPrefix(begin, k.begins) || strings.HasPrefix(strings.ToLower(begin), k.begins) {
			return k.kind
		}
	}
	return ""
}

// Decode parses a whole file. The tensors' data are slices of b.
func Decode(b []byte) (*File, error) {
	header, data, err := cut(b)
	if err != nil {
		return nil, err
	}
	f, spans, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := f.place(spans, data); err != nil {
		return nil, err
	}
	return f, nil
}

// cut splits a file into header and data.
func cut(b []byte) (header, data []byte, err error) {
	n, err := headerLength(b, int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	return b[prefix : prefix+n], b[prefix+n:], nil
}

// headerLength reads the length of the header at the start of a file of size bytes.
func headerLength(b []byte, size int64) (int64, error) {
	if len(b) < prefix {
		return 0, wrong("%d bytes, shorter than the header's length", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader {
		return 0, wrong("header of %d bytes, more than %d", n, maxHeader)
	}
	if n > uint64(size-prefix) {
		return 0, wrong("header of %d bytes, but only %d follow", n, size-prefix)
	}
	return int64(n), nil
}

// span is the position of a tensor's data: bytes begin to end-1.
type span struct {
	begin, end int64
	tensor     int
}

// place sets each tensor's data and sorts the tensors in the order of their data.
func (f *File) place(spans []span, data []byte) error {
	if err := f.check(spans, int64(len(data))); err != nil {
		return err
	}
	tensors := make([]Tensor, 0, len(spans))
	for _, s := range spans {
		t := f.Tensors[s.tensor]
		t.Data = data[s.begin:s.end:s.end]
		tensors = append(tensors, t)
	}
	f.Tensors = tensors
	return nil
}

// check sorts the spans and checks that they cover size bytes of data without gap or
// overlap.
func (f *File) check(spans []span, size int64) error {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.tensor, b.tensor))
	})
	var end int64
	for _, s := range spans {
		name := clip(f.Tensors[s.tensor].Name)
		switch {
		case s.begin > end:
			return wrong("bytes %d to %d of the data, before tensor %q, belong to no tensor", end, s.begin, name)
		case s.begin < end:
			return wrong("tensor %q begins at byte %d of the data, inside the tensor before it, which ends at %d", name, s.begin, end)
		case s.end > size:
			return wrong("tensor %q ends at byte %d of the data, but there are only %d", name, s.end, size)
		}
		end = s.end
	}
	if end != size {
		return wrong("%d bytes follow the last tensor", size-end)
	}
	return nil
}

// parseHeader reads the JSON of a header. It reads token by token, because encoding/json
// silently takes the last of equal keys.
func parseHeader(header []byte) (*File, []span, error) {
	text := bytes.TrimRight(header, " ")
	switch {
	case len(text) == 0 || text[0] != '{' || text[len(text)-1] != '}':
		return nil, nil, wrong("the header is not a JSON object")
	case !utf8.Valid(text):
		return nil, nil, wrong("the header is not UTF-8")
	case !json.Valid(text):
		return nil, nil, wrong("the header is not valid JSON")
	}
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	f := &File{Meta: map[string]string{}}
	var spans []span
	err := p.object("the header", func(name string) error {
		if name == metaKey {
			return p.object(metaKey, func(key string) (err error) {
				f.Meta[key], err = p.text(metaKey + " " + strconv.Quote(clip(key)))
				return err
			})
		}
		t, s, err := p.tensor(name)
		s.tensor = len(f.Tensors)
		f.Tensors, spans = append(f.Tensors, t), append(spans, s)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return f, spans, nil
}

type parser struct{ *json.Decoder }

// object reads a JSON object. It calls value after each key, to read the key's value.
func (p parser) object(what string, value func(key string) error) error {
	if err := p.delim(what, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.More() {
		key, err := p.text("a key of " + what)
		if err != nil {
			return err
		}
		if seen[key] {
			return wrong("%s has %q twice", what, clip(key))
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim(what, '}')
}

func (p parser) tensor(name string) (t Tensor, s span, err error) {
	what := "tensor " + strconv.Quote(clip(name))
	t.Name = name
	if name == "" {
		return t, s, wrong("a tensor has no name")
	}
	var shape, offsets []int64
	fields := 0
	err = p.object(what, func(key string) (err error) {
		fields++
		switch key {
		case "dtype":
			t.DType, err = p.text("the dtype of " + what)
		case "shape":
			shape, err = p.numbers("the shape of "+what, maxRank)
		case "data_offsets":
			offsets, err = p.numbers("the data_offsets of "+what, 2)
		default:
			err = wrong("%s has an unknown field %q", what, clip(key))
		}
		return err
	})
	if err != nil {
		return t, s, err
	}
	if fields != 3 {
		return t, s, wrong("%s has no dtype, shape or data_offsets", what)
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return t, s, wrong("%s has data_offsets %v, expected begin and end", what, offsets)
	}
	s.begin, s.end = offsets[0], offsets[1]
	t.Shape = make([]int, len(shape))
	for i, d := range shape {
		if t.Shape[i] = int(d); int64(t.Shape[i]) != d {
			return t, s, wrong("%s has a dimension of %d", what, d)
		}
	}
	n, err := bytesOf(t.DType, t.Shape)
	if err != nil {
		return t, s, wrong("%s: %v", what, err)
	}
	if n != s.end-s.begin {
		return t, s, wrong("%s, %s of shape %v, takes %d bytes, but its data_offsets %v hold %d", what, t.DType, t.Shape, n, offsets, s.end-s.begin)
	}
	return t, s, nil
}

func (p parser) delim(what string, d json.Delim) error {
	token, err := p.Token()
	if err != nil {
		return wrong("%s: %v", what, err)
	}
	if token != d {
		return wrong("%s: %s in place of %q", what, clip(fmt.Sprintf("%q", token)), d.String())
	}
	return nil
}

func (p parser) text(what string) (string, error) {
	token, err := p.Token()
	if err != nil {
		return "", wrong("%s: %v", what, err)
	}
	s, ok := token.(string)
	if !ok {
		return "", wrong("%s is not a string", what)
	}
	return s, nil
}

// numbers reads an array of at most max integers from 0 to 2^63-1.
func (p parser) numbers(what string, max int) ([]int64, error) {
	if err := p.delim(what, '['); err != nil {
		return nil, err
	}
	v := []int64{}
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return nil, wrong("%s: %v", what, err)
		}
		number, _ := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, 63)
		if err != nil {
			return nil, wrong("%s has %s, expected an integer from 0 to 2^63-1", what, clip(fmt.Sprintf("%q", token)))
		}
		if len(v) == max {
			return nil, wrong("%s has more than %d numbers", what, max)
		}
		v = append(v, int64(n))
	}
	return v, p.delim(what, ']')
}

// encodeHeader makes the first part of a file, up to the data, and returns the tensors in
// the order in which their data must follow: larger number types first, so that each
// tensor is aligned, then by name.
func encodeHeader(meta map[string]string, tensors []Tensor) ([]byte, []Tensor, error) {
	tensors = slices.Clone(tensors)
	for i := range tensors {
		if err := tensors[i].check(); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", clip(tensors[i].Name), err)
		}
	}
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(sizes[b.DType], sizes[a.DType]), cmp.Compare(a.Name, b.Name))
	})
	out := append(make([]byte, prefix), '{')
	names := map[string]bool{metaKey: true, "": true}
	if len(meta) > 0 {
		keys := make([]string, 0, len(meta))
		for k, v := range meta {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, nil, fmt.Errorf("metadata %q is not UTF-8", clip(k))
			}
			keys = append(keys, k)
		}
		slices.Sort(keys)
		out = append(append(out, quote(metaKey)...), ":{"...)
		for i, k := range keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(append(append(out, quote(k)...), ':'), quote(meta[k])...)
		}
		out = append(out, '}')
	}
	end := 0
	for i, t := range tensors {
		if names[t.Name] || !utf8.ValidString(t.Name) {
			return nil, nil, fmt.Errorf("tensor %q: the name is taken, empty or not UTF-8", clip(t.Name))
		}
		names[t.Name] = true
		if i > 0 || len(meta) > 0 {
			out = append(out, ',')
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{} // so that JSON has [] and not null
		}
		list, _ := json.Marshal(shape)
		out = fmt.Appendf(append(out, quote(t.Name)...), `:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, t.DType, list, end, end+len(t.Data))
		end += len(t.Data)
	}
	out = append(out, '}')
	for len(out)%8 != 0 {
		out = append(out, ' ')
	}
	if len(out)-prefix > maxHeader {
		return nil, nil, fmt.Errorf("header of %d bytes, more than %d", len(out)-prefix, maxHeader)
	}
	binary.LittleEndian.PutUint64(out, uint64(len(out)-prefix))
	return out, tensors, nil
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // cannot fail for a string
	return b
}

// Write writes a file. Equal content gives equal bytes, whatever the order of tensors.
func Write(w io.Writer, meta map[string]string, tensors []Tensor) error {
	header, tensors, err := encodeHeader(meta, tensors)
	if err != nil {
		return err
	}
	return writeParts(w, header, tensors)
}

func writeParts(w io.Writer, header []byte, tensors []Tensor) error {
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes a file atomically: an older file of that name stays until the new one
// is safely on disk.
func WriteFile(path string, meta map[string]string, tensors []Tensor) error {
	header, tensors, err := encodeHeader(meta, tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return disk.WriteFunc(path, func(w io.Writer) error { return writeParts(w, header, tensors) })
}
