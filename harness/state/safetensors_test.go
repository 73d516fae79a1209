// Tests of safetensors files: round trips, files of other libraries, damaged and hostile
// files.

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"depthlab/harness/testskip"
)

func someTensors() []Tensor {
	return []Tensor{
		{"labels", "U8", []int{3}, []byte{1, 2, 3}},
		Float32("conv1.weight", []int{2, 1, 2}, []float32{1, -2, 0.5, float32(math.Inf(1))}),
		Int64("bn1.num_batches_tracked", nil, []int64{-7}),
		Int32("rows", []int{2, 2}, []int32{1, 2, 3, -4}),
		{"empty", "F32", []int{0, 5}, nil},
	}
}

func encode(t *testing.T, meta map[string]string, tensors []Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, meta, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	meta := map[string]string{"b": "2", "a": "<\"é\n>"}
	b := encode(t, meta, someTensors())
	f, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Meta, meta) {
		t.Errorf("metadata %v", f.Meta)
	}
	var names []string
	for _, got := range f.Tensors {
		names = append(names, got.Name)
		i := slices.IndexFunc(someTensors(), func(t Tensor) bool { return t.Name == got.Name })
		want := someTensors()[i]
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%+v came back as %+v", want, got)
		}
	}
	if want := []string{"bn1.num_batches_tracked", "conv1.weight", "empty", "rows", "labels"}; !slices.Equal(names, want) {
		t.Errorf("order of data %v, want %v", names, want)
	}
	if n := binary.LittleEndian.Uint64(b); n%8 != 0 {
		t.Errorf("data begin at byte %d, not aligned", n+8)
	}
	reversed := someTensors()
	slices.Reverse(reversed)
	if !bytes.Equal(b, encode(t, meta, reversed)) {
		t.Error("the order of the tensors changes the bytes")
	}
	again := encode(t, f.Meta, f.Tensors)
	if !bytes.Equal(b, again) {
		t.Error("what was read is written differently")
	}
}

// A file written by another library: other order, spaces, escapes.
func TestForeignFile(t *testing.T) {
	f, err := Decode(raw(`{ "b" : {"shape":[2],"data_offsets":[2,6],"dtype":"F16"}, "__metadata__":{"format":"pt"}, "a\u00e9":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}  `,
		[]byte{0x80, 0x3f, 0, 0x3c, 0xff, 0xfb}))
	if err != nil {
		t.Fatal(err)
	}
	if f.Meta["format"] != "pt" || f.Tensors[0].Name != "aé" || f.Tensors[1].Name != "b" {
		t.Errorf("read %+v", f)
	}
	for i, want := range [][]float32{{1}, {1, -65504}} {
		if got, err := f.Tensors[i].Float32s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("tensor %d is %v, %v, want %v", i, got, err, want)
		}
	}
	if f, err := Decode(raw(`{}`, nil)); err != nil || len(f.Tensors) != 0 {
		t.Errorf("an empty file: %v, %v", f, err)
	}
}

func raw(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestBadFiles(t *testing.T) {
	one := func(fields string) string { return `{"a":{` + fields + `}}` }
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "0 bytes"},
		{"shorter than a length", []byte{1, 2, 3}, "3 bytes"},
		{"huge length", append(bytes.Repeat([]byte{0xff}, 8), '{', '}'), "more than"},
		{"length beyond the file", append([]byte{100, 0, 0, 0, 0, 0, 0, 0}, '{', '}'), "only 2 follow"},
		{"no header", raw(``, nil), "not a JSON object"},
		{"array", raw(`[]`, nil), "not a JSON object"},
		{"two objects", raw(`{}{}`, nil), "not valid JSON"},
		{"trailing comma", raw(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},}`, []byte{1}), "not valid JSON"},
		{"not UTF-8", raw("{\"\xff\":{}}", nil), "not UTF-8"},
		{"leading space", raw(` {}`, nil), "not a JSON object"},
		{"deep", raw(`{"a":`+strings.Repeat("[", 50000)+strings.Repeat("]", 50000)+`}`, nil), "not valid JSON"},
		{"tensor is a number", raw(`{"a":1}`, nil), `tensor "a": `},
		{"no fields", raw(`{"a":{}}`, nil), `tensor "a" has no dtype, shape or data_offsets`},
		{"name missing", raw(`{"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, []byte{1}), "no name"},
		{"duplicate name", raw(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}`, []byte{1, 2}), `"a" twice`},
		{"duplicate field", raw(one(`"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]`), []byte{1}), `"dtype" twice`},
		{"duplicate metadata", raw(`{"__metadata__":{"a":"1","a":"1"}}`, nil), `"a" twice`},
		{"second metadata", raw(`{"__metadata__":{},"__metadata__":{}}`, nil), `twice`},
		{"metadata is no text", raw(`{"__metadata__":{"a":1}}`, nil), `__metadata__ "a" is not a string`},
		{"metadata is no object", raw(`{"__metadata__":"a"}`, nil), `__metadata__`},
		{"unknown field", raw(one(`"dtype":"U8","shape":[],"Data_Offsets":[0,1]`), []byte{1}), `unknown field "Data_Offsets"`},
		{"unknown type", raw(one(`"dtype":"F31","shape":[],"data_offsets":[0,1]`), []byte{1}), `unknown type "F31"`},
		{"type is no text", raw(one(`"dtype":4,"shape":[],"data_offsets":[0,1]`), []byte{1}), `dtype of tensor "a" is not a string`},
		{"negative dimension", raw(one(`"dtype":"U8","shape":[-1],"data_offsets":[0,1]`), []byte{1}), `"-1"`},
		{"fraction", raw(one(`"dtype":"U8","shape":[1.0],"data_offsets":[0,1]`), []byte{1}), `"1.0"`},
		{"exponent", raw(one(`"dtype":"U8","shape":[1e0],"data_offsets":[0,1]`), []byte{1}), `"1e0"`},
		{"null shape", raw(one(`"dtype":"U8","shape":null,"data_offsets":[0,1]`), []byte{1}), `shape of tensor "a"`},
		{"nested shape", raw(one(`"dtype":"U8","shape":[[1]],"data_offsets":[0,1]`), []byte{1}), `shape of tensor "a"`},
		{"overflow", raw(one(`"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]`), nil), "too large to count"},
		{"overflow to zero", raw(one(`"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]`), nil), "too large to count"},
		{"beyond 63 bits", raw(one(`"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]`), nil), "9223372036854775808"},
		{"nine dimensions", raw(one(`"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]`), []byte{1}), "more than 8"},
		{"claims terabytes", raw(one(`"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]`), []byte{1}), "there are only 1"},
		{"size is not the shape's", raw(one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), make([]byte, 4)), "takes 8 bytes"},
		{"offsets backwards", raw(one(`"dtype":"U8","shape":[1],"data_offsets":[1,0]`), []byte{1}), "expected begin and end"},
		{"one offset", raw(one(`"dtype":"U8","shape":[1],"data_offsets":[1]`), []byte{1}), "expected begin and end"},
		{"three offsets", raw(one(`"dtype":"U8","shape":[1],"data_offsets":[0,1,1]`), []byte{1}), "more than 2"},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, make([]byte, 3)), `tensor "b" begins at byte 1`},
		{"same bytes twice", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, make([]byte, 2)), `inside the tensor before it`},
		{"gap", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, make([]byte, 3)), `bytes 1 to 2 of the data, before tensor "b"`},
		{"gap in front", raw(one(`"dtype":"U8","shape":[1],"data_offsets":[1,2]`), make([]byte, 2)), `bytes 0 to 1`},
		{"trailing bytes", raw(one(`"dtype":"U8","shape":[1],"data_offsets":[0,1]`), make([]byte, 3)), "2 bytes follow"},
		{"cut short", raw(one(`"dtype":"U8","shape":[4],"data_offsets":[0,4]`), make([]byte, 3)), "there are only 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := Decode(test.file)
			var format *FormatError
			if err == nil || !errors.As(err, &format) {
				t.Fatalf("accepted or another error: %v, %v", f, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if len(err.Error()) > 600 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		meta    map[string]string
		tensors []Tensor
	}{
		{"duplicate", nil, []Tensor{Int32("a", nil, []int32{1}), Int32("a", nil, []int32{1})}},
		{"duplicate of other types", nil, []Tensor{Int32("a", nil, []int32{1}), Int64("a", nil, []int64{1})}},
		{"metadata's name", nil, []Tensor{Int32("__metadata__", nil, []int32{1})}},
		{"no name", nil, []Tensor{Int32("", nil, []int32{1})}},
		{"name not UTF-8", nil, []Tensor{Int32("\xff", nil, []int32{1})}},
		{"metadata not UTF-8", map[string]string{"a": "\xff"}, nil},
		{"shape", nil, []Tensor{Float32("a", []int{3}, make([]float32, 2))}},
		{"negative", nil, []Tensor{Float32("a", []int{-1, -2}, make([]float32, 2))}},
		{"type", nil, []Tensor{{"a", "f32", nil, make([]byte, 4)}}},
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := WriteFile(path, test.meta, test.tensors); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestReadFileErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	var format *FormatError
	if _, err := ReadFile(dir); !errors.As(err, &format) {
		t.Errorf("a folder: %v", err)
	}
	path := filepath.Join(dir, "bad")
	os.WriteFile(path, []byte("bad"), 0o666)
	if _, err := ReadFile(path); !errors.As(err, &format) || !strings.Contains(err.Error(), path) {
		t.Errorf("a bad file: %v", err)
	}
	huge := filepath.Join(dir, "huge")
	os.WriteFile(huge, nil, 0o666)
	if os.Truncate(huge, maxFile+1) == nil { // sparse
		if _, err := ReadFile(huge); !errors.As(err, &format) {
			t.Errorf("a huge file: %v", err)
		}
	}
}

// A file that only looks like safetensors is named as what it is.
func TestFilesOfOtherKinds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resnet.safetensors")
	for _, c := range []struct{ text, says string }{
		{"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS"},
		{"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl", "ZIP archive, as PyTorch's .pth files are"},
		{"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle"},
		{"\n <!DOCTYPE html><html><body>404</body></html>", "web page"},
		{"\ufeff<HTML>", "web page"},
		{"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"},
		{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"},
		{"\x28\xb5\x2f\xfd\x04\x00\x00\x00\x00\x00", "zstd"},
		{"\x89HDF\r\n\x1a\n\x00\x00\x00", "HDF5"},
		{"GGUF\x03\x00\x00\x00\x00\x00", "GGUF"},
		{"\xff\xff\xff\xff\xff\xff\xff\xff", "header of 18446744073709551615 bytes"}, // unknown
		{"", "0 bytes"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		var format *FormatError
		if _, err := ReadFile(path); !errors.As(err, &format) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.30q: %v, want a *FormatError that names the file and says %q", c.text, err, c.says)
		}
	}
}

func TestConversions(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0: 0, 1: math.Pow(2, -24), 0x3ff: 1023 * math.Pow(2, -24), 0x400: math.Pow(2, -14),
		0x3c00: 1, 0x3c01: 1 + math.Pow(2, -10), 0xc000: -2, 0x7bff: 65504, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x8001: -math.Pow(2, -24),
	} {
		if got := half(bits); float64(got) != want {
			t.Errorf("half %#x is %g, want %g", bits, got, want)
		}
	}
	if v := half(0x8000); v != 0 || !math.Signbit(float64(v)) {
		t.Errorf("minus zero is %v", v)
	}
	if v := half(0x7e00); v == v {
		t.Errorf("NaN is %v", v)
	}
	f64 := Tensor{"a", "F64", []int{1}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.25))}
	if v, err := f64.Float32s(); err != nil || v[0] != 0.25 {
		t.Errorf("F64: %v, %v", v, err)
	}
	i32 := Int32("a", []int{2}, []int32{-1, 5})
	for _, bad := range []Tensor{i32, {"a", "F32", []int{2}, []byte{1}}, {"a", "Q", nil, nil}} {
		if _, err := bad.Float32s(); err == nil {
			t.Errorf("%v as float32 is accepted", bad)
		}
	}
}

// Files made to exhaust the memory are refused, with little memory used.
func TestHostileFiles(t *testing.T) {
	many := func(entry string) string { // as many tensors as fit into a header
		var b strings.Builder
		b.WriteString("{")
		for i := 0; b.Len() < maxHeader-100; i++ {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, entry, i)
		}
		b.WriteString("}")
		return b.String()
	}
	length := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	for name, c := range map[string]struct {
		start []byte
		size  int64 // filled up with zeros as a sparse file, which takes no space on most disks
	}{
		"header of 2^60 bytes":   {length(1 << 60), 3 << 30},
		"header of all but":      {length(3<<30 - 8), 3 << 30},
		"header of zeros":        {length(maxHeader), 3 << 30},
		"all zeros":              {nil, 3 << 30},
		"no end":                 {raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, nil), 3 << 30},
		"many tensors, overlaps": {raw(many(`"%d":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`), nil), 3 << 30},
		"many tensors, one name": {raw(many(`"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,1]}`), nil), 3 << 30},
		"many empty ones":        {raw(many(`"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`), nil), 3 << 30},
		"nested":                 {raw(strings.Repeat("[", maxHeader-10), nil), 0},
		"nested in a tensor":     {raw(`{"a":`+strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat("}", 9001), nil), 0},
		"metadata, many":         {raw(`{"__metadata__":`+many(`"%d":""`)[:maxHeader-200]+`}`, nil), 0},
		"shape of no numbers":    {raw(`{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}`, make([]byte, 4)), 0},
		"shape of a long number": {raw(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("9", maxHeader-200)+`],"data_offsets":[0,4]}}`, make([]byte, 4)), 0},
		"terabytes":              {raw(`{"a":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}`, nil), 3 << 30},
		"name of a long way up":  {raw(`{"../../../../etc/passwd":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}`, []byte{1}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.safetensors")
			if err := os.WriteFile(path, c.start, 0o666); err != nil {
				t.Fatal(err)
			}
			if c.size > 0 {
				if err := os.Truncate(path, c.size); err != nil {
					testskip.Skip(t, "no room for a file with holes: %v", err)
				}
			}
			for _, read := range []func() error{
				func() error { _, err := ReadFile(path); return err },
				func() error { _, _, err := load(path); return err },
			} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := read()
				runtime.ReadMemStats(&after)
				var format *FormatError
				if !errors.As(err, &format) || !strings.Contains(err.Error(), path) || len(err.Error()) > 1000 {
					t.Errorf("error %.200v, want a *FormatError with the path", err)
				}
				if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
					t.Errorf("took %d MiB", spent>>20)
				}
			}
		})
	}
}

// Any bytes give a *FormatError, or a file that reads equal after it was written again.
func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	Write(&b, map[string]string{"a": "b"}, someTensors())
	f.Add(b.Bytes())
	f.Add(raw(`{}`, nil))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, []byte{1}))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Decode(b)
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		for i := range file.Tensors {
			if t := &file.Tensors[i]; t.DType == "F32" || t.DType == "F16" {
				t.Float32s()
			}
		}
		var out bytes.Buffer
		if err := Write(&out, file.Meta, file.Tensors); err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		again, err := Decode(out.Bytes())
		if err != nil {
			t.Fatalf("written, but not read: %v", err)
		}
		if len(again.Tensors) != len(file.Tensors) || !reflect.DeepEqual(again.Meta, file.Meta) {
			t.Fatal("written and read differently")
		}
	})
}
