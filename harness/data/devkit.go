// The devkit of ILSVRC 2012: classes of the validation photos, read from a MAT-file.

package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The devkit of ILSVRC 2012 has its own numbering of the classes.
const (
	truthFile = "ILSVRC2012_validation_ground_truth.txt" // line i: the class number of photo i
	metaFile  = "meta.mat"                               // the class of each number
)

// devkit is the files of the devkit that tell the classes of the validation photos.
type devkit struct {
	where       string // of truth
	truth, meta []byte
}

// findDevkit reads the devkit in a folder, unpacked or as the archive that torchvision
// downloads; nil if there is none.
func findDevkit(dir string) (*devkit, error) {
	for _, pattern := range []string{"", "data", "*devkit*", "*devkit*/data"} {
		matches, _ := fs.Glob(os.DirFS(dir), path.Join(pattern, truthFile)) // dir itself may contain brackets
		if len(matches) == 0 {
			continue
		}
		d := devkit{where: filepath.Join(dir, matches[0])}
		var err error
		if d.meta, err = os.ReadFile(filepath.Join(filepath.Dir(d.where), metaFile)); err != nil {
			return nil, fmt.Errorf("%w; it comes with %s", err, truthFile)
		}
		d.truth, err = os.ReadFile(d.where)
		return &d, err
	}
	packed, _ := fs.Glob(os.DirFS(dir), "*devkit*.tar.gz")
	if len(packed) == 0 {
		return nil, nil
	}
	d := &devkit{where: filepath.Join(dir, packed[0])}
	err := d.unpack()
	if err == nil && (d.truth == nil || d.meta == nil) {
		err = fmt.Errorf("has no %s and %s", truthFile, metaFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; get it again", d.where, noEOF(err))
	}
	return d, nil
}

// unpack reads the files from the archive.
func (d *devkit) unpack() error {
	f, err := os.Open(d.where)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	const most = 64 << 20 // 2.5 MB packed
	for in := tar.NewReader(io.LimitReader(z, most)); ; {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var into *[]byte
		switch path.Base(h.Name) {
		case truthFile:
			into = &d.truth
		case metaFile:
			into = &d.meta
		default:
			continue
		}
		if *into, err = io.ReadAll(in); err != nil {
			return err
		}
	}
}

// classOf returns a function from a file name (ILSVRC2012_val_00000001.JPEG) to the class,
// by the number in the name.
func (d *devkit) classOf(classes []string) (classOf, error) {
	numbers, err := synsets(d.meta)
	if err != nil {
		return nil, fmt.Errorf("%s beside %s: %w", metaFile, d.where, err)
	}
	byNumber := map[int]int{} // -1: a class that train does not have
	for wnid, n := range numbers {
		byNumber[n] = slices.Index(classes, wnid)
	}
	for _, c := range classes {
		if _, ok := numbers[c]; !ok {
			return nil, fmt.Errorf("train/%s: %s beside %s has no class of that name", c, metaFile, d.where)
		}
	}
	lines := strings.Fields(string(d.truth))
	labels := make([]int, len(lines))
	for i, line := range lines {
		n, err := strconv.Atoi(line)
		class, ok := byNumber[n]
		if err != nil || !ok {
			return nil, fmt.Errorf("%s, line %d: label %q is not one of the %d classes of %s", d.where, i+1, line, len(numbers), metaFile)
		}
		labels[i] = class
	}
	return func(name string) (int, bool) {
		stem := strings.TrimSuffix(name, filepath.Ext(name))
		n, err := strconv.Atoi(stem[strings.LastIndexByte(stem, '_')+1:])
		if err != nil || n < 1 || n > len(labels) || labels[n-1] < 0 {
			return 0, false
		}
		return labels[n-1], true
	}, nil
}

// synsets reads ILSVRC2012_ID and WNID of the leaf classes from the devkit's meta.mat, a
// MAT-file of level 5 with one array of structs.
func synsets(file []byte) (map[string]int, error) {
	const header = 128
	if len(file) < header+8 || string(file[126:128]) != "IM" {
		return nil, errors.New("not a MAT-file of level 5")
	}
	kind, body, _, err := matElement(file[header:])
	if err != nil {
		return nil, err
	}
	const compressed = 15
	if kind == compressed {
		z, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(io.LimitReader(z, 1<<26)); err != nil {
			return nil, err
		}
		if _, body, _, err = matElement(body); err != nil {
			return nil, err
		}
	}
	parts, err := matElements(body)
	if err != nil {
		return nil, err
	}
	// The parts are: flags, dimensions, the array's name, length of a field's name, the
	// names; then the fields of the first struct, of the second, and so on.
	if len(parts) < 5 || len(parts[3]) < 4 {
		return nil, errors.New("does not hold an array of structs")
	}
	width := int(binary.LittleEndian.Uint32(parts[3]))
	if width < 1 || len(parts[4])%width != 0 {
		return nil, errors.New("its fields have no names")
	}
	var fields []string
	for at := 0; at < len(parts[4]); at += width {
		name, _, _ := strings.Cut(string(parts[4][at:at+width]), "\x00")
		fields = append(fields, name)
	}
	id, wnid, children := slices.Index(fields, "ILSVRC2012_ID"), slices.Index(fields, "WNID"), slices.Index(fields, "num_children")
	if id < 0 || wnid < 0 || children < 0 {
		return nil, fmt.Errorf("fields %s, expected ILSVRC2012_ID, WNID and num_children", strings.Join(fields, ", "))
	}
	out := map[string]int{}
	for values := parts[5:]; len(values) >= len(fields); values = values[len(fields):] {
		n, err := matNumber(values[id])
		if err != nil {
			return nil, err
		}
		below, err := matNumber(values[children])
		if err != nil {
			return nil, err
		}
		name, err := matText(values[wnid])
		if err != nil {
			return nil, err
		}
		if below == 0 {
			out[name] = n
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no classes")
	}
	return out, nil
}

// matElement splits off the first data element and returns its type and content.
func matElement(b []byte) (kind uint32, body, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, nil, io.ErrUnexpectedEOF
	}
	kind = binary.LittleEndian.Uint32(b)
	if n := kind >> 16; n != 0 { // small element: type, length and content in 8 bytes
		if n > 4 {
			return 0, nil, nil, errors.New("damaged")
		}
		return kind & 0xffff, b[4 : 4+n], b[8:], nil
	}
	n := uint64(binary.LittleEndian.Uint32(b[4:]))
	if n > uint64(len(b)-8) {
		return 0, nil, nil, io.ErrUnexpectedEOF
	}
	body = b[8 : 8+n]
	padded := min((n+7)/8*8, uint64(len(b)-8))
	return kind, body, b[8+padded:], nil
}

func matElements(b []byte) (bodies [][]byte, err error) {
	for len(b) > 0 {
		var body []byte
		if _, body, b, err = matElement(b); err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

// matValue is the content of an array. Flags, dimensions and name come before it.
func matValue(array []byte) (kind uint32, body []byte, err error) {
	for range 4 {
		if kind, body, array, err = matElement(array); err != nil {
			return 0, nil, err
		}
	}
	return kind, body, nil
}

// matNumber is an array's only number. MATLAB stores small numbers as bytes.
func matNumber(array []byte) (int, error) {
	kind, b, err := matValue(array)
	if err != nil {
		return 0, err
	}
	switch {
	case (kind == 1 || kind == 2) && len(b) == 1:
		return int(b[0]), nil
	case (kind == 3 || kind == 4) && len(b) == 2:
		return int(binary.LittleEndian.Uint16(b)), nil
	case (kind == 5 || kind == 6) && len(b) == 4:
		return int(binary.LittleEndian.Uint32(b)), nil
	case kind == 9 && len(b) == 8:
		return int(math.Float64frombits(binary.LittleEndian.Uint64(b))), nil
	}
	return 0, fmt.Errorf("cannot read a number of type %d in %d bytes", kind, len(b))
}

// matText is an array of characters of one or two bytes each.
func matText(array []byte) (string, error) {
	kind, b, err := matValue(array)
	if err != nil {
		return "", err
	}
	if kind != 4 && kind != 17 {
		return string(b), nil
	}
	var text []byte
	for i := 0; i+1 < len(b); i += 2 {
		text = append(text, b[i])
	}
	return string(text), nil
}
